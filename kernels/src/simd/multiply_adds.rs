//! Loops of nothing but independent multiply-adds in registers: as many operations a second as the CPU can do.
//!
//! Each chain of multiply-adds waits for itself only; there are more chains than the units have stages, and no more than
//! registers. What stands here uses the best instructions of the CPU, whatever `GOLDREF_ISA` says.

use std::hint::black_box;

/// A loop for one instruction set and format.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// Multiplications and additions of one step.
    pub operations: u64,
    run: fn(u64),
}

impl Kernel {
    /// Goes so many steps.
    pub fn run(self, steps: u64) {
        (self.run)(steps);
    }
}

/// A format that loops are written for.
pub trait Format {
    /// The loop with the best instructions of this CPU.
    fn kernel() -> Kernel;
}

/// `sum ← sum · factor + term` in each chain. The sums tend to 2: no overflow, no subnormal number.
///
/// `$splat` fills a register, `$multiply_add(a, b, c)` is a · b + c.
macro_rules! kernel {
    ($name:ident, $scalar:ty, $lanes:literal, $chains:literal, $feature:literal, $splat:expr, $multiply_add:expr) => {
        const $name: Kernel = Kernel {
            operations: 2 * $lanes * $chains,
            run: |steps| {
                #[target_feature(enable = $feature)]
                fn run(steps: u64) {
                    let (factor, term): ($scalar, $scalar) = (0.5, 1.0);
                    // The compiler must not know the numbers, or it would compute the end.
                    let (factor, term) = (black_box($splat(factor)), black_box($splat(term)));
                    let mut sums = [$splat(0.0); $chains];
                    for _ in 0..steps {
                        for sum in &mut sums {
                            *sum = $multiply_add(*sum, factor, term);
                        }
                    }
                    black_box(sums);
                }
                // SAFETY: `Format::kernel` gives this kernel only where the CPU has the feature.
                unsafe { run(steps) }
            },
        };
    };
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Format, Kernel, black_box};
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::{
        __m128, __m128d, _mm_add_pd, _mm_add_ps, _mm_mul_pd, _mm_mul_ps, _mm_set1_pd, _mm_set1_ps, _mm256_fmadd_pd,
        _mm256_fmadd_ps, _mm256_set1_pd, _mm256_set1_ps, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_set1_pd,
        _mm512_set1_ps,
    };

    kernel!(AVX512_F64, f64, 8, 12, "avx512f", _mm512_set1_pd, _mm512_fmadd_pd);
    kernel!(AVX512_F32, f32, 16, 12, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
    kernel!(AVX2_F64, f64, 4, 12, "avx2,fma", _mm256_set1_pd, _mm256_fmadd_pd);
    kernel!(AVX2_F32, f32, 8, 12, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);
    // Without fused multiply-add: a product, then a sum.
    kernel!(SSE2_F64, f64, 2, 12, "sse2", _mm_set1_pd, |a: __m128d, b, c| _mm_add_pd(_mm_mul_pd(a, b), c));
    kernel!(SSE2_F32, f32, 4, 12, "sse2", _mm_set1_ps, |a: __m128, b, c| _mm_add_ps(_mm_mul_ps(a, b), c));

    fn best(avx512: Kernel, avx2: Kernel, sse2: Kernel) -> Kernel {
        if has!("avx512f") {
            avx512
        } else if has!("avx2") && has!("fma") {
            avx2
        } else {
            sse2
        }
    }

    impl Format for f64 {
        fn kernel() -> Kernel {
            best(AVX512_F64, AVX2_F64, SSE2_F64)
        }
    }

    impl Format for f32 {
        fn kernel() -> Kernel {
            best(AVX512_F32, AVX2_F32, SSE2_F32)
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::{Format, Kernel, black_box};
    use std::arch::aarch64::{vdupq_n_f32, vdupq_n_f64, vfmaq_f32, vfmaq_f64};

    // The instruction adds to its own register, so the sums take the place of the term and grow by 1/2 a step.
    kernel!(NEON_F64, f64, 2, 24, "neon", vdupq_n_f64, |sum, factor, term| vfmaq_f64(sum, factor, term));
    kernel!(NEON_F32, f32, 4, 24, "neon", vdupq_n_f32, |sum, factor, term| vfmaq_f32(sum, factor, term));

    impl Format for f64 {
        fn kernel() -> Kernel {
            NEON_F64
        }
    }

    impl Format for f32 {
        fn kernel() -> Kernel {
            NEON_F32
        }
    }
}

/// One number a register.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod other {
    use super::{Format, Kernel, black_box};

    const CHAINS: usize = 12;
    const OPERATIONS: u64 = 2 * CHAINS as u64;

    fn run<T: Copy>(steps: u64, factor: T, term: T, multiply_add: fn(T, T, T) -> T) {
        let (factor, term) = black_box((factor, term));
        let mut sums = [term; CHAINS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = multiply_add(*sum, factor, term);
            }
        }
        black_box(sums);
    }

    impl Format for f64 {
        fn kernel() -> Kernel {
            Kernel { operations: OPERATIONS, run: |steps| run(steps, 0.5, 1.0, f64::mul_add) }
        }
    }

    impl Format for f32 {
        fn kernel() -> Kernel {
            Kernel { operations: OPERATIONS, run: |steps| run(steps, 0.5, 1.0, f32::mul_add) }
        }
    }
}
