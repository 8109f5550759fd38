//! Numbers of about 106 bits, each the unevaluated sum of two f64.
//!
//! `hi` is the number rounded to f64 and `lo` what is missing. Sums and products follow Dekker (1971) and
//! Knuth with a fused multiply-add for the exact product; an operation is off by a few units of 2⁻¹⁰⁴.
//! Used where an f64 intermediate would spoil an f64 result: a rotary angle is a frequency times a position,
//! and a position of 10⁶ magnifies the rounding of the frequency 10⁶ times.

use super::Float;
use std::ops::{Add, Div, Mul, Sub};

/// `hi + lo`, with `|lo| ≤ ulp(hi)/2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoubleDouble {
    /// The number rounded to f64.
    pub hi: f64,
    /// The number minus `hi`.
    pub lo: f64,
}

impl DoubleDouble {
    /// 1.
    pub const ONE: Self = Self { hi: 1.0, lo: 0.0 };
    /// π.
    pub const PI: Self = Self { hi: std::f64::consts::PI, lo: 1.224_646_799_147_353_2e-16 };

    /// The exact sum of two f64 (Knuth's TwoSum).
    fn two_sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let b_part = hi - a;
        Self { hi, lo: (a - (hi - b_part)) + (b - b_part) }
    }

    /// The exact product of two f64.
    fn two_product(a: f64, b: f64) -> Self {
        let hi = a * b;
        Self { hi, lo: a.mul_add(b, -hi) }
    }

    /// `self` to a whole power, by squaring.
    pub fn powi(self, exponent: usize) -> Self {
        let (mut result, mut square, mut left) = (Self::ONE, self, exponent);
        while left > 0 {
            if left % 2 == 1 {
                result = result * square;
            }
            square = square * square;
            left /= 2;
        }
        result
    }

    /// `base^(-2/n)`: the f64 power, improved by one step of Newton's method on `yⁿ · base² = 1`.
    pub fn pow_minus_two_over(base: f64, n: usize) -> Self {
        let guess = super::core_math::pow(base, -2.0 / n as f64);
        let residual = Self::from(guess).powi(n) * Self::two_product(base, base) - Self::ONE;
        Self::from(guess) - Self::from(guess) * residual / Self::from(n as f64)
    }

    /// Cosines and sines rounded to f64, to about the last place: `cos(hi + lo) = cos hi - lo · sin hi + …`.
    pub fn cos_sin_each(angles: &[Self]) -> (Vec<f64>, Vec<f64>) {
        let mut cos: Vec<f64> = angles.iter().map(|angle| angle.hi).collect();
        let mut sin = cos.clone();
        f64::cos_each(&mut cos);
        f64::sin_each(&mut sin);
        for ((cos, sin), angle) in cos.iter_mut().zip(&mut sin).zip(angles) {
            (*cos, *sin) = (angle.lo.mul_add(-*sin, *cos), angle.lo.mul_add(*cos, *sin));
        }
        (cos, sin)
    }
}

impl From<f64> for DoubleDouble {
    fn from(hi: f64) -> Self {
        Self { hi, lo: 0.0 }
    }
}

impl Add for DoubleDouble {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, low) = (Self::two_sum(self.hi, other.hi), Self::two_sum(self.lo, other.lo));
        let middle = Self::two_sum(high.hi, high.lo + low.hi);
        Self::two_sum(middle.hi, middle.lo + low.lo)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + Self { hi: -other.hi, lo: -other.lo }
    }
}

impl Mul for DoubleDouble {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = Self::two_product(self.hi, other.hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        Self::two_sum(product.hi, product.lo + cross)
    }
}

impl Div for DoubleDouble {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        // One digit of f64, then the next from the exact remainder.
        let first = self.hi / other.hi;
        let remainder = self - other * Self::from(first);
        let second = remainder.hi / other.hi;
        let rest = remainder - other * Self::from(second);
        Self::two_sum(first, second) + Self::from(rest.hi / other.hi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_from_mpmath_at_fifty_digits() {
        // 10000^(-2/12) = 0.215443469003188372175929356651935049525934494…
        let y = DoubleDouble::pow_minus_two_over(10000.0, 12);
        assert_eq!(y.hi, 0.215_443_469_003_188_36);
        assert!((y.lo - 7.379_443_258_267_16e-18).abs() < 1e-31, "{:e}", y.lo);
        // cos and sin of 1000000 · 10000^(-2/12)
        let (cos, sin) = DoubleDouble::cos_sin_each(&[DoubleDouble::from(1e6) * y]);
        let (cos, sin) = (cos[0], sin[0]);
        assert!((cos - 0.782_581_431_297_312_3).abs() <= 1.2e-16 && sin == -0.622_548_233_784_861_1, "{cos:?} {sin:?}");
    }

    #[test]
    fn a_third_is_a_third_to_the_last_bit() {
        let third = DoubleDouble::ONE / DoubleDouble::from(3.0);
        let one = third + third + third;
        assert!((one.hi - 1.0).abs() + one.lo.abs() < 1e-31);
    }

    proptest! {
        #[test]
        fn operations_undo_each_other(a in 1e-3f64..1e3, b in 1e-3f64..1e3) {
            let (a, b) = (DoubleDouble::from(a), DoubleDouble::from(b) / DoubleDouble::from(7.0));
            for back in [a * b / b, a + b - b, a / b * b] {
                let gap = back - a;
                prop_assert!(gap.hi.abs() <= 1e-29 * (a.hi + b.hi), "{gap:?}");
            }
        }
    }
}
