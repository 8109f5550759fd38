//! What the formats say of one answer: its headline, the lines below it, the command to run it again.

use super::rerun::{quoted, rerun};
use super::words::{name, sentence};
use crate::check::{Judged, WrongShape};
use crate::suite::{ArrayResult, Beside, CaseResult, ErrorRatios, Outcome, RunReport, Standing};

/// The answers that disagree, in the order of the report.
pub(super) fn disagreements(report: &RunReport) -> Vec<&CaseResult> {
    let mut disagreements = Vec::new();
    for result in &report.results {
        if result.outcome.disagrees() {
            disagreements.push(result);
        }
    }
    disagreements
}

/// How many answers were asked for.
pub(super) fn asked(report: &RunReport) -> usize {
    let mut asked = 0;
    for result in &report.results {
        asked += usize::from(result.outcome.was_asked());
    }
    asked
}

/// `suite` and `id` of a case.
pub(super) fn suite_and_id(case: &str) -> (&str, &str) {
    case.split_once('/').unwrap_or(("", case))
}

/// The command that runs just this answer again.
pub(super) fn again(report: &RunReport, result: &CaseResult) -> String {
    let mut command = rerun(report.fixtures.as_deref(), &report.ladder, &result.variant, &result.case);
    for word in report.candidate.iter().flatten() {
        command = command + " " + &quoted(word);
    }
    command
}

/// One line: how it stands, and the number or the reason that says most.
pub(super) fn headline(outcome: &Outcome) -> String {
    let standing = outcome.standing();
    match outcome {
        Outcome::Compared { .. } => {
            let telling = telling(outcome);
            if let Some(tokens) = telling.filter(|array| array.is_tokens()) {
                return format!("{standing}: {}", sentence(&tokens.judged.reason));
            }
            let Some((array, worst)) = telling.and_then(|array| array.facts.worst_abs.as_ref().map(|w| (array, w)))
            else {
                return standing.to_string();
            };
            let place = format!("{standing}: {}{:?} is", name(&array.name), worst.index);
            sentence(&if worst.err.is_finite() {
                format!("{place} off by {:.3e}", worst.err)
            } else {
                format!("{place} {:?}; expected {:?}", worst.actual, worst.expected)
            })
        }
        Outcome::WrongShape { .. } | Outcome::Missing { .. } => {
            format!("{standing}: {}", explain(outcome).into_iter().next().unwrap_or_default())
        }
        Outcome::Failed { reason } | Outcome::NotAsked { reason } => sentence(&format!("{standing}: {reason}")),
    }
}

/// What happened, where, and what would be right: a line each.
pub(super) fn explain(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Compared { same_bits, meets_tolerance, error_ratios, .. } => {
            let mut lines = Vec::new();
            if let Some(tokens) = telling(outcome).filter(|array| array.is_tokens()) {
                lines.push(sentence(&format!("verdict: {}: {}", tokens.judged.verdict, tokens.judged.reason)));
            } else if let Some(array) = telling(outcome) {
                lines.push(worst_element(array));
                lines.extend(array.facts.location.iter().map(|found| sentence(&found.words)));
                lines.extend(bounds(array));
                lines.extend(argmax(array));
                lines.push(sentence(&format!("suggested tolerance: {}", array.tolerance.suggestion.formula)));
                lines.push(sentence(&format!("verdict: {}", opinion(&array.judged))));
            }
            lines.extend(against_others(error_ratios));
            if *same_bits == Some(false) {
                lines.push("its bits differ from those of the variant it must equal".to_string());
            }
            if *meets_tolerance == Some(false) {
                lines.push("it is beyond the tolerance of the case's author".to_string());
            }
            lines
        }
        Outcome::WrongShape { array, shapes, beside } => with_the_others(unfit(array, Some(shapes)), beside),
        Outcome::Missing { array, beside } => with_the_others(unfit(array, None), beside),
        Outcome::Failed { reason } => vec![sentence(&format!("could not answer: {reason}"))],
        Outcome::NotAsked { reason } => vec![sentence(&format!("not asked: {reason}"))],
    }
}

