//! `goldref diagnose`.

use super::cases::Cases;
use super::exit_code;
use super::format::Format;
use super::program::{seconds, shown};
use super::progress;
use super::report::say;
use clap::ValueEnum;
use goldref::candidate::{Outcome, Program, ProgramQuestion};
use goldref::diagnose::{Diagnosis, Laboratory, diagnose};
use goldref::error::{Error, Result};
use goldref::num::Dtype;
use goldref::report::{DiagnosisReport, diagnosis_json, diagnosis_text};
use goldref::suite::{Case, Selected, Store, selected_cases};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `goldref diagnose`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every fault of the catalogue, and every two of them if one is not enough, is held against all answers together. The answers are the logits of
cases about models: in files, DIR/<suite>/<case>.npz, or asked of a program in the protocol of docs/candidates.md.

Examples:
  goldref diagnose --answers out
  goldref diagnose --answers out --stored bf16 --suite decode
  goldref diagnose --suite decode --case single_tokens -- python student.py
  goldref diagnose --list")]
pub(crate) struct Args {
    /// Folders of answers, one diagnosis each
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "program", required_unless_present_any = ["program", "list"])]
    answers: Vec<PathBuf>,
    /// The format in which the candidate stores weights and activations
    #[arg(long, value_enum, default_value_t = Stored::F32)]
    stored: Stored,
    #[command(flatten)]
    cases: Cases,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Seconds that a program may take for one question
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    limit: Duration,
    /// Only list the faults that are known
    #[arg(long)]
    list: bool,
    /// A program to ask
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stored {
    /// IEEE 754 binary64
    F64,
    /// IEEE 754 binary32
    F32,
    /// bfloat16
    Bf16,
    /// IEEE 754 binary16
    F16,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    if args.list {
        say(&goldref::report::catalogue_text());
        return Ok(exit_code::AGREED);
    }
    let stored = match args.stored {
        Stored::F64 => Dtype::F64,
        Stored::F32 => Dtype::F32,
        Stored::Bf16 => Dtype::Bf16,
        Stored::F16 => Dtype::F16,
    };
    if let Some(folder) = args.answers.iter().find(|folder| !folder.is_dir()) {
        return Err(Error::read(folder, "it is no folder; name one with <suite>/<case id>.npz in it"));
    }
    let (store, selected) = (args.cases.store()?, args.cases.selected(&[]));
    let laboratory = Laboratory::open(&store, &selected, stored)?;
    let bar = progress::bar(laboratory.questions.len(), "cases");
    let one = |answers: &Answers| diagnose(&laboratory, answers, &|| bar.inc(1));
    let mut reports = Vec::new();
    if args.program.is_empty() {
        for folder in &args.answers {
            let diagnosis = one(&read_answers(&laboratory, folder)?)?;
            reports.push(DiagnosisReport { candidate: folder.display().to_string(), refusals: Vec::new(), diagnosis });
        }
    } else {
        let (answers, refusals) = ask(args, &store, &selected, &laboratory)?;
        if let (Some(first), true) = (refusals.first(), answers.iter().all(Option::is_none)) {
            return Err(Error::ask(format!("the program answered no case about a model; {first}")));
        }
        reports.push(DiagnosisReport { candidate: shown(&args.program), refusals, diagnosis: one(&answers)? });
    }
    bar.finish_and_clear();
    say(&match args.format {
        Format::Text => reports.iter().map(diagnosis_text).collect::<Vec<_>>().join("\n"),
        Format::Json => diagnosis_json(&reports),
    });
    let right = |diagnosis: &Diagnosis| diagnosis.deviating == 0;
    let all = reports.iter().all(|report| right(&report.diagnosis) && report.refusals.is_empty());
    Ok(if all { exit_code::AGREED } else { exit_code::DISAGREED })
}

fn read_answers(laboratory: &Laboratory, folder: &Path) -> Result<Answers> {
    let read = |question: &goldref::suite::ModelQuestion| {
        let file = folder.join(format!("{}.npz", question.name));
        if file.is_file() { question.read(&file, laboratory.stored).map(Some) } else { Ok(None) }
    };
    laboratory.questions.iter().map(read).collect()
}

/// The compared logits of each question, where there are any.
type Answers = Vec<Option<Vec<f64>>>;

/// What a program answers, and one sentence for each case that it does not.
fn ask(args: &Args, store: &Store, selected: &Selected, laboratory: &Laboratory) -> Result<(Answers, Vec<String>)> {
    let cases: Vec<&Case> = selected_cases(store, selected)?;
    let mut program = Program::start(&args.program)?;
    let bar = progress::bar(laboratory.questions.len(), "questions");
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for question in &laboratory.questions {
        bar.inc(1);
        let case = cases.iter().find(|case| case.name == question.name).ok_or_else(|| Error::ask("a case is gone"))?;
        let inputs = case.inputs()?;
        let folder = std::path::absolute(&question.checkpoint).map_err(|e| Error::read(&question.checkpoint, e))?;
        let asked = ProgramQuestion { op: "model", params: &case.params, model: Some(&folder), inputs: &inputs };
        let answer = match program.ask(&asked, args.limit)? {
            Outcome::Answered { arrays, .. } => match question.chosen_of(arrays, laboratory.stored) {
                Some(answer) => Ok(answer),
                None => Err(format!("{}: an array is missing or has another shape", question.name)),
            },
            // What a program does not do is no fault of it.
            Outcome::Unsupported(_) => {
                answers.push(None);
                continue;
            }
            outcome @ (Outcome::BadAnswer(_) | Outcome::Crashed(_) | Outcome::TimedOut(_)) => {
                refusals.push(format!("{}: it {}", question.name, outcome.in_words()));
                program = Program::start(&args.program)?;
                answers.push(None);
                continue;
            }
            outcome => Err(format!("{}: it {}", question.name, outcome.in_words())),
        };
        answers.push(answer.map_err(|refusal| refusals.push(refusal)).ok());
    }
    bar.finish_and_clear();
    Ok((answers, refusals))
}
