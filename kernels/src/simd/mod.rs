//! Instruction sets: which this CPU has, their registers, and work that is compiled once for each. Every level gives
//! the same bits.
//!
//! Knows processors and nothing else.

mod level;
pub mod multiply_adds;
mod registers;
mod work;

pub use level::{ISA_VARIABLE, Level, UnknownLevel};
pub(crate) use registers::{Isa, MAX_LANES, TILE_VECTORS, Vector, prefetch};
pub(crate) use work::{Work, dispatch, dispatch_fma};
