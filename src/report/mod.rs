//! Reports: one file a format, each a pure function of a [`RunReport`](crate::suite::RunReport), of its hashes, or of the
//! [`RunDiff`](crate::suite::RunDiff) of two.
//!
//! Nothing here measures, decides or prints. A report may have been read from a stranger's file: every name of it goes
//! through `words` before it is shown.

#[cfg(feature = "candidates")]
mod bench;
mod bits_json;
mod bits_text;
mod compare;
mod cost;
#[cfg(feature = "candidates")]
mod diagnose;
mod diff_markdown;
mod diff_text;
mod diff_words;
mod explain;
mod github;
#[cfg(feature = "grade")]
mod grade;
mod json;
mod junit;
mod markdown;
#[cfg(feature = "plots")]
mod plot;
#[cfg(feature = "properties")]
mod properties;
mod rates;
mod rerun;
mod summary;
mod text;
mod tolerances;
mod units;
mod words;

#[cfg(all(feature = "candidates", feature = "plots"))]
pub use bench::bench_plot;
#[cfg(feature = "candidates")]
pub use bench::{BenchReport, bench_json, bench_text};
pub use bits_json::bits_json;
pub use bits_text::bits_text;
pub use compare::{CompareReport, compare_json, compare_text};
#[cfg(feature = "plots")]
pub use cost::cost_plot;
pub use cost::{cost_json, cost_text};
#[cfg(all(feature = "candidates", feature = "plots"))]
pub use diagnose::trace_plot;
#[cfg(feature = "candidates")]
pub use diagnose::{
    DiagnosisReport, catalogue_text, diagnosis_json, diagnosis_text, power_json, power_text, trace_json, trace_text,
};
pub use diff_markdown::diff_markdown;
pub use diff_text::diff_text;
pub use github::github;
#[cfg(all(feature = "grade", feature = "plots"))]
pub use grade::speed_up_plot;
#[cfg(feature = "grade")]
pub use grade::{
    class_csv, grade_markdown, grade_text, gradescope, prairielearn, skipped_csv, skipped_row, trial_json, trial_text,
};
pub use json::{diff_json, json};
pub use junit::junit;
pub use markdown::markdown;
#[cfg(feature = "plots")]
pub use plot::Picture;
#[cfg(feature = "properties")]
pub use properties::{PropertiesReport, properties_json, properties_text};
pub use summary::summary;
pub use text::text;
