//! Why an answer is off: which fault, and which faults a suite cannot see.
//!
//! A [`Laboratory`] holds the questions about models of some suites and predicts what each fault of the [catalogue](crate::fault) would answer.
//! [`power()`] holds the predictions against what is expected: which cases show which fault at which tolerance. [`diagnose()`] holds them against a
//! candidate's answers: which fault, or which two, explain it. Knows everything above it; does not know how a report looks.

mod asking;
mod divergence;
mod hidden;
mod laboratory;
mod naming;
mod pairs;
mod power;
mod score;
mod telling;

pub use asking::Answers;
pub use divergence::{Divergence, FirstDivergence, LeftOut, Oracles, SiteError, SiteMap, compare_sites, divergence};
pub use laboratory::Laboratory;
pub use naming::{CaseEvidence, Diagnosis, Hint, Suspect, diagnose};
pub use power::{FaultPower, PowerReport, largest_gap, power};
pub use telling::TellingCase;
