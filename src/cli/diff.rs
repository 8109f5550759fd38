//! `goldref diff`.

use super::choice::choice;
use super::exit_code;
use super::report::say;
use crate::error::Result;
use crate::report;
use crate::suite::{RunDiff, RunReport};
use clap::ValueEnum;
use std::path::PathBuf;

/// Arguments of `goldref diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For each variant and case of both runs: another verdict, a tolerance met or missed, and an array whose largest error
became more than --factor times the other. Cases and variants that only RUN_A has count as worse, new ones as neither.

The exit code is 0 when nothing got worse, 1 when something did, 2 when the runs cannot be compared: other tolerances,
or no answer in common.

Examples:
  goldref diff main.json branch.json
  goldref diff main.json branch.json --factor 10 --format markdown > comment.md")]
pub(crate) struct Args {
    /// The run before, as `goldref check --format json` wrote it
    #[arg(value_name = "RUN_A.json")]
    before: PathBuf,
    /// The run after
    #[arg(value_name = "RUN_B.json")]
    after: PathBuf,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// An error is another one when it is more than so many times the other
    #[arg(long, value_name = "X", default_value = "2", allow_negative_numbers = true)]
    factor: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// Everything, for programs
    Json,
    /// For the comment of a pull request
    Markdown,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let (before, after) = (RunReport::read(&args.before)?, RunReport::read(&args.after)?);
    let diff = RunDiff::between(&before, &after, args.factor)?;
    say(&match args.format {
        Format::Text => report::diff_text(&diff),
        Format::Json => report::diff_json(&diff),
        Format::Markdown => report::diff_markdown(&diff),
    });
    Ok(if diff.got_worse() { exit_code::DISAGREED } else { exit_code::AGREED })
}
