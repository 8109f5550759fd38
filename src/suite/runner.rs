//! Runs variants over cases, in parallel over the cases.

use super::answer::{Asked, Prepared, answer};
use super::case::{Case, Suite};
use super::expectation::Expectation;
use super::judging::{Given, Judging, judge_answer, main_error, plain_of};
use super::report_data::{CaseResult, FORMAT, Outcome, RunReport, SuiteCount, VariantAbout};
use super::selection::{Selected, select_cases, select_suites, select_variants};
use super::store::Store;
use crate::check::Ladder;
use crate::check::bounds::STACKS;
use crate::error::Result;
use crate::io::Array;
use crate::linalg::arrays::values;
use crate::num::{parallel, sort};
use crate::ops::Answer;
use crate::variant::{self, Variant};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the selected variants over the selected cases. `on_case` is called once a finished case, from any thread.
///
/// # Errors
/// A selection that names nothing; a case whose own files cannot be read. What a variant cannot answer is an
/// [`Outcome`] and not an error.
pub fn run(store: &Store, selected: &Selected, ladder: &Ladder, on_case: &(dyn Fn() + Sync)) -> Result<RunReport> {
    let variants = select_variants(&selected.variants)?;
    let suites = select_suites(store, &selected.suites)?;
    let cases = select_cases(&suites, &selected.cases)?;
    // Stacks of layers are evaluated many times over. They go first, so that no thread is left with one at the end.
    let is_stack = |number: usize| STACKS.contains(&cases[number].op.as_str());
    let order = sort::sorted_indices(cases.len(), &|a, b| is_stack(b).cmp(&is_stack(a)));
    // Cases differ a thousandfold in size: whoever is free takes the next.
    let taken = AtomicUsize::new(0);
    let mut by_case = parallel::try_map(cases.len(), &|_| {
        let number = order[taken.fetch_add(1, Ordering::Relaxed)];
        let results = run_case(cases[number], &variants, ladder)?;
        on_case();
        Ok((number, results))
    })?;
    sort::sort_by(&mut by_case, &|(a, _), (b, _)| a.cmp(b));
    // By case they come, by variant they are shown.
    let mut by_case: Vec<_> = by_case.into_iter().map(|(_, of_case)| of_case.into_iter()).collect();
    let mut results = Vec::with_capacity(cases.len() * variants.len());
    for _ in &variants {
        results.extend(by_case.iter_mut().filter_map(Iterator::next));
    }
    let about = |v: &&Variant| VariantAbout {
        name: v.name.to_string(),
        about: v.about.to_string(),
        twin_of: v.twin_of.map(str::to_string),
    };
    Ok(report(&suites, &cases, ladder, variants.iter().map(about).collect(), results))
}

/// The report around the results.
pub(super) fn report(
    suites: &[&Suite],
    cases: &[&Case],
    ladder: &Ladder,
    variants: Vec<VariantAbout>,
    results: Vec<CaseResult>,
) -> RunReport {
    let count = |suite: &Suite| cases.iter().filter(|case| case.suite_folder == suite.folder).count();
    let suites = suites.iter().map(|suite| SuiteCount { name: suite.name.clone(), cases: count(suite) });
    RunReport {
        format: FORMAT.to_string(),
        goldref: env!("CARGO_PKG_VERSION").to_string(),
        arch: std::env::consts::ARCH.to_string(),
        fixtures: None,
        candidate: None,
        ladder: ladder.clone(),
        suites: suites.filter(|suite| suite.cases > 0).collect(),
        variants,
        results,
    }
}

fn run_case(case: &Case, variants: &[&'static Variant], ladder: &Ladder) -> Result<Vec<CaseResult>> {
    let inputs = case.inputs()?;
    let expectation = Expectation::of(case, &inputs)?;
    let wanted: Vec<&str> = expectation.arrays.iter().map(|(name, _, _)| name.as_str()).collect();
    let mut prepared = Prepared::default();
    let mut judging = Judging::new(case, &inputs, &wanted);
    // Answers of variants that others must equal to the bit, or are compared with.
    let mut originals: Vec<(&str, Answer)> = Vec::new();
    let mut plain_errors: Vec<(&str, Option<f64>)> = Vec::new();
    let mut results = Vec::with_capacity(variants.len());
    for variant in variants {
        let outcome = match answer(case, &inputs, &wanted, variant, &mut prepared) {
            Err(e) => Outcome::Failed { reason: e.to_string() },
            Ok(Asked::NotAsked(reason)) => Outcome::NotAsked { reason },
            Ok(Asked::Answered(answer)) => {
                let same_bits = match variant.twin_of {
                    None => None,
                    Some(original) => original_answer(case, &inputs, &wanted, original, &mut originals, &mut prepared)?
                        .map(|original| same_bits(&answer, original)),
                };
                let plain_error = match plain_of(variant) {
                    None => None,
                    Some(plain) => match plain_errors.iter().find(|(name, _)| *name == plain) {
                        Some((_, known)) => *known,
                        None => {
                            let error = original_answer(case, &inputs, &wanted, plain, &mut originals, &mut prepared)?
                                .and_then(|plain| main_error(plain, &expectation));
                            plain_errors.push((plain, error));
                            error
                        }
                    },
                };
                judging.learn(variant, &answer);
                let given = Given { variant, answer: &answer, plain_error };
                let outcome = judge_answer(given, &expectation, ladder, &mut judging, &mut prepared)?;
                let outcome = outcome.with_same_bits(same_bits);
                if variant.twin_of.is_none() {
                    originals.push((variant.name, answer));
                }
                outcome
            }
        };
        results.push(CaseResult { variant: variant.name.to_string(), case: case.name.clone(), outcome });
    }
    Ok(results)
}

/// The answer of a variant that others must equal or are compared with; asked now if it was not selected.
fn original_answer<'a>(
    case: &Case,
    inputs: &BTreeMap<String, Array>,
    wanted: &[&str],
    name: &'static str,
    originals: &'a mut Vec<(&str, Answer)>,
    prepared: &mut Prepared,
) -> Result<Option<&'a Answer>> {
    let known = |originals: &[(&str, Answer)]| originals.iter().position(|(known, _)| *known == name);
    if known(originals).is_none()
        && let Some(variant) = variant::find(name)
        && let Ok(Asked::Answered(answer)) = answer(case, inputs, wanted, variant, prepared)
    {
        originals.push((name, answer));
    }
    Ok(known(originals).map(|index| &originals[index].1))
}

fn same_bits(actual: &Answer, expected: &Answer) -> bool {
    let same = |a: f64, e: f64| a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan());
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|((name_a, a), (name_e, e))| {
            name_a == name_e
                && a.shape() == e.shape()
                && values(a).iter().zip(values(e).iter()).all(|(&a, &e)| same(a, e))
        })
}
