//! `goldref report`, and how every command that has a run report prints it.

use super::choice::choice;
use super::exit_code;
use super::format::Format as TwoWays;
use super::run::writable;
use crate::error::{Error, Result};
use crate::harmless::{line, page};
use crate::io;
use crate::report;
use crate::suite::{BitsReport, RunReport};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `goldref report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is 0 when the file could be converted, whatever its verdicts are; `goldref check` has judged already.

Examples:
  goldref report run.json
  goldref report run.json --format junit --output junit.xml
  goldref report run.json --format markdown > comment.md")]
pub(crate) struct Args {
    /// What `goldref check --format json` wrote
    #[arg(value_name = "RUN.json")]
    run: PathBuf,
    #[command(flatten)]
    printing: Printing,
}

/// How a report is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Printing {
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// Write that format into a file, whole or not at all, and print the table for people
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Text,
    /// Everything, for programs; `goldref report` and `goldref diff` read it
    Json,
    /// The plain block of course evaluators, for each suite and variant
    Summary,
    /// JUnit XML, for the test pages of CI servers
    Junit,
    /// For the comment of a pull request
    Markdown,
    /// Annotations of GitHub actions
    Github,
}

/// The format of a plot that can be written there: asked before the work, not after it.
pub(super) fn plottable(path: &Path) -> Result<report::Picture> {
    writable(path)?;
    report::Picture::of(path)
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    args.printing.ready()?;
    args.printing.print(&RunReport::read(&args.run)?)?;
    Ok(exit_code::AGREED)
}

impl Printing {
    /// The format, where a command has text and JSON alone.
    pub(super) fn two_ways(&self) -> Result<TwoWays> {
        match self.format {
            Format::Text => Ok(TwoWays::Text),
            Format::Json => Ok(TwoWays::Json),
            _ => Err(Error::ask("properties are printed as text or json; name one of them with --format")),
        }
    }

    /// Refuses a file that could not be written, before anything is run for it.
    pub(crate) fn ready(&self) -> Result<()> {
        self.output.as_deref().map_or(Ok(()), writable)
    }

    /// Whether people will read what is printed.
    pub(crate) fn prints_text(&self) -> bool {
        self.output.is_some() || self.format == Format::Text
    }

    /// Writes and prints the hashes of a run.
    pub(crate) fn print_bits(&self, bits: &BitsReport) -> Result<()> {
        let text = report::bits_text(bits);
        let rendered = if self.format == Format::Json { report::bits_json(bits) } else { text.clone() };
        if let Some(path) = &self.output {
            io::write_text(path as &Path, &rendered)?;
        }
        say(if self.prints_text() { &text } else { &rendered });
        Ok(())
    }

    /// Refuses a format that hashes do not have, before anything is run for it.
    pub(crate) fn has_bits(&self) -> Result<()> {
        match self.format {
            Format::Text | Format::Json => Ok(()),
            Format::Summary | Format::Junit | Format::Markdown | Format::Github => {
                Err(Error::ask("--bits judges nothing and has two formats: --format text, --format json"))
            }
        }
    }

    /// Writes and prints.
    pub(crate) fn print(&self, report: &RunReport) -> Result<()> {
        let rendered = match self.format {
            Format::Text => report::text(report),
            Format::Json => report::json(report),
            Format::Summary => report::summary(report),
            Format::Junit => report::junit(report),
            Format::Markdown => report::markdown(report),
            Format::Github => report::github(report),
        };
        if let Some(path) = &self.output {
            io::write_text(path as &Path, &rendered)?;
        }
        if self.prints_text() {
            show(&painted(&page(&report::text(report))));
        } else {
            say(&rendered);
        }
        Ok(())
    }
}

/// Prints. Whatever names stand in the text, none of them steers the terminal.
pub(crate) fn say(text: &str) {
    show(&page(text));
}

/// Prints text that is harmless already, with colours. A closed pipe (`goldref check | head`) is not a failure of the command.
pub(super) fn show(text: &str) {
    let _ = anstream::stdout().write_all(text.as_bytes());
}

/// Says something beside the result, where it is not read as a part of it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "goldref: note: {}", line(text));
}

/// Verdicts in colour. The stream drops the colour where it is not a terminal or NO_COLOR is set.
fn painted(text: &str) -> String {
    let paint = |line: &str| -> String {
        // Only rows of the table begin with one space.
        let row = line.starts_with(' ') && !line.starts_with("  ");
        let start = line.rfind("  ").map_or(0, |at| at + 2);
        let verdict = &line[start..];
        let colour = match verdict {
            _ if !row => return line.to_string(),
            "exact" | "rounding" | "explained" => AnsiColor::Green,
            _ if verdict.ends_with("to the bit") => AnsiColor::Green,
            _ if verdict.ends_with(" disagree") || verdict.ends_with(" disagrees") => AnsiColor::Red,
            _ => return line.to_string(),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{}{style}{verdict}{style:#}", &line[..start])
    };
    text.lines().map(|line| paint(line) + "\n").collect()
}
