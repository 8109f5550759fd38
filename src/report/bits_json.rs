//! The hashes of a run as JSON, with the hash of each case.

use super::words::joined;
use crate::io::json;
use crate::suite::BitsReport;
use serde::Serialize;

/// Everything, with whole hashes and a line for each case, so that `diff` of two files shows which cases differ.
pub fn bits_json(report: &BitsReport) -> String {
    let hashes = joined(&report.hashes, ",\n", &|bits| {
        format!(
            "    {{\"suite\": {}, \"variant\": {}, \"sha256\": {}, \"cases\": [\n      {}\n    ]}}",
            line(&bits.suite),
            line(&bits.variant),
            line(&bits.sha256),
            joined(&bits.cases, ",\n      ", &|case| line(case))
        )
    });
    format!(
        "{{\n  \"format\": {},\n  \"goldref\": {},\n  \"hashes\": [\n{}\n  ]\n}}\n",
        line(&report.format),
        line(&report.goldref),
        hashes
    )
}

fn line(data: &impl Serialize) -> String {
    // Plain data always serialises.
    json::line(data).unwrap_or_default()
}
