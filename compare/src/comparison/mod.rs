//! What two arrays differ in. Facts, no opinion.
//!
//! **Rules.** Shapes must be equal: nothing is broadcast. An array without axes is one element; two empty arrays of
//! equal shape compare as 0 elements, which whoever asked must not take for agreement. Pairs are classified before
//! anything is subtracted: NaN equals NaN, an infinity equals the same infinity, −0 equals +0 (and is counted in the
//! [`Census`]); any other pair with NaN or an infinity is a mismatch at every tolerance, with error ∞. Errors are
//! differences of exact values, rounded once to f64; 64-bit integers do not pass through f64 first. The relative error
//! against an expected 0 is ∞. Last places are counted in the format of the expected array, or in a coarser one that is
//! named; ulp(0) is the smallest subnormal, and whole numbers are 1 apart.
//!
//! `definition` says so in plain words, one pair after the other; `kernel` does the same block by block.

mod definition;
mod distribution;
mod kernel;
mod lanes;
mod level;
mod misses;
mod operand;
mod stream;
#[cfg(test)]
mod tests;
mod totals;
mod worst;

pub use operand::{Element, Memory, Operand};

use crate::histogram::Histogram;
use crate::ladder::Ladder;
use crate::linalg::arrays::for_each_place;
use crate::locate::Concentration;
use crate::num::{Dtype, json_number};
use crate::simd::Level;
use ndarray::{ArrayD, ArrayView, Dimension};
use serde::{Deserialize, Serialize};
use totals::{Rules, Totals, Worst};

/// Which elements are compared.
#[derive(Debug, Clone, Copy, Default)]
pub enum Selection<'a> {
    /// All of them.
    #[default]
    All,
    /// Those whose leading index is true here.
    Where(&'a ArrayD<bool>),
}

impl Selection<'_> {
    /// Whether the element at `index` is compared.
    pub fn covers(&self, index: &[usize]) -> bool {
        match self {
            Self::All => true,
            Self::Where(chosen) => chosen.get(&index[..chosen.ndim().min(index.len())]).copied().unwrap_or(true),
        }
    }
}

/// How two arrays are to be compared.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The tolerances, loosest last.
    pub ladder: &'a Ladder,
    /// Count last places in this format where it is coarser than that of the expected array.
    pub dtype: Option<Dtype>,
    /// Which elements.
    pub selection: Selection<'a>,
    /// Names of the axes, for words; those without are "axis 2".
    pub axes: &'a [String],
    /// How many of the first failures are wanted.
    pub show: usize,
}

impl<'a> Question<'a> {
    /// All elements, against these tolerances.
    pub fn new(ladder: &'a Ladder) -> Self {
        Self { ladder, dtype: None, selection: Selection::All, axes: &[], show: 0 }
    }
}

/// The facts about `actual` against `expected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Elements compared.
    pub compared: usize,
    /// Elements left out by the selection.
    pub left_out: usize,
    /// For each rung of the ladder, the elements that do not agree.
    pub mismatches: Vec<usize>,
    /// Elements where one side is NaN or an infinity and the other is not the same.
    pub non_finite_mismatches: usize,
    /// Largest |actual − expected|; infinite where a non-finite value disagrees. `None` if all are equal.
    pub worst_abs: Option<Disagreement>,
    /// Largest |actual − expected| / |expected|.
    pub worst_rel: Option<Disagreement>,
    /// Largest distance in last places of the expected format.
    pub worst_ulps: Option<Disagreement>,
    /// Largest |expected|, infinities left out.
    #[serde(with = "json_number")]
    pub scale: f64,
    /// √(Σ err² / n) over the pairs that are finite on both sides, as all figures below; 0 where there are none.
    #[serde(with = "json_number")]
    pub rmse: f64,
    /// Σ err² / Σ expected²; `None` where the denominator is 0 and the error is not.
    #[serde(with = "json_number::optional")]
    pub nmse: Option<f64>,
    /// Σ actual·expected / √(Σ actual² Σ expected²); `None` where one side is all zeros or the sums leave the range of f64.
    #[serde(with = "json_number::optional")]
    pub cosine: Option<f64>,
    /// Σ (actual − expected) / n: rounding has none to speak of, a bias has.
    #[serde(with = "json_number")]
    pub mean_signed_err: f64,
    /// Special values of the answer.
    pub actual_census: Census,
    /// Special values expected.
    pub expected_census: Census,
    /// How the errors are distributed.
    pub histogram: Histogram,
    /// Where the misses of the tightest missed rung are; empty where nothing stands out.
    pub location: Vec<Concentration>,
}

/// Counts of special values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Census {
    /// NaNs of any sign and payload.
    pub nan: usize,
    /// `+∞`.
    pub positive_infinity: usize,
    /// `−∞`.
    pub negative_infinity: usize,
    /// Zeros with a minus sign.
    pub negative_zero: usize,
    /// Zeros of either sign.
    pub zero: usize,
}

