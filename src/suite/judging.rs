//! What the answers to one case are held against: computed bounds for an operation, a noise floor for a model.
//!
//! Made once for each numerics and case, because variants that differ in cache and schedule only share them.

use super::answer::{Asked, Prepared, answer};
use super::case::Case;
use super::expectation::{Expectation, main_outputs};
use super::report_data::{ArrayResult, Beside, ErrorRatios, Outcome, Unfit};
use crate::check::bounds::{self, Bound};
use crate::check::floor::{Floor, floor};
use crate::check::{
    Argmax, Basis, Comparison, FormatFacts, FormatOf, Ladder, Uncertainty, Verdict, Yardstick, argmax, compare, judge,
};
use crate::error::Result;
use crate::eval::Numerics;
use crate::io::Array;
use crate::num::Dtype;
use crate::ops::{Answer, Question};
use crate::variant::{self, Variant};
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Perturbed evaluations of a model for its floor, at first: with all elements of a row they tell most answers apart.
const FIRST: usize = 2;

/// Evaluations before an answer is called anything but rounding.
pub const EVALUATIONS: usize = 8;

/// The variant whose answer is the exact one.
const ORACLE: &str = "f64";

/// What is known of a case: its inputs, the names of its expected arrays, and the measures made so far.
pub(super) struct Judging<'c> {
    case: &'c Case,
    inputs: &'c BTreeMap<String, Array>,
    wanted: &'c [&'c str],
    /// The answer in f64, for a floor.
    oracle: Option<Answer>,
    measures: Vec<(&'static str, Measures)>,
    /// What is said of an expected array, by its place, to all answers in one format.
    formats: Vec<((usize, Dtype), FormatFacts)>,
}

/// Radii of each output array under some numerics.
enum Measures {
    Bounds(Vec<(String, Bound)>),
    Floors { evaluations: Vec<Answer>, floors: Vec<(String, Floor)> },
}

/// What is said of the array of this name.
fn named<'m, T>(measures: &'m [(String, T)], array: &str) -> Option<&'m T> {
    measures.iter().find(|(name, _)| name == array).map(|(_, measure)| measure)
}

