//! `tanh x`.
//!
//! ```text
//! tanh x = M / (M + 2),   M = e^(2x) - 1 = (2ⁿ - 1) + 2ⁿ r E(r)      for x ≥ 0, odd in x;  r and E as in `exp`
//! ```
//! `2ⁿ - 1` is exact while it matters, so M keeps its relative precision down to the smallest x.

use super::Function;
use super::exp::{ends_in_f32, quotient, quotient_for_f32, reduce};
use crate::num::core_math;

/// The hyperbolic tangent.
pub(in crate::num) struct Tanh;

impl Function<f32> for Tanh {
    #[inline(always)]
    fn interval(x: f32) -> (f32, f32) {
        // tanh 12 = 1 - 2^-33.6 is 1 in f32, with its error too.
        let a = f64::from(x.abs().min(12.0));
        let reduced = reduce(a + a);
        let scale = reduced.scale(1.0);
        // M: both terms are positive for n = 0, and for n ≥ 1 M is above a quarter of them: off by less than 2^-46.
        let m = (scale * reduced.r).mul_add(quotient_for_f32(reduced.r), scale - 1.0);
        let (low, high) = ends_in_f32(m / (m + 2.0));
        // `min` drops a NaN.
        let low = if x.is_nan() { x } else { low };
        (low.copysign(x), high.copysign(x))
    }

    #[inline]
    fn correct(x: f32) -> f32 {
        core_math::tanhf(x)
    }
}

impl Function<f64> for Tanh {
    /// E is off by less than 2^-63.3 (see `quotient`). For n = 0, M = r E is off by the same, relatively. For n ≥ 1 the
    /// error of M is at most that of 2ⁿ eʳ times e^(2x)/(e^(2x) - 1) ≤ 3.42, where eʳ is off by less than 2^-64.5. The
    /// quotient makes a relative error of M smaller, and its own roundings are of the order of u².
    #[inline(always)]
    fn interval(x: f64) -> (f64, f64) {
        // 2^-62, relative.
        const ERROR: f64 = 2.168404344971009e-19;
        // Below, low parts are subnormal, and left to the scalar function; 0 is exact.
        const TINY: f64 = 1e-270;

        // tanh 25 = 1 - 2^-71 is 1, with its error too.
        let a = x.abs().min(25.0);
        let reduced = reduce(a + a);
        let (e, e_low) = quotient(reduced.r);
        let scale = reduced.scale(1.0);
        // 2ⁿ r E(r), the low part of r included: e^(r + r_low) - 1 = r E + r_low (1 + r E).
        let product = reduced.r * e;
        let product_low = reduced.r.mul_add(e_low, reduced.r.mul_add(e, -product));
        let product_low = scale * reduced.r_low.mul_add(1.0 + product, product_low);
        let product = scale * product;
        // M, exact but for the low part: whole = 0, or |product| ≤ whole.
        let whole = scale - 1.0;
        let m = whole + product;
        let m_low = ((whole - m) + product) + product_low;
        // M + 2, by Knuth's sum, as either may be the larger.
        let d = m + 2.0;
        let m_part = d - 2.0;
        let d_low = ((2.0 - (d - m_part)) + (m - m_part)) + m_low;
        // M / (M + 2): a first quotient, and what is left over.
        let inverse = 1.0 / d;
        let q = m * inverse;
        let left = q.mul_add(-d, m) + q.mul_add(-d_low, m_low);
        let q_low = left * inverse;

        let low = q + q.mul_add(-ERROR, q_low);
        let high = q + q.mul_add(ERROR, q_low);
        // Not of `a`, as `min` drops a NaN.
        let known = x.abs() > TINY || x == 0.0;
        (if known { low.copysign(x) } else { f64::NAN }, high.copysign(x))
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::tanh(x)
    }
}
