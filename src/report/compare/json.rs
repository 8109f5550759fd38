//! The comparison as JSON, for programs.

use super::CompareReport;
use crate::io::json;

/// The whole report, pretty-printed. NaN and infinities, which JSON lacks, are the strings "NaN", "inf" and "-inf".
pub fn json(report: &CompareReport) -> String {
    // Plain data with string keys always serialises; an empty object would be the honest sign that it did not.
    json::pretty(report).unwrap_or_else(|_| "{}".to_string()) + "\n"
}
