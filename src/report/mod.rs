//! Reports: one file a format, each a pure function of a [`RunReport`](crate::suite::RunReport), of its hashes, or of the
//! [`RunDiff`](crate::suite::RunDiff) of two.
//!
//! Nothing here measures, decides or prints. A report may have been read from a stranger's file: every name of it goes
//! through `words` before it is shown.

mod bench;
mod bits_json;
mod bits_text;
mod compare;
mod cost;
mod diagnose;
mod diff_markdown;
mod diff_text;
mod diff_words;
mod explain;
mod github;
mod grade;
mod json;
mod junit;
mod markdown;
mod plot;
mod properties;
mod rates;
mod rerun;
mod summary;
mod text;
mod tolerances;
mod units;
mod words;

pub use bench::{BenchReport, bench_json, bench_plot, bench_text};
pub use bits_json::bits_json;
pub use bits_text::bits_text;
pub use compare::{CompareReport, compare_json, compare_text};
pub use cost::{cost_json, cost_plot, cost_text};
pub use diagnose::{
    DiagnosisReport, catalogue_text, diagnosis_json, diagnosis_text, power_json, power_text, trace_json, trace_plot,
    trace_text,
};
pub use diff_markdown::diff_markdown;
pub use diff_text::diff_text;
pub use github::github;
pub use grade::{class_csv, grade_markdown, grade_text, gradescope, prairielearn, speed_up_plot};
pub use json::{diff_json, json};
pub use junit::junit;
pub use markdown::markdown;
pub use plot::Picture;
pub use properties::{PropertiesReport, properties_json, properties_text};
pub use summary::summary;
pub use text::text;
