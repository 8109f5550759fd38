//! Markdown for the comment of a pull request: the answer first, a row a variant, the disagreements folded away.

use super::explain::{again, asked, disagreements, explain};
use super::rates::{about, asked_of, count, pass_rate, verdict, worst_error};
use super::words::{disagree, joined, name, plural};
use crate::suite::{CaseResult, RunReport, VariantAbout};

/// GitHub refuses a comment of more than 65 536 characters; the rest is left for what a bot writes around it.
const CHARACTERS: usize = 60_000;

/// Variants may take this part of the comment, so that disagreements are seen as well.
const OF_TABLE: usize = 20_000;

/// The comment.
pub fn markdown(report: &RunReport) -> String {
    let (asked, failed) = (asked(report), disagreements(report));
    let headline = match (asked, failed.len()) {
        (0, _) => "nothing was asked".to_string(),
        (_, 0) => format!("{} as declared", plural(asked, "answer")),
        (_, failed) => format!("{failed} of {} {}", plural(asked, "answer"), disagree(failed)),
    };
    let mut out = Page::new(format!("### goldref: {headline}\n\n{}\n\n", escaped(&about(report))));
    table(report, &mut out);
    if !failed.is_empty() {
        out.push(&format!("\n<details><summary>{}</summary>\n\n", plural(failed.len(), "disagreement")));
        let mut blocks = Vec::with_capacity(failed.len());
        for result in &failed {
            blocks.push(block(report, result));
        }
        let left_out = out.push_those_that_fit(&blocks, CHARACTERS);
        if left_out > 0 {
            out.push(&format!("{left_out} more are left out here; `--format json` has them all.\n\n"));
        }
        out.push("</details>\n");
    }
    out.text
}

fn table(report: &RunReport, out: &mut Page) {
    let rungs = report.ladder.0.len();
    let labels = joined(&report.ladder.0, "", &|rung| format!(" {} |", escaped(&rung.label())));
    out.push(&format!("| variant | cases |{labels} worst error | verdict |\n"));
    out.push(&format!("| --- | ---: |{} ---: | --- |\n", " ---: |".repeat(rungs)));
    let mut rows = Vec::with_capacity(report.variants.len());
    for variant in &report.variants {
        rows.push(row(report, variant));
    }
    let left_out = out.push_those_that_fit(&rows, OF_TABLE);
    if left_out > 0 {
        out.push(&format!("\n{left_out} more variants are left out here.\n"));
    }
}

fn row(report: &RunReport, variant: &VariantAbout) -> String {
    let asked = asked_of(report, variant);
    let mut rates = String::new();
    for rung in 0..report.ladder.0.len() {
        rates += &format!(" {} |", pass_rate(&asked, rung));
    }
    let verdict = escaped(&verdict(variant, &asked));
    // What disagrees is bold: colours are not to be had.
    let bold = if count(&asked, &|result| result.outcome.disagrees()) > 0 { "**" } else { "" };
    let name = code_in_table(&name(&variant.name));
    format!("| {name} | {} |{rates} {} | {bold}{verdict}{bold} |\n", asked.len(), worst_error(&asked))
}

fn block(report: &RunReport, result: &CaseResult) -> String {
    let heading =
        format!("**{}** · {} · {}", result.outcome.standing(), code(&name(&result.variant)), code(&name(&result.case)));
    let lines = format!("{}\n{}", explain(&result.outcome).join("\n"), again(report, result));
    format!("{heading}\n\n{}\n", fenced(&lines))
}

/// A text that knows how long it may become.
pub(super) struct Page {
    pub(super) text: String,
    characters: usize,
}

impl Page {
    pub(super) fn new(text: String) -> Self {
        let characters = text.chars().count();
        Self { text, characters }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.characters += text.chars().count();
        self.text += text;
    }

    /// Adds the parts, in order, that leave the page below `limit` characters; gives how many do not.
    pub(super) fn push_those_that_fit(&mut self, parts: &[String], limit: usize) -> usize {
        let mut left_out = 0;
        for part in parts {
            if self.characters + part.chars().count() < limit {
                self.push(part);
            } else {
                left_out += 1;
            }
        }
        left_out
    }
}

/// The longest run of backticks in a text.
fn backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A code span: nothing in it is markup, a mention or a link.
pub(super) fn code(text: &str) -> String {
    let ticks = "`".repeat(backticks(text) + 1);
    // Spaces beside the ticks are dropped by the reader where both are there.
    let space = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// A code span in a table, where a bar ends the cell even in code.
pub(super) fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A code block.
fn fenced(text: &str) -> String {
    let fence = "`".repeat((backticks(text) + 1).max(3));
    format!("{fence}text\n{text}\n{fence}\n")
}

/// Words outside of code: markup, HTML, mentions and references become plain characters.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            // An entity: a backslash does not keep GitHub from taking a mention or a number for one.
            '@' => escaped += "&#64;",
            '#' => escaped += "&#35;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_spans_hold_backticks_and_bars() {
        assert_eq!(code("f32"), "`f32`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!(code_in_table("a|b`"), "`` a\\|b` ``");
        assert_eq!(fenced("x ``` y"), "````text\nx ``` y\n````\n");
        assert_eq!(escaped("<b> @you #1 |*_`"), "&lt;b&gt; &#64;you &#35;1 \\|\\*\\_\\`");
    }
}