/// The verdict on an array, and why.
fn opinion(judged: &Judged) -> String {
    match judged.reason.as_str() {
        "" => judged.verdict.to_string(),
        reason => format!("{}: {reason}", judged.verdict),
    }
}

/// An array that is missing or has another shape.
fn unfit(array: &str, shapes: Option<&WrongShape>) -> String {
    match shapes {
        None => format!("the answer has no array {}", name(array)),
        Some(WrongShape { actual, expected }) => {
            sentence(&format!("{} has shape {actual:?}; expected {expected:?}", name(array)))
        }
    }
}

/// The first array that does not fit, and a line for each other array.
fn with_the_others(first: String, beside: &Beside) -> Vec<String> {
    let mut lines = vec![first];
    lines.extend(beside.also.iter().map(|also| unfit(&also.array, also.shapes.as_ref())));
    for array in &beside.arrays {
        lines.push(sentence(&format!("{}: {}", name(&array.name), opinion(&array.judged))));
    }
    lines
}

/// The array to show: of those with the worst verdict, the one with the largest error.
fn telling(outcome: &Outcome) -> Option<&ArrayResult> {
    let Outcome::Compared { arrays, verdict, .. } = outcome else { return None };
    let error = |array: &ArrayResult| array.facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err);
    let mut telling: Option<&ArrayResult> = None;
    for array in
        arrays.iter().filter(|array| outcome.standing() <= Standing::OtherBits || array.judged.verdict == *verdict)
    {
        if telling.is_none_or(|so_far| error(array) > error(so_far)) {
            telling = Some(array);
        }
    }
    telling.or(arrays.first())
}

fn worst_element(array: &ArrayResult) -> String {
    let Some(worst) = &array.facts.worst_abs else { return format!("{}: no difference", name(&array.name)) };
    let ulps = array.facts.worst_ulps.as_ref().map_or_else(|| "—".to_string(), |worst| format!("{:.3e}", worst.err));
    sentence(&format!(
        "{}{:?}  actual {:?}  expected {:?}  |err| {:.3e}, worst ulps {ulps}, {} not finite",
        name(&array.name),
        worst.index,
        worst.actual,
        worst.expected,
        worst.err,
        array.facts.non_finite_mismatches
    ))
}

/// The error over that of others in the same format: FlashAttention's tests ask for at most 2.
fn against_others(ratios: &ErrorRatios) -> Option<String> {
    let of = |ratio: Option<f64>, whose: &str| ratio.map(|ratio| format!("{ratio:.2} × {whose}"));
    let parts = [of(ratios.plain, "that of the plain variant of its format"), of(ratios.pytorch, "PyTorch's own")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("the largest error of the main output is {}", parts.join(", ")))
}

/// Whether the likeliest token changes.
fn argmax(array: &ArrayResult) -> Option<String> {
    let found = array.argmax.as_ref()?;
    let margin = found.closest_margin_ratio.map_or_else(String::new, |ratio| {
        format!("; the closest margin of the two likeliest is {ratio:.2} × the row's error")
    });
    Some(format!("argmax: {} of {} rows flip, {} could{margin}", found.flips, found.rows, found.can_flip))
}

/// How the errors stand to the bounds, where bounds are known.
fn bounds(array: &ArrayResult) -> Option<String> {
    let ratios = array.judged.ratios.as_ref()?;
    let worst = ratios.worst.map_or_else(String::new, |worst| format!(", {worst:.2e} × the worst case W"));
    Some(sentence(&format!(
        "at most {:.2e} × the estimate R (R is {:.2e} at {:?}), {:.2e} × the centred bound C{worst}",
        ratios.estimate, ratios.allowed, ratios.index, ratios.centred
    )))
}