impl Census {
    fn count(&mut self, x: f64) {
        self.nan += usize::from(x.is_nan());
        self.positive_infinity += usize::from(x == f64::INFINITY);
        self.negative_infinity += usize::from(x == f64::NEG_INFINITY);
        self.zero += usize::from(x == 0.0);
        self.negative_zero += usize::from(x == 0.0 && x.is_sign_negative());
    }
}

impl std::ops::AddAssign for Census {
    fn add_assign(&mut self, more: Self) {
        self.nan += more.nan;
        self.positive_infinity += more.positive_infinity;
        self.negative_infinity += more.negative_infinity;
        self.negative_zero += more.negative_zero;
        self.zero += more.zero;
    }
}

/// One element of two arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    /// Where.
    pub index: Vec<usize>,
    /// What was answered.
    #[serde(with = "json_number")]
    pub actual: f64,
    /// What is right.
    #[serde(with = "json_number")]
    pub expected: f64,
    /// The measure that is largest here.
    #[serde(with = "json_number")]
    pub err: f64,
    /// The bits of the answer as stored: `0xc0e43322`.
    pub actual_bits: String,
    /// The bits expected.
    pub expected_bits: String,
}

/// Why two arrays could not be compared element by element: that is itself a disagreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrongShape {
    /// Shape of the answer.
    pub actual: Vec<usize>,
    /// Shape expected.
    pub expected: Vec<usize>,
}

/// The facts, and the first failures one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The facts.
    pub facts: Comparison,
    /// The first elements that miss [`Comparison::tightest_missed`], as many as were asked for; `err` is |actual − expected|.
    pub first_failures: Vec<Disagreement>,
}

impl Comparison {
    /// The first rung that an element misses; what `location` is about.
    pub fn tightest_missed(&self) -> Option<usize> {
        self.mismatches.iter().position(|&count| count > 0)
    }
}

/// How two elements relate, before anything is subtracted.
enum Pair {
    /// The same number, the same infinity, or both NaN.
    Equal,
    /// Both finite and different.
    Different,
    /// One is NaN or infinite and the other is not the same.
    NonFinite,
}

fn classify(actual: f64, expected: f64) -> Pair {
    if actual == expected || (actual.is_nan() && expected.is_nan()) {
        Pair::Equal
    } else if actual.is_finite() && expected.is_finite() {
        Pair::Different
    } else {
        Pair::NonFinite
    }
}

/// Compares element by element; ulps are those of `dtype`, the format of the expected array.
///
/// # Errors
/// [`WrongShape`] if the shapes differ: nothing is broadcast, nothing is skipped.
pub fn compare(
    actual: &ArrayD<f64>,
    expected: &ArrayD<f64>,
    dtype: Dtype,
    selection: Selection,
    ladder: &Ladder,
) -> Result<Comparison, WrongShape> {
    let question = Question { dtype: Some(dtype), selection, ..Question::new(ladder) };
    compare_views(actual.view(), expected.view(), &question).map(|measured| measured.facts)
}

/// Compares two views of any element types.
///
/// # Errors
/// [`WrongShape`] if the shapes differ.
pub fn compare_views<A: Element, E: Element, D: Dimension, F: Dimension>(
    actual: ArrayView<A, D>,
    expected: ArrayView<E, F>,
    question: &Question,
) -> Result<Measured, WrongShape> {
    compare_operands(&Operand::from_view(actual), &Operand::from_view(expected), question)
}

/// Compares two slices of any element types.
///
/// # Errors
/// [`WrongShape`] if the lengths differ.
pub fn compare_slices<A: Element, E: Element>(
    actual: &[A],
    expected: &[E],
    question: &Question,
) -> Result<Measured, WrongShape> {
    compare_operands(&Operand::from_slice(actual), &Operand::from_slice(expected), question)
}

/// Compares two arrays of any element types, in one pass and on all cores where they are large.
///
/// # Errors
/// [`WrongShape`] if the shapes differ.
pub fn compare_operands(actual: &Operand, expected: &Operand, question: &Question) -> Result<Measured, WrongShape> {
    measure(Level::chosen(), actual, expected, question)
}

