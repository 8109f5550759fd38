//! `results.json` of PrairieLearn's external grader (prairielearn.readthedocs.io, "External grading").

use super::gradescope::pretty;
use super::lost::{findings, in_short, said};
use super::{isolation, why_not};
use crate::grade::GradeReport;
use crate::report::words::{name, sentence};
use serde_json::json;

/// The file. A submission that cannot be asked is not gradable, which costs its student no attempt.
pub fn prairielearn(report: &GradeReport) -> String {
    if let Some(why) = why_not(report) {
        let why = format!("{why}.");
        return pretty(&json!({"gradable": false, "message": why, "format_errors": [why]}));
    }
    let mut tests = Vec::new();
    for part in &report.parts {
        let title = name(&part.title);
        if part.items.is_empty() {
            tests.push(json!({
                "name": format!("{} · {title}", part.id),
                "points": part.points.to_f64(),
                "max_points": part.out_of.to_f64(),
                "message": in_short(report, part),
            }));
        }
        for (item, number) in part.items.iter().zip(1..) {
            let told = said(report, item, number);
            tests.push(json!({
                "name": format!("{} · {title} · {}", part.id, told.name),
                "points": item.points.to_f64(),
                "max_points": item.out_of.to_f64(),
                "message": told.why,
            }));
        }
    }
    let mut output = Vec::new();
    for part in &report.parts {
        for finding in findings(report, part) {
            output.push(sentence(finding));
        }
    }
    output.push(sentence(&isolation(report)));
    let (points, out_of) = (report.points.to_f64(), report.out_of.to_f64());
    // Nothing to earn is nothing earned.
    let score = if out_of > 0.0 { points / out_of } else { 0.0 };
    pretty(&json!({
        "gradable": true,
        "score": score,
        "message": format!("{} of {} points", report.points, report.out_of),
        "output": output.join("\n"),
        "tests": tests,
    }))
}
