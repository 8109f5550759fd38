//! Rounding to nearest, ties to even, into each format. One rounding, never two.

use super::Float;
use super::dtype::{Dtype, power_of_two};
use crate::simd::{Isa, Level, Work, dispatch};

/// `x` rounded to nearest even in `dtype`.
///
/// ```
/// use goldref_kernels::num::{Dtype, round_f64};
/// // bf16 has 8 bits: 257 lies between 256 and 258, a tie, and goes to the even 256.
/// assert_eq!(round_f64(257.0, Dtype::Bf16), 256.0);
/// assert_eq!(round_f64(1e9, Dtype::F16), f64::INFINITY);
/// ```
/// NaN stays NaN, a zero keeps its sign, results below the normal range are rounded to subnormals.
/// Overflow gives ±∞, and NaN in [`Dtype::F8E4M3`], which has no infinity (as PyTorch's `float8_e4m3fn` cast).
pub fn round_f64(x: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F64 => x,
        Dtype::F32 => f64::from(x as f32),
        Dtype::Tf32 | Dtype::F16 | Dtype::Bf16 | Dtype::F8E4M3 => round_to_quantum(x, dtype),
    }
}

/// `x` rounded to nearest even in `dtype`; formats of at least f32's precision and range change nothing.
///
/// Special values as in [`round_f64`].
#[inline(always)]
pub fn round_f32(x: f32, dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F64 | Dtype::F32 => x,
        Dtype::Bf16 => round_low_bits::<16>(x),
        Dtype::Tf32 => round_low_bits::<13>(x),
        Dtype::F16 => round_to_f16(x),
        Dtype::F8E4M3 => round_to_quantum(f64::from(x), dtype) as f32,
    }
}

/// Each value rounded to nearest even in `dtype`, as by [`round_f64`] and [`round_f32`].
pub(super) fn round_each<T: Float>(values: &mut [T], dtype: Dtype) {
    struct Round<'a, T>(&'a mut [T], Dtype);
    impl<T: Float> Work for Round<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            // The format is asked for once and not at each number.
            match self.1 {
                Dtype::Bf16 => self.0.iter_mut().for_each(|x| *x = x.round_to(Dtype::Bf16)),
                Dtype::F16 => self.0.iter_mut().for_each(|x| *x = x.round_to(Dtype::F16)),
                Dtype::Tf32 => self.0.iter_mut().for_each(|x| *x = x.round_to(Dtype::Tf32)),
                dtype => self.0.iter_mut().for_each(|x| *x = x.round_to(dtype)),
            }
        }
    }
    if dtype.precision() < T::DTYPE.precision() {
        dispatch(Level::chosen(), Round(values, dtype));
    }
}

/// As [`round_f64`], but values beyond the largest finite number become that number: what a cache in f8 does on storing.
pub fn saturate_round_f64(x: f64, dtype: Dtype) -> f64 {
    round_f64(x.clamp(-dtype.max(), dtype.max()), dtype)
}

/// Drops the `DROPPED` lowest bits of an f32 to nearest even: bf16 (16) and tf32 (13) share f32's exponent.
#[inline(always)]
fn round_low_bits<const DROPPED: u32>(x: f32) -> f32 {
    let bits = x.to_bits();
    let kept = u32::MAX << DROPPED;
    if x.is_nan() {
        // Adding the rounding bit could carry a NaN into the sign or an infinity.
        return f32::from_bits((bits & kept) | 0x0040_0000);
    }
    let half_minus_one = (1u32 << (DROPPED - 1)) - 1;
    let odd = (bits >> DROPPED) & 1;
    // The carry into the exponent is the right result, the overflow to ∞ included.
    f32::from_bits((bits + half_minus_one + odd) & kept)
}

/// The nearest f16. Integer operations and a few sums without branches, which become vector code; the conversions of
/// `half` ask for the CPU at each number.
#[inline(always)]
fn round_to_f16(x: f32) -> f32 {
    // Below 2^-14 the numbers are multiples of 2^-24, which is the ulp of 1/2.
    let magnitude = x.abs();
    let subnormal = ((magnitude + 0.5) - 0.5).copysign(x);
    let normal = round_low_bits::<13>(x);
    let rounded = if magnitude < 6.103_515_6e-5 { subnormal } else { normal };
    // 65520 is the middle between the largest number and the one that would follow; NaN has been seen to.
    if magnitude >= 65520.0 { f32::INFINITY.copysign(x) } else { rounded }
}

