//! Suites: cases as files, and running variants over them.
//!
//! A case is read ([`Store`]), asked of a variant ([`answer()`]), compared and gathered ([`run`]) into a
//! [`RunReport`], which is plain data. Knows everything above it; does not know how a report looks.

mod answer;
mod case;
mod expectation;
mod files;
mod judging;
mod report_data;
mod runner;
mod selection;
mod store;

pub use answer::{Asked, Prepared, answer};
pub use case::{Case, Oracle, Suite, Tolerance};
pub use files::run_files;
pub use judging::EVALUATIONS;
pub use report_data::{
    ArrayResult, CaseResult, ErrorRatios, FORMAT as RUN_FORMAT, Outcome, RunReport, SuiteCount, VariantAbout,
};
pub use runner::run;
pub use selection::{Selected, count_cases};
pub use store::Store;
