//! Facts about two answers, and whether rounding explains what they differ in.
//!
//! [`compare()`] measures and has no opinion; [`Ladder`] counts at the tolerances people name, and [`tolerance_facts`] says which of them
//! make sense; [`bounds`] and [`mod@floor`] say how far a right answer may be off, and [`judge()`] gives the verdict. Every predicate is
//! written so that NaN fails. Knows arrays, formats and operations; knows nothing of cases or variants. The facts come from the crate
//! `goldref-compare`.

#[cfg(feature = "reference")]
pub mod bounds;
#[cfg(feature = "reference")]
pub mod floor;
#[cfg(feature = "reference")]
mod judge;
#[cfg(feature = "files")]
mod operands;
#[cfg(feature = "files")]
mod sets;
mod verdict;

pub use goldref_compare::{
    Argmax, Census, Comparison, Concentration, Decade, Disagreement, Element, Elements, Feasible, FormatFacts,
    FormatOf, Histogram, Infeasible, Ladder, Measured, Memory, Operand, Pattern, Quantiles, Question, Rung, Selection,
    Suggestion, ToleranceFacts, Trivial, Vacuous, WrongShape, argmax, argmax_of_operands, compare, compare_operands,
    compare_slices, compare_views, infeasible, suggestion, tightest_feasible, tolerance_facts, vacuous,
};
#[cfg(feature = "reference")]
pub use judge::{Uncertainty, Yardstick, judge};
#[cfg(feature = "files")]
pub use sets::{ArrayComparison, ArrayOutcome, ComparedArray, SetComparison, SetQuestion, compare_sets};
pub use verdict::{Basis, Bias, Judged, Ratios, Verdict};
