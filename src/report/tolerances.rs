//! Which tolerances make no sense for what was run: those that no correct rounding meets, and those that an empty answer meets.

use super::rates::{asked_of, count};
use super::words::{list, plural};
use crate::check::Trivial;
use crate::suite::{CaseResult, Outcome, RunReport};

/// Cases named one by one; more are counted.
const NAMED: usize = 3;

/// A line for each thing to know of the ladder; none where every rung makes sense.
pub(super) fn notes(report: &RunReport) -> Vec<String> {
    let mut notes = infeasible(report);
    notes.extend(vacuous(report));
    notes
}

/// The loosest rung is what people rely on: who cannot meet it, however well it computes.
fn infeasible(report: &RunReport) -> Vec<String> {
    let Some((rung, label)) = loosest(report) else { return Vec::new() };
    // Variants with the same counts share a line.
    let mut lines: Vec<(usize, usize, Vec<&str>)> = Vec::new();
    for variant in report.variants.iter().filter(|variant| variant.twin_of.is_none()) {
        let asked = asked_of(report, variant);
        let missed = count(&asked, &|result| misses(result, rung));
        match lines.iter_mut().find(|(m, n, _)| (*m, *n) == (missed, asked.len())) {
            _ if missed == 0 => {}
            Some((.., names)) => names.push(&variant.name),
            None => lines.push((missed, asked.len(), vec![&variant.name])),
        }
    }
    let mut said = Vec::new();
    for (missed, asked, names) in lines {
        said.push(format!(
            "{}: rounding the exact answer once already misses {label} in {missed} of {}",
            list(&names),
            plural(asked, "case")
        ));
    }
    said
}

fn misses(result: &CaseResult, rung: usize) -> bool {
    let Outcome::Compared { arrays, .. } = &result.outcome else { return false };
    arrays.iter().any(|array| array.tolerance.infeasible.get(rung).is_some_and(|&missed| missed > 0))
}

/// Cases that an answer of zeros, of the mean, or in the wrong order passes.
fn vacuous(report: &RunReport) -> Vec<String> {
    let Some((rung, label)) = loosest(report) else { return Vec::new() };
    let Some(variant) = report.variants.first() else { return Vec::new() };
    let asked = asked_of(report, variant);
    let kinds = [
        (Trivial::Zeros, "an answer of zeros"),
        (Trivial::Mean, "the mean everywhere"),
        (Trivial::Permuted, "an answer one place off"),
    ];
    let mut lines = Vec::new();
    for (trivial, words) in kinds {
        let mut cases: Vec<&str> = Vec::new();
        for result in &asked {
            if passes(result, rung, trivial) {
                cases.push(&result.case);
            }
        }
        if cases.is_empty() {
            continue;
        }
        let mut named = list(&cases[..cases.len().min(NAMED)]);
        if cases.len() > NAMED {
            named += &format!(", {} more", cases.len() - NAMED);
        }
        lines.push(format!("{label} asks nothing of {}: {words} passes ({})", plural(cases.len(), "case"), named));
    }
    lines
}

/// Whether the trivial answer passes in every array of the case.
fn passes(result: &CaseResult, rung: usize, trivial: Trivial) -> bool {
    let Outcome::Compared { arrays, .. } = &result.outcome else { return false };
    arrays.iter().all(|array| array.tolerance.vacuous.get(rung).is_some_and(|passes| passes.contains(&trivial)))
}

fn loosest(report: &RunReport) -> Option<(usize, String)> {
    let last = report.ladder.0.len().checked_sub(1)?;
    Some((last, report.ladder.0[last].label()))
}
