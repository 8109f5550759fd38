//! The report as JSON, for programs.

use crate::suite::RunReport;

/// The whole report, pretty-printed. NaN and infinities, which JSON lacks, are null.
pub fn json(report: &RunReport) -> String {
    // Plain data with string keys always serialises; an empty object would be the honest sign that it did not.
    serde_json::to_string_pretty(report).unwrap_or_else(|_| "{}".to_string()) + "\n"
}
