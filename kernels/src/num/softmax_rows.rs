//! The softmax of several rows at once, with the bits of one after the other.
//!
//! A sum is a left fold, each addition waiting for the one before; those of other rows need not wait.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use super::Float;
use super::arithmetic::largest;
use crate::simd::{Isa, Level, Work, dispatch};

/// Rows whose sums are made side by side: as many as hide the time of an addition.
const ROWS: usize = 8;

/// See [`super::softmax_each_row`].
pub(super) fn softmax_each_row<T: Float>(rows: &mut [T], stride: usize, width: usize, sink: Option<T>) {
    assert!(stride > 0 && width <= stride, "a row of {width} values does not fit between rows {stride} apart");
    let level = Level::chosen();
    for rows in rows.chunks_mut(ROWS * stride) {
        // The last row may end with its values.
        let count = rows.len().div_ceil(stride);
        let mut maxima = [T::ZERO; ROWS];
        for (row, m) in rows.chunks_mut(stride).zip(&mut maxima) {
            let row = &mut row[..width];
            *m = dispatch(level, Shifted { row, sink });
            T::exp_each(row);
        }
        let sums = dispatch(level, Sums { rows, stride, width, count, sink, maxima });
        for ((row, sum), m) in rows.chunks_mut(stride).zip(sums).zip(maxima) {
            let row = &mut row[..width];
            if m == T::NEG_INFINITY {
                // No key.
                row.fill(T::ZERO);
            } else {
                T::divide_each(row, sum);
            }
        }
    }
}

/// `s − m` with m the largest of the row and the sink; m itself. A row of −∞ alone, without key and sink, becomes −∞.
struct Shifted<'a, T> {
    row: &'a mut [T],
    sink: Option<T>,
}

impl<T: Float> Work for Shifted<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run<I: Isa>(self) -> T {
        let Self { row, sink } = self;
        let m = largest(row, sink);
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
    rows: &'a [T],
    stride: usize,
    width: usize,
    count: usize,
    sink: Option<T>,
    maxima: [T; ROWS],
}

impl<T: Float> Work for Sums<'_, T> {
    type Output = [T; ROWS];
    #[inline(always)]
    fn run<I: Isa>(self) -> [T; ROWS] {
        let Self { rows, stride, width, count, sink, maxima } = self;
        let mut slices: [&[T]; ROWS] = [&[]; ROWS];
        for (slice, row) in slices.iter_mut().zip(rows.chunks(stride)) {
            *slice = &row[..width];
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
