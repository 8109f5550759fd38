//! `eˣ`.
//!
//! ```text
//! x = n ln 2 + r,  n whole,  |r| ≤ ln 2 / 2        eˣ = 2ⁿ (1 + r E(r)),   E(r) = (eʳ - 1)/r = 1 + r/2 + r²/6 + …
//! ```

use super::Function;
#[cfg(target_arch = "x86_64")]
use super::{each_by_interval, exp_avx2, exp_avx512};
use crate::num::core_math;
#[cfg(target_arch = "x86_64")]
use crate::simd::Level;
use std::f64::consts::LOG2_E;

/// The exponential function.
pub(in crate::num) struct Exp;

/// 1.5 · 2^52: a sum with it is rounded to a whole number, which stands in the lowest bits.
pub(super) const SHIFT: f64 = 6_755_399_441_055_744.0;
/// ln 2 to 42 bits: exact times a whole number of 11 bits.
const LN2_HIGH: f64 = 0.6931471805598903;
/// ln 2 - [`LN2_HIGH`], off by less than 2^-102.
const LN2_LOW: f64 = 5.497923018708371e-14;

/// `x = n ln 2 + r`, the remainder in two parts.
#[derive(Clone, Copy)]
pub(super) struct Reduced {
    /// n, plus [`SHIFT`].
    shifted: f64,
    pub(super) r: f64,
    pub(super) r_low: f64,
}

/// For |x| < 2^10.
#[inline(always)]
pub(super) fn reduce(x: f64) -> Reduced {
    let shifted = x.mul_add(LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    // Exact: n · LN2_HIGH is, and the difference is a multiple of 2^-54 below 1/2.
    let first = n.mul_add(-LN2_HIGH, x);
    let r = n.mul_add(-LN2_LOW, first);
    let r_low = n.mul_add(-LN2_LOW, first - r);
    Reduced { shifted, r, r_low }
}

impl Reduced {
    /// `2ⁿ · y`, where y and the product are normal numbers.
    #[inline(always)]
    pub(super) fn scale(self, y: f64) -> f64 {
        f64::from_bits(y.to_bits().wrapping_add(self.shifted.to_bits() << 52))
    }
}

/// The polynomial with the lowest coefficient first: even and odd powers side by side, each by Horner's rule, as each step
/// waits for the one before.
#[inline(always)]
pub(super) fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let square = x * x;
    let (mut longer, mut other) = (coefficients[N - 1], coefficients[N - 2]);
    for k in (0..N - 2).rev() {
        (longer, other) = (other, longer.mul_add(square, coefficients[k]));
    }
    // Now `other` has the constant.
    longer.mul_add(x, other)
}

/// E(r) to about 2^-48, for results in f32. Off by 2^-49.3, and a few roundings of 2^-53.
#[inline(always)]
pub(super) fn quotient_for_f32(r: f64) -> f64 {
    polynomial(
        &[
            1.0000000000000013,
            0.5000000000000001,
            0.16666666666615648,
            0.041666666666624164,
            0.008333333367311603,
            0.0013888888917196719,
            0.00019841190647543945,
            2.4801521322368448e-05,
            2.7632640675570708e-06,
            2.7620075880100385e-07,
        ],
        r,
    )
}

/// eˣ to 2^-47 or so, for |x| < 2^9; results in f64 are normal then.
#[inline(always)]
pub(super) fn exp_for_f32(x: f64) -> f64 {
    let reduced = reduce(x);
    let e = quotient_for_f32(reduced.r).mul_add(reduced.r, 1.0);
    reduced.scale(e)
}

/// The ends `y (1 ∓ 2^-44)` rounded to f32, for a y that is off by 2^-45 at most.
#[inline(always)]
pub(super) fn ends_in_f32(y: f64) -> (f32, f32) {
    const ERROR: f64 = 5.684341886080802e-14;
    (y.mul_add(-ERROR, y) as f32, y.mul_add(ERROR, y) as f32)
}

impl Function<f32> for Exp {
    #[inline(always)]
    fn interval(x: f32) -> (f32, f32) {
        // Beyond, f32 has 0 and ∞ only, which the conversion gives; NaN stays NaN.
        ends_in_f32(exp_for_f32(f64::from(x.clamp(-150.0, 150.0))))
    }

