//! What the formats say of the difference of two runs.

use super::words::{cut, error, joined, list, name, plural};
use crate::suite::{Change, Difference, Direction, RunDiff};

/// One line of counts.
pub(super) fn counts(diff: &RunDiff) -> String {
    let of = |direction| diff.count(direction);
    let mut parts = vec![format!("{} worse", of(Direction::Worse)), format!("{} better", of(Direction::Better))];
    if of(Direction::New) > 0 {
        parts.push(format!("{} asked now", of(Direction::New)));
    }
    format!("{} of {} in both runs", parts.join(", "), plural(diff.compared, "answer"))
}

/// What stands in one run alone: a line for each kind, worst first.
pub(super) fn gone_and_new(diff: &RunDiff) -> Vec<String> {
    let mut lines = Vec::new();
    for (what, noun, names) in [
        ("removed", "variant", &diff.removed_variants),
        ("removed", "case", &diff.removed_cases),
        ("new", "variant", &diff.new_variants),
        ("new", "case", &diff.new_cases),
    ] {
        const SHOWN: usize = 20;
        if names.is_empty() {
            continue;
        }
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = list(&names[..names.len().min(SHOWN)]);
        lines.push(format!("{what} {}: {shown}{more}", plural(names.len(), noun)));
    }
    lines
}

/// What changed in one answer, on one line.
pub(super) fn what(diff: &RunDiff, change: &Change) -> String {
    cut(&joined(&change.differences, "; ", &|difference| one(diff, difference)), 1000)
}

fn one(diff: &RunDiff, difference: &Difference) -> String {
    match difference {
        Difference::Standing { before, after } => format!("{before} → {after}"),
        Difference::Rung { rung, passes } => {
            let label = diff.ladder.0.get(*rung).map_or_else(|| rung.to_string(), |rung| rung.label());
            if *passes { format!("meets {label} now") } else { format!("misses {label} now") }
        }
        Difference::Error { array, before, after } => {
            // Without a number on both sides there is no ratio to tell.
            let (small, large) = if before < after { (before, after) } else { (after, before) };
            let ratio = if *small > 0.0 && large.is_finite() {
                format!(" ({} {:.1})", if before < after { "×" } else { "÷" }, large / small)
            } else {
                String::new()
            };
            format!("{} |err| {} → {}{ratio}", name(array), error(*before), error(*after))
        }
        Difference::RemovedArray { array } => format!("{} is not compared any more", name(array)),
    }
}
