//! From facts and bounds to a verdict.
//!
//! ```text
//! exact         no element differs
//! rounding      every |err| ≤ 1.5 R and ≤ C, and no bias
//! explained     every |err| ≤ C
//! suspicious    every |err| ≤ W, or within the bounds with a bias
//! not rounding  some |err| > W
//! ```
//! The error is taken from what is expected, moved by what the rounding of the inputs makes: that part is exact and nobody's fault.
//! If that is not rounding, it is taken from what is expected as it stands, for whoever did not round the inputs.
//! A bias is a signed mean of the errors that rounding does not have. Each error is divided by R/3; under independent roundings
//! the mean over m groups of elements that share a rounding has a standard deviation of at most 1/√m, and
//! [`BIAS`] of these are called a bias. Two means are taken: of the errors, which an added constant moves, and of the errors
//! with the sign of what is expected, which a factor moves.

use super::bounds::{Bound, Shared};
use super::floor::Floor;
use super::verdict::{Basis, Bias, Judged, Ratios, Verdict};
use super::{Comparison, Selection};
use crate::eval::Numerics;
use crate::linalg::arrays::for_each_place;
use crate::num::Dtype;
use goldref_compare::index_of;
use ndarray::ArrayD;
use std::borrow::Cow;

/// Errors up to so many times R are called rounding: R is 3σ, and of a million elements some lie beyond it.
const OF_ESTIMATE: f64 = 1.5;

/// Standard deviations of a mean error that are called a bias. A run judges some ten thousand arrays twice each; beyond 6σ a
/// chance is 2e-9.
const BIAS: f64 = 6.0;

/// What an answer is held against.
#[derive(Debug, Clone)]
pub struct Yardstick<'a> {
    /// What the radii rest on.
    pub basis: Basis,
    /// W; none for a floor.
    pub worst: Option<&'a ArrayD<f64>>,
    /// C.
    pub centred: &'a ArrayD<f64>,
    /// R.
    pub estimate: &'a ArrayD<f64>,
    /// What the rounding of the inputs makes of what is expected: added to it.
    pub shift: Option<ArrayD<f64>>,
    /// How far the expected values themselves may be from the truth: absolutely, and relative to each.
    pub uncertainty: Uncertainty,
    /// Which elements may share a direction; `None`: no bias is looked for.
    pub shared: Option<Shared>,
}

/// How well the expected values are known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Uncertainty {
    /// How far apart two foreign oracles are.
    pub absolute: f64,
    /// Unit roundoff of the format that the values are stored in.
    pub relative: f64,
}

impl Uncertainty {
    /// Values stored in `dtype` that two oracles have to within `distance`.
    pub fn of(dtype: Dtype, distance: f64) -> Self {
        Self { absolute: distance, relative: if dtype == Dtype::F64 { 0.0 } else { dtype.unit_roundoff() } }
    }
}

impl<'a> Yardstick<'a> {
    /// The bounds of one array under `numerics`, moved from `exact`, the value for the inputs before they were rounded.
    pub fn of_bound(bound: &'a Bound, exact: &ArrayD<f64>, numerics: &Numerics, uncertainty: Uncertainty) -> Self {
        // A running sum in 16 bits stops growing when its terms fall below half a last place: a bias that is rounding's own.
        let stagnates = [numerics.accumulator, numerics.softmax, numerics.norm]
            .iter()
            .any(|inner| inner.precision() < Dtype::F32.precision());
        let moved = bound.value.shape() == exact.shape() && bound.value != *exact;
        Self {
            basis: Basis::Bounds,
            worst: Some(&bound.worst),
            centred: &bound.centred,
            estimate: &bound.estimate,
            shift: moved.then(|| &bound.value - exact),
            uncertainty,
            shared: if stagnates { None } else { Some(bound.shared) },
        }
    }

    /// The floor of one array. Errors of a residual stream are shared by all that reads it: no mean of them tells
    /// anything.
    pub fn of_floor(floor: &'a Floor, uncertainty: Uncertainty) -> Self {
        Self {
            basis: Basis::Floor { evaluations: floor.evaluations },
            worst: None,
            centred: &floor.centred,
            estimate: &floor.estimate,
            shift: None,
            uncertainty,
            shared: None,
        }
    }
}

/// One element's error and the three bounds on it.
struct Element {
    signed: f64,
    expected: f64,
    worst: Option<f64>,
    centred: f64,
    estimate: f64,
    /// The part of each bound that is the expected value's own uncertainty.
    slack: f64,
}

/// The opinion about one array, whose shapes agree: the better of two, where the numerics round the inputs. An answer that was
/// computed from the inputs as they came is nearer to the truth than what the numerics declare, and no worse for it.
///
/// # Panics
/// If the yardstick has another shape than the arrays.
pub fn judge(
    actual: &ArrayD<f64>,
    expected: &ArrayD<f64>,
    selection: Selection,
    facts: &Comparison,
    yardstick: &Yardstick,
) -> Judged {
    let declared = judge_around(actual, expected, selection, facts, yardstick);
    if yardstick.shift.is_none() || declared.verdict <= Verdict::Rounding {
        return declared;
    }
    let unmoved = judge_around(actual, expected, selection, facts, &Yardstick { shift: None, ..yardstick.clone() });
    if unmoved.verdict < declared.verdict { unmoved } else { declared }
}

