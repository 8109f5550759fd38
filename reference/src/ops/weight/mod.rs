//! A matrix of weights, kept in the format it is stored in and, where it comes from a file, in that file.
//!
//! A 16-bit checkpoint of a large model does not fit in memory as f32, and need not: a product widens each tile as it
//! packs it ([`crate::linalg::matmul`]), exactly, and transposes it there too. So no weight is copied when a model is
//! loaded, unless it is to be rounded to a narrower format than the file's.

mod matrix;

pub use matrix::Matrix;

use crate::error::{Error, Result};
use crate::io::Array;
use crate::io::mapped::{Floats, MappedArray};
use crate::linalg::arrays::shaped;
use crate::linalg::{ProductRules, matmul};
use crate::num::{Dtype, Real, parallel, round_f64};
use half::{bf16, f16};
use ndarray::{Array1, Array2, ArrayView2, Ix2};
use std::any::Any;
use std::ops::Range;

/// A matrix of weights whose every number is one of `T`, in one of the formats that `T` holds.
#[derive(Debug, Clone)]
pub enum Weight<T> {
    /// In the scalar's own format.
    Own(Matrix<T>),
    /// In single precision, of which f64 holds every number. For f32 it is [`Weight::Own`].
    F32(Matrix<f32>),
    /// In IEEE half precision.
    F16(Matrix<f16>),
    /// In bfloat16.
    Bf16(Matrix<bf16>),
}

/// The same expression over the matrix inside, whatever its format.
macro_rules! each {
    ($weight:expr, $matrix:ident => $body:expr) => {
        match $weight {
            Weight::Own($matrix) => $body,
            Weight::F32($matrix) => $body,
            Weight::F16($matrix) => $body,
            Weight::Bf16($matrix) => $body,
        }
    };
}

/// The matrix inside changed, in the same format.
macro_rules! within {
    ($weight:expr, $matrix:ident => $body:expr) => {
        match $weight {
            Weight::Own($matrix) => Weight::Own($body),
            Weight::F32($matrix) => Weight::F32($body),
            Weight::F16($matrix) => Weight::F16($body),
            Weight::Bf16($matrix) => Weight::Bf16($body),
        }
    };
}

impl<T: Real> Weight<T> {
    /// Rows and columns.
    pub fn dim(&self) -> (usize, usize) {
        let [rows, columns] = each!(self, matrix => matrix.shape());
        (rows, columns)
    }

    /// How many rows.
    pub fn nrows(&self) -> usize {
        self.dim().0
    }

    /// How many columns.
    pub fn ncols(&self) -> usize {
        self.dim().1
    }

    /// The format the numbers are kept in.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::Own(_) => T::DTYPE,
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
        }
    }

    /// Whether the numbers lie in a mapped file.
    pub fn is_mapped(&self) -> bool {
        each!(self, matrix => matrix.is_mapped())
    }

    /// `x W`: x `[rows, in]`, the weight `[in, out]`.
    ///
    /// # Panics
    /// If the inner sizes differ.
    pub fn product(&self, x: ArrayView2<T>, rules: ProductRules) -> Array2<T> {
        each!(self, matrix => matmul(x, matrix.view(), rules))
    }

    /// One row, widened.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> Array1<T> {
        let mut wide = Vec::with_capacity(self.ncols());
        self.extend_by_row(row, &mut wide);
        wide.into()
    }

    /// The numbers of a row, widened, behind those of `wide`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn extend_by_row(&self, row: usize, wide: &mut Vec<T>) {
        each!(self, matrix => matrix.extend_by_row(row, wide));
    }

    /// All numbers, widened.
    pub fn to_array(&self) -> Array2<T> {
        let (rows, columns) = self.dim();
        let mut wide = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            self.extend_by_row(row, &mut wide);
        }
        shaped(wide, Ix2(rows, columns))
    }

    /// Rows and columns exchanged; the memory is the same.
    #[must_use]
    pub fn transposed(self) -> Self {
        within!(self, matrix => matrix.transposed())
    }

    /// Some of the rows; the memory is the same.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn rows(&self, range: Range<usize>) -> Self {
        within!(self, matrix => matrix.clone().rows(range))
    }

    /// The rows of several ranges one below the other, in the same format; a single range shares the memory.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn rows_of(&self, ranges: &[Range<usize>]) -> Self {
        match ranges {
            [range] => self.rows(range.clone()),
            _ => within!(self, matrix => matrix.gathered(ranges)),
        }
    }

    /// A matrix of single precision, which is f32's own.
    fn single(matrix: Matrix<f32>) -> Self {
        match own(&matrix) {
            Some(matrix) => Self::Own(matrix),
            None => Self::F32(matrix),
        }
    }
}

