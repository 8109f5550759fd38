//! The difference of two runs for the comment of a pull request.

use super::diff_words::{counts, gone_and_new, what};
use super::markdown::{Page, code_in_table, escaped};
use super::words::name;
use crate::suite::{Direction, RunDiff};

/// As for a run: GitHub refuses a comment of more than 65 536 characters.
const CHARACTERS: usize = 60_000;

/// The comment.
pub fn diff_markdown(diff: &RunDiff) -> String {
    let verdict = if diff.got_worse() { "something got worse" } else { "nothing got worse" };
    let mut out = Page::new(format!("### goldref: {verdict}\n\n{}\n", escaped(&counts(diff))));
    for line in gone_and_new(diff) {
        out.push(&format!("\n{}\n", escaped(&line)));
    }
    for (direction, heading) in
        [(Direction::Worse, "Worse"), (Direction::Better, "Better"), (Direction::New, "Asked now")]
    {
        let rows: Vec<String> = diff
            .changes
            .iter()
            .filter(|change| change.direction == direction)
            .map(|change| {
                let (variant, case) = (code_in_table(&name(&change.variant)), code_in_table(&name(&change.case)));
                format!("| {variant} | {case} | {} |\n", escaped(&what(diff, change)))
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        out.push(&format!("\n#### {heading}\n\n| variant | case | what |\n| --- | --- | --- |\n"));
        let left_out = out.push_those_that_fit(&rows, CHARACTERS);
        if left_out > 0 {
            out.push(&format!("\n{left_out} more are left out here; `--format json` has them all.\n"));
        }
    }
    out.text
}
