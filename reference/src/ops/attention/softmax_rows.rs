//! [`softmax_with_sink`] of several rows at once, with the same bits.

use crate::num::{Dtype, Real, softmax_each_row};
use crate::ops::softmax::softmax_with_sink;
use crate::simd::Level;

/// Softmax of each row of `width` scores, rows beginning `stride` apart, all with the same sink, intermediates rounded to `inner`.
pub(super) fn softmax_rows<T: Real>(rows: &mut [T], stride: usize, width: usize, sink: Option<T>, inner: Dtype) {
    if width == 0 {
        return;
    }
    if Level::chosen() == Level::Definition || inner.precision() < T::DTYPE.precision() {
        for row in rows.chunks_mut(stride) {
            softmax_with_sink(&mut row[..width], sink, inner);
        }
    } else {
        softmax_each_row(rows, stride, width, sink);
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
                softmax_rows(&mut actual, width, width, sink, T::DTYPE);
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
