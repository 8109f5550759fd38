//! [`softmax_with_sink`] of several rows at once, with the same bits.
//!
//! A sum is a left fold, each addition waiting for the one before; those of other rows need not wait.

use crate::num::{Dtype, Real};
use crate::ops::softmax::softmax_with_sink;
use crate::simd::{Isa, Level, Work, dispatch};

/// Rows whose sums are made side by side: as many as hide the time of an addition.
const ROWS: usize = 8;
/// Running maxima of a row.
const LANES: usize = 32;

/// Softmax of each row of `width` scores, all with the same sink, intermediates rounded to `inner`.
pub(super) fn softmax_rows<T: Real>(rows: &mut [T], width: usize, sink: Option<T>, inner: Dtype) {
    let level = Level::chosen();
    if width == 0 {
        return;
    }
    if level == Level::Definition || inner.precision() < T::DTYPE.precision() {
        rows.chunks_exact_mut(width).for_each(|row| softmax_with_sink(row, sink, inner));
        return;
    }
    for rows in rows.chunks_mut(ROWS * width) {
        let mut maxima = [T::ZERO; ROWS];
        for (row, m) in rows.chunks_exact_mut(width).zip(&mut maxima) {
            *m = dispatch(level, Shifted { row, sink });
        }
        T::exp_each(rows);
        dispatch(level, Quotients { rows, width, sink, maxima });
    }
}

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

/// `e / Σ e`, and 0 in a row without key.
struct Quotients<'a, T> {
    rows: &'a mut [T],
    width: usize,
    sink: Option<T>,
    maxima: [T; ROWS],
}

impl<T: Real> Work for Quotients<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { rows, width, sink, maxima } = self;
        let mut sums = [T::ZERO; ROWS];
        for (sum, &m) in sums.iter_mut().zip(&maxima) {
            if let Some(sink) = sink.filter(|_| m != T::NEG_INFINITY) {
                *sum = (sink - m).exp();
            }
        }
        if rows.len() == ROWS * width {
            for j in 0..width {
                for r in 0..ROWS {
                    sums[r] = sums[r] + rows[r * width + j];
                }
            }
        } else {
            for (row, sum) in rows.chunks_exact(width).zip(&mut sums) {
                for &e in row {
                    *sum = *sum + e;
                }
            }
        }
        for ((row, sum), m) in rows.chunks_exact_mut(width).zip(sums).zip(maxima) {
            if m == T::NEG_INFINITY {
                row.fill(T::ZERO);
            } else {
                for e in row.iter_mut() {
                    *e = *e / sum;
                }
            }
        }
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
                softmax_rows(&mut actual, width, sink, T::DTYPE);
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
