//! The report for people: a table of pass rates, then every disagreement with how to run it again.

use super::explain::{again, asked, disagreements, explain};
use super::rates::{about, asked_of, pass_rate, verdict, worst_case, worst_error};
use super::units::lines_of;
use super::words::{name, plural};
use crate::suite::{RunReport, VariantAbout};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write;

/// Disagreements shown one by one; the others are counted.
const SHOWN: usize = 10;

/// The table and what follows it. Plain text, no colour.
pub fn text(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}\n\n{}\n", about(report), table(report));
    let notes = super::tolerances::notes(report);
    for note in &notes {
        let _ = writeln!(out, "{note}");
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    failures(report, &mut out);
    conclusion(report, &mut out);
    out
}

fn table(report: &RunReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut header: Vec<String> = ["variant", "rounds to", "cases"].map(String::from).to_vec();
    for rung in &report.ladder.0 {
        header.push(rung.label());
    }
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
    lines_of(&table)
}

fn row(report: &RunReport, variant: &VariantAbout) -> Vec<String> {
    let asked = asked_of(report, variant);
    let mut cells = vec![name(&variant.name), name(&variant.about), asked.len().to_string()];
    for rung in 0..report.ladder.0.len() {
        cells.push(pass_rate(&asked, rung));
    }
    let worst = worst_case(&asked);
    cells.push(worst_error(&asked));
    cells.push(
        worst.map_or_else(|| "—".to_string(), |(result, worst)| name(&format!("{} {:?}", result.case, worst.index))),
    );
    cells.push(verdict(variant, &asked));
    cells
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
