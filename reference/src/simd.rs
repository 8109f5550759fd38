//! Instruction sets: which this CPU has. Every level gives the same bits.
//!
//! The kernels themselves stand in the crate `goldref-kernels`.

pub use goldref_kernels::simd::{ISA_VARIABLE, Level, UnknownLevel, multiply_adds};
