//! Judges what a candidate answers to the cases of suites, as if a variant had given it.

use super::case::Case;
use super::expectation::{Expectation, main_outputs};
use super::files::{judge_given, widened};
use super::report_data::{CaseResult, Outcome, RunReport, VariantAbout};
use super::runner::report;
use super::selection::{Selected, select_cases, select_suites, select_variant};
use super::store::Store;
use crate::candidate::{Candidate, Outcome as Said, ProgramQuestion};
use crate::check::Ladder;
use crate::error::{Error, Result};
use crate::variant::Variant;
use std::path::PathBuf;

/// Asks `candidate` the selected cases, one after the other, and judges its answers as those of the one selected variant. The main arrays of a case must be there
/// (`out`, logits); others are judged where it gives them. What it does not do is not asked of it.
///
/// # Errors
/// A selection that names nothing, or not exactly one variant; a candidate that cannot be asked.
pub fn run_candidate(
    store: &Store,
    selected: &Selected,
    ladder: &Ladder,
    name: &str,
    candidate: &mut dyn Candidate,
    on_case: &dyn Fn(),
) -> Result<RunReport> {
    let variant = select_variant(&selected.variants, "a program is judged as one of them")?;
    let suites = select_suites(store, &selected.suites)?;
    let cases = select_cases(&suites, &selected.cases)?;
    let mut results = Vec::with_capacity(cases.len());
    for case in &cases {
        let outcome = asked(case, variant, ladder, candidate)?;
        results.push(CaseResult { variant: variant.name.to_string(), case: case.name.clone(), outcome });
        on_case();
    }
    let about = VariantAbout {
        name: variant.name.to_string(),
        about: format!("answers of {name}, judged as {}", variant.about),
        twin_of: None,
    };
    Ok(report(&suites, &cases, ladder, vec![about], results))
}

fn asked(case: &Case, variant: &'static Variant, ladder: &Ladder, candidate: &mut dyn Candidate) -> Result<Outcome> {
    let inputs = case.inputs()?;
    let model = checkpoint(case)?;
    let question = ProgramQuestion { op: &case.op, params: &case.params, model: model.as_deref(), inputs: &inputs };
    let answer = match candidate.answer(&question)? {
        Said::Answered { arrays, .. } => widened(arrays, variant.coarsest),
        Said::Unsupported(why) => return Ok(Outcome::NotAsked { reason: format!("it does not do this: {why}") }),
        other => return Ok(Outcome::Failed { reason: format!("it {}", other.in_words()) }),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(e) => return Ok(Outcome::Failed { reason: e.to_string() }),
    };
    let mut expectation = Expectation::of(case, &inputs)?;
    let main: Vec<String> = main_outputs(&expectation.arrays).map(|(name, _, _)| name.clone()).collect();
    expectation.arrays.retain(|(name, _, _)| main.contains(name) || answer.contains_key(name));
    judge_given(case, variant, &inputs, &expectation, &answer, ladder)
}

/// The absolute path of the case's checkpoint, where it has one.
fn checkpoint(case: &Case) -> Result<Option<PathBuf>> {
    let Some(relative) = case.params.get("model").and_then(|model| model.as_str()).filter(|_| case.op == "model")
    else {
        return Ok(None);
    };
    let folder = case.folder_in_suite(relative)?;
    std::path::absolute(&folder).map(Some).map_err(|e| Error::read(&folder, e))
}
