//! The hashes of a run as JSON, with the hash of each case.

use crate::suite::BitsReport;
use serde_json::json;

/// Everything, with whole hashes and a line for each case, so that `diff` of two files shows which cases differ.
pub fn bits_json(report: &BitsReport) -> String {
    let hashes: Vec<String> = report
        .hashes
        .iter()
        .map(|bits| {
            let cases: Vec<String> = bits.cases.iter().map(|case| json!(case).to_string()).collect();
            format!(
                "    {{\"suite\": {}, \"variant\": {}, \"sha256\": {}, \"cases\": [\n      {}\n    ]}}",
                json!(bits.suite),
                json!(bits.variant),
                json!(bits.sha256),
                cases.join(",\n      ")
            )
        })
        .collect();
    format!(
        "{{\n  \"format\": {},\n  \"goldref\": {},\n  \"hashes\": [\n{}\n  ]\n}}\n",
        json!(report.format),
        json!(report.goldref),
        hashes.join(",\n")
    )
}
