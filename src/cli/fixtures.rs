//! `goldref fixtures`.

use super::cases::Cases;
use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::progress;
use super::report::say;
use crate::diagnose::{Laboratory, power};
use crate::error::{Error, Result};
use crate::num::Dtype;
use crate::report::{power_json, power_text};
use crate::suite::operation_cases;
use clap::Subcommand;

/// Arguments of `goldref fixtures`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which known faults a suite shows, at which tolerance, and which it cannot see
    Power(Power),
}

/// Arguments of `goldref fixtures power`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A case shows a fault at a tolerance if some element of its answer is off by more than the tolerance, and by more than a right program in f32 may be. The exit
code is 1 if some fault survives the tightest tolerance.

Examples:
  goldref fixtures power
  goldref fixtures power --fixtures my_suites --minimal
  goldref fixtures power --suite decode --atol 1e-6,1e-3,1e-1 --format json")]
struct Power {
    #[command(flatten)]
    cases: Cases,
    /// Absolute tolerances
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1e-5,1e-4,1e-3,1e-2,1e-1")]
    atol: Vec<f64>,
    /// Also list few cases that show all that these show
    #[arg(long)]
    minimal: bool,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let Command::Power(args) = &args.command;
    let mut tolerances = args.atol.clone();
    if let Some(wrong) = tolerances.iter().find(|atol| !(atol.is_finite() && **atol > 0.0)) {
        return Err(Error::ask(format!("--atol is {wrong}; it must be a number above 0")));
    }
    tolerances.sort_by(f64::total_cmp);
    tolerances.dedup();
    let (store, selected) = (args.cases.store()?, args.cases.selected(&[]));
    let laboratory = Laboratory::open(&store, &selected, Dtype::F64)?;
    let bar = progress::bar(laboratory.questions.len(), "cases");
    let report = power(&laboratory, &operation_cases(&store, &selected)?, &tolerances, &|| bar.inc(1));
    bar.finish_and_clear();
    let report = report?;
    say(&match (args.format, args.minimal) {
        (Format::Json, _) => power_json(&report),
        (Format::Text, minimal) => power_text(&report, minimal.then_some(report.minimal.as_slice())),
    });
    Ok(if report.survivors(0).next().is_some() { exit_code::DISAGREED } else { exit_code::AGREED })
}
