//! `goldref merge`.

use super::class::{faces, summary, tables};
use crate::cli::exit_code;
use crate::cli::report::{note, say};
use crate::error::Result;
use crate::grade::class::{Merged, merged};
use std::path::PathBuf;

/// Arguments of `goldref merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The merged folder has the bytes that one run over the whole class would have written: pages are made anew from the results. Links, results that were
renamed, and results whose points do not add up are refused.

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
    let Merged { reports, notes, skipped } = merged(&args.folders, &args.output, &faces)?;
    tables(&args.output, &reports, &skipped)?;
    for text in &notes {
        note(text);
    }
    say(&format!("{} submissions\n{}", reports.len(), summary(&reports, &args.output)));
    Ok(exit_code::AGREED)
}
