//! The evaluator: says where values are rounded ([`Numerics`]), writes down what passes ([`Trace`]) and what it takes
//! ([`Counter`]).
//!
//! The mathematics in [`crate::ops`] and [`crate::model`] is written once. At each named site it hands
//! the tensor to the [`Evaluator`], which lets an [`Intervention`] change it, rounds it as the numerics say and records it, the first and
//! the last only if somebody asked.
//! Knows scalars and arrays; does not know which operation calls it.

mod evaluator;
mod intervention;
mod numerics;
mod trace;
mod work;

pub use evaluator::{Evaluator, Streams};
pub use intervention::Intervention;
pub use numerics::{CacheStorage, Numerics, Role, Rounding, TensorParallel};
pub use trace::{Trace, matches_pattern};
pub use work::{Counter, Numbers, Operation, Work};
