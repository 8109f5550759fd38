//! Instruction sets: which this CPU has, their registers, and work that is compiled once for each. Every level gives
//! the same bits.
//!
//! Knows processors and nothing else.

mod level;
mod registers;
mod work;

pub use level::{ISA_VARIABLE, Level};
pub(crate) use registers::{MAX_LANES, TILE_VECTORS, prefetch};
pub use registers::{Isa, Vector};
pub(crate) use work::{Work, dispatch};
