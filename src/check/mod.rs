//! Facts about two answers, and how far off a right one may be.
//!
//! [`compare`] measures and has no opinion; [`Ladder`] counts at the tolerances people name; [`budget`] says
//! what rounding explains. Every predicate is written so that NaN fails. Knows arrays and formats; knows
//! nothing of cases or variants.

pub mod bounds;
pub mod budget;
mod comparison;
pub mod floor;
mod judge;
mod ladder;
mod tolerance;
mod verdict;

pub use comparison::{Comparison, Disagreement, Selection, WrongShape, compare};
pub use judge::{Uncertainty, Yardstick, judge};
pub use ladder::{Ladder, Rung};
pub use tolerance::{
    Elements, Feasible, FormatOf, Infeasible, Suggestion, ToleranceFacts, Trivial, Vacuous, infeasible, suggestion,
    tightest_feasible, tolerance_facts, vacuous,
};
pub use verdict::{Basis, Bias, Judged, Ratios, Verdict};