/// Rounds by the definition: to a multiple of the quantum `2^(e - p + 1)` of the binade of `x`.
#[inline]
fn round_to_quantum(x: f64, dtype: Dtype) -> f64 {
    if x.is_nan() || x == 0.0 {
        return x;
    }
    if x.is_infinite() {
        return if dtype == Dtype::F8E4M3 { f64::NAN } else { x };
    }
    let exponent = ilogb(x).max(dtype.min_exponent());
    let quantum = exponent - dtype.precision() + 1;
    // Both products are by a power of two and exact.
    let rounded = nearest_whole(x * power_of_two(-quantum)) * power_of_two(quantum);
    if rounded.abs() <= dtype.max() {
        rounded.copysign(x)
    } else if dtype == Dtype::F8E4M3 {
        f64::NAN
    } else {
        f64::INFINITY.copysign(x)
    }
}

/// The whole number nearest to one below 2^51, ties to even. A zero may lose its sign.
///
/// From 2^52 to 2^53 an f64 has no bits behind the point, so the sum is a whole number. `round_ties_even` is a call of a
/// function where the instruction set has nothing for it.
#[inline(always)]
fn nearest_whole(x: f64) -> f64 {
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    (x + SHIFT) - SHIFT
}

/// `⌊log₂|x|⌋` of a finite x ≠ 0.
#[inline]
pub(crate) fn ilogb(x: f64) -> i32 {
    let biased = ((x.to_bits() >> 52) & 0x7ff) as i32;
    if biased == 0 {
        // Subnormal: position of the highest set bit, counted from 2^-1074.
        let significand = x.to_bits() & 0x000f_ffff_ffff_ffff;
        63 - significand.leading_zeros() as i32 - 1074
    } else {
        biased - 1023
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bf16_agrees_with_half_on_every_pattern_of_the_upper_bits() {
        for upper in 0..=u16::MAX {
            for lower in [0x0000u32, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits((u32::from(upper) << 16) | lower);
                let expected = half::bf16::from_f32(x).to_f32();
                let actual = round_f32(x, Dtype::Bf16);
                assert!(
                    actual.to_bits() == expected.to_bits() || (x.is_nan() && actual.is_nan()),
                    "{x:?}: {actual:?} {expected:?}"
                );
            }
        }
    }

    #[test]
    fn f16_agrees_with_half_and_slices_with_single_numbers() {
        let mut values: Vec<f32> = (0..1u32 << 21).map(|i| f32::from_bits(i.wrapping_mul(2039))).collect();
        // Values of f16, middles between two, and what lies beside them.
        for bits in 0..=u16::MAX {
            let x = half::f16::from_bits(bits).to_f32();
            let middle = f32::from_bits(x.to_bits() + 0x1000);
            values.extend([x, middle, middle.next_up(), middle.next_down(), x / 2.0]);
        }
        values.extend([65519.996, 65520.0, 6.1e-5, 2.9802322e-8, 2.9802326e-8, -2.9802322e-8]);
        for &x in &values {
            let (actual, expected) = (round_f32(x, Dtype::F16), half::f16::from_f32(x).to_f32());
            assert!(actual.to_bits() == expected.to_bits() || (x.is_nan() && actual.is_nan()), "{x:e}: {actual:e}");
        }
        for dtype in Dtype::ALL {
            let mut rounded = values.clone();
            round_each(&mut rounded, dtype);
            for (&x, &y) in values.iter().zip(&rounded) {
                let expected = round_f32(x, dtype);
                assert!(y.to_bits() == expected.to_bits() || (x.is_nan() && y.is_nan()), "{dtype} {x:e}: {y:e}");
            }
        }
    }

    #[test]
    fn every_f8_value_is_kept_and_midpoints_go_to_even() {
        // All 126 positive finite values of E4M3: m/8 · 2^e, and the subnormals m · 2^-9.
        let values: Vec<f64> = (1..=0x7e_u32)
            .map(|code| {
                let (e, m) = (code >> 3, f64::from(code & 7));
                if e == 0 { m * power_of_two(-9) } else { (1.0 + m / 8.0) * power_of_two(e as i32 - 7) }
            })
            .collect();
        assert_eq!(values.last(), Some(&448.0));
        for (i, pair) in values.windows(2).enumerate() {
            assert_eq!(round_f64(pair[0], Dtype::F8E4M3), pair[0]);
            let middle = (pair[0] + pair[1]) / 2.0;
            // Codes count upward from 1, so an even code is the one with an even significand.
            let even = if (i + 1) % 2 == 0 { pair[0] } else { pair[1] };
            assert_eq!(round_f64(middle, Dtype::F8E4M3), even);
        }
        assert!(round_f64(465.0, Dtype::F8E4M3).is_nan());
        assert_eq!(round_f64(464.0, Dtype::F8E4M3), 448.0);
        assert_eq!(saturate_round_f64(-1e9, Dtype::F8E4M3), -448.0);
    }

    #[test]
    fn from_f64_there_is_no_double_rounding() {
        // 1 + 2^-8 + 2^-40 lies just above the midpoint of bf16's 1 and 1 + 2^-7; through f32 it would become the midpoint and go to even.
        let x = 1.0 + power_of_two(-8) + power_of_two(-40);
        assert_eq!(round_f64(x, Dtype::Bf16), 1.0 + power_of_two(-7));
        assert_eq!(round_f32(x as f32, Dtype::Bf16), 1.0);
    }

    #[test]
    fn special_values_survive() {
        for dtype in Dtype::ALL {
            assert!(round_f64(f64::NAN, dtype).is_nan());
            assert!(round_f32(f32::NAN, dtype).is_nan());
            assert!(round_f64(-0.0, dtype).is_sign_negative());
        }
        assert!(round_f32(f32::from_bits(0x7f80_0001), Dtype::Bf16).is_nan());
        assert_eq!(round_f64(1e300, Dtype::Bf16), f64::INFINITY);
        assert_eq!(round_f64(-65520.0, Dtype::F16), f64::NEG_INFINITY);
        assert_eq!(round_f64(65519.9, Dtype::F16), 65504.0);
    }

    /// [`round_to_quantum`] as its first line says it, for finite x ≠ 0.
    fn to_a_multiple_of_the_quantum(x: f64, dtype: Dtype) -> f64 {
        let quantum = crate::num::ulp(x, dtype);
        let rounded = ((x / quantum).round_ties_even() * quantum).copysign(x);
        match rounded.abs() <= dtype.max() {
            true => rounded,
            false if dtype == Dtype::F8E4M3 => f64::NAN,
            false => f64::INFINITY.copysign(x),
        }
    }

    proptest! {
        #[test]
        fn any_number_goes_to_the_nearest_multiple_of_its_quantum(bits in any::<u64>(), single in any::<u32>()) {
            for x in [f64::from_bits(bits), f64::from(f32::from_bits(single)), (bits as f64 / 4e18).powi(5)] {
                for dtype in [Dtype::Tf32, Dtype::F16, Dtype::Bf16, Dtype::F8E4M3] {
                    if x.is_finite() && x != 0.0 {
                        let (actual, expected) = (round_f64(x, dtype), to_a_multiple_of_the_quantum(x, dtype));
                        prop_assert!(
                            actual.to_bits() == expected.to_bits() || (actual.is_nan() && expected.is_nan()),
                            "{dtype} {x:e}: {actual:e} {expected:e}"
                        );
                    }
                }
            }
        }

        #[test]
        fn the_two_paths_agree_on_f32_inputs(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            for dtype in [Dtype::Tf32, Dtype::F16, Dtype::Bf16] {
                let wide = round_f64(f64::from(x), dtype);
                let narrow = f64::from(round_f32(x, dtype));
                prop_assert!(wide.to_bits() == narrow.to_bits() || (wide.is_nan() && narrow.is_nan()), "{dtype} {x:e}: {wide:e} {narrow:e}");
            }
        }

        #[test]
        fn rounding_is_nearest_and_idempotent(x in -1e6f64..1e6) {
            for dtype in [Dtype::Tf32, Dtype::F16, Dtype::Bf16] {
                let r = round_f64(x, dtype);
                prop_assert_eq!(round_f64(r, dtype), r);
                if r.is_finite() {
                    prop_assert!((r - x).abs() <= super::super::ulp(x, dtype) / 2.0);
                }
            }
        }
    }
}
