//! `goldref check`.

use super::ladder::Tolerances;
use super::report::{Printing, note, say};
use super::{exit_code, progress};
use goldref::error::{Error, Result};
use goldref::report;
use goldref::simd::Level;
use goldref::suite::{BitsReport, Selected, Store, bits, count_cases, run, run_files};
use std::path::{Path, PathBuf};

/// Arguments of `goldref check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  goldref check
  goldref check --suite decode --variant 'bf16*'
  goldref check --case model/gemma2 --atol 1e-6,1e-4 --format json
  goldref check --fixtures my_suite --variant f32 --rtol 1e-3 --atol 1e-7
  goldref check --format junit --output junit.xml
  goldref check --answers out/ --variant bf16 --suite model   # out/model/gemma2.npz holds `logits`
  goldref check --bits | diff fixtures/bits.txt -             # the same bits as everywhere?

Where GITHUB_ACTIONS is true, the table is followed by annotations of the disagreements.")]
pub(crate) struct Args {
    /// Folder with a suite.json, or of such folders [default: the bundled fixtures]
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Only these suites (`*` matches any characters)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    suite: Vec<String>,
    /// Only these variants (`*` matches any characters)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    variant: Vec<String>,
    /// Only these cases, as suite/id or id (`*` matches any characters)
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    case: Vec<String>,
    /// Judge the arrays in DIR/<suite>/<case>.npz as answers of the one variant named, instead of computing them
    #[arg(long, value_name = "DIR")]
    answers: Option<PathBuf>,
    /// Print a hash of the bits of all answers for each suite and variant, instead of judging them; as text or JSON
    #[arg(long, conflicts_with_all = ["answers", "atol", "rtol", "max_ulps"])]
    bits: bool,
    #[command(flatten)]
    tolerances: Tolerances,
    #[command(flatten)]
    printing: Printing,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let ladder = args.tolerances.ladder()?;
    args.printing.ready()?;
    if args.bits {
        args.printing.has_bits()?;
    }
    let store = Store::open(args.fixtures.clone().map_or_else(bundled, Ok)?)?;
    let selected = Selected { suites: args.suite.clone(), variants: args.variant.clone(), cases: args.case.clone() };
    let bar = progress::bar(count_cases(&store, &selected)?, "cases");
    if args.bits {
        let hashes = bits(&store, &selected, &|| bar.inc(1))?;
        bar.finish_and_clear();
        return print_bits(args, &hashes);
    }
    let mut report = match &args.answers {
        Some(folder) => run_files(&store, &selected, &ladder, folder, &|| bar.inc(1))?,
        None => run(&store, &selected, &ladder, &|| bar.inc(1))?,
    };
    bar.finish_and_clear();
    report.fixtures = args.fixtures.as_ref().map(|folder| folder.display().to_string());

    args.printing.print(&report)?;
    if args.printing.prints_text() && std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        say(&report::github(&report));
    }
    if !report.results.iter().any(|result| result.outcome.was_asked()) {
        return Err(Error::ask("no selected case fits a selected variant, and nothing asked is not a success"));
    }
    let disagreed = report.results.iter().any(|result| result.outcome.disagrees());
    Ok(if disagreed { exit_code::DISAGREED } else { exit_code::AGREED })
}

/// Hashes on stdout, and on stderr what must not change them.
fn print_bits(args: &Args, hashes: &BitsReport) -> Result<u8> {
    let (arch, level, threads) = (std::env::consts::ARCH, Level::chosen().name(), rayon::current_num_threads());
    note(&format!("{arch}, {level}, {threads} thread{}", if threads == 1 { "" } else { "s" }));
    args.printing.print_bits(hashes)?;
    Ok(match hashes.first_failure() {
        None => exit_code::AGREED,
        Some((case, variant, reason)) => {
            note(&format!("{variant} could not answer {case}: {reason}"));
            exit_code::DISAGREED
        }
    })
}

/// The fixtures of the source tree this program was built from, else those of the current folder.
pub(super) fn bundled() -> Result<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    [built.clone(), PathBuf::from("fixtures")]
        .into_iter()
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Error::read(built, "the bundled fixtures are not there any more; name a folder with --fixtures"))
}
