//! Workflow commands of GitHub actions: a line of them in a step's log becomes an annotation of the run.
//!
//! Escaped as <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts> does.

use super::explain::{again, asked, disagreements, explain};
use super::words::{cut, disagree, joined, name, plural};
use crate::suite::{CaseResult, RunReport};

/// GitHub shows so many errors of a step and drops the others.
const SHOWN: usize = 10;

/// Characters of a message: beyond 64 KiB GitHub cuts it, and who reads it is lost long before.
const CHARACTERS: usize = 4000;

/// An error for each of the first disagreements, then a notice that counts them all.
pub fn github(report: &RunReport) -> String {
    let (asked, failed) = (asked(report), disagreements(report));
    let errors = joined(&failed[..failed.len().min(SHOWN)], "", &|result| error(report, result));
    let more = match failed.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; {more} of them are not annotated"),
    };
    let summary = match failed.len() {
        0 => format!("{} as declared", plural(asked, "answer")),
        failed => format!("{failed} of {} {}{more}", plural(asked, "answer"), disagree(failed)),
    };
    format!("{errors}::notice title={}::{}\n", property("goldref"), message(&summary))
}

fn error(report: &RunReport, result: &CaseResult) -> String {
    let title = format!("goldref: {} {}: {}", name(&result.variant), name(&result.case), result.outcome.standing());
    let mut lines = explain(&result.outcome);
    lines.push(format!("rerun  {}", again(report, result)));
    format!("::error title={}::{}\n", property(&title), message(&cut(&lines.join("\n"), CHARACTERS)))
}

/// A message may hold anything but what ends its line.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property ends at a comma or a colon too.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_and_messages_are_escaped_as_the_toolkit_does() {
        assert_eq!(message("100 %\r\n::error::x"), "100 %25%0D%0A::error::x");
        assert_eq!(property("a: b, c %\n"), "a%3A b%2C c %25%0A");
        // The percent sign first, or it would be escaped twice.
        assert_eq!(property("%3A"), "%253A");
    }
}
