//! Judges answers that are already there, in files, as if a variant had given them.
//!
//! The folder mirrors the suites: `<suite>/<case id>.npz`, or `<case id>.npz` where one suite is open. An array has the name of the
//! expected one; bf16 is stored as 16-bit words where the variant's format is bf16.

use super::answer::{Asked, Prepared, answer};
use super::case::Case;
use super::expectation::Expectation;
use super::generation_case::{GENERATE, judge_tokens};
use super::judging::{Given, Judging, judge_answer, main_error};
use super::report_data::{CaseResult, Outcome, RunReport, VariantAbout};
use super::runner::report;
use super::selection::{Selected, select_cases, select_suites, select_variant};
use super::store::Store;
use crate::check::Ladder;
use crate::error::{Error, Result};
use crate::io::{Array, npz};
use crate::num::Dtype;
use crate::num::parallel;
use crate::ops::Answer;
use crate::variant::{self, Variant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Judges the arrays in `folder` as answers of the one selected variant. A case without a file is a failure.
///
/// # Errors
/// A selection that names nothing, or not exactly one variant; no file for any selected case.
pub fn run_files(
    store: &Store,
    selected: &Selected,
    ladder: &Ladder,
    folder: &Path,
    on_case: &(dyn Fn() + Sync),
) -> Result<RunReport> {
    let variant = select_variant(&selected.variants, "answers in files are judged as those of one")?;
    let suites = select_suites(store, &selected.suites)?;
    let cases = select_cases(&suites, &selected.cases)?;
    if !folder.is_dir() {
        return Err(Error::read(folder, "it is no folder; name one with <suite>/<case id>.npz in it"));
    }
    let file_of = |case: &Case| file_of(folder, case, store.suites.len() == 1);
    if !cases.iter().any(|case| file_of(case).is_file()) {
        let wanted = cases.first().map_or_else(PathBuf::new, |case| file_of(case));
        return Err(Error::read(
            folder,
            format!("it holds no answer to any selected case, such as {}", wanted.display()),
        ));
    }
    let results = parallel::try_map(cases.len(), &|number| {
        let case = cases[number];
        let outcome = judge_file(case, variant, &file_of(case), ladder)?;
        on_case();
        Ok(CaseResult { variant: variant.name.to_string(), case: case.name.clone(), outcome })
    })?;
    let about = VariantAbout {
        name: variant.name.to_string(),
        about: format!("answers in {}, judged as {}", folder.display(), variant.about),
        twin_of: None,
    };
    Ok(report(&suites, &cases, ladder, vec![about], results))
}

fn file_of(folder: &Path, case: &Case, only_suite: bool) -> PathBuf {
    let nested = folder.join(format!("{}.npz", case.name));
    if only_suite && !nested.is_file() { folder.join(format!("{}.npz", case.id)) } else { nested }
}

fn judge_file(case: &Case, variant: &'static Variant, file: &Path, ladder: &Ladder) -> Result<Outcome> {
    let inputs = case.inputs()?;
    let expectation = Expectation::of(case, &inputs)?;
    match read_answer(file, variant) {
        Ok(given) => judge_given(case, variant, &inputs, &expectation, &given, ladder),
        Err(e) => Ok(Outcome::Failed { reason: e.to_string() }),
    }
}

/// The opinion on arrays that were given as an answer of `variant`.
pub(super) fn judge_given(
    case: &Case,
    variant: &'static Variant,
    inputs: &BTreeMap<String, Array>,
    expectation: &Expectation,
    given: &Answer,
    ladder: &Ladder,
) -> Result<Outcome> {
    if case.op == GENERATE {
        return judge_tokens(case, variant, inputs, expectation, given, ladder);
    }
    let wanted: Vec<&str> = expectation.arrays.iter().map(|(name, _, _)| name.as_str()).collect();
    let mut prepared = Prepared::default();
    let mut judging = Judging::new(case, inputs, &wanted);
    let plain_error = match variant::find(variant.coarsest.name()) {
        None => None,
        Some(plain) => match answer(case, inputs, &wanted, plain, &mut prepared) {
            Ok(Asked::Answered(answer)) => main_error(&answer, expectation),
            Ok(Asked::NotAsked(_)) | Err(_) => None,
        },
    };
    let given = Given { variant, answer: given, plain_error };
    judge_answer(given, expectation, ladder, &mut judging, &mut prepared)
}

fn read_answer(file: &Path, variant: &Variant) -> Result<Answer> {
    widened(npz::read(file)?, variant.coarsest).map_err(|e| e.at(file))
}

/// Arrays of a candidate that stores in `dtype`. 16-bit words are bf16 where it does so: NumPy has no name for that format.
pub fn widened(arrays: BTreeMap<String, Array>, dtype: Dtype) -> Result<Answer> {
    let mut widened = Answer::new();
    for (name, array) in arrays {
        let words = dtype == Dtype::Bf16 && matches!(array, Array::U16(_));
        let array = if words { array.reinterpret("bf16")? } else { array };
        widened.insert(name, array.to_f64());
    }
    Ok(widened)
}

/// An answer as arrays that a file can hold.
pub(super) fn as_arrays(answer: Answer) -> BTreeMap<String, Array> {
    let mut arrays = BTreeMap::new();
    for (name, array) in answer {
        arrays.insert(name, Array::F64(array));
    }
    arrays
}