fn measure(level: Level, actual: &Operand, expected: &Operand, question: &Question) -> Result<Measured, WrongShape> {
    if actual.shape != expected.shape {
        return Err(WrongShape { actual: actual.shape.clone(), expected: expected.shape.clone() });
    }
    let mut rules = Rules {
        rungs: &question.ladder.0,
        places: coarser(expected.format, question.dtype),
        located: 0,
        show: question.show,
        shape: &expected.shape,
    };
    let chosen = match question.selection {
        Selection::All => None,
        Selection::Where(chosen) => Some(selected(&expected.shape, chosen)),
    };
    let pass = |rules: &Rules| match &chosen {
        None => stream::all(level, actual, expected, rules),
        Some(indices) => stream::listed(actual, expected, indices, rules),
    };
    let mut totals = pass(&rules);
    // Where the misses of the first rung would be is known from the first pass. That it has none and another rung has
    // some is rare: rungs mostly grow looser.
    if let Some(located) = totals.misses.iter().position(|&count| count > 0)
        && located > 0
    {
        rules.located = located;
        totals = pass(&rules);
    }
    let sides = Sides { actual, expected };
    let mut first_failures = Vec::with_capacity(totals.shown.len());
    for &at in &totals.shown {
        let place = sides.disagreement(Worst { err: 0.0, at });
        let (a, e) = (actual.elements.value(at), expected.elements.value(at));
        let finite = place.actual.is_finite() && place.expected.is_finite();
        let err = if finite { definition::difference(a, e).abs() } else { f64::INFINITY };
        first_failures.push(Disagreement { err, ..place });
    }
    let compared = chosen.as_ref().map(|indices| compared_by_axis(&expected.shape, indices));
    Ok(Measured { facts: sides.facts(&totals, question, compared.as_deref()), first_failures })
}

/// The format that last places are counted in: never a finer one than the expected array is stored in.
fn coarser(stored: Option<Dtype>, named: Option<Dtype>) -> Option<Dtype> {
    match (stored, named) {
        (Some(stored), Some(named)) if named.unit_roundoff() < stored.unit_roundoff() => Some(stored),
        (stored, named) => named.or(stored),
    }
}

/// Flat indices of the elements whose leading index is chosen; what lies outside of `chosen` is.
fn selected(shape: &[usize], chosen: &ArrayD<bool>) -> Vec<usize> {
    let leading = chosen.ndim().min(shape.len());
    let (outer, inner) = shape.split_at(leading);
    let width: usize = inner.iter().product();
    let mut selected = Vec::new();
    let mut first = 0;
    for_each_place(outer, &mut |index| {
        if chosen.get(index).copied().unwrap_or(true) {
            selected.extend(first..first + width);
        }
        first += width;
    });
    selected
}

/// The index of the element at place `flat`, the last index moving first.
pub fn index_of(shape: &[usize], mut flat: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &length) in index.iter_mut().zip(shape).rev() {
        (*place, flat) = (flat % length, flat / length);
    }
    index
}

/// For each axis, how many of the elements lie in each index.
fn compared_by_axis(shape: &[usize], indices: &[usize]) -> Vec<Vec<u64>> {
    let mut counts: Vec<Vec<u64>> = shape.iter().map(|&length| vec![0; length]).collect();
    for &flat in indices {
        for (count, place) in counts.iter_mut().zip(index_of(shape, flat)) {
            count[place] += 1;
        }
    }
    counts
}

struct Sides<'a, 'o> {
    actual: &'a Operand<'o>,
    expected: &'a Operand<'o>,
}

impl Sides<'_, '_> {
    fn disagreement(&self, worst: Worst) -> Disagreement {
        Disagreement {
            index: index_of(&self.expected.shape, worst.at),
            actual: self.actual.elements.value(worst.at).to_f64(),
            expected: self.expected.elements.value(worst.at).to_f64(),
            err: worst.err,
            actual_bits: self.actual.elements.bits(worst.at),
            expected_bits: self.expected.elements.bits(worst.at),
        }
    }

    fn facts(&self, totals: &Totals, question: &Question, compared: Option<&[Vec<u64>]>) -> Comparison {
        let [squares, of_expected, of_actual, products, signed] = totals.sums;
        let mean = |sum: f64| if totals.finite == 0 { 0.0 } else { sum / totals.finite as f64 };
        let worst = |worst: Option<Worst>| worst.map(|worst| self.disagreement(worst));
        let cosine = products / (of_actual.sqrt() * of_expected.sqrt());
        Comparison {
            compared: totals.compared as usize,
            left_out: self.expected.len() - totals.compared as usize,
            mismatches: totals.misses.iter().map(|&count| count as usize).collect(),
            non_finite_mismatches: totals.non_finite as usize,
            worst_abs: worst(totals.worst_abs),
            worst_rel: worst(totals.worst_rel),
            worst_ulps: worst(totals.worst_ulps),
            scale: totals.scale,
            rmse: mean(squares).sqrt(),
            nmse: if squares == 0.0 { Some(0.0) } else { (of_expected > 0.0).then(|| squares / of_expected) },
            // Rounding of the sums may carry it a little beyond 1.
            cosine: cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0)),
            mean_signed_err: mean(signed),
            actual_census: totals.actual,
            expected_census: totals.expected,
            histogram: totals.bins.finish(totals::largest(totals.worst_abs)),
            location: totals
                .locator
                .as_ref()
                .map_or_else(Vec::new, |locator| locator.concentrations(question.axes, compared)),
        }
    }
}