    #[inline]
    fn correct(x: f32) -> f32 {
        core_math::expf(x)
    }

    #[cfg(target_arch = "x86_64")]
    fn each(level: Level, values: &mut [f32], correct: impl FnMut(f32) -> f32) {
        match level {
            // SAFETY: a level is made by `Level::all` only, which found its features on this CPU; so below.
            Level::Avx512 => unsafe { exp_avx512::exp_f32(values, correct) },
            // SAFETY: as above.
            Level::Avx2 => unsafe { exp_avx2::exp_f32(values, correct) },
            Level::Baseline | Level::Definition => each_by_interval::<Self, f32>(level, values, correct),
        }
    }
}

/// `first + x · (high + low)`, the sum in two parts, for |x · high| ≤ |first|.
#[inline(always)]
fn horner(first: f64, first_low: f64, x: f64, (high, low): (f64, f64)) -> (f64, f64) {
    let product = x * high;
    let product_low = x.mul_add(low, x.mul_add(high, -product));
    let sum = first + product;
    (sum, ((first - sum) + product) + (product_low + first_low))
}

/// E(r) in two parts.
///
/// From r⁴/120 on it is a polynomial in f64, off by 2^-64.1 of E as fitted. Its roundings are below 2.3u of it (u = 2^-53) and
/// it is below 2^-12.8 of E: less than 2^-64.6 more. What stands before is in two parts, off by some u².
/// So E is off by less than 2^-63.3, and eʳ, of which `r E` is a part of 0.42 at most, by less than 2^-64.5.
#[inline(always)]
pub(super) fn quotient(r: f64) -> (f64, f64) {
    let tail = polynomial(
        &[
            0.008333333333333333,
            0.0013888888888888048,
            0.0001984126984126928,
            2.4801587310915086e-05,
            2.755731923020362e-06,
            2.7557291269855654e-07,
            2.505208975151896e-08,
            2.090778051450644e-09,
            1.607972436102788e-10,
        ],
        r,
    );
    // 1/24 + r · tail; the low part is exact but for the last rounding.
    let fourth = tail.mul_add(r, 1.0 / 24.0);
    let fourth_low = tail.mul_add(r, 1.0 / 24.0 - fourth) + 2.3129646346357427e-18;
    let third = horner(1.0 / 6.0, 9.25185853854297e-18, r, (fourth, fourth_low));
    horner(1.0, 0.0, r, horner(0.5, 0.0, r, third))
}

impl Function<f64> for Exp {
    #[inline(always)]
    fn interval(x: f64) -> (f64, f64) {
        // 2^-63, relative; derived at `quotient`.
        const ERROR: f64 = 1.0842021724855044e-19;
        // Below, the result is +0; between, it is subnormal or infinite, and left to the scalar function.
        const ZERO_BELOW: f64 = -746.0;
        const NORMAL: std::ops::Range<f64> = -708.0..709.5;

        let reduced = reduce(x);
        let (y, y_low) = horner(1.0, 0.0, reduced.r, quotient(reduced.r));
        // e^(r + r_low) = eʳ + r_low eʳ, and a square that does not count.
        let y_low = reduced.r_low.mul_add(y, y_low);
        let low = reduced.scale(y + y.mul_add(-ERROR, y_low));
        let high = reduced.scale(y + y.mul_add(ERROR, y_low));
        let outside = if x < ZERO_BELOW { 0.0 } else { f64::NAN };
        let inside = NORMAL.contains(&x);
        (if inside { low } else { outside }, if inside { high } else { outside })
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::exp(x)
    }

    #[cfg(target_arch = "x86_64")]
    fn each(level: Level, values: &mut [f64], correct: impl FnMut(f64) -> f64) {
        match level {
            // SAFETY: a level is made by `Level::all` only, which found its features on this CPU; so below.
            Level::Avx512 => unsafe { exp_avx512::exp_f64(values, correct) },
            // SAFETY: as above.
            Level::Avx2 => unsafe { exp_avx2::exp_f64(values, correct) },
            Level::Baseline | Level::Definition => each_by_interval::<Self, f64>(level, values, correct),
        }
    }
}