/// The opinion with errors from the one centre that the yardstick says.
fn judge_around(
    actual: &ArrayD<f64>,
    expected: &ArrayD<f64>,
    selection: Selection,
    facts: &Comparison,
    yardstick: &Yardstick,
) -> Judged {
    let opinion =
        |verdict, reason: String| Judged { verdict, basis: yardstick.basis, ratios: None, bias: None, reason };
    if facts.worst_abs.is_none() {
        return opinion(Verdict::Exact, "no element differs".to_string());
    }
    if facts.non_finite_mismatches > 0 {
        let count = facts.non_finite_mismatches;
        return opinion(
            Verdict::NotFinite,
            format!("{count} of {} elements are NaN or infinite on one side", facts.compared),
        );
    }
    let mut ratios =
        Ratios { estimate: 0.0, centred: 0.0, worst: yardstick.worst.map(|_| 0.0), index: Vec::new(), allowed: 0.0 };
    let shape = actual.shape();
    let mut lean = Lean::new(yardstick.shared, shape);
    let mut beyond = Beyond::default();
    let mut worst_at = None;
    let radii = yardstick.in_order(shape);
    let covered = covered(selection, shape);
    let (actual, expected) = (in_order(actual, shape), in_order(expected, shape));
    for (at, (&a, &e)) in actual.iter().zip(expected.iter()).enumerate() {
        if !(covered.as_ref().is_none_or(|covered| covered[at]) && a.is_finite() && e.is_finite()) {
            continue;
        }
        let element = radii.element(at, a, e);
        let err = element.signed.abs();
        let of_estimate = ratio(err, element.estimate + element.slack);
        let of_centred = ratio(err, element.centred + element.slack);
        let of_worst = element.worst.map(|worst| ratio(err, worst + element.slack));
        if of_estimate > ratios.estimate {
            ratios.estimate = of_estimate;
            worst_at = Some(at);
            ratios.allowed = element.estimate + element.slack;
        }
        ratios.centred = if of_centred > ratios.centred { of_centred } else { ratios.centred };
        if let (Some(here), Some(largest)) = (of_worst, ratios.worst.as_mut())
            && here > *largest
        {
            *largest = here;
        }
        beyond.estimate += usize::from(!within(of_estimate, OF_ESTIMATE));
        beyond.centred += usize::from(!within(of_centred, 1.0));
        beyond.worst += usize::from(!within(of_worst.unwrap_or(of_centred), 1.0));
        lean.add(at, &element);
    }
    ratios.index = worst_at.map_or_else(Vec::new, |at| index_of(shape, at));
    let bias = lean.means();
    let biased = bias.as_ref().is_some_and(|bias| !(within(bias.offset.abs(), BIAS) && within(bias.scale.abs(), BIAS)));
    let compared = facts.compared;
    let (verdict, reason) = match beyond {
        Beyond { worst: n, .. } if n > 0 => {
            let of = if yardstick.worst.is_some() { "W" } else { "the floor" };
            (Verdict::NotRounding, format!("{n} of {compared} elements beyond {of}"))
        }
        Beyond { centred: n, .. } if n > 0 => {
            (Verdict::Suspicious, format!("{n} of {compared} elements beyond C, none beyond W"))
        }
        _ if biased => (Verdict::Suspicious, bias_in_words(bias.as_ref())),
        Beyond { estimate: n, .. } if n > 0 => {
            (Verdict::Explained, format!("every error is within C, {n} of {compared} beyond 1.5 R"))
        }
        _ => (Verdict::Rounding, "every error is within 1.5 R".to_string()),
    };
    Judged { verdict, basis: yardstick.basis, ratios: Some(ratios), bias, reason }
}

/// Elements beyond each limit.
#[derive(Debug, Clone, Copy, Default)]
struct Beyond {
    estimate: usize,
    centred: usize,
    worst: usize,
}

fn bias_in_words(bias: Option<&Bias>) -> String {
    let Some(bias) = bias else { return String::new() };
    let (kind, size) =
        if bias.offset.abs() > bias.scale.abs() { ("offset", bias.offset) } else { ("factor", bias.scale) };
    format!("the errors are small but lean to one side, as by a wrong {kind}: {size:+.1} standard deviations")
}

/// A NaN is within nothing.
fn within(ratio: f64, limit: f64) -> bool {
    ratio <= limit
}

/// 0 where there is no error, infinite where none is allowed.
fn ratio(err: f64, bound: f64) -> f64 {
    if err == 0.0 { 0.0 } else { err / bound }
}

