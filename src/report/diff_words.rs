//! What the formats say of the difference of two runs.

use super::words::{cut, error, list, name, plural};
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
    [
        ("removed", "variant", &diff.removed_variants),
        ("removed", "case", &diff.removed_cases),
        ("new", "variant", &diff.new_variants),
        ("new", "case", &diff.new_cases),
    ]
    .into_iter()
    .filter(|(_, _, names)| !names.is_empty())
    .map(|(what, noun, names)| {
        const SHOWN: usize = 20;
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = list(names.iter().take(SHOWN).map(String::as_str));
        format!("{what} {}: {shown}{more}", plural(names.len(), noun))
    })
    .collect()
}

/// What changed in one answer, on one line.
pub(super) fn what(diff: &RunDiff, change: &Change) -> String {
    let line = change.differences.iter().map(|difference| one(diff, difference)).collect::<Vec<_>>().join("; ");
    cut(&line, 1000)
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
