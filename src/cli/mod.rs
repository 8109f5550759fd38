//! The command line: raw arguments → checked values → a library call → print. The only place that prints.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "the comments of arguments are what --help prints"
)]

mod bench;
mod cases;
mod check;
mod choice;
mod compare;
mod cost;
mod cut_short;
mod diagnose;
mod diff;
mod exit_code;
mod fixtures;
mod format;
mod grade;
mod ladder;
mod named_model;
mod program;
mod progress;
mod properties;
mod report;
mod run;
mod stored;
mod this_machine;
mod tokens;
mod trace;

use crate::candidate::{WARDEN, run_warden};
use crate::error::Error;
use crate::harmless::{line, page};
use crate::simd::Level;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// The golden reference for attention, transformers and KV caches.
#[derive(Debug, Parser)]
#[command(name = "goldref", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 all agreed, 1 something disagreed or got worse, 2 could not ask (usage, unreadable input, nothing selected)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure latency with the KV cache and without, beside what the formulas predict.
    Bench(bench::Args),
    /// Run every variant against every fitting case and show pass rates.
    Check(check::Args),
    /// Hold the arrays of a file or folder against those expected, and say how far off they are and where.
    Compare(compare::Args),
    /// Work out what a model takes: memory, FLOPs, bytes, and the least time on a device.
    Cost(cost::Args),
    /// Say which known fault, or which two, explain a candidate's answers.
    Diagnose(diagnose::Args),
    /// Say what got better or worse between two saved runs.
    Diff(diff::Args),
    /// Look at suites: which known faults they show.
    Fixtures(fixtures::Args),
    /// Grade a submission or a class: points, and the reason for each that is lost.
    Grade(grade::Args),
    /// Put the results of parts of a class together.
    Merge(grade::MergeArgs),
    /// Convert a saved run into another format.
    Report(report::Args),
    /// Run a Hugging Face checkpoint and write its logits, and any sites, to an npz file.
    Run(run::Args),
    /// Say at which site a candidate's error begins, and what each site inherits and adds.
    Trace(trace::Args),
    /// goldref starts itself so to watch a confined program.
    #[command(name = WARDEN, hide = true)]
    Warden {
        /// What it is told
        order: String,
    },
}

/// Parses, runs, and says how it went.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(panicked));
    cut_short::is_answered();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version hold nothing from outside.
        Err(asked) if !asked.use_stderr() => asked.exit(),
        Err(refused) => {
            let _ = anstream::stderr().write_all(page(&refused.render().to_string()).as_bytes());
            return ExitCode::from(exit_code::COULD_NOT_ASK);
        }
    };
    let outcome = Level::from_environment().map_err(Error::ask).and_then(|_| match cli.command {
        Command::Bench(args) => bench::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Cost(args) => cost::main(&args),
        Command::Diagnose(args) => diagnose::main(&args),
        Command::Fixtures(args) => fixtures::main(&args),
        Command::Diff(args) => diff::main(&args),
        Command::Grade(args) => grade::main(&args),
        Command::Merge(args) => grade::merge(&args),
        Command::Report(args) => report::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Trace(args) => trace::main(&args),
        Command::Warden { order } => run_warden(&order).map(|()| exit_code::AGREED),
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "goldref: {error}");
            ExitCode::from(exit_code::COULD_NOT_ASK)
        }
    }
}

/// Says that goldref has a fault of its own, where, and what it holds: a value in that may come from outside.
fn panicked(info: &std::panic::PanicHookInfo) {
    let place = info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    let said = info.payload();
    let why = said.downcast_ref::<&str>().copied().or_else(|| said.downcast_ref::<String>().map(String::as_str));
    let why = why.unwrap_or("it says nothing");
    let _ = writeln!(anstream::stderr(), "goldref: a fault of its own{place}: {}", line(why));
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        let _ = write!(anstream::stderr(), "{backtrace}");
    }
}
