//! What the tables say of a run and of each variant: pass rates, the worst error, the worst verdict.

use super::words::{disagree, joined, name, plural};
use crate::check::Disagreement;
use crate::suite::{CaseResult, Outcome, RunReport, Standing, VariantAbout};

/// What was run: version, processor, suites.
pub(super) fn about(report: &RunReport) -> String {
    let mut cases: usize = 0;
    for suite in &report.suites {
        cases = cases.saturating_add(suite.cases);
    }
    let suites = joined(&report.suites, ", ", &|suite| name(&suite.name));
    format!("goldref {} · {} · {} in {suites}", name(&report.goldref), name(&report.arch), plural(cases, "case"))
}

/// The answers of a variant.
pub(super) fn asked_of<'r>(report: &'r RunReport, variant: &VariantAbout) -> Vec<&'r CaseResult> {
    let mut asked = Vec::new();
    for result in &report.results {
        if result.variant == variant.name && result.outcome.was_asked() {
            asked.push(result);
        }
    }
    asked
}

/// How many of the answers are such.
pub(super) fn count(answers: &[&CaseResult], such: &dyn Fn(&CaseResult) -> bool) -> usize {
    let mut count = 0;
    for answer in answers {
        count += usize::from(such(answer));
    }
    count
}

/// The share of answers that agree at a rung. No case asked has no rate; it is not 0 and not 100.
pub(super) fn pass_rate(asked: &[&CaseResult], rung: usize) -> String {
    if asked.is_empty() {
        return "—".to_string();
    }
    let passed = count(asked, &|result| result.outcome.passes(rung));
    format!("{:.1} %", 100.0 * passed as f64 / asked.len() as f64)
}

/// The largest error of a variant. Without a number there is none to show; that is not an error of 0.
pub(super) fn worst_error(asked: &[&CaseResult]) -> String {
    match worst_case(asked) {
        Some((_, worst)) => format!("{:.1e}", worst.err),
        None if count(asked, &|result| matches!(result.outcome, Outcome::Compared { .. })) > 0 => "0".to_string(),
        None => "—".to_string(),
    }
}

/// The case and the element with the largest error of a variant.
pub(super) fn worst_case<'r>(asked: &[&'r CaseResult]) -> Option<(&'r CaseResult, &'r Disagreement)> {
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

/// The worst that was found of a variant, and how many answers disagree.
pub(super) fn verdict(variant: &VariantAbout, asked: &[&CaseResult]) -> String {
    let mut worst = None;
    for result in asked {
        worst = worst.max(Some(result.outcome.standing()));
    }
    let Some(worst) = worst else { return Standing::NotAsked.to_string() };
    let disagreeing = count(asked, &|result| result.outcome.disagrees());
    match &variant.twin_of {
        _ if disagreeing > 0 => format!("{worst}; {disagreeing} of {} {}", asked.len(), disagree(disagreeing)),
        Some(original) => format!("= {} to the bit", name(original)),
        None => worst.to_string(),
    }
}
