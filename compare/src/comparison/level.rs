//! Blocks compiled for each instruction set.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Plain};

goldref_kernels::work_for_each_level!(pub(super) Lanes: Plain, Avx2, Avx512);