impl<'c> Judging<'c> {
    pub(super) fn new(case: &'c Case, inputs: &'c BTreeMap<String, Array>, wanted: &'c [&'c str]) -> Self {
        Self { case, inputs, wanted, oracle: None, measures: Vec::new(), formats: Vec::new() }
    }

    /// Takes the answer that `variant` computed, so that none is computed twice.
    pub(super) fn learn(&mut self, variant: &Variant, answer: &Answer) {
        if variant.name == ORACLE && self.oracle.is_none() && bounds::STACKS.contains(&self.case.op.as_str()) {
            self.oracle = Some(answer.clone());
        }
    }

    /// The yardstick of one array of `variant`'s answer; `None` where nothing says how far it may be off.
    ///
    /// # Errors
    /// A case that no numerics can be asked.
    fn yardstick(
        &mut self,
        variant: &'static Variant,
        array: &str,
        uncertainty: Uncertainty,
        prepared: &mut Prepared,
    ) -> Result<Option<Yardstick<'_>>> {
        let name = original_of(variant);
        if self.measures(name).is_none() {
            match self.bounds(&variant.numerics)? {
                None => {
                    self.evaluate(variant, FIRST, prepared)?;
                }
                Some(bounds) => {
                    self.measures.push((name, Measures::Bounds(bounds)));
                    // The values of the bounds in f64 are the exact ones.
                    if self.measures(ORACLE).is_none()
                        && let Some(bounds) = self.bounds(&Numerics::plain(Dtype::F64))?
                    {
                        self.measures.push((ORACLE, Measures::Bounds(bounds)));
                    }
                }
            }
        }
        Ok(match self.measures(name) {
            None => None,
            Some(Measures::Bounds(bounds)) => {
                let exact = match self.measures(ORACLE) {
                    Some(Measures::Bounds(exact)) => named(exact, array),
                    _ => None,
                };
                named(bounds, array)
                    .zip(exact)
                    .map(|(bound, exact)| Yardstick::of_bound(bound, &exact.value, &variant.numerics, uncertainty))
            }
            Some(Measures::Floors { floors, .. }) => {
                named(floors, array).map(|floor| Yardstick::of_floor(floor, uncertainty))
            }
        })
    }

    fn measures(&self, variant: &str) -> Option<&Measures> {
        self.measures.iter().find(|(name, _)| *name == variant).map(|(_, measures)| measures)
    }

    /// Evaluates `variant` again, perturbed, until there are `count` evaluations; whether there are more than before.
    fn evaluate(&mut self, variant: &'static Variant, count: usize, prepared: &mut Prepared) -> Result<bool> {
        if self.oracle.is_none()
            && let Some(oracle) = variant::find(ORACLE)
        {
            self.oracle = self.ask(oracle, prepared)?;
        }
        let name = original_of(variant);
        let known = self.measures.iter().position(|(known, _)| *known == name);
        let mut evaluations = match known.map(|index| &mut self.measures[index].1) {
            Some(Measures::Floors { evaluations, .. }) => std::mem::take(evaluations),
            Some(Measures::Bounds(_)) => return Ok(false),
            None => Vec::new(),
        };
        let before = evaluations.len();
        for seed in before as u64..count as u64 {
            let perturbed = Variant { numerics: variant.numerics.perturbed(seed), ..*variant };
            evaluations.extend(self.ask(&perturbed, prepared)?);
        }
        let mut floors = Vec::new();
        for (array, exact) in self.oracle.iter().flatten() {
            let of_array: Vec<&ArrayD<f64>> = evaluations.iter().filter_map(|answer| answer.get(array)).collect();
            let floor = floor(exact, &of_array, variant.numerics.activations);
            floors.extend(floor.map(|floor| (array.clone(), floor)));
        }
        let more = evaluations.len() > before;
        let floors = Measures::Floors { evaluations, floors };
        match known {
            Some(index) => self.measures[index].1 = floors,
            None => self.measures.push((name, floors)),
        }
        Ok(more)
    }

    /// What is said of an expected array in a format; found once.
    fn format_facts(&mut self, of: (usize, Dtype), facts: &dyn Fn() -> FormatFacts) -> &FormatFacts {
        let index = self.formats.iter().position(|(known, _)| *known == of).unwrap_or_else(|| {
            self.formats.push((of, facts()));
            self.formats.len() - 1
        });
        &self.formats[index].1
    }

    /// The bounds of the case's operation; `None` where it has none.
    fn bounds(&self, numerics: &Numerics) -> Result<Option<Vec<(String, Bound)>>> {
        bounds::bounds(&self.case.op, &Question { params: &self.case.params, arrays: self.inputs }, numerics)
    }

    fn ask(&self, variant: &Variant, prepared: &mut Prepared) -> Result<Option<Answer>> {
        Ok(match answer(self.case, self.inputs, self.wanted, variant, prepared)? {
            Asked::Answered(answer) => Some(answer),
            Asked::NotAsked(_) => None,
        })
    }
}

/// The variant whose numerics these are: one that differs in cache and schedule only has the same radii.
fn original_of(variant: &Variant) -> &'static str {
    variant.twin_of.unwrap_or(variant.name)
}

/// What is judged.
pub(super) struct Given<'a> {
    /// The variant that gave it, or as which it is judged.
    pub(super) variant: &'static Variant,
    pub(super) answer: &'a Answer,
    /// The [`main_error`] of the plain variant in the same format, if that is another one.
    pub(super) plain_error: Option<f64>,
}

