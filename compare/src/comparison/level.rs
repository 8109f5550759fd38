//! Blocks compiled for each instruction set.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Plain};
use crate::simd::Level;

/// Work that is compiled once for each instruction set. `run` is `#[inline(always)]` in each implementation, so
/// that it takes on the instruction set of its caller.
pub(super) trait Work {
    type Output;
    fn run<V: Lanes>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run::<Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run::<Avx512>()
}

/// Runs `work` compiled for `level`.
#[inline]
pub(super) fn dispatch<W: Work>(level: Level, work: W) -> W::Output {
    match level {
        Level::Definition | Level::Baseline => work.run::<Plain>(),
        // SAFETY: a level comes from `Level::all`, which found its features on this CPU.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { run_avx2(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { run_avx512(work) },
    }
}
