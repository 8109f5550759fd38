//! Many numbers divided by one, with the bits of the division, sooner.
//!
//! ```text
//! y = RN(1/b)      q₀ = RN(a y)      qᵢ₊₁ = RN(qᵢ + RN(a - b qᵢ) y)      q₂ = RN(a/b)
//! ```
//! `a y` is off by less than an ulp of `a/b` and `q₀` by less than 1.5; so `q₁` is one of the two neighbours of `a/b`.
//! For such a `q₁` the remainder `a - b q₁` is exact, and `q₂` is the correct rounding (Markstein, *Computation of elementary
//! functions on the IBM RISC System/6000 processor*, IBM J. Res. Dev. 34(1), 1990; Muller et al., *Handbook of
//! Floating-Point Arithmetic*, 2nd ed., theorem 4.9). Five operations, each half a cycle for a register, where a division
//! takes 16 cycles. This asks that nothing underflows: see [`SAFE_DIVISORS`].

use super::{Dtype, Float};
use crate::simd::{Isa, Level, Work, dispatch};

/// Divisors that are neither small nor large: then a dividend above [`smallest_dividend`] has a remainder whose last place is
/// no smaller than the smallest subnormal number.
const SAFE_DIVISORS: std::ops::RangeInclusive<f64> = 1.0..=1_048_576.0;

/// In f32 the quotient is above 2^-100, and the last places of quotient and divisor have the product 2^(-123 - 23) at least.
/// In f64 it is above 2^-900, and the product 2^(-952 - 52).
const fn smallest_dividend(dtype: Dtype) -> f64 {
    match dtype {
        // 2^-880
        Dtype::F64 => 1.24e-265,
        // 2^-80
        _ => 8.28e-25,
    }
}

/// Numbers that are looked at together: one small dividend sends so many to the division.
const BLOCK: usize = 64;

/// Each value becomes its quotient by `divisor`, correctly rounded as `/` is.
pub(super) fn divide_each<T: Float>(values: &mut [T], divisor: T) {
    let level = Level::chosen();
    if level <= Level::Baseline || !SAFE_DIVISORS.contains(&divisor.to_f64()) {
        values.iter_mut().for_each(|x| *x = *x / divisor);
        return;
    }
    dispatch(level, Divide { values, divisor });
}

struct Divide<'a, T> {
    values: &'a mut [T],
    divisor: T,
}

impl<T: Float> Work for Divide<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { values, divisor } = self;
        let smallest = T::from_f64(smallest_dividend(T::DTYPE));
        let reciprocal = T::ONE / divisor;
        let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
        for block in blocks {
            let mut safe = true;
            for x in block.iter() {
                // The comparison is false for NaN.
                safe &= (x.abs() >= smallest) | (*x == T::ZERO);
            }
            if safe {
                for x in block.iter_mut() {
                    let first = *x * reciprocal;
                    let neighbour = first.mul_add(-divisor, *x).mul_add(reciprocal, first);
                    *x = neighbour.mul_add(-divisor, *x).mul_add(reciprocal, neighbour);
                }
            } else {
                for x in block.iter_mut() {
                    *x = *x / divisor;
                }
            }
        }
        for x in rest {
            *x = *x / divisor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::RandomStream;

    /// Dividends of each kind: over the whole range, near the divisor, powers of two, small and special ones.
    fn dividends<T: Float>(stream: RandomStream, divisor: f64) -> Vec<T> {
        let mut all: Vec<T> = (0..BLOCK as u64 * 40)
            .map(|i| {
                let (a, b) = (stream.uniform(2 * i), stream.uniform(2 * i + 1));
                T::from_f64(match i / BLOCK as u64 % 4 {
                    0 => a,
                    1 => divisor * (1.0 + (b - 0.5) * 1e-6),
                    2 => a * 2f64.powi((b * -70.0) as i32),
                    _ => 1.0 - a * 1e-5,
                })
            })
            .collect();
        all.extend([0.0, -0.0, 1.0, f64::INFINITY, f64::NAN, 1e-300, 5e-324, 1e-42, 3e-24].map(T::from_f64));
        all.extend(std::iter::repeat_n(T::from_f64(8.3e-25), BLOCK));
        all.extend(std::iter::repeat_n(T::from_f64(1e-310), BLOCK));
        all
    }

    fn every_quotient_is_that_of_the_division<T: Float>() {
        for seed in 0..400 {
            let stream = RandomStream::new(seed, 1);
            let divisor = match seed % 4 {
                0 => 1.0 + stream.uniform(u64::MAX),
                1 => 1.0 + stream.uniform(u64::MAX) * 4096.0,
                // All bits set, and one bit more than a power of two.
                2 => 2f64.powi((seed % 20) as i32) * (2.0 - T::DTYPE.eps()),
                _ => 2f64.powi((seed % 20) as i32) * (1.0 + T::DTYPE.eps()),
            };
            let divisor = T::from_f64(divisor);
            let given = dividends::<T>(stream, divisor.to_f64());
            let mut quotients = given.clone();
            divide_each(&mut quotients, divisor);
            for (&x, &q) in given.iter().zip(&quotients) {
                let (q, expected) = (q.to_f64(), (x / divisor).to_f64());
                assert!(q.to_bits() == expected.to_bits() || (q.is_nan() && expected.is_nan()), "{x:?} / {divisor:?}");
            }
        }
    }

    #[test]
    fn quotients_have_the_bits_of_the_division() {
        every_quotient_is_that_of_the_division::<f64>();
        every_quotient_is_that_of_the_division::<f32>();
    }

    #[test]
    fn divisors_out_of_range_are_divided_by() {
        for divisor in [0.5, 1e300, f64::INFINITY, f64::NAN, 0.0, -3.0] {
            let mut values = [3.0; BLOCK];
            divide_each(&mut values, divisor);
            assert_eq!(values[0].to_bits(), (3.0f64 / divisor).to_bits(), "{divisor}");
        }
    }
}
