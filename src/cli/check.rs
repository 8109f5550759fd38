//! `goldref check`.

use super::cases::Cases;
use super::ladder::Tolerances;
use super::program::{ToAsk, shown};
use super::report::{Printing, note, say};
use super::{exit_code, progress, properties};
use crate::candidate::Restarted;
use crate::error::{Error, Result};
use crate::report;
use crate::simd::Level;
use crate::suite::{BitsReport, bits, count_cases, run, run_candidate, run_files};
use std::path::PathBuf;

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
  goldref check --suite attention,model -- python student.py
  goldref check --properties -- python student.py
  goldref check --properties --variant bf16 --suite decode --save counterexamples
  goldref check --bits | diff fixtures/bits.txt -             # the same bits as everywhere?

Where GITHUB_ACTIONS is true, the table is followed by annotations of the disagreements.")]
pub(crate) struct Args {
    #[command(flatten)]
    cases: Cases,
    /// Only these variants (`*` matches any characters)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    variant: Vec<String>,
    /// Judge the arrays in DIR/<suite>/<case>.npz as answers of the one variant named, instead of computing them
    #[arg(long, value_name = "DIR")]
    answers: Option<PathBuf>,
    /// Print a hash of the bits of all answers for each suite and variant, instead of judging them; as text or JSON
    #[arg(long, conflicts_with_all = ["answers", "atol", "rtol", "max_ulps"])]
    bits: bool,
    #[command(flatten)]
    properties: properties::Args,
    #[command(flatten)]
    asked: ToAsk,
    #[command(flatten)]
    tolerances: Tolerances,
    #[command(flatten)]
    printing: Printing,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    if args.properties.properties {
        return properties::main(&args.properties, &args.asked, &args.cases, &args.variant, args.printing.two_ways()?);
    }
    let ladder = args.tolerances.ladder()?;
    args.printing.ready()?;
    if args.bits {
        args.printing.has_bits()?;
    }
    let program = args.asked.program.as_slice();
    if !program.is_empty() && (args.bits || args.answers.is_some()) {
        return Err(Error::ask("a program is asked, so leave out --bits and --answers"));
    }
    // A program is judged as f32 unless another variant is named.
    let plain = [String::from("f32")];
    let variants = if args.variant.is_empty() && !program.is_empty() { &plain } else { args.variant.as_slice() };
    let (store, selected) = (args.cases.store()?, args.cases.selected(variants));
    let bar = progress::bar(count_cases(&store, &selected)?, "cases");
    if args.bits {
        let hashes = bits(&store, &selected, &|| bar.inc(1))?;
        bar.finish_and_clear();
        return print_bits(args, &hashes);
    }
    let mut report = match &args.answers {
        None if !program.is_empty() => {
            let mut asked = Restarted::start(program, args.asked.limit)?;
            run_candidate(&store, &selected, &ladder, &shown(program), &mut asked, &|| bar.inc(1))?
        }
        Some(folder) => run_files(&store, &selected, &ladder, folder, &|| bar.inc(1))?,
        None => run(&store, &selected, &ladder, &|| bar.inc(1))?,
    };
    bar.finish_and_clear();
    report.candidate = args.candidate();
    report.fixtures = args.cases.fixtures.as_ref().map(|folder| folder.display().to_string());

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

impl Args {
    /// Who answers, where it is not goldref, as arguments that say it again.
    fn candidate(&self) -> Option<Vec<String>> {
        let words = |first: &str, rest: &[std::ffi::OsString]| {
            let rest = rest.iter().map(|word| word.to_string_lossy().into_owned());
            Some(std::iter::once(first.to_string()).chain(rest).collect())
        };
        match &self.answers {
            Some(folder) => words("--answers", &[folder.clone().into_os_string()]),
            None if self.asked.program.is_empty() => None,
            None => words("--", &self.asked.program),
        }
    }
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
