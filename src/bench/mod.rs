//! The stopwatch: what the machine can do at most, and how long a model takes with its KV cache and without.
//!
//! Measures and hands back plain data; what is expected of it is worked out by [`crate::cost`].

mod cache_work;
mod latency;
mod limits;
mod program;
mod prompts;

pub use crate::simd::multiply_adds::{Format, Kernel};
pub use cache_work::CacheWork;
pub use latency::{LatencyQuestion, LatencyReport, LatencyRow, Spread, latency, pass_seconds};
pub use limits::{Limits, words};
pub use program::{DrawnPrompts, Measured, ProgramFindings, TokensFound, WrongAnswer, program_latency};
pub use prompts::unpredictable_seed;