/// Compares every expected array and judges each.
///
/// # Errors
/// A case that no numerics can be asked.
pub(super) fn judge_answer(
    given: Given,
    expectation: &Expectation,
    ladder: &Ladder,
    judging: &mut Judging,
    prepared: &mut Prepared,
) -> Result<Outcome> {
    let Given { variant, answer, plain_error } = given;
    // The author's tolerance is one more rung, behind those that are shown.
    let rungs = Ladder(ladder.0.iter().copied().chain(expectation.tolerance).collect());
    let mut arrays = Vec::with_capacity(expectation.arrays.len());
    let (mut unfit, mut unknown) = (Vec::new(), None);
    for (place, (name, dtype, expected)) in expectation.arrays.iter().enumerate() {
        let Some(actual) = answer.get(name) else {
            unfit.push(Unfit { array: name.clone(), shapes: None });
            continue;
        };
        let selection = expectation.selection_of(name);
        let facts = match compare(actual, expected, *dtype, selection, &rungs) {
            Ok(facts) => facts,
            Err(shapes) => {
                unfit.push(Unfit { array: name.clone(), shapes: Some(shapes) });
                continue;
            }
        };
        let uncertainty = Uncertainty::of(*dtype, expectation.distance);
        let Some(yardstick) = judging.yardstick(variant, name, uncertainty, prepared)? else {
            unknown.get_or_insert(name);
            continue;
        };
        let mut judged = judge(actual, expected, selection, &facts, &yardstick);
        let mut largest = largest_estimate(&yardstick);
        // Two evaluations may be few; nobody is accused before there are more.
        let unsure = matches!(judged.basis, Basis::Floor { .. }) && judged.verdict > Verdict::Rounding;
        if unsure
            && judging.evaluate(variant, EVALUATIONS, prepared)?
            && let Some(yardstick) = judging.yardstick(variant, name, uncertainty, prepared)?
        {
            judged = judge(actual, expected, selection, &facts, &yardstick);
            largest = largest_estimate(&yardstick);
        }
        let format = FormatOf { expected: *dtype, output: output_format(variant, name) };
        let argmax = is_logits(name).then(|| argmax_of(actual, expected)).flatten();
        let of_format = || FormatFacts::of(expected, selection, format, ladder);
        let tolerance = judging.format_facts((place, format.output), &of_format).with_bound(largest);
        arrays.push(ArrayResult {
            name: name.clone(),
            dtype: dtype.name().to_string(),
            facts,
            judged,
            tolerance,
            argmax,
        });
    }
    if let Some(outcome) = incomplete(unfit, &mut arrays, ladder) {
        return Ok(outcome);
    }
    if let Some(name) = unknown {
        return Ok(Outcome::Failed { reason: format!("nothing says how far {name} may be off") });
    }
    if arrays.iter().all(|array| array.facts.compared == 0) {
        let reason = "no element was compared, and nothing compared is not a success".to_string();
        return Ok(Outcome::Failed { reason });
    }
    let passes_rung = |rung: usize| arrays.iter().all(|array| array.facts.mismatches[rung] == 0);
    let mut passes = Vec::with_capacity(ladder.0.len());
    for rung in 0..ladder.0.len() {
        passes.push(passes_rung(rung));
    }
    let asked = expectation.tolerance.filter(|_| fine_enough(variant, expectation));
    let meets_tolerance = asked.map(|_| passes_rung(ladder.0.len()));
    for array in &mut arrays {
        array.facts.mismatches.truncate(ladder.0.len());
    }
    let verdict = arrays.iter().map(|array| array.judged.verdict).max().unwrap_or(Verdict::Exact);
    let main = main_outputs(&expectation.arrays);
    let mut own: f64 = 0.0;
    for array in &arrays {
        if main.iter().any(|(name, ..)| *name == array.name) {
            own = own.max(largest_error(&array.facts));
        }
    }
    let over = |other: f64| (own / other).is_finite().then_some(own / other);
    let baseline = judging.case.baseline.get(&variant.coarsest).copied();
    let error_ratios = ErrorRatios { plain: plain_error.and_then(over), pytorch: baseline.and_then(over) };
    Ok(Outcome::Compared { passes, meets_tolerance, verdict, arrays, same_bits: None, error_ratios })
}

