//! Runs variants over cases, in parallel over the cases.

use super::answer::{Asked, Prepared, answer};
use super::case::{Case, Suite};
use super::report_data::{ArrayResult, CaseResult, ErrorRatios, FORMAT, Outcome, RunReport, SuiteCount, VariantAbout};
use super::store::Store;
use crate::check::budget::{Evidence, allowed};
use crate::check::{Basis, Comparison, Judged, Ladder, Rung, Selection, Verdict, compare};
use crate::error::{Error, Result};
use crate::eval::matches_pattern;
use crate::io::Array;
use crate::num::Dtype;
use crate::ops::Answer;
use crate::variant::{self, Variant};
use ndarray::ArrayD;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What a run covers. Empty lists mean everything; `*` in a pattern stands for any run of characters.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// Names of suites.
    pub suites: Vec<String>,
    /// Names of variants.
    pub variants: Vec<String>,
    /// `suite/id`, or `id` alone.
    pub cases: Vec<String>,
}

/// Runs the selected variants over the selected cases. `on_case` is called once a finished case, from any thread.
///
/// # Errors
/// A selection that names nothing; a case whose own files cannot be read. What a variant cannot answer is an
/// [`Outcome`] and not an error.
pub fn run(store: &Store, selected: &Selected, ladder: &Ladder, on_case: &(dyn Fn() + Sync)) -> Result<RunReport> {
    let variants = select_variants(&selected.variants)?;
    let suites = select_suites(store, &selected.suites)?;
    let cases = select_cases(&suites, &selected.cases)?;
    let by_case: Vec<Vec<CaseResult>> = cases
        .par_iter()
        .map(|case| {
            let results = run_case(case, &variants, ladder);
            on_case();
            results
        })
        .collect::<Result<_>>()?;
    let mut results = Vec::with_capacity(cases.len() * variants.len());
    for variant in 0..variants.len() {
        results.extend(by_case.iter().map(|of_case| of_case[variant].clone()));
    }
    let count = |suite: &Suite| cases.iter().filter(|case| case.suite_folder == suite.folder).count();
    Ok(RunReport {
        format: FORMAT.to_string(),
        goldref: env!("CARGO_PKG_VERSION").to_string(),
        arch: std::env::consts::ARCH.to_string(),
        fixtures: None,
        ladder: ladder.clone(),
        suites: suites
            .iter()
            .map(|suite| SuiteCount { name: suite.name.clone(), cases: count(suite) })
            .filter(|suite| suite.cases > 0)
            .collect(),
        variants: variants
            .iter()
            .map(|v| VariantAbout {
                name: v.name.to_string(),
                about: v.about.to_string(),
                twin_of: v.twin_of.map(str::to_string),
            })
            .collect(),
        results,
    })
}

/// How many cases a selection covers, for a progress bar.
///
/// # Errors
/// As [`run`].
pub fn count_cases(store: &Store, selected: &Selected) -> Result<usize> {
    Ok(select_cases(&select_suites(store, &selected.suites)?, &selected.cases)?.len())
}

fn select_variants(patterns: &[String]) -> Result<Vec<&'static Variant>> {
    if let Some(unknown) =
        patterns.iter().find(|pattern| !variant::ALL.iter().any(|v| matches_pattern(pattern, v.name)))
    {
        return Err(Error::ask(format!(
            "no variant is called \"{unknown}\"; there are: {}",
            variant::names().join(", ")
        )));
    }
    let chosen = |v: &&Variant| patterns.is_empty() || patterns.iter().any(|pattern| matches_pattern(pattern, v.name));
    Ok(variant::ALL.iter().filter(chosen).collect())
}

fn select_suites<'s>(store: &'s Store, patterns: &[String]) -> Result<Vec<&'s Suite>> {
    if let Some(unknown) =
        patterns.iter().find(|pattern| !store.suites.iter().any(|s| matches_pattern(pattern, &s.name)))
    {
        let there: Vec<&str> = store.suites.iter().map(|s| s.name.as_str()).collect();
        return Err(Error::ask(format!("no suite is called \"{unknown}\"; there are: {}", there.join(", "))));
    }
    let chosen = |s: &&Suite| patterns.is_empty() || patterns.iter().any(|pattern| matches_pattern(pattern, &s.name));
    Ok(store.suites.iter().filter(chosen).collect())
}

