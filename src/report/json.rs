//! The report, and the difference of two, as JSON for programs.

use crate::suite::{RunDiff, RunReport};
use serde::Serialize;

/// The whole report, pretty-printed, as `schema/goldref-run-1.schema.json` describes it. NaN and infinities, which
/// JSON lacks, are strings.
pub fn json(report: &RunReport) -> String {
    pretty(report)
}

/// The whole difference of two runs, pretty-printed.
pub fn diff_json(diff: &RunDiff) -> String {
    pretty(diff)
}

fn pretty(data: &impl Serialize) -> String {
    // Plain data with string keys always serialises; an empty object would be the honest sign that it did not.
    serde_json::to_string_pretty(data).unwrap_or_else(|_| "{}".to_string()) + "\n"
}
