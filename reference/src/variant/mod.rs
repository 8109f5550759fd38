//! Variants: spec + numerics + cache + schedule, as values.
//!
//! A variant is not a code path. The forward pass is one; a variant says in which formats its values are
//! kept ([`Numerics`]), where its keys and values live ([`CacheKind`]) and into which calls a sequence is cut
//! ([`Schedule`]). Knows models and operations; knows nothing of suites or verdicts.

mod registry;
mod schedule;

pub use registry::{ALL, find, named, names, unknown};
pub use schedule::Schedule;

use crate::eval::Numerics;
use crate::model::kv_cache::CacheKind;
use crate::num::Dtype;

/// One way to compute the same mathematics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variant {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What it rounds, for people.
    pub about: &'static str,
    /// Where values are rounded.
    pub numerics: Numerics,
    /// Where keys and values are kept.
    pub cache: CacheKind,
    /// How a sequence is cut into calls.
    pub schedule: Schedule,
    /// The format whose rounding decides how far off a right answer may be.
    pub coarsest: Dtype,
    /// The variant whose answers these must equal to the bit: it differs in cache and schedule only.
    pub twin_of: Option<&'static str>,
}

impl Variant {
    /// Whether a question that is not about a sequence (an operation) is asked of it: a variant that only
    /// differs from another in cache or schedule has nothing of its own to say there.
    pub fn answers_operations(&self) -> bool {
        self.twin_of.is_none()
            && self.numerics.cache == crate::eval::CacheStorage::AsComputed
            && self.numerics.tensor_parallel.is_none()
    }
}
