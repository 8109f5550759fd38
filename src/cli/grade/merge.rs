//! `goldref merge`.

use super::class::{CLASS, summary};
use crate::cli::exit_code;
use crate::cli::report::say;
use crate::error::Result;
use crate::grade::class::merged;
use crate::io;
use crate::report::class_csv;
use std::path::PathBuf;

/// Arguments of `goldref merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The merged folder has the bytes that one run over the whole class would have written.

Examples:
  goldref merge results-1 results-2 results-3 --output results")]
pub(crate) struct Args {
    /// Folders that `goldref grade --output` wrote
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let reports = merged(&args.folders, &args.output)?;
    io::write_text(args.output.join(CLASS), &class_csv(&reports))?;
    say(&format!("{} submissions\n{}", reports.len(), summary(&reports, &args.output)));
    Ok(exit_code::AGREED)
}
