//! Judges what a candidate answers to the cases of suites, as if a variant had given it.

use super::exam::Exam;
use super::report_data::{CaseResult, RunReport, VariantAbout};
use super::runner::report;
use super::selection::{Selected, select_cases, select_suites, select_variant};
use super::store::Store;
use crate::candidate::Candidate;
use crate::check::Ladder;
use crate::error::Result;

/// Asks `candidate` the selected cases, one after the other, and judges its answers as those of the one selected variant. Every expected array must be there, but for
/// optional ones, which are judged where it gives them. What it does not do is not asked of it.
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
        let exam = Exam::of(case)?;
        let outcome = exam.outcome(exam.ask(candidate)?, variant, ladder)?;
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
