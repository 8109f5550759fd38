//! Eight numbers at once, in the registers of each instruction set.
//!
//! Only where plain loops do not become vector code: running sums and maxima. Each operation is the same on every
//! kind, lane by lane, and so are the bits.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use super::distribution::Window;
use super::totals::LANES;
#[cfg(target_arch = "x86_64")]
use crate::histogram::DROPPED;

/// Eight f64.
pub(super) trait Lanes: Copy {
    fn load(from: &[f64; LANES]) -> Self;
    /// Each as f64.
    fn widen(from: &[f32; LANES]) -> Self;
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
    /// A bit for each lane: whether it is less than that of the other.
    fn less(self, other: Self) -> u8;
    /// Where errors are counted, as [`Window::counter`] says.
    fn counters(self, window: &Window, to: &mut [u64; LANES]);
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
        let mut each = [0.0; LANES];
        for lane in 0..LANES {
            each[lane] = f(self.0[lane], other.0[lane]);
        }
        Self(each)
    }
    #[inline(always)]
    fn bits(self, f: impl Fn(u64) -> u64) -> Self {
        let mut each = [0.0; LANES];
        for lane in 0..LANES {
            each[lane] = f64::from_bits(f(self.0[lane].to_bits()));
        }
        Self(each)
    }
}

