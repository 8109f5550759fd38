//! The report, and the difference of two, as JSON for programs.

use super::words::joined;
use crate::io::json;
use crate::suite::{RunDiff, RunReport};
use serde::Serialize;

/// The whole report, as `schema/goldref-run-1.schema.json` describes it: the head pretty-printed, then a line a result, so
/// that thousands of them stay readable by eye and by `grep`. NaN and infinities, which JSON lacks, are strings.
pub fn json(report: &RunReport) -> String {
    let RunReport { format, goldref, arch, fixtures, candidate, ladder, suites, variants, results } = report;
    let head = pretty(&RunReport {
        results: Vec::new(),
        format: format.clone(),
        goldref: goldref.clone(),
        arch: arch.clone(),
        fixtures: fixtures.clone(),
        candidate: candidate.clone(),
        ladder: ladder.clone(),
        suites: suites.clone(),
        variants: variants.clone(),
    });
    let Some(start) = head.strip_suffix("[]\n}\n").filter(|_| !results.is_empty()) else { return head };
    let lines = joined(results, ",\n    ", &|result| json::line(result).unwrap_or_default());
    format!("{start}[\n    {lines}\n  ]\n}}\n")
}

/// The whole difference of two runs, pretty-printed.
pub fn diff_json(diff: &RunDiff) -> String {
    pretty(diff)
}

fn pretty(data: &impl Serialize) -> String {
    // Plain data with string keys always serialises; an empty object would be the honest sign that it did not.
    json::pretty(data).unwrap_or_else(|_| "{}".to_string()) + "\n"
}