/// The elements of an array of `shape`, the last index moving first: borrowed where they lie so.
///
/// # Panics
/// If the array lacks an element.
fn in_order<'x>(x: &'x ArrayD<f64>, shape: &[usize]) -> Cow<'x, [f64]> {
    match x.as_slice() {
        Some(values) if x.shape() == shape => Cow::Borrowed(values),
        _ => {
            let mut values = Vec::new();
            for_each_place(shape, &mut |index| values.push(x[index]));
            Cow::Owned(values)
        }
    }
}

/// For each element whether it is compared; `None`: all are.
fn covered(selection: Selection, shape: &[usize]) -> Option<Vec<bool>> {
    let Selection::Where(_) = selection else { return None };
    let mut covered = Vec::new();
    for_each_place(shape, &mut |index| covered.push(selection.covers(index)));
    Some(covered)
}

/// The yardstick's numbers, one after the other.
struct Radii<'y> {
    worst: Option<Cow<'y, [f64]>>,
    centred: Cow<'y, [f64]>,
    estimate: Cow<'y, [f64]>,
    shift: Option<Cow<'y, [f64]>>,
    uncertainty: Uncertainty,
}

impl Yardstick<'_> {
    fn in_order(&self, shape: &[usize]) -> Radii<'_> {
        Radii {
            worst: self.worst.map(|worst| in_order(worst, shape)),
            centred: in_order(self.centred, shape),
            estimate: in_order(self.estimate, shape),
            shift: self.shift.as_ref().map(|shift| in_order(shift, shape)),
            uncertainty: self.uncertainty,
        }
    }
}

impl Radii<'_> {
    fn element(&self, at: usize, actual: f64, expected: f64) -> Element {
        let shift = self.shift.as_ref().map_or(0.0, |shift| shift[at]);
        let moved = if shift.is_finite() { expected + shift } else { expected };
        // The move itself is the difference of two f64 evaluations, whose own errors are far below any format's that is moved to.
        let arithmetic =
            if shift == 0.0 { 0.0 } else { 64.0 * Dtype::F64.unit_roundoff() * (expected.abs() + moved.abs()) };
        Element {
            signed: actual - moved,
            expected,
            worst: self.worst.as_ref().map(|worst| worst[at]),
            centred: self.centred[at],
            estimate: self.estimate[at],
            slack: self.uncertainty.absolute + self.uncertainty.relative * expected.abs() + arithmetic,
        }
    }
}

/// Signed means over elements whose errors can tell.
struct Lean {
    groups: Option<Groups>,
    count: f64,
    offset: f64,
    scale: f64,
    /// Expected magnitudes, as bits: elements of the same one round alike.
    magnitudes: Vec<u64>,
}

/// Elements that share a rounding.
struct Groups {
    /// The group of the element at `at` is `(at / step) mod sizes.len()`.
    step: usize,
    sizes: Vec<f64>,
}

impl Groups {
    fn of(shared: Shared, shape: &[usize]) -> Self {
        let (step, count) = match shared {
            Shared::All => (1, 1),
            Shared::Axis(axis) => match shape.get(axis) {
                Some(&len) => (shape[axis + 1..].iter().product(), len),
                None => (1, 1),
            },
            Shared::Leading(axes) => {
                let (leading, rest) = shape.split_at(axes.min(shape.len()));
                (rest.iter().product(), leading.iter().product())
            }
        };
        // An array without elements has no groups either; then nothing is added.
        Self { step, sizes: vec![0.0; count] }
    }
}

impl Lean {
    fn new(shared: Option<Shared>, shape: &[usize]) -> Self {
        let groups = shared.map(|shared| Groups::of(shared, shape));
        Self { groups, count: 0.0, offset: 0.0, scale: 0.0, magnitudes: Vec::new() }
    }

    fn add(&mut self, at: usize, element: &Element) {
        let Some(groups) = &mut self.groups else { return };
        let sigma = element.estimate / 3.0;
        // Where the expected value is as uncertain as the answer, its own roundings lean where they want.
        if !(sigma > 0.0 && element.slack <= 0.25 * sigma) {
            return;
        }
        let z = element.signed / sigma;
        self.count += 1.0;
        self.offset += z;
        self.scale += z * if element.expected < 0.0 { -1.0 } else { 1.0 };
        let group = at / groups.step % groups.sizes.len();
        groups.sizes[group] += 1.0;
        self.magnitudes.push(element.expected.abs().to_bits());
    }

    /// Both means in their largest standard deviations; `None` where nothing can tell.
    fn means(mut self) -> Option<Bias> {
        if self.count == 0.0 {
            return None;
        }
        // Whole numbers: the sums are exact in any order.
        let groups: f64 = self.groups.iter().flat_map(|groups| &groups.sizes).map(|n| n * n).sum();
        self.magnitudes.sort_unstable();
        let magnitudes: f64 = self.magnitudes.chunk_by(|a, b| a == b).map(|same| (same.len() as f64).powi(2)).sum();
        let variance = groups + magnitudes;
        // Elements that are alone in both are counted once.
        let sd = (variance - self.count).max(self.count).sqrt();
        Some(Bias { offset: self.offset / sd, scale: self.scale / sd })
    }
}

#[cfg(test)]
mod tests;