fn select_cases<'s>(suites: &[&'s Suite], patterns: &[String]) -> Result<Vec<&'s Case>> {
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let fits =
        |pattern: &String, case: &Case| matches_pattern(pattern, &case.name) || matches_pattern(pattern, &case.id);
    if let Some(unknown) = patterns.iter().find(|pattern| !all().any(|case| fits(pattern, case))) {
        return Err(Error::ask(format!(
            "no case is called \"{unknown}\" in {}",
            suites.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
        )));
    }
    let cases: Vec<&Case> =
        all().filter(|case| patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, case))).collect();
    if cases.is_empty() {
        return Err(Error::ask("no case is selected, and nothing run is not a success"));
    }
    Ok(cases)
}

/// A case's expected arrays and how to compare with them.
struct Expectation {
    arrays: Vec<(String, Dtype, ArrayD<f64>)>,
    selection: BTreeMap<String, ArrayD<bool>>,
    evidence: Evidence,
}

impl Expectation {
    fn of(case: &Case, inputs: &BTreeMap<String, Array>) -> Result<Self> {
        let expected = case.expected()?;
        let arrays: Vec<(String, Dtype, ArrayD<f64>)> =
            expected.into_iter().map(|(name, array)| (name, float_dtype(&array), array.to_f64())).collect();
        let mut selection = BTreeMap::new();
        if let Some(base) = &case.compare_where {
            for (name, _, array) in &arrays {
                // With several requests, `logits.1` goes by `attention_mask.1`.
                let suffix =
                    name.rsplit_once('.').map(|(_, tail)| tail).filter(|tail| tail.bytes().all(|b| b.is_ascii_digit()));
                let where_name = suffix.map_or_else(|| base.clone(), |suffix| format!("{base}.{suffix}"));
                let chosen = inputs.get(&where_name).ok_or_else(|| {
                    Error::ask(format!("{}: compare_where names \"{where_name}\", which is no input", case.name))
                })?;
                let chosen = chosen.to_bool().map_err(|e| Error::ask(format!("{}: {where_name}: {e}", case.name)))?;
                if array.shape().get(..chosen.ndim()) != Some(chosen.shape()) {
                    return Err(Error::ask(format!(
                        "{}: {where_name} of shape {:?} does not lead {name} of shape {:?}",
                        case.name,
                        chosen.shape(),
                        array.shape()
                    )));
                }
                selection.insert(name.clone(), chosen);
            }
        }
        let largest = |array: &ArrayD<f64>| {
            array.iter().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| if x.abs() > m { x.abs() } else { m })
        };
        let evidence = Evidence {
            baseline: case.baseline.clone(),
            scale: main_outputs(&arrays).map(largest).fold(0.0, |m, x| if x > m { x } else { m }),
            distance: case.oracle.as_ref().and_then(|oracle| oracle.distance).unwrap_or(0.0),
        };
        Ok(Self { arrays, selection, evidence })
    }
}

/// The arrays that a baseline is about: `out` of an operation, the logits of a model; else all of them.
fn main_outputs(arrays: &[(String, Dtype, ArrayD<f64>)]) -> impl Iterator<Item = &ArrayD<f64>> {
    let is_main = |name: &str| name == "out" || name == "logits" || name.starts_with("logits.");
    let has_main = arrays.iter().any(|(name, _, _)| is_main(name));
    arrays.iter().filter(move |(name, _, _)| !has_main || is_main(name)).map(|(_, _, array)| array)
}

/// The floating-point format of an array, for ulps; whole numbers and booleans are exact in f64.
fn float_dtype(array: &Array) -> Dtype {
    Dtype::ALL.into_iter().find(|dtype| dtype.name() == array.dtype_name()).unwrap_or(Dtype::F64)
}

fn run_case(case: &Case, variants: &[&'static Variant], ladder: &Ladder) -> Result<Vec<CaseResult>> {
    let inputs = case.inputs()?;
    let expectation = Expectation::of(case, &inputs)?;
    let wanted: Vec<&str> = expectation.arrays.iter().map(|(name, _, _)| name.as_str()).collect();
    let mut prepared = Prepared::default();
    // Answers of variants that others must equal to the bit.
    let mut originals: BTreeMap<&str, Answer> = BTreeMap::new();
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
                let outcome = judge(case, variant, &answer, &expectation, same_bits, ladder);
                if variant.twin_of.is_none() {
                    originals.insert(variant.name, answer);
                }
                outcome
            }
        };
        results.push(CaseResult { variant: variant.name.to_string(), case: case.name.clone(), outcome });
    }
    Ok(results)
}