/// The outcome where arrays are missing or have another shape, with all others beside: a missing one comes first.
fn incomplete(mut unfit: Vec<Unfit>, arrays: &mut Vec<ArrayResult>, ladder: &Ladder) -> Option<Outcome> {
    let first = unfit.iter().position(|unfit| unfit.shapes.is_none()).unwrap_or(0);
    let Unfit { array, shapes } = (first < unfit.len()).then(|| unfit.remove(first))?;
    for array in arrays.iter_mut() {
        array.facts.mismatches.truncate(ladder.0.len());
    }
    let beside = Beside { also: unfit, arrays: std::mem::take(arrays) };
    Some(match shapes {
        None => Outcome::Missing { array, beside },
        Some(shapes) => Outcome::WrongShape { array, shapes, beside },
    })
}

fn is_logits(array: &str) -> bool {
    array.split('.').next() == Some("logits")
}

/// Whether the likeliest token of a row changes; `None` where there is no row.
fn argmax_of(actual: &ArrayD<f64>, expected: &ArrayD<f64>) -> Option<Argmax> {
    let width = *expected.shape().last()?;
    let (actual, expected) = (actual.as_standard_layout(), expected.as_standard_layout());
    let found = argmax(actual.as_slice()?, expected.as_slice()?, width);
    (found.rows > 0).then_some(found)
}

/// The largest finite R: what the suggested tolerance is made of.
fn largest_estimate(yardstick: &Yardstick) -> f64 {
    yardstick.estimate.iter().filter(|r| r.is_finite()).fold(0.0, |m, &r| if r > m { r } else { m })
}

/// The format that an output array is stored in.
fn output_format(variant: &Variant, array: &str) -> Dtype {
    let stored = if is_logits(array) { variant.numerics.logits } else { variant.numerics.activations };
    let arithmetic = variant.numerics.arithmetic;
    if stored.precision() < arithmetic.precision() { stored } else { arithmetic }
}

/// Whether a tolerance that was made for the formats of the expected arrays is asked of the variant: its format is as fine, and
/// it rounds where everybody does.
fn fine_enough(variant: &Variant, expectation: &Expectation) -> bool {
    let usual = [Numerics::plain, Numerics::stored_in, Numerics::eager];
    let formats = expectation.arrays.iter().map(|(_, dtype, _)| dtype.unit_roundoff());
    let format = formats.fold(Dtype::F32.unit_roundoff(), |m, u| if u > m { u } else { m });
    variant.coarsest.unit_roundoff() <= format && usual.iter().any(|of| of(variant.coarsest) == variant.numerics)
}

/// The plain variant in the same format, to whose error this one's is compared; `None` for a plain one.
pub(super) fn plain_of(variant: &Variant) -> Option<&'static str> {
    let name = variant.coarsest.name();
    variant::find(name).filter(|plain| plain.numerics != variant.numerics).map(|plain| plain.name)
}

/// Largest error of the main outputs of an answer, of the elements that the case compares: infinite where one is not
/// finite; `None` where an array is missing or has another shape.
pub(super) fn main_error(answer: &Answer, expectation: &Expectation) -> Option<f64> {
    let mut largest: f64 = 0.0;
    for (name, dtype, expected) in main_outputs(&expectation.arrays) {
        let facts = compare(answer.get(name)?, expected, *dtype, expectation.selection_of(name), &Ladder(Vec::new()));
        largest = largest.max(largest_error(&facts.ok()?));
    }
    Some(largest)
}

/// The largest error, which is never NaN; 0 where all elements are equal.
fn largest_error(facts: &Comparison) -> f64 {
    facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err)
}
