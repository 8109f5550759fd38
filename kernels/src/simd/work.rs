//! Work that is compiled once for each instruction set.

use super::Level;
#[cfg(target_arch = "x86_64")]
use super::registers::{Avx2, Avx512};
use super::registers::{Baseline, Isa};

/// Defines the trait `Work`, which is something to do with the registers of a trait, and `dispatch`, which does it with those of a level: of any, of AVX2, of AVX-512.
///
/// A trait over registers cannot be a parameter, and so each has a `Work` of its own.
#[macro_export]
macro_rules! work_for_each_level {
    ($visible:vis $registers:ident: $baseline:ty, $avx2:ty, $avx512:ty) => {
        /// Something to do with vectors. `run` is `#[inline(always)]` in each implementation, so that it takes on the
        /// instruction set of its caller.
        $visible trait Work {
            type Output;
            fn run<R: $registers>(self) -> Self::Output;
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn run_avx2<W: Work>(work: W) -> W::Output {
            work.run::<$avx2>()
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        fn run_avx512<W: Work>(work: W) -> W::Output {
            work.run::<$avx512>()
        }

        /// Runs `work` compiled for `level`, which this CPU has: levels come from [`Level::all`] and [`Level::chosen`].
        #[inline]
        $visible fn dispatch<W: Work>(level: $crate::simd::Level, work: W) -> W::Output {
            use $crate::simd::Level;
            match level {
                Level::Definition | Level::Baseline => work.run::<$baseline>(),
                // SAFETY: a level is made by `Level::all` only, which found its features on this CPU.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { run_avx2(work) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { run_avx512(work) },
            }
        }
    };
}

work_for_each_level!(pub(crate) Isa: Baseline, Avx2, Avx512);

/// As [`dispatch`], for work that is asked for only at a level with fused multiply-add ([`Level::has_fma`]): it is not compiled for others.
#[inline]
pub(crate) fn dispatch_fma<W: Work>(level: Level, work: W) -> W::Output {
    match level {
        #[cfg(not(target_arch = "x86_64"))]
        Level::Definition | Level::Baseline => work.run::<Baseline>(),
        #[cfg(target_arch = "x86_64")]
        Level::Definition | Level::Baseline => unreachable!("this level has no fused multiply-add"),
        // SAFETY: a level is made by `Level::all` only, which found its features on this CPU.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { run_avx2(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { run_avx512(work) },
    }
}
