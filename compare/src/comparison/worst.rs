//! The worst errors of a block, and where each is met first.

use super::kernel::{Extremes, largest_lane, largest_of};
use super::lanes::Lanes;
use super::totals::{LANES, Rules, Totals, Worst, keep_worst, largest};
use crate::num::Dtype;

/// No element whose error is at most so many times |expected| exceeds the relative error or the ulps met so far.
///
/// The power of two at `expected` is more than half of it, so err / gap above `u` needs err above `u · eps / 2` of
/// |expected|. A little less is asked for, because products are rounded.
pub(super) fn outdone(totals: &Totals, rules: &Rules) -> f64 {
    let relative = largest(totals.worst_rel);
    let needed = match rules.places {
        Some(dtype) => {
            let ulps = largest(totals.worst_ulps) * dtype.eps() / 2.0;
            if ulps < relative { ulps } else { relative }
        }
        None => relative,
    };
    needed * (1.0 - 4.0 * f64::EPSILON)
}

/// `err / gap` up to the constant factor of [`gap_factor`]: err by the power of two at `expected`.
#[inline(always)]
pub(super) fn scaled(err: f64, expected: f64, smallest: f64) -> f64 {
    let power = f64::from_bits(expected.to_bits() & (0x7ff << 52));
    let power = if power > smallest { power } else { smallest };
    err * f64::from_bits((2046u64 << 52).wrapping_sub(power.to_bits()))
}

/// `2^min_exponent` and `2^(p - 1)`: the gap at x is the power of two at x, but at least the former, over the latter.
pub(super) fn gap_factor(dtype: Dtype) -> (f64, f64) {
    (crate::num::ulp(0.0, dtype) / dtype.eps(), 1.0 / dtype.eps())
}

/// Takes the worst of the block. Values and errors are finite.
#[inline(always)]
pub(super) fn worst<V: Lanes>(
    totals: &mut Totals,
    e: &[f64],
    err: &[f64],
    extremes: &Extremes,
    start: usize,
    rules: &Rules,
) {
    if totals.worst_abs.is_none_or(|worst| extremes.err > worst.err) {
        let at = start + first(err, extremes.err);
        totals.worst_abs = Some(Worst { err: extremes.err, at });
    }

    let largest = maximum(err, e, quotient);
    if totals.worst_rel.is_none_or(|worst| largest > worst.err) {
        let at = start + first_quotient(err, e, largest);
        totals.worst_rel = Some(Worst { err: largest, at });
    }

    match rules.places {
        None => {
            if totals.worst_ulps.is_none_or(|worst| extremes.err > worst.err) {
                let at = start + first(err, extremes.err);
                totals.worst_ulps = Some(Worst { err: extremes.err, at });
            }
        }
        Some(dtype) => {
            let (smallest, factor) = gap_factor(dtype);
            // The product by a power of two is exact or ∞, in f64 against 0.
            let largest = maximum_scaled::<V>(err, e, smallest) * factor;
            if totals.worst_ulps.is_none_or(|worst| largest > worst.err) {
                let at = start + first_scaled(err, e, (smallest, factor), largest);
                keep_worst(&mut totals.worst_ulps, largest, at);
            }
        }
    }
}

/// The relative error, 0 for none.
#[inline(always)]
fn quotient(err: f64, e: f64) -> f64 {
    if err > 0.0 { err / e.abs() } else { 0.0 }
}

/// Where an error stands first, 0 if nowhere. Asked only when one is larger than all before.
fn first(err: &[f64], wanted: f64) -> usize {
    err.iter().position(|&err| err == wanted).unwrap_or(0)
}

/// Where a relative error stands first; asked as rarely.
fn first_quotient(err: &[f64], e: &[f64], wanted: f64) -> usize {
    err.iter().zip(e).position(|(&err, &e)| quotient(err, e) == wanted).unwrap_or(0)
}

/// Where a distance in last places stands first; asked as rarely.
fn first_scaled(err: &[f64], e: &[f64], (smallest, factor): (f64, f64), wanted: f64) -> usize {
    err.iter().zip(e).position(|(&err, &e)| scaled(err, e, smallest) * factor == wanted).unwrap_or(0)
}

/// The largest of a measure that is never NaN.
#[inline(always)]
fn maximum(err: &[f64], e: &[f64], measure: impl Fn(f64, f64) -> f64) -> f64 {
    let mut max = [0.0f64; LANES];
    for (err, e) in err.as_chunks::<LANES>().0.iter().zip(e.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let value = measure(err[lane], e[lane]);
            max[lane] = if value > max[lane] { value } else { max[lane] };
        }
    }
    largest_of(max)
}

/// The largest of [`scaled`].
#[inline(always)]
fn maximum_scaled<V: Lanes>(err: &[f64], e: &[f64], smallest: f64) -> f64 {
    let (mut max, smallest) = (V::zero(), V::splat(smallest));
    for (err, e) in err.as_chunks::<LANES>().0.iter().zip(e.as_chunks::<LANES>().0) {
        max = max.max(V::load(err).mul(V::load(e).power().max(smallest).reciprocal()));
    }
    largest_lane(max)
}