impl Weight<f64> {
    /// The matrix of a file, exactly: f64 holds all numbers of all formats. Those of 16 bits and more stay where they lie.
    ///
    /// # Errors
    /// For an array that has not two axes, or for whose elements, of another type, there is no memory.
    pub fn from_file(array: &MappedArray) -> Result<Self> {
        let &[rows, columns] = array.shape() else {
            return Err(Error::ask(format!("array \"{}\" has {} axes, not 2", array.name(), array.shape().len())));
        };
        Ok(match array.floats() {
            Some(Floats::F64(numbers)) => Self::Own(Matrix::new(numbers, rows, columns)),
            Some(Floats::F32(numbers)) => Self::F32(Matrix::new(numbers, rows, columns)),
            Some(Floats::F16(numbers)) => Self::F16(Matrix::new(numbers, rows, columns)),
            Some(Floats::Bf16(numbers)) => Self::Bf16(Matrix::new(numbers, rows, columns)),
            None => {
                let array = array.to_array()?;
                let matrix = |numbers: Vec<f64>| Matrix::new(numbers.into(), rows, columns);
                let numbers = matrix(array.to_f64().into_iter().collect());
                match array {
                    // bf16 has all numbers of E4M3, in a quarter of the memory.
                    Array::F8E4M3(_) => Self::Bf16(Self::Own(numbers).map(bf16::from_f64)),
                    _ => Self::Own(numbers),
                }
            }
        })
    }

    /// How many numbers are infinite or NaN.
    pub fn non_finite(&self) -> usize {
        let (lines, len) = each!(self, matrix => matrix.lines());
        let counts = parallel::map_ranges(lines, &|range| {
            let (mut wide, mut count) = (vec![0.0; len], 0);
            for line in range {
                self.widen_line(line, &mut wide);
                count += wide.iter().filter(|x| !x.is_finite()).count();
            }
            count
        });
        counts.into_iter().sum()
    }

    /// The same numbers for the scalar `T`, each rounded once to `stored`: unchanged and where they lie if `stored` holds
    /// them, else in memory, in that format.
    pub fn stored_as<T: Real>(&self, stored: Dtype) -> Weight<T> {
        let stored = if T::DTYPE.holds(stored) { stored } else { T::DTYPE };
        if stored.holds(self.dtype()) {
            match self {
                Self::Own(matrix) => {
                    if let Some(matrix) = own(matrix) {
                        return Weight::Own(matrix);
                    }
                }
                Self::F32(matrix) => return Weight::single(matrix.clone()),
                Self::F16(matrix) => return Weight::F16(matrix.clone()),
                Self::Bf16(matrix) => return Weight::Bf16(matrix.clone()),
            }
        }
        // To the format first, by its one rounding; to take up the type that keeps it is then exact.
        match stored {
            Dtype::F32 => Weight::single(self.map(|x| x as f32)),
            Dtype::F16 => Weight::F16(self.map(|x| f16::from_f64(round_f64(x, stored)))),
            Dtype::Bf16 => Weight::Bf16(self.map(|x| bf16::from_f64(round_f64(x, stored)))),
            Dtype::F64 | Dtype::Tf32 | Dtype::F8E4M3 => Weight::Own(self.map(|x| T::from_f64(round_f64(x, stored)))),
        }
    }

    /// Each number changed, in memory of its own, in which it lies in the same order.
    fn map<D: Copy + Default + Send + Sync>(&self, change: impl Fn(f64) -> D + Sync) -> Matrix<D> {
        let (lines, len) = each!(self, matrix => matrix.lines());
        let mut changed = vec![D::default(); lines * len];
        parallel::in_pieces(&mut changed, len, &|first, changed| {
            let mut wide = vec![0.0; len];
            for (changed, line) in changed.chunks_mut(len.max(1)).zip(first / len.max(1)..) {
                self.widen_line(line, &mut wide);
                changed.iter_mut().zip(&wide).for_each(|(changed, &x)| *changed = change(x));
            }
        });
        let changed = Matrix::new(changed.into(), lines, len);
        if each!(self, matrix => matrix.lies_by_columns()) { changed.transposed() } else { changed }
    }

    fn widen_line(&self, line: usize, wide: &mut [f64]) {
        each!(self, matrix => matrix.widen_line(line, wide));
    }
}

impl<T: Real> From<Array2<T>> for Weight<T> {
    fn from(array: Array2<T>) -> Self {
        Self::Own(array.into())
    }
}

/// The matrix, if its format is the scalar's own.
fn own<T: Real, E: 'static>(matrix: &Matrix<E>) -> Option<Matrix<T>> {
    (matrix as &dyn Any).downcast_ref::<Matrix<T>>().cloned()
}

#[cfg(test)]
mod tests;
