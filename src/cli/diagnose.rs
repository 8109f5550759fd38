//! `goldref diagnose`.

use super::cases::Cases;
use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::program::{ToAsk, shown};
use super::progress;
use super::report::{note, say};
use super::stored::Stored;
use crate::candidate::Restarted;
use crate::diagnose::{Answers, Diagnosis, Laboratory, diagnose};
use crate::error::{Error, Result};
use crate::report::{DiagnosisReport, diagnosis_json, diagnosis_text};
use crate::suite::{Selected, Store, write_suite};
use std::path::{Path, PathBuf};

/// Arguments of `goldref diagnose`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every fault of the catalogue, and every two of them if one is not enough, is held against all answers together. The answers are the logits of
cases about models: in files, DIR/<suite>/<case>.npz, or asked of a program in the protocol of docs/candidates.md.

Examples:
  goldref diagnose --answers out
  goldref diagnose --answers out --stored bf16 --suite decode
  goldref diagnose --suite decode --case single_tokens -- python student.py
  goldref diagnose --answers out --suite decode --tell-apart tie
  goldref diagnose --list")]
pub(crate) struct Args {
    /// Folders of answers, one diagnosis each
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "program", required_unless_present_any = ["program", "list"])]
    answers: Vec<PathBuf>,
    /// The format in which the candidate stores weights and activations
    #[arg(long, value_parser = choice::<Stored>(), default_value = "f32")]
    stored: Stored,
    #[command(flatten)]
    cases: Cases,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// Where suspects are tied: write a case that tells them apart as the new suite DIR
    #[arg(long, value_name = "DIR")]
    tell_apart: Option<PathBuf>,
    /// Only list the faults that are known
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    asked: ToAsk,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    if args.list {
        say(&crate::report::catalogue_text());
        return Ok(exit_code::AGREED);
    }
    if let Some(folder) = args.answers.iter().find(|folder| !folder.is_dir()) {
        return Err(Error::read(folder, "it is no folder; name one with <suite>/<case id>.npz in it"));
    }
    // Before the work, not after it.
    if let Some(folder) = args.tell_apart.as_deref().filter(|folder| folder.exists()) {
        return Err(Error::write(folder, "it is there already; name another folder"));
    }
    if args.tell_apart.is_some() && args.answers.len() > 1 {
        return Err(Error::ask("several candidates are diagnosed; a case tells those of one apart"));
    }
    let (store, selected) = (args.cases.store()?, args.cases.selected(&[]));
    let laboratory = Laboratory::open(&store, &selected, args.stored.into())?;
    if laboratory.questions.is_empty() {
        return Err(Error::ask("no selected case asks a model, and answers are diagnosed by the logits of models"));
    }
    let bar = progress::bar(laboratory.questions.len(), "cases");
    let one = |answers: &Answers| diagnose(&laboratory, answers, &|| bar.inc(1));
    let mut reports = Vec::new();
    if args.asked.program.is_empty() {
        for folder in &args.answers {
            let diagnosis = one(&read_answers(&laboratory, folder)?)?;
            reports.push(DiagnosisReport { candidate: folder.display().to_string(), refusals: Vec::new(), diagnosis });
        }
    } else {
        let questions = progress::bar(laboratory.questions.len(), "questions");
        let mut program = Restarted::start(&args.asked.program, args.asked.limit)?;
        let (answers, refusals) = laboratory.ask(&mut program, &|| questions.inc(1))?;
        questions.finish_and_clear();
        reports.push(DiagnosisReport { candidate: shown(&args.asked.program), refusals, diagnosis: one(&answers)? });
    }
    bar.finish_and_clear();
    let told = match (&args.tell_apart, reports.as_slice()) {
        (Some(folder), [report]) => Some(tell_apart(&laboratory, &store, &report.diagnosis, folder)?),
        _ => None,
    };
    say(&match args.format {
        Format::Text => reports.iter().map(diagnosis_text).collect::<Vec<_>>().join("\n"),
        Format::Json => diagnosis_json(&reports),
    });
    if let Some(told) = told {
        note(&told);
    }
    let right = |diagnosis: &Diagnosis| diagnosis.deviating == 0;
    let all = reports.iter().all(|report| right(&report.diagnosis) && report.refusals.is_empty());
    Ok(if all { exit_code::AGREED } else { exit_code::DISAGREED })
}

fn read_answers(laboratory: &Laboratory, folder: &Path) -> Result<Answers> {
    let read = |question: &crate::suite::ModelQuestion| {
        let file = folder.join(format!("{}.npz", question.name));
        if file.is_file() { question.read(&file, laboratory.stored).map(Some) } else { Ok(None) }
    };
    laboratory.questions.iter().map(read).collect()
}

/// Of the questions that are tried.
const SEED: u64 = 1;

/// Writes a case that tells the tied suspects of one candidate apart, and says what came of it.
fn tell_apart(laboratory: &Laboratory, store: &Store, found: &Diagnosis, folder: &Path) -> Result<String> {
    if !found.named || found.tied < 2 {
        return Ok("no suspects are tied, so no case was written".to_string());
    }
    let tied: Vec<Vec<&'static str>> =
        found.suspects[..found.tied].iter().map(|suspect| suspect.faults.clone()).collect();
    let names = tied.iter().map(|names| names.join(" and ")).collect::<Vec<_>>().join("; ");
    let telling = match laboratory.telling_case(&tied, SEED)? {
        Some(telling) => Some(telling),
        // The checkpoints that were not selected may have what these lack.
        None => Laboratory::open(store, &Selected::default(), laboratory.stored)?.telling_case(&tied, SEED)?,
    };
    let Some(telling) = telling else {
        return Ok(format!("no case was written: in every question that was tried {names} are the same function"));
    };
    let about = format!("Tells apart: {names}.");
    write_suite(folder, &about, vec![telling.case], Some(&telling.checkpoint))?;
    let shown = folder.display();
    Ok(format!(
        "{shown} holds a case in which they differ by {:.1e} of the largest logit; ask it with --fixtures {shown}",
        telling.apart
    ))
}