/// The answer that a twin must equal; asked now if its variant was not selected.
fn original_answer<'a>(
    case: &Case,
    inputs: &BTreeMap<String, Array>,
    wanted: &[&str],
    name: &'static str,
    originals: &'a mut BTreeMap<&str, Answer>,
    prepared: &mut Prepared,
) -> Result<Option<&'a Answer>> {
    if !originals.contains_key(name)
        && let Some(variant) = variant::find(name)
        && let Ok(Asked::Answered(answer)) = answer(case, inputs, wanted, variant, prepared)
    {
        originals.insert(name, answer);
    }
    Ok(originals.get(name))
}

fn same_bits(actual: &Answer, expected: &Answer) -> bool {
    let same = |a: f64, e: f64| a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan());
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|((name_a, a), (name_e, e))| {
            name_a == name_e && a.shape() == e.shape() && a.iter().zip(e).all(|(&a, &e)| same(a, e))
        })
}

fn judge(
    case: &Case,
    variant: &Variant,
    answer: &Answer,
    expectation: &Expectation,
    same_bits: Option<bool>,
    ladder: &Ladder,
) -> Outcome {
    // The author's tolerance is one more rung, behind those that are shown.
    let author: Option<Rung> = case.tolerance.map(Rung::from);
    let rungs = Ladder(ladder.0.iter().copied().chain(author).collect());
    let mut arrays = Vec::with_capacity(expectation.arrays.len());
    for (name, dtype, expected) in &expectation.arrays {
        let Some(actual) = answer.get(name) else { return Outcome::Missing { array: name.clone() } };
        let selection = expectation.selection.get(name).map_or(Selection::All, Selection::Where);
        match compare(actual, expected, *dtype, selection, &rungs) {
            Ok(facts) => {
                let judged = judged(case, variant, &facts, expectation);
                arrays.push(ArrayResult { name: name.clone(), dtype: dtype.name().to_string(), facts, judged });
            }
            Err(shapes) => return Outcome::WrongShape { array: name.clone(), shapes },
        }
    }
    if arrays.iter().all(|array| array.facts.compared == 0) {
        return Outcome::Failed {
            reason: "no element was compared, and nothing compared is not a success".to_string(),
        };
    }
    let passes_rung = |rung: usize| arrays.iter().all(|array| array.facts.mismatches[rung] == 0);
    let passes: Vec<bool> = (0..ladder.0.len()).map(passes_rung).collect();
    let meets_tolerance = author.map(|_| passes_rung(ladder.0.len())).filter(|_| fine_enough(variant, expectation));
    for array in &mut arrays {
        array.facts.mismatches.truncate(ladder.0.len());
    }
    let verdict = arrays.iter().map(|array| array.judged.verdict).max().unwrap_or(Verdict::Exact);
    Outcome::Compared { passes, meets_tolerance, verdict, arrays, same_bits, error_ratios: ErrorRatios::default() }
}

/// Whether the variant's format can meet a tolerance that was made for the formats of the expected arrays.
fn fine_enough(variant: &Variant, expectation: &Expectation) -> bool {
    let formats = expectation.arrays.iter().map(|(_, dtype, _)| dtype.unit_roundoff());
    let format = formats.fold(Dtype::F32.unit_roundoff(), |m, u| if u > m { u } else { m });
    variant.coarsest.unit_roundoff() <= format
}

/// The opinion about one array: within PyTorch's error on the case, as far as it is known.
fn judged(case: &Case, variant: &Variant, facts: &Comparison, expectation: &Expectation) -> Judged {
    let error = facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err);
    let budget = allowed(variant.coarsest, variant.likeness(&case.op), &expectation.evidence);
    let main = expectation.evidence.scale;
    let share = if main > 0.0 && facts.scale > main { facts.scale / main } else { 1.0 };
    let verdict = match budget {
        _ if error == 0.0 => Verdict::Exact,
        _ if facts.non_finite_mismatches > 0 => Verdict::NotFinite,
        Some(allowed) if error <= allowed * share => Verdict::Rounding,
        Some(_) => Verdict::NotRounding,
        None => Verdict::Explained,
    };
    Judged { verdict, basis: Basis::Bounds, ratios: None, bias: None, reason: String::new() }
}
