//! [`softmax_with_sink`] of several rows at once, with the same bits.
//!
//! A sum is a left fold, each addition waiting for the one before; those of other rows need not wait.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use crate::num::{Dtype, Real, divide_each};
use crate::ops::softmax::softmax_with_sink;
use crate::simd::{Isa, Level, Work, dispatch};
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// Rows whose sums are made side by side: as many as hide the time of an addition.
const ROWS: usize = 8;
/// Running maxima of a row.
const LANES: usize = 32;

/// Softmax of each row, all with the same sink, intermediates rounded to `inner`. Rows are contiguous.
pub(super) fn softmax_rows<T: Real>(mut rows: ArrayViewMut2<T>, sink: Option<T>, inner: Dtype) {
    let level = Level::chosen();
    if rows.is_empty() {
        return;
    }
    if level == Level::Definition || inner.precision() < T::DTYPE.precision() {
        for mut row in rows.rows_mut() {
            softmax_with_sink(row.as_slice_mut().expect(CONTIGUOUS), sink, inner);
        }
        return;
    }
    for mut rows in rows.axis_chunks_iter_mut(Axis(0), ROWS) {
        let mut maxima = [T::ZERO; ROWS];
        for (mut row, m) in rows.rows_mut().into_iter().zip(&mut maxima) {
            let row = row.as_slice_mut().expect(CONTIGUOUS);
            *m = dispatch(level, Shifted { row, sink });
            T::exp_each(row);
        }
        let sums = dispatch(level, Sums { rows: rows.view(), sink, maxima });
        for ((mut row, sum), m) in rows.rows_mut().into_iter().zip(sums).zip(maxima) {
            let row = row.as_slice_mut().expect(CONTIGUOUS);
            if m == T::NEG_INFINITY {
                // No key.
                row.fill(T::ZERO);
            } else {
                divide_each(row, sum);
            }
        }
    }
}

/// What is asked of the rows of scores.
const CONTIGUOUS: &str = "a row of scores is contiguous";

/// `s − m` with m the largest of the row and the sink; m itself. A row of −∞ alone, without key and sink, becomes −∞.
struct Shifted<'a, T> {
    row: &'a mut [T],
    sink: Option<T>,
}

impl<T: Real> Work for Shifted<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run<I: Isa>(self) -> T {
        let Self { row, sink } = self;
        let (mut lanes, mut odd) = ([T::NEG_INFINITY; LANES], [false; LANES]);
        let (chunks, rest) = row.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let x = chunk[lane];
                odd[lane] |= x.is_nan();
                lanes[lane] = if x > lanes[lane] { x } else { lanes[lane] };
            }
        }
        let mut m = T::NEG_INFINITY;
        let mut any_nan = odd.contains(&true);
        for &x in rest.iter().chain(&lanes).chain(&sink) {
            m = if x > m { x } else { m };
            any_nan |= x.is_nan();
        }
        if any_nan {
            // A maximum that hides a NaN would hide the fault.
            m = T::from_f64(f64::NAN);
        }
        if m == T::NEG_INFINITY {
            return m;
        }
        for s in row.iter_mut() {
            *s = *s - m;
        }
        m
    }
}

/// `Σ e` of each row, of the sink too.
struct Sums<'a, T> {
    rows: ArrayView2<'a, T>,
    sink: Option<T>,
    maxima: [T; ROWS],
}

impl<T: Real> Work for Sums<'_, T> {
    type Output = [T; ROWS];
    #[inline(always)]
    fn run<I: Isa>(self) -> [T; ROWS] {
        let Self { rows, sink, maxima } = self;
        let (count, width) = rows.dim();
        let mut slices: [&[T]; ROWS] = [&[]; ROWS];
        for (slice, row) in slices.iter_mut().zip(rows.outer_iter()) {
            *slice = &row.to_slice().expect(CONTIGUOUS)[..width];
        }
        let mut sums = [T::ZERO; ROWS];
        for (sum, &m) in sums.iter_mut().zip(&maxima) {
            if let Some(sink) = sink.filter(|_| m != T::NEG_INFINITY) {
                *sum = (sink - m).exp();
            }
        }
        if count == ROWS {
            for j in 0..width {
                for r in 0..ROWS {
                    sums[r] = sums[r] + slices[r][j];
                }
            }
        } else {
            for (row, sum) in slices.iter().zip(&mut sums) {
                for &e in row.iter() {
                    *sum = *sum + e;
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_have_the_bits_of_one_after_the_other(
            scores in prop::collection::vec(prop_oneof![
                20 => -30.0..30.0f64, 2 => Just(f64::NEG_INFINITY), 1 => Just(0.0), 1 => Just(-0.0), 1 => Just(1e308),
            ], 1..900),
            width in 1usize..80,
            sink in prop::option::of(-3.0..3.0f64),
            special in prop::option::of((0usize..900, prop::sample::select(vec![f64::NAN, f64::INFINITY]))),
            hidden in 0usize..20,
        ) {
            let mut scores: Vec<f64> = scores.into_iter().cycle().take(width * 19).collect();
            if let Some((at, special)) = special {
                let len = scores.len();
                scores[at % len] = special;
            }
            if let Some(row) = scores.chunks_exact_mut(width).nth(hidden) {
                row.fill(f64::NEG_INFINITY);
            }
            fn check<T: Real>(scores: &[f64], width: usize, sink: Option<f64>) -> Result<(), TestCaseError> {
                let sink = sink.map(T::from_f64);
                let mut expected: Vec<T> = scores.iter().map(|&s| T::from_f64(s)).collect();
                let mut actual = expected.clone();
                expected.chunks_exact_mut(width).for_each(|row| softmax_with_sink(row, sink, T::DTYPE));
                let rows = ArrayViewMut2::from_shape((actual.len() / width, width), &mut actual).unwrap();
                softmax_rows(rows, sink, T::DTYPE);
                for (a, e) in actual.iter().zip(&expected) {
                    let (a, e) = (a.to_f64(), e.to_f64());
                    prop_assert!(a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan()), "{a:e} {e:e}");
                }
                Ok(())
            }
            check::<f64>(&scores, width, sink)?;
            check::<f32>(&scores, width, sink)?;
        }
    }
}
