//! Units in the last place.

use super::dtype::{Dtype, power_of_two};
use super::rounding::ilogb;

/// The gap between neighbouring numbers of `dtype` at |x|: `2^(⌊log₂|x|⌋ - p + 1)`, and the smallest
/// subnormal at 0 and below the normal range.
///
/// (Goldberg 1991; Muller, *On the definition of ulp(x)*, 2005, definition 7 away from powers of two.)
/// ```
/// use goldref_kernels::num::{Dtype, ulp};
/// assert_eq!(ulp(1.0, Dtype::Bf16), 0.0078125);
/// assert_eq!(ulp(0.0, Dtype::F16), 2f64.powi(-24));
/// ```
/// NaN for NaN and infinities, so that nothing compares as within so many ulps of them.
pub fn ulp(x: f64, dtype: Dtype) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    if x == 0.0 {
        return dtype.smallest_subnormal();
    }
    power_of_two(ilogb(x).max(dtype.min_exponent()) - dtype.precision() + 1)
}

/// `|actual - expected| / ulp(expected)`: how many last places of `dtype` lie between the two.
///
/// NaN when either is not finite and the two are not the same infinity.
pub fn ulp_distance(actual: f64, expected: f64, dtype: Dtype) -> f64 {
    if actual == expected {
        return 0.0;
    }
    (actual - expected).abs() / ulp(expected, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulp_of_zero_is_the_smallest_subnormal() {
        // A real checker answers 3.4e38 here, after which anything passes against an expected 0.
        assert_eq!(ulp(0.0, Dtype::F32), f64::from(f32::from_bits(1)));
        assert_eq!(ulp(-0.0, Dtype::F64), f64::from_bits(1));
        assert!(ulp_distance(1e-20, 0.0, Dtype::F32) > 1e20);
    }

    #[test]
    fn ulp_is_the_gap_to_the_next_number() {
        for x in [1.0f32, 1.5, 0.1, 3.0e38, 1e-40, 7.1312e-3] {
            let gap = f64::from(x.next_up()) - f64::from(x);
            assert_eq!(ulp(f64::from(x), Dtype::F32), gap, "{x}");
        }
        assert_eq!(ulp(0.5, Dtype::Bf16), 2f64.powi(-8));
    }

    #[test]
    fn infinities_and_nan_are_never_near() {
        assert!(ulp_distance(f64::INFINITY, f64::NEG_INFINITY, Dtype::F32).is_nan());
        assert!(ulp_distance(f64::INFINITY, f64::from(f32::MAX), Dtype::F32) > 1e30);
        assert!(ulp_distance(f64::NAN, 1.0, Dtype::F32).is_nan());
        assert_eq!(ulp_distance(f64::INFINITY, f64::INFINITY, Dtype::F32), 0.0);
    }
}
