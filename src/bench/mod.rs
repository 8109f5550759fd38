//! The stopwatch: what the machine can do at most, and how long a model takes with its KV cache and without.
//!
//! Measures and hands back plain data; what is expected of it is worked out by [`crate::cost`].

mod latency;
mod limits;
mod program;

pub use crate::simd::multiply_adds::{Format, Kernel};
pub use latency::{LatencyQuestion, LatencyReport, LatencyRow, Spread, latency};
pub use limits::{Limits, words};
pub use program::{CacheWork, ProgramFindings, TokensDiffer, program_latency};
