//! A class as a table that any spreadsheet reads (RFC 4180).

use crate::grade::{GradeReport, Isolation};
use crate::harmless;
use crate::report::words::{joined, visible};

/// A row a submission, in the order given, a column a part.
pub fn class_csv(reports: &[GradeReport]) -> String {
    let mut header = vec!["submission".to_string(), "points".to_string(), "out_of".to_string()];
    let parts = reports.first().map(|report| report.parts.as_slice()).unwrap_or_default();
    header.extend(parts.iter().map(|part| part.id.clone()));
    header.extend(["cases_passed", "cases", "isolation", "refused"].map(String::from));
    let mut out = row(&header);
    for report in reports {
        let count = report.evaluation();
        let mut cells =
            vec![report.submission.clone(), report.points.to_f64().to_string(), report.out_of.to_f64().to_string()];
        // A part that was not judged is empty, not 0.
        let earned = |part: &crate::grade::PartReport| {
            if part.needs.is_empty() { part.points.to_f64().to_string() } else { String::new() }
        };
        cells.extend(report.parts.iter().map(earned));
        cells.extend([count.passed.to_string(), count.all.to_string(), isolation(report).to_string()]);
        // Who was not graded has no points, not 0.
        if report.failed.is_some() {
            cells[1] = String::new();
            cells[3..3 + report.parts.len()].fill(String::new());
        }
        let why = report.failed.as_ref().map(|why| format!("not graded: {why}"));
        cells.push(why.or_else(|| report.refused.clone()).unwrap_or_default());
        out += &row(&cells);
    }
    out
}

/// The table of what lay among the submissions of a class and was not graded, of its rows.
pub fn skipped_csv(rows: &[String]) -> String {
    let mut out = row(&["name".to_string(), "why".to_string()]);
    for row in rows {
        out += row;
        out += "\r\n";
    }
    out
}

/// A row of that table, without the end of its line.
pub fn skipped_row(name: &str, why: &str) -> String {
    let cells = [visible(name), visible(why)];
    joined(&cells, ",", &|text| cell(text))
}

fn isolation(report: &GradeReport) -> &'static str {
    match report.isolation {
        Isolation::Sandbox => "sandbox",
        Isolation::PartOfTheSandbox(_) => "part of the sandbox",
        Isolation::NoSandbox => "none",
        Isolation::NothingRan => "nothing ran",
    }
}

fn row(cells: &[String]) -> String {
    format!("{}\r\n", joined(cells, ",", &|text| cell(text)))
}

/// A cell; what a spreadsheet would take for a formula becomes text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = harmless::page(text);
    let text = if formula { format!("'{text}") } else { text.into_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_anything_and_start_no_formula() {
        assert_eq!(
            row(&["a".into(), "b, \"c\"".into(), "=1+1".into(), "-3.5".into()]),
            "a,\"b, \"\"c\"\"\",'=1+1,-3.5\r\n"
        );
        assert_eq!(cell("two\nlines"), "\"two\nlines\"");
        assert_eq!(cell("a\u{1b}[2J\u{202e}"), "a\\u{1b}[2J\\u{202e}");
    }
}
