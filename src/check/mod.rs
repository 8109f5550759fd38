//! Facts about two answers, and whether rounding explains what they differ in.
//!
//! [`compare()`] measures and has no opinion; [`Ladder`] counts at the tolerances people name, and [`tolerance_facts`] says which of them
//! make sense; [`bounds`] and [`mod@floor`] say how far a right answer may be off, and [`judge()`] gives the verdict. Every predicate is
//! written so that NaN fails. Knows arrays, formats and operations; knows nothing of cases or variants.

mod argmax;
#[cfg(feature = "reference")]
pub mod bounds;
mod comparison;
#[cfg(feature = "reference")]
pub mod floor;
mod histogram;
#[cfg(feature = "reference")]
mod judge;
mod ladder;
mod locate;
#[cfg(feature = "files")]
mod sets;
mod tolerance;
mod verdict;

pub use argmax::{Argmax, argmax, argmax_of_operands};
pub use comparison::{
    Census, Comparison, Disagreement, Element, Measured, Operand, Question, Selection, WrongShape, compare,
    compare_operands, compare_slices, compare_views,
};
pub use histogram::{Decade, Histogram, Quantiles};
#[cfg(feature = "reference")]
pub use judge::{Uncertainty, Yardstick, judge};
pub use ladder::{Ladder, Rung};
pub use locate::{Concentration, Pattern};
#[cfg(feature = "files")]
pub use sets::{ArrayComparison, ArrayOutcome, ComparedArray, SetComparison, SetQuestion, compare_sets};
#[cfg(feature = "reference")]
pub(crate) use tolerance::FormatFacts;
pub use tolerance::{
    Elements, Feasible, FormatOf, Infeasible, Suggestion, ToleranceFacts, Trivial, Vacuous, infeasible, suggestion,
    tightest_feasible, tolerance_facts, vacuous,
};
pub use verdict::{Basis, Bias, Judged, Ratios, Verdict};
