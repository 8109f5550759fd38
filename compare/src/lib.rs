//! Facts about two arrays: what they differ in, at which tolerances, where, and whether a tolerance makes sense.
//!
//! [`compare()`] measures and has no opinion; [`Ladder`] counts at the tolerances people name, and [`tolerance_facts`] says which of them
//! make sense. Every predicate is written so that NaN fails. Knows arrays and formats; knows nothing of files, operations or cases.

use goldref_kernels::{linalg, num, simd};

mod ladder;

mod locate;

mod histogram;

mod comparison;

mod argmax;

mod tolerance;

pub use argmax::{Argmax, argmax, argmax_of_operands};
pub use comparison::{
    Census, Comparison, Disagreement, Element, Measured, Memory, Operand, Question, Selection, WrongShape, compare,
    compare_operands, compare_slices, compare_views, index_of,
};
pub use histogram::{Decade, Histogram, Quantiles};
pub use ladder::{Ladder, Rung};
pub use locate::{Concentration, Pattern};
pub use tolerance::{
    Elements, Feasible, FormatFacts, FormatOf, Infeasible, Suggestion, ToleranceFacts, Trivial, Vacuous, infeasible,
    suggestion, tightest_feasible, tolerance_facts, vacuous,
};
