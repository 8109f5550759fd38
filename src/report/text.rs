//! The report for people: a table of pass rates, then every disagreement with how to run it again.

use super::explain::{again, asked, disagreements, explain};
use super::words::{list, name, plural};
use crate::check::Disagreement;
use crate::suite::{CaseResult, Outcome, RunReport, Standing, VariantAbout};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write;

/// Disagreements shown one by one; the others are counted.
const SHOWN: usize = 10;

/// The table and what follows it. Plain text, no colour.
pub fn text(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}\n\n{}\n", about(report), table(report));
    failures(report, &mut out);
    conclusion(report, &mut out);
    out
}

/// What was run: version, processor, suites.
pub(super) fn about(report: &RunReport) -> String {
    let cases = report.suites.iter().fold(0, |sum: usize, suite| sum.saturating_add(suite.cases));
    let suites = list(report.suites.iter().map(|suite| suite.name.as_str()));
    format!("goldref {} · {} · {} in {suites}", name(&report.goldref), name(&report.arch), plural(cases, "case"))
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
    let asked = asked_of(report, variant);
    let mut cells = vec![name(&variant.name), name(&variant.about), asked.len().to_string()];
    cells.extend((0..report.ladder.0.len()).map(|rung| pass_rate(&asked, rung)));
    let worst = worst_case(&asked);
    cells.push(worst_error(&asked));
    cells.push(worst.map_or_else(|| "—".to_string(), |(result, worst)| name(&format!("{} {:?}", result.case, worst.index))));
    cells.push(verdict(variant, &asked));
    cells
}

/// The answers of a variant.
pub(super) fn asked_of<'r>(report: &'r RunReport, variant: &VariantAbout) -> Vec<&'r CaseResult> {
    report.results.iter().filter(|r| r.variant == variant.name && r.outcome.was_asked()).collect()
}

/// The share of answers that agree at a rung. No case asked has no rate; it is not 0 and not 100.
pub(super) fn pass_rate(asked: &[&CaseResult], rung: usize) -> String {
    if asked.is_empty() {
        return "—".to_string();
    }
    let passed = asked.iter().filter(|result| result.outcome.passes(rung)).count();
    format!("{:.1} %", 100.0 * passed as f64 / asked.len() as f64)
}

/// The largest error of a variant. Without a number there is none to show; that is not an error of 0.
pub(super) fn worst_error(asked: &[&CaseResult]) -> String {
    match worst_case(asked) {
        Some((_, worst)) => format!("{:.1e}", worst.err),
        None if asked.iter().any(|result| matches!(result.outcome, Outcome::Compared { .. })) => "0".to_string(),
        None => "—".to_string(),
    }
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

/// The worst that was found of a variant, in words, and in how many cases where it is a disagreement.
pub(super) fn verdict(variant: &VariantAbout, asked: &[&CaseResult]) -> String {
    let Some(worst) = asked.iter().map(|result| result.outcome.standing()).max() else {
        return Standing::NotAsked.to_string();
    };
    let disagreeing = asked.iter().filter(|result| result.outcome.disagrees()).count();
    match &variant.twin_of {
        _ if disagreeing > 0 && disagreeing == asked.len() => format!("{worst} in {}", plural(disagreeing, "case")),
        _ if disagreeing > 0 => format!("{worst} in {disagreeing} of {}", plural(asked.len(), "case")),
        Some(original) => format!("= {} to the bit", name(original)),
        None => worst.to_string(),
    }
}

fn failures(report: &RunReport, out: &mut String) {
    let failed = disagreements(report);
    for result in failed.iter().take(SHOWN) {
        let _ = writeln!(out, "{}  {}", name(&result.variant), name(&result.case));
        for line in explain(&result.outcome) {
            let _ = writeln!(out, "   {line}");
        }
        let _ = writeln!(out, "   rerun  {}\n", again(report, result));
    }
    if failed.len() > SHOWN {
        let _ = writeln!(out, "and {} more; --format json has them all\n", failed.len() - SHOWN);
    }
}

fn conclusion(report: &RunReport, out: &mut String) {
    let (asked, disagreeing) = (asked(report), disagreements(report).len());
    let _ = writeln!(out, "{} of {} as declared.", asked - disagreeing, plural(asked, "answer"));
}
