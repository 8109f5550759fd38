//! Facts about two answers, and how far off a right one may be.
//!
//! [`compare`] measures and has no opinion; [`Ladder`] counts at the tolerances people name; [`budget`] says
//! what rounding explains. Every predicate is written so that NaN fails. Knows arrays and formats; knows
//! nothing of cases or variants.

mod argmax;
pub mod budget;
mod comparison;
mod histogram;
mod ladder;
mod verdict;
mod locate;
mod sets;

pub use argmax::{Argmax, argmax, argmax_of_operands};
pub use comparison::{
    Census, Comparison, Disagreement, Element, Measured, Operand, Question, Selection, WrongShape, compare, compare_operands, compare_slices, compare_views,
};
pub use histogram::{Decade, Histogram, Quantiles};
pub use ladder::{Ladder, Rung};
pub use verdict::{Basis, Bias, Judged, Ratios, Verdict};
pub use locate::{Concentration, Pattern};
pub use sets::{ArrayComparison, ArrayOutcome, ComparedArray, SetComparison, SetQuestion, compare_sets};
