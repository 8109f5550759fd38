//! A matrix whose parts and transpose share its memory.

use crate::io::numbers::Numbers;
use crate::linalg::arrays::into_values;
use crate::num::{Real, Stored};
use ndarray::{Array2, ArrayView2, ShapeBuilder};
use std::ops::Range;

/// A matrix of numbers of a file, or of owned ones. Clones, parts and the transpose are views of the same memory.
#[derive(Debug, Clone)]
pub struct Matrix<E> {
    numbers: Numbers<E>,
    /// Where the first row begins.
    first: usize,
    shape: [usize; 2],
    /// How far apart neighbours along each axis lie.
    strides: [usize; 2],
}

impl<E> Matrix<E> {
    /// `[rows, columns]`, row after row.
    ///
    /// # Panics
    /// If there are not as many numbers.
    pub(super) fn new(numbers: Numbers<E>, rows: usize, columns: usize) -> Self {
        assert_eq!(Some(numbers.len()), rows.checked_mul(columns), "a matrix has rows times columns numbers");
        Self { numbers, first: 0, shape: [rows, columns], strides: [columns, 1] }
    }

    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    pub(super) fn is_mapped(&self) -> bool {
        self.numbers.is_mapped()
    }

    pub(super) fn view(&self) -> ArrayView2<'_, E> {
        let shape = self.shape.strides(self.strides);
        ArrayView2::from_shape(shape, &self.numbers[self.first..]).expect("a part of a matrix lies within its numbers")
    }

    /// Rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        let ([rows, columns], [down, right]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [right, down], ..self }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// If there are not as many.
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.shape[0], "there are {} rows", self.shape[0]);
        // No rows begin nowhere.
        let first = if range.is_empty() { self.first } else { self.first + range.start * self.strides[0] };
        Self { first, shape: [range.len(), self.shape[1]], ..self }
    }

    /// Whether columns lie in one piece, and rows do not.
    pub(super) fn lies_by_columns(&self) -> bool {
        self.strides[0] == 1 && self.strides[1] != 1
    }
}

impl<E: Copy + Send + Sync> Matrix<E> {
    /// The rows of several ranges one below the other, copied.
    pub(super) fn gathered(&self, ranges: &[Range<usize>]) -> Self {
        let mut gathered = Vec::new();
        for range in ranges {
            for row in range.clone() {
                self.each_of_row(row, |x| gathered.push(x));
            }
        }
        let rows = ranges.iter().map(|range| range.len()).sum();
        Self::new(Numbers::from(gathered), rows, self.shape[1])
    }

    /// `take` with each number of a row, in order.
    fn each_of_row(&self, row: usize, take: impl FnMut(E)) {
        assert!(row < self.shape[0], "there are {} rows", self.shape[0]);
        let (from, [_, columns]) = (self.first + row * self.strides[0], self.shape);
        if self.strides[1] == 1 {
            self.numbers[from..from + columns].iter().copied().for_each(take);
        } else {
            let numbers: &[E] = &self.numbers;
            (0..columns).map(|column| numbers[from + column * self.strides[1]]).for_each(take);
        }
    }

    /// How many rows or columns lie in one piece, and how long they are.
    pub(super) fn lines(&self) -> (usize, usize) {
        let [rows, columns] = self.shape;
        if self.lies_by_columns() { (columns, rows) } else { (rows, columns) }
    }

    /// The numbers of a line, widened.
    pub(super) fn widen_line<T: Real>(&self, line: usize, wide: &mut [T])
    where
        E: Stored<T>,
    {
        let axis = if self.lies_by_columns() { 1 } else { 0 };
        assert!(line < self.shape[axis], "there are {} lines", self.shape[axis]);
        let (first, step) = (self.first + line * self.strides[axis], self.strides[1 - axis]);
        if step == 1 {
            let numbers = &self.numbers[first..];
            wide.iter_mut().zip(numbers).for_each(|(wide, x)| *wide = x.widen());
        } else {
            for (wide, at) in wide.iter_mut().zip(0..) {
                *wide = self.numbers[first + at * step].widen();
            }
        }
    }

    /// The numbers of a row, widened, behind those of `wide`.
    pub(super) fn extend_by_row<T: Real>(&self, row: usize, wide: &mut Vec<T>)
    where
        E: Stored<T>,
    {
        wide.reserve(self.shape[1]);
        self.each_of_row(row, |x| wide.push(x.widen()));
    }
}

impl<T: Real> From<Array2<T>> for Matrix<T> {
    fn from(array: Array2<T>) -> Self {
        let (rows, columns) = array.dim();
        Self::new(Numbers::from(into_values(array)), rows, columns)
    }
}