impl Lanes for Plain {
    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        Self(*from)
    }
    #[inline(always)]
    fn widen(from: &[f32; LANES]) -> Self {
        let mut each = [0.0; LANES];
        for lane in 0..LANES {
            each[lane] = f64::from(from[lane]);
        }
        Self(each)
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
    fn less(self, other: Self) -> u8 {
        let mut less = 0;
        for lane in 0..LANES {
            less |= u8::from(self.0[lane] < other.0[lane]) << lane;
        }
        less
    }
    #[inline(always)]
    fn counters(self, window: &Window, to: &mut [u64; LANES]) {
        for lane in 0..LANES {
            to[lane] = window.counter(self.0[lane]);
        }
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
    ($name:ident, $own:ident, $register:ty, $count:literal, $load:ident, $store:ident, $zero:ident, $add:ident, $sub:ident, $mul:ident, $max:ident, $min:ident,
     $to_bits:ident, $from_bits:ident, $and:ident, $sub_bits:ident, $set_bits:ident) => {
        #[derive(Clone, Copy)]
        pub(in crate::comparison) struct $name([$register; $count]);

        impl $name {
            #[inline(always)]
            fn each(register: impl Fn(usize) -> $register) -> Self {
                let mut each = Self::zero().0;
                for at in 0..$count {
                    each[at] = register(at);
                }
                Self(each)
            }
        }

        // The type is handed out by `dispatch` alone, together with the level that has these instructions.
        impl Lanes for $name {
            #[inline(always)]
            fn load(from: &[f64; LANES]) -> Self {
                let step = LANES / $count;
                // SAFETY: the instructions are there (see above), and each register reads `step` of eight numbers.
                Self::each(|at| unsafe { $load(from.as_ptr().add(at * step)) })
            }
            #[inline(always)]
            fn widen(from: &[f32; LANES]) -> Self {
                let step = LANES / $count;
                // SAFETY: the instructions are there, and each register reads `step` of eight numbers.
                Self::each(|at| unsafe { $own::widen(from.as_ptr().add(at * step)) })
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
                Self::each(|at| unsafe { $add(self.0[at], other.0[at]) })
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self::each(|at| unsafe { $sub(self.0[at], other.0[at]) })
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self::each(|at| unsafe { $mul(self.0[at], other.0[at]) })
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self::each(|at| unsafe { $max(self.0[at], other.0[at]) })
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                // SAFETY: the instruction is there.
                Self::each(|at| unsafe { $min(self.0[at], other.0[at]) })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: the instructions are there.
                Self::each(|at| unsafe { $from_bits($and($to_bits(self.0[at]), $set_bits(!SIGN as i64))) })
            }
            #[inline(always)]
            fn less(self, other: Self) -> u8 {
                let mut less = 0;
                for at in 0..$count {
                    // SAFETY: the instructions are there.
                    less |= unsafe { $own::less(self.0[at], other.0[at]) } << (at * LANES / $count);
                }
                less
            }
            #[inline(always)]
            fn counters(self, window: &Window, to: &mut [u64; LANES]) {
                let step = LANES / $count;
                for (at, register) in self.0.into_iter().enumerate() {
                    // SAFETY: the instructions are there, and each register writes `step` of eight numbers.
                    unsafe { $own::counters(register, window, to.as_mut_ptr().add(at * step)) };
                }
            }
            #[inline(always)]
            fn power(self) -> Self {
                // SAFETY: the instructions are there.
                Self::each(|at| unsafe { $from_bits($and($to_bits(self.0[at]), $set_bits(EXPONENT as i64))) })
            }
            #[inline(always)]
            fn reciprocal(self) -> Self {
                // SAFETY: the instructions are there.
                Self::each(|at| unsafe { $from_bits($sub_bits($set_bits(TWICE_BIAS as i64), $to_bits(self.0[at]))) })
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{DROPPED, EXPONENT, LANES, Lanes, SIGN, TWICE_BIAS, Window};
    use std::arch::x86_64::*;

    /// What the instruction sets do each in their own way; to be called where the instructions are there.
    mod avx2 {
        use super::*;

        #[inline(always)]
        pub(super) unsafe fn widen(from: *const f32) -> __m256d {
            // SAFETY: the caller has four numbers there, and the instructions.
            unsafe { _mm256_cvtps_pd(_mm_loadu_ps(from)) }
        }
        #[inline(always)]
        pub(super) unsafe fn less(a: __m256d, b: __m256d) -> u8 {
            // SAFETY: the caller has the instructions.
            unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_LT_OQ>(a, b)) as u8 }
        }
        #[inline(always)]
        pub(super) unsafe fn counters(err: __m256d, window: &Window, to: *mut u64) {
            // SAFETY: the caller has room for four numbers there, and the instructions; the indices of the gather are
            // below 16, the number of shifts.
            unsafe {
                let bits = _mm256_castpd_si256(err);
                let octave = _mm256_and_si256(_mm256_srli_epi64::<52>(bits), _mm256_set1_epi64x(15));
                let shifts = _mm256_i64gather_epi64::<8>(window.shifts.as_ptr().cast(), octave);
                let bin = _mm256_srli_epi64::<{ DROPPED as i32 }>(_mm256_add_epi64(bits, shifts));
                let counter = _mm256_sub_epi64(bin, _mm256_set1_epi64x(window.before as i64));
                let below = _mm256_cmp_pd::<_CMP_LT_OQ>(err, _mm256_set1_pd(window.lowest));
                _mm256_storeu_si256(to.cast(), _mm256_andnot_si256(_mm256_castpd_si256(below), counter));
            }
        }
    }

    mod avx512 {
        use super::*;

        #[inline(always)]
        pub(super) unsafe fn widen(from: *const f32) -> __m512d {
            // SAFETY: the caller has eight numbers there, and the instructions.
            unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(from)) }
        }
        #[inline(always)]
        pub(super) unsafe fn less(a: __m512d, b: __m512d) -> u8 {
            // SAFETY: the caller has the instructions.
            unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b) }
        }
        #[inline(always)]
        pub(super) unsafe fn counters(err: __m512d, window: &Window, to: *mut u64) {
            // SAFETY: the caller has room for eight numbers there, and the instructions; there are 16 shifts.
            unsafe {
                let bits = _mm512_castpd_si512(err);
                let low = _mm512_loadu_si512(window.shifts.as_ptr().cast());
                let high = _mm512_loadu_si512(window.shifts.as_ptr().add(8).cast());
                // The lowest four bits of the exponent choose one of 16.
                let shifts = _mm512_permutex2var_epi64(low, _mm512_srli_epi64::<52>(bits), high);
                let bin = _mm512_srli_epi64::<DROPPED>(_mm512_add_epi64(bits, shifts));
                let inside = _mm512_cmp_pd_mask::<_CMP_NLT_UQ>(err, _mm512_set1_pd(window.lowest));
                let counter = _mm512_maskz_sub_epi64(inside, bin, _mm512_set1_epi64(window.before as i64));
                _mm512_storeu_si512(to.cast(), counter);
            }
        }
    }

    registers!(
        Avx2,
        avx2,
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
        avx512,
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
