//! Eight numbers at once, in the registers of each instruction set.
//!
//! Only where plain loops do not become vector code: running sums and maxima. Each operation is the same on every
//! kind, lane by lane, and so are the bits.

use super::totals::LANES;

/// Eight f64.
pub(super) trait Lanes: Copy {
    fn load(from: &[f64; LANES]) -> Self;
    fn store(self, to: &mut [f64; LANES]);
    fn zero() -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// The larger, of numbers that are not NaN and have no minus sign.
    fn max(self, other: Self) -> Self;
    /// The smaller, of the same.
    fn min(self, other: Self) -> Self;
    fn abs(self) -> Self;
    /// `2^exponent` of normal numbers, 0 of smaller ones.
    fn power(self) -> Self;
    /// `1 / x` of powers of two.
    fn reciprocal(self) -> Self;

    #[inline(always)]
    fn splat(x: f64) -> Self {
        Self::load(&[x; LANES])
    }

    #[inline(always)]
    fn array(self) -> [f64; LANES] {
        let mut array = [0.0; LANES];
        self.store(&mut array);
        array
    }
}

const SIGN: u64 = 1 << 63;
const EXPONENT: u64 = 0x7ff << 52;
/// Twice the bias of f64's exponent: bits of a power of two taken from it are those of its reciprocal.
const TWICE_BIAS: u64 = 2046 << 52;

/// What every CPU has.
#[derive(Clone, Copy)]
pub(super) struct Plain([f64; LANES]);

impl Plain {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
    #[inline(always)]
    fn bits(self, f: impl Fn(u64) -> u64) -> Self {
        Self(self.0.map(|x| f64::from_bits(f(x.to_bits()))))
    }
}

impl Lanes for Plain {
    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = self.0;
    }
    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.each(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.each(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.bits(|x| x & !SIGN)
    }
    #[inline(always)]
    fn power(self) -> Self {
        self.bits(|x| x & EXPONENT)
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        self.bits(|x| TWICE_BIAS.wrapping_sub(x))
    }
}

/// The operations of one instruction set, given for one register and the number of registers that make eight lanes.
#[cfg(target_arch = "x86_64")]
macro_rules! registers {
    ($name:ident, $register:ty, $count:literal, $load:ident, $store:ident, $zero:ident, $add:ident, $sub:ident, $mul:ident, $max:ident, $min:ident,
     $to_bits:ident, $from_bits:ident, $and:ident, $sub_bits:ident, $set_bits:ident) => {
        #[derive(Clone, Copy)]
        pub(in crate::check::comparison) struct $name([$register; $count]);

        // The type is handed out by `dispatch` alone, together with the level that has these instructions.
        impl Lanes for $name {
            #[inline(always)]
            fn load(from: &[f64; LANES]) -> Self {
                let step = LANES / $count;
                // SAFETY: the instructions are there (see above), and each register reads `step` of eight numbers.
                Self(std::array::from_fn(|at| unsafe { $load(from.as_ptr().add(at * step)) }))
            }
            #[inline(always)]
            fn store(self, to: &mut [f64; LANES]) {
                let step = LANES / $count;
                for (at, register) in self.0.into_iter().enumerate() {
                    // SAFETY: the instructions are there, and each register writes `step` of eight numbers.
                    unsafe { $store(to.as_mut_ptr().add(at * step), register) };
                }
            }
            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: the instruction is there.
                Self([unsafe { $zero() }; $count])
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self(std::array::from_fn(|at| unsafe { $add(self.0[at], other.0[at]) }))
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self(std::array::from_fn(|at| unsafe { $sub(self.0[at], other.0[at]) }))
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self(std::array::from_fn(|at| unsafe { $mul(self.0[at], other.0[at]) }))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self(std::array::from_fn(|at| unsafe { $max(self.0[at], other.0[at]) }))
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self(std::array::from_fn(|at| unsafe { $min(self.0[at], other.0[at]) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: the instructions are there.
                Self(self.0.map(|x| unsafe { $from_bits($and($to_bits(x), $set_bits(!SIGN as i64))) }))
            }
            #[inline(always)]
            fn power(self) -> Self {
                // SAFETY: the instructions are there.
                Self(self.0.map(|x| unsafe { $from_bits($and($to_bits(x), $set_bits(EXPONENT as i64))) }))
            }
            #[inline(always)]
            fn reciprocal(self) -> Self {
                // SAFETY: the instructions are there.
                Self(self.0.map(|x| unsafe { $from_bits($sub_bits($set_bits(TWICE_BIAS as i64), $to_bits(x))) }))
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{EXPONENT, LANES, Lanes, SIGN, TWICE_BIAS};
    use std::arch::x86_64::*;

    registers!(
        Avx2,
        __m256d,
        2,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_setzero_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_max_pd,
        _mm256_min_pd,
        _mm256_castpd_si256,
        _mm256_castsi256_pd,
        _mm256_and_si256,
        _mm256_sub_epi64,
        _mm256_set1_epi64x
    );
    registers!(
        Avx512,
        __m512d,
        1,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_setzero_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_max_pd,
        _mm512_min_pd,
        _mm512_castpd_si512,
        _mm512_castsi512_pd,
        _mm512_and_si512,
        _mm512_sub_epi64,
        _mm512_set1_epi64
    );
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};
