//! The report for people: a table of pass rates, then every disagreement with how to run it again.

use crate::check::Disagreement;
use crate::suite::{ArrayResult, CaseResult, Outcome, RunReport, VariantAbout};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write;

/// Disagreements shown one by one; the others are counted.
const SHOWN: usize = 10;

/// The table and what follows it. Plain text, no colour.
pub fn text(report: &RunReport) -> String {
    let mut out = String::new();
    let cases: usize = report.suites.iter().map(|suite| suite.cases).sum();
    let suites: Vec<&str> = report.suites.iter().map(|suite| suite.name.as_str()).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "goldref {} · {} · {} in {}\n",
        report.goldref,
        report.arch,
        plural(cases, "case"),
        suites.join(", ")
    );
    let _ = writeln!(out, "{}\n", table(report));
    failures(report, &mut out);
    conclusion(report, &mut out);
    out
}

fn table(report: &RunReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut header: Vec<String> = ["variant", "rounds to", "cases"].map(String::from).to_vec();
    header.extend(report.ladder.0.iter().map(|rung| rung.label()));
    header.extend(["worst |err|", "at", "verdict"].map(String::from));
    let columns = header.len();
    table.set_header(header);
    for variant in &report.variants {
        table.add_row(row(report, variant));
    }
    for column in 2..columns.saturating_sub(2) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

fn row(report: &RunReport, variant: &VariantAbout) -> Vec<String> {
    let asked: Vec<&CaseResult> =
        report.results.iter().filter(|r| r.variant == variant.name && r.outcome.was_asked()).collect();
    let mut cells = vec![variant.name.clone(), variant.about.clone(), asked.len().to_string()];
    for rung in 0..report.ladder.0.len() {
        let passed = asked.iter().filter(|r| r.outcome.passes(rung)).count();
        // No case asked has no rate; it is not 0 and not 100.
        cells.push(if asked.is_empty() {
            "—".to_string()
        } else {
            format!("{:.1} %", 100.0 * passed as f64 / asked.len() as f64)
        });
    }
    let worst = worst_case(&asked);
    cells.push(worst.map_or_else(
        || if asked.is_empty() { "—".into() } else { "0".into() },
        |(_, worst)| format!("{:.1e}", worst.err),
    ));
    cells.push(worst.map_or_else(|| "—".to_string(), |(result, worst)| format!("{} {:?}", result.case, worst.index)));
    cells.push(verdict(variant, &asked));
    cells
}

/// The case and the element with the largest error of a variant.
fn worst_case<'r>(asked: &[&'r CaseResult]) -> Option<(&'r CaseResult, &'r Disagreement)> {
    let mut worst: Option<(&CaseResult, &Disagreement)> = None;
    for result in asked {
        if let Some(here) = result.outcome.worst().and_then(|array| array.facts.worst_abs.as_ref())
            && worst.is_none_or(|(_, worst)| here.err > worst.err)
        {
            worst = Some((result, here));
        }
    }
    worst
}

fn verdict(variant: &VariantAbout, asked: &[&CaseResult]) -> String {
    let disagreeing = asked.iter().filter(|r| r.outcome.disagrees()).count();
    if disagreeing > 0 {
        return format!("{} beyond its rounding", plural(disagreeing, "case"));
    }
    if asked.is_empty() {
        return "not asked".to_string();
    }
    if let Some(original) = &variant.twin_of {
        return format!("= {original} to the bit");
    }
    asked.iter().filter_map(|r| r.outcome.verdict()).max().map_or_else(|| "—".to_string(), |v| v.words().to_string())
}

fn failures(report: &RunReport, out: &mut String) {
    let failed: Vec<&CaseResult> = report.results.iter().filter(|r| r.outcome.disagrees()).collect();
    for result in failed.iter().take(SHOWN) {
        let _ = writeln!(out, "{}  {}", result.variant, result.case);
        for line in explain(&result.outcome) {
            let _ = writeln!(out, "   {line}");
        }
        let fixtures = report.fixtures.as_ref().map_or_else(String::new, |folder| format!("--fixtures '{folder}' "));
        let _ =
            writeln!(out, "   rerun  goldref check {fixtures}--variant {} --case {}\n", result.variant, result.case);
    }
    if failed.len() > SHOWN {
        let _ = writeln!(out, "and {} more; --format json has them all\n", failed.len() - SHOWN);
    }
}

fn explain(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Compared { verdict, same_bits, .. } => {
            let mut lines = Vec::new();
            if let Some(array) = outcome.worst() {
                lines.push(worst_element(array));
            }
            lines.push(format!("verdict: {verdict}"));
            if *same_bits == Some(false) {
                lines.push("its bits differ from those of the variant it must equal".to_string());
            }
            lines
        }
        Outcome::WrongShape { array, shapes } => {
            vec![format!("{array} has shape {:?}; expected {:?}", shapes.actual, shapes.expected)]
        }
        Outcome::Missing { array } => vec![format!("the answer has no array {array}")],
        Outcome::Failed { reason } => vec![format!("could not answer: {reason}")],
        Outcome::NotAsked { reason } => vec![format!("not asked: {reason}")],
    }
}

fn worst_element(array: &ArrayResult) -> String {
    let Some(worst) = &array.facts.worst_abs else { return format!("{}: no difference", array.name) };
    let ulps = array.facts.worst_ulps.as_ref().map_or_else(|| "—".to_string(), |worst| format!("{:.3e}", worst.err));
    format!(
        "{}{:?}  actual {:?}  expected {:?}  |err| {:.3e}, worst ulps {ulps}, {} not finite",
        array.name, worst.index, worst.actual, worst.expected, worst.err, array.facts.non_finite_mismatches
    )
}

fn conclusion(report: &RunReport, out: &mut String) {
    let asked = report.results.iter().filter(|r| r.outcome.was_asked()).count();
    let disagreeing = report.results.iter().filter(|r| r.outcome.disagrees()).count();
    let _ = writeln!(out, "{} of {} as declared.", asked - disagreeing, plural(asked, "answer"));
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
