//! Registers of each instruction set, with the few operations that products need.
//!
//! Only where plain loops do not become the vector code that is wanted: a compiler keeps a tile of running sums in
//! registers only if it is told to. Each operation is one rounding of IEEE 754, the same on every kind, lane by lane.

/// Some scalars that are worked on together.
///
/// The implementations of an instruction set may only be used where it is there; the dispatch to a
/// level sees to that.
pub trait Vector: Copy {
    /// The scalar of a lane.
    type Scalar: Copy;
    /// Lanes of a register.
    const LANES: usize;

    /// All lanes +0.
    fn zero() -> Self;
    /// All lanes `x`.
    fn splat(x: Self::Scalar) -> Self;
    /// The first [`Self::LANES`] of `from`.
    ///
    /// # Panics
    /// If there are fewer.
    fn load(from: &[Self::Scalar]) -> Self;
    /// Into the first [`Self::LANES`] of `to`.
    ///
    /// # Panics
    /// If there are fewer.
    fn store(self, to: &mut [Self::Scalar]);
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The lanes of `self` and `other` in turn: the first halves of both, and the second halves.
    fn interleave(self, other: Self) -> (Self, Self);
}

/// The most lanes a register has.
pub(crate) const MAX_LANES: usize = 16;

/// An instruction set, as the shapes that suit it.
pub trait Isa {
    /// A register of f64.
    type F64: Vector<Scalar = f64>;
    /// A register of f32.
    type F32: Vector<Scalar = f32>;
    /// Rows of a tile of running sums, each of `TILE_VECTORS` registers at the most: enough for all units that multiply
    /// and add to be busy, few enough for the register file. Eight, or else four.
    const EIGHT_ROWS: bool;
}

/// Registers of a row of a tile, at the most.
pub(crate) const TILE_VECTORS: usize = 3;

/// Lanes as an array, which compilers turn into the registers that every CPU of the architecture has.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T, const LANES: usize>([T; LANES]);

macro_rules! plain {
    ($scalar:ty, $lanes:literal) => {
        impl Vector for Plain<$scalar, $lanes> {
            type Scalar = $scalar;
            const LANES: usize = $lanes;
            #[inline(always)]
            fn zero() -> Self {
                Self([0.0; $lanes])
            }
            #[inline(always)]
            fn splat(x: $scalar) -> Self {
                Self([x; $lanes])
            }
            #[inline(always)]
            fn load(from: &[$scalar]) -> Self {
                Self(std::array::from_fn(|lane| from[..$lanes][lane]))
            }
            #[inline(always)]
            fn store(self, to: &mut [$scalar]) {
                to[..$lanes].copy_from_slice(&self.0);
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                Self(std::array::from_fn(|lane| self.0[lane].mul_add(a.0[lane], b.0[lane])))
            }
            #[inline(always)]
            fn interleave(self, other: Self) -> (Self, Self) {
                let of = |place: usize| if place % 2 == 0 { self.0[place / 2] } else { other.0[place / 2] };
                (Self(std::array::from_fn(of)), Self(std::array::from_fn(|lane| of($lanes + lane))))
            }
        }
    };
}
plain!(f64, 2);
plain!(f32, 4);

/// Asks for the cache line at `address`, to be there when it is needed. A hint: nothing is read, any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    // SAFETY: the instruction is part of x86-64, and a hint to any address does nothing but load a cache.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// See [`super::Level::Baseline`].
pub(crate) struct Baseline;
impl Isa for Baseline {
    type F64 = Plain<f64, 2>;
    type F32 = Plain<f32, 4>;
    // 64-bit Arm has 32 registers.
    const EIGHT_ROWS: bool = cfg!(target_arch = "aarch64");
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Isa, Vector};
    use std::arch::x86_64::*;

    // The halves of a register of 256 bits are interleaved each for itself, and then put together.
    #[inline(always)]
    unsafe fn interleave_256_pd(a: __m256d, b: __m256d) -> (__m256d, __m256d) {
        // SAFETY: the caller has AVX2.
        unsafe {
            let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
            (_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high))
        }
    }

    #[inline(always)]
    unsafe fn interleave_256_ps(a: __m256, b: __m256) -> (__m256, __m256) {
        // SAFETY: the caller has AVX2.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
        }
    }

    #[inline(always)]
    unsafe fn interleave_512_pd(a: __m512d, b: __m512d) -> (__m512d, __m512d) {
        // SAFETY: the caller has AVX-512 F.
        unsafe {
            let first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
            let second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
            (_mm512_permutex2var_pd(a, first, b), _mm512_permutex2var_pd(a, second, b))
        }
    }

    #[inline(always)]
    unsafe fn interleave_512_ps(a: __m512, b: __m512) -> (__m512, __m512) {
        // SAFETY: the caller has AVX-512 F.
        unsafe {
            let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            (_mm512_permutex2var_ps(a, first, b), _mm512_permutex2var_ps(a, second, b))
        }
    }

    macro_rules! register {
        ($name:ident, $register:ty, $scalar:ty, $lanes:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $mul_add:ident, $interleave:expr) => {
            #[derive(Clone, Copy)]
            pub(crate) struct $name($register);

            impl Vector for $name {
                type Scalar = $scalar;
                const LANES: usize = $lanes;
                #[inline(always)]
                fn zero() -> Self {
                    // SAFETY: the instruction is there, as for each of these (see the trait).
                    Self(unsafe { $zero() })
                }
                #[inline(always)]
                fn splat(x: $scalar) -> Self {
                    // SAFETY: the instruction is there.
                    Self(unsafe { $splat(x) })
                }
                #[inline(always)]
                fn load(from: &[$scalar]) -> Self {
                    // SAFETY: the instruction is there, and the slice has as many scalars as it reads.
                    Self(unsafe { $load(from[..$lanes].as_ptr()) })
                }
                #[inline(always)]
                fn store(self, to: &mut [$scalar]) {
                    // SAFETY: the instruction is there, and the slice has room for as many scalars as it writes.
                    unsafe { $store(to[..$lanes].as_mut_ptr(), self.0) }
                }
                #[inline(always)]
                fn mul_add(self, a: Self, b: Self) -> Self {
                    // SAFETY: the instruction is there.
                    Self(unsafe { $mul_add(self.0, a.0, b.0) })
                }
                #[inline(always)]
                fn interleave(self, other: Self) -> (Self, Self) {
                    // SAFETY: the instructions are there.
                    let (first, second) = unsafe { $interleave(self.0, other.0) };
                    (Self(first), Self(second))
                }
            }
        };
    }
    register!(
        F64x4,
        __m256d,
        f64,
        4,
        _mm256_setzero_pd,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_fmadd_pd,
        interleave_256_pd
    );
    register!(
        F32x8,
        __m256,
        f32,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        interleave_256_ps
    );
    register!(
        F64x8,
        __m512d,
        f64,
        8,
        _mm512_setzero_pd,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_fmadd_pd,
        interleave_512_pd
    );
    register!(
        F32x16,
        __m512,
        f32,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        interleave_512_ps
    );

    /// See [`crate::simd::Level::Avx2`].
    pub(crate) struct Avx2;
    impl Isa for Avx2 {
        type F64 = F64x4;
        type F32 = F32x8;
        const EIGHT_ROWS: bool = false;
    }

    /// See [`crate::simd::Level::Avx512`].
    pub(crate) struct Avx512;
    impl Isa for Avx512 {
        type F64 = F64x8;
        type F32 = F32x16;
        const EIGHT_ROWS: bool = true;
    }
}
