//! The difference of two runs for people: what got worse first, each with the command to look at it.

use super::diff_words::{counts, gone_and_new, what};
use super::rerun::rerun;
use super::words::name;
use crate::suite::{Direction, RunDiff};
use std::fmt::Write;

/// Changes shown in each direction; the others are counted.
const SHOWN: usize = 50;

/// The counts, then a line for each change.
pub fn diff_text(diff: &RunDiff) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", counts(diff));
    for line in gone_and_new(diff) {
        let _ = writeln!(out, "{line}");
    }
    for (direction, heading) in
        [(Direction::Worse, "worse"), (Direction::Better, "better"), (Direction::New, "asked now")]
    {
        let changes: Vec<_> = diff.changes.iter().filter(|change| change.direction == direction).collect();
        if changes.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{heading}");
        for change in changes.iter().take(SHOWN) {
            let _ = writeln!(out, " {}  {}  {}", name(&change.variant), name(&change.case), what(diff, change));
            if direction == Direction::Worse {
                let again = rerun(diff.fixtures.as_deref(), &diff.ladder, &change.variant, &change.case);
                let _ = writeln!(out, "   rerun  {again}");
            }
        }
        if changes.len() > SHOWN {
            let _ = writeln!(out, " and {} more; --format json has them all", changes.len() - SHOWN);
        }
    }
    out
}
