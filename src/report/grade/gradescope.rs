//! `results.json` of Gradescope's autograder (gradescope-autograders.readthedocs.io, "Autograder specifications").

use super::lost::{findings, in_short, said};
use super::{isolation, why_not};
use crate::grade::{GradeReport, ItemKind, PartReport};
use crate::report::words::{name, sentence};
use serde_json::{Value, json};

/// The file. Every item is a test; a part without items is one.
pub fn gradescope(report: &GradeReport) -> String {
    let mut tests = Vec::new();
    for part in &report.parts {
        if part.items.is_empty() {
            tests.push(json!({
                "number": part.id,
                "name": name(&part.title),
                "score": part.points.to_f64(),
                "max_score": part.out_of.to_f64(),
                "status": status(part.points >= part.out_of),
                "output": lines(report, part),
                "visibility": "visible",
            }));
        }
        for (item, number) in part.items.iter().zip(1..) {
            let told = said(report, item, number);
            let shown = match item.kind {
                ItemKind::Case | ItemKind::Answer => told.name,
                ItemKind::Property => format!("property {}", told.name),
            };
            tests.push(json!({
                "number": format!("{}.{number}", part.id),
                "name": format!("{} · {shown}", name(&part.title)),
                "score": item.points.to_f64(),
                "max_score": item.out_of.to_f64(),
                "status": status(item.passed()),
                "output": told.why,
                "visibility": "visible",
            }));
        }
    }
    let mut output = Vec::new();
    if let Some(why) = why_not(report) {
        output.push(format!("{why}."));
    }
    for part in &report.parts {
        output.push(format!(
            "{} {}: {} of {}. {}",
            part.id,
            name(&part.title),
            part.points,
            part.out_of,
            in_short(report, part)
        ));
    }
    output.push(sentence(&isolation(report)));
    let results = json!({
        "score": report.points.to_f64(),
        "output": output.join("\n"),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        // Points are fractions here, and numbers above. A hash of hidden cases would tell whether a guess of them is right.
        "extra_data": {"points": report.points.exact(), "out_of": report.out_of.exact()},
    });
    pretty(&results)
}

fn status(passed: bool) -> &'static str {
    if passed { "passed" } else { "failed" }
}

fn lines(report: &GradeReport, part: &PartReport) -> String {
    let mut lines = sentence(&part.in_short);
    for finding in findings(report, part) {
        lines = lines + "\n" + &sentence(finding);
    }
    lines
}

/// JSON with an end of line.
pub(super) fn pretty(value: &Value) -> String {
    // A value always serialises.
    format!("{}\n", crate::io::json::pretty(value).unwrap_or_default())
}
