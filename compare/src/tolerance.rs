//! Whether a tolerance makes sense, and which one would.
//!
//! A tolerance is *infeasible* where one correct rounding of the exact answer to the output format already misses it: no
//! program can meet it. It is *vacuous* where an answer that computes nothing passes: KernelBench's atol = rtol = 1e-2
//! accepted zeros in 4 of 60 problems (ScalingIntelligence/KernelBench#165). Pure functions over numbers; knows formats
//! and the ladder, nothing of cases, variants or bounds.

use super::comparison::Selection;
use super::ladder::{Ladder, Rung};
use crate::linalg::arrays::for_each_place;
use crate::num::{Dtype, json_number, round_f64};
use ndarray::{Array1, ArrayD};
use serde::{Deserialize, Serialize};

/// How far one rung of the ladder is out of reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Infeasible {
    /// The tolerance.
    pub rung: Rung,
    /// Finite expected elements.
    pub elements: usize,
    /// Those that miss the rung when rounded once to the output format; 0: the rung can be met.
    pub missed: usize,
    /// Those of `missed` that lie beyond the largest number of the format.
    pub overflows: usize,
    /// Largest `|rounded - expected|` among `missed`, overflows left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<f64>,
}

/// For each rung of the ladder, how many of the finite expected elements one correct rounding to `output` puts outside.
///
/// ```
/// use goldref_compare::{Ladder, infeasible};
/// use goldref_kernels::num::Dtype;
/// // Between 0.5 and 1 the numbers of bf16 are 2^-8 apart; 0.5009 goes to 0.5, 9e-4 off: beyond 1e-5 and 1e-4.
/// let missed: Vec<usize> =
///     infeasible([0.5, 0.5009], Dtype::Bf16, &Ladder::default()).iter().map(|rung| rung.missed).collect();
/// assert_eq!(missed, [1, 1, 0]);
/// ```
/// An overflow is a miss. NaN and infinities are left out: a right answer has the same. `max_ulps` counts last places of
/// `output`, and one rounding is never off by more than half of one.
pub fn infeasible(expected: impl IntoIterator<Item = f64>, output: Dtype, ladder: &Ladder) -> Vec<Infeasible> {
    let mut rungs: Vec<Infeasible> =
        ladder.0.iter().map(|&rung| Infeasible { rung, elements: 0, missed: 0, overflows: 0, worst: None }).collect();
    for expected in expected.into_iter().filter(|x| x.is_finite()) {
        let rounded = round_f64(expected, output);
        for facts in &mut rungs {
            facts.elements += 1;
            if !rounded.is_finite() {
                facts.missed += 1;
                facts.overflows += 1;
            } else if !facts.rung.accepts(rounded, expected, output) {
                facts.missed += 1;
                let err = (rounded - expected).abs();
                facts.worst = Some(facts.worst.map_or(err, |worst| if err > worst { err } else { worst }));
            }
        }
    }
    rungs
}

/// The tightest absolute tolerance that an output format can meet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feasible {
    /// The largest error of one correct rounding.
    pub atol: f64,
    /// The least power of ten that is not below it, as people write it: `1e-2`. `0` where nothing is rounded.
    pub power_of_ten: String,
}

/// The smallest absolute tolerance that the finite expected elements meet when each is rounded once to `output`; `None`
/// where one of them overflows, because no absolute tolerance accepts an infinity.
pub fn tightest_feasible(expected: impl IntoIterator<Item = f64>, output: Dtype) -> Option<Feasible> {
    let mut atol = 0.0;
    for expected in expected.into_iter().filter(|x| x.is_finite()) {
        let rounded = round_f64(expected, output);
        if !rounded.is_finite() {
            return None;
        }
        let err = (rounded - expected).abs();
        if err > atol {
            atol = err;
        }
    }
    Some(Feasible { atol, power_of_ten: power_of_ten_from(atol) })
}

/// `1e-2` of 0.01 and of 0.0012.
fn power_of_ten_from(x: f64) -> String {
    // The shortest decimal that reads back as x is a power of ten exactly where x is the double next to one.
    match format!("{x:e}").split_once('e') {
        Some(("0", _)) | None => "0".to_string(),
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("1e{}", if mantissa == "1" { exponent } else { exponent + 1 })
        }
    }
}

/// An answer that computes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trivial {
    /// Zeros everywhere: a kernel that never wrote its output.
    Zeros,
    /// The mean of the finite expected elements everywhere.
    Mean,
    /// The expected elements, each one place further in the flattened array and the last one first: right numbers in
    /// wrong places.
    Permuted,
}

/// What an expected array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Numbers of this format, in which last places are counted.
    Float(Dtype),
    /// Whole numbers or truth values.
    Whole,
}

/// Which trivial answers pass one rung of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vacuous {
    /// The tolerance.
    pub rung: Rung,
    /// The answers that pass it in every element; empty: the rung asks for something.
    pub passes: Vec<Trivial>,
}

/// For each rung of the ladder, the trivial answers that agree with every expected element.
///
/// ```
/// use goldref_compare::{Elements, Ladder, Trivial, vacuous};
/// use goldref_kernels::num::Dtype;
/// let small = ndarray::array![5e-4, -1e-3].into_dyn();
/// let rungs = vacuous(&small, Elements::Float(Dtype::F32), &Ladder::default());
/// assert!(rungs[1].passes.is_empty());
/// assert_eq!(rungs[2].passes, [Trivial::Zeros, Trivial::Mean]);
/// ```
/// Where all elements are equal, or there is one, the mean and the permuted array are the right answer itself, so that
/// passing says nothing of the tolerance: they are not reported. Zeros are, even where zeros are right: a case with
/// nothing but zeros expected cannot tell a program that wrote nothing. The mean of whole numbers is no answer of their
/// kind and is left out too. Elements are related as in [`super::compare`]: an infinity or NaN agrees with itself only.
/// Of an array without elements nothing is reported. Where a case compares a part of an array, pass that part.
pub fn vacuous(expected: &ArrayD<f64>, elements: Elements, ladder: &Ladder) -> Vec<Vacuous> {
    let expected: Vec<f64> = expected.iter().copied().collect();
    let mut answers: Vec<(Trivial, Vec<f64>)> = Vec::new();
    if let Some(&first) = expected.first() {
        answers.push((Trivial::Zeros, vec![0.0; expected.len()]));
        if !expected.iter().all(|&x| same(x, first)) {
            if elements != Elements::Whole {
                answers.push((Trivial::Mean, vec![mean_of_finite(&expected); expected.len()]));
            }
            let mut rolled = expected.clone();
            rolled.rotate_right(1);
            answers.push((Trivial::Permuted, rolled));
        }
    }
    let dtype = match elements {
        Elements::Float(dtype) => dtype,
        Elements::Whole => Dtype::F64,
    };
    let passes = |rung: &Rung, answer: &[f64]| {
        answer
            .iter()
            .zip(&expected)
            .all(|(&a, &e)| same(a, e) || (a.is_finite() && e.is_finite() && rung.accepts(a, e, dtype)))
    };
    let mut vacuous = Vec::with_capacity(ladder.0.len());
    for rung in &ladder.0 {
        let mut passing = Vec::new();
        for (name, answer) in &answers {
            if passes(rung, answer) {
                passing.push(*name);
            }
        }
        vacuous.push(Vacuous { rung: *rung, passes: passing });
    }
    vacuous
}

/// The same number, the same infinity, or both NaN.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// Each element divided first, so that the sum of large ones does not overflow; 0 of nothing.
fn mean_of_finite(values: &[f64]) -> f64 {
    let mut finite = values.to_vec();
    finite.retain(|x| x.is_finite());
    let count = finite.len() as f64;
    for x in &mut finite {
        *x /= count;
    }
    finite.iter().sum()
}

/// A tolerance to use, and how it comes about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// Absolute tolerance; infinite where the numbers are so large that two digits of it leave the range of f64.
    #[serde(with = "json_number")]
    pub atol: f64,
    /// Relative tolerance. Always 0: errors of a sum go with the size of its terms, not of its result, so a relative
    /// tolerance is too tight where the result is small and too loose where it is large.
    pub rtol: f64,
    /// The formula with the numbers put in.
    pub formula: String,
}

/// Of the 3σ estimate R: the factor within which a verdict still says rounding.
const OF_ESTIMATE: f64 = 1.5;

/// Roundings to the output format without a bound: the expected answer's and the candidate's own, which may lie on either
/// side of the exact one.
const OF_ROUNDINGS: f64 = 2.0;

/// The tolerance to use for outputs of format `output` whose largest finite |expected| is `scale`. `bound` is the largest
/// 3σ estimate R of the error, where one was computed.
///
/// With a bound: `atol = 1.5 · R`, or one rounding to the output format, `u · max|x|`, where that is more: less is infeasible.
/// Without: `atol = 2 · u · max|x|`, the least that makes sense; a sum of many terms in the output format itself needs
/// more, and then a bound should be computed. Both at least the gap of the format at 0. Every number is rounded up to two
/// digits, the ones put in as well, so that the formula can be checked by hand.
///
/// ```
/// use goldref_compare::suggestion;
/// use goldref_kernels::num::Dtype;
/// let with_bound = suggestion(Dtype::F32, 7.1, Some(2.1e-6));
/// assert_eq!(with_bound.formula, "atol = 1.5 · R = 1.5 · 2.1e-6 = 3.2e-6");
/// let without = suggestion(Dtype::Bf16, 7.1, None);
/// assert_eq!(without.formula, "atol = 2 · u · max|x| = 2 · 2^-8 · 7.1 = 5.6e-2 (bf16, u = 2^-8)");
/// ```
/// A scale that is negative, NaN or infinite counts as 0, such a bound as none.
pub fn suggestion(output: Dtype, scale: f64, bound: Option<f64>) -> Suggestion {
    let usable = |x: &f64| x.is_finite() && *x >= 0.0;
    let scale = TwoDigits::up(Some(scale).filter(usable).unwrap_or(0.0));
    let bound = bound.filter(usable).map(TwoDigits::up);
    let (u, format) = (output.unit_roundoff(), format!("{output}, u = 2^-{}", output.precision()));
    let once = u * scale.value;
    let (atol, formula) = match bound {
        Some(bound) if OF_ESTIMATE * bound.value >= once => {
            let atol = TwoDigits::up(OF_ESTIMATE * bound.value);
            (atol, format!("{OF_ESTIMATE} · R = {OF_ESTIMATE} · {bound} = {}", atol.scientific()))
        }
        Some(bound) => {
            let atol = TwoDigits::up(once);
            let why = format!("one rounding, more than {OF_ESTIMATE} · R = {OF_ESTIMATE} · {bound}");
            (
                atol,
                format!("u · max|x| = 2^-{} · {scale} = {} ({format}; {why})", output.precision(), atol.scientific()),
            )
        }
        None => {
            let atol = TwoDigits::up(OF_ROUNDINGS * once);
            let numbers = format!("{OF_ROUNDINGS} · 2^-{} · {scale}", output.precision());
            (atol, format!("{OF_ROUNDINGS} · u · max|x| = {numbers} = {} ({format})", atol.scientific()))
        }
    };
    let gap = TwoDigits::up(output.smallest_subnormal());
    if atol.value >= gap.value {
        return Suggestion { atol: atol.value, rtol: 0.0, formula: format!("atol = {formula}") };
    }
    let formula = format!("atol = gap of {output} at 0 = {} (more than {formula})", gap.scientific());
    Suggestion { atol: gap.value, rtol: 0.0, formula }
}

/// A number of two decimal digits.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TwoDigits {
    value: f64,
}

impl TwoDigits {
    /// The least such number that is not below `x ≥ 0`.
    fn up(x: f64) -> Self {
        let nearest = format!("{x:.1e}");
        let value: f64 = nearest.parse().unwrap_or(x);
        // A product of two-digit numbers is off by a rounding or two; that alone must not cost a digit.
        if value * (1.0 + 4.0 * f64::EPSILON) >= x {
            return Self { value };
        }
        let (mantissa, exponent) = nearest.split_once('e').unwrap_or((&nearest, "0"));
        let digits: u32 = mantissa.replace('.', "").parse().unwrap_or(0);
        let exponent: i32 = exponent.parse().unwrap_or(0);
        Self { value: format!("{}e{}", digits + 1, exponent - 1).parse().unwrap_or(x) }
    }

    fn scientific(self) -> String {
        format!("{:.1e}", self.value)
    }
}

impl std::fmt::Display for TwoDigits {
    /// `7.1`, `120`, `2.1e-6`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.value == 0.0 || (1e-2..1e4).contains(&self.value) {
            write!(f, "{}", self.value)
        } else {
            f.write_str(&self.scientific())
        }
    }
}

/// The formats of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatOf {
    /// The one that its expected values are stored in.
    pub expected: Dtype,
    /// The one that an answer is stored in.
    pub output: Dtype,
}

/// What there is to say of each rung of a ladder, and the tolerance to take instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToleranceFacts {
    /// For each rung, the elements that one correct rounding to the answer's format already puts outside.
    pub infeasible: Vec<usize>,
    /// For each rung, the trivial answers that pass it.
    pub vacuous: Vec<Vec<Trivial>>,
    /// The tightest absolute tolerance that the format can meet; `None` where an element overflows.
    pub tightest: Option<Feasible>,
    /// The tolerance to use.
    pub suggestion: Suggestion,
}

/// The facts about the compared elements of `expected`; `bound` is the largest R among them.
pub fn tolerance_facts(
    expected: &ArrayD<f64>,
    selection: Selection,
    format: FormatOf,
    ladder: &Ladder,
    bound: f64,
) -> ToleranceFacts {
    FormatFacts::of(expected, selection, format, ladder).with_bound(bound)
}

/// What [`tolerance_facts`] says of every answer in the same format, whatever its bound: found once for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct FormatFacts {
    facts: ToleranceFacts,
    output: Dtype,
    /// Largest |expected| that is finite.
    scale: f64,
}

impl FormatFacts {
    /// The facts about the compared elements of `expected` for answers in `format`.
    pub fn of(expected: &ArrayD<f64>, selection: Selection, format: FormatOf, ladder: &Ladder) -> Self {
        let values = compared(expected, selection);
        let finite = || values.iter().copied();
        let scale = finite().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| if x.abs() > m { x.abs() } else { m });
        let (mut missed, mut passes) = (Vec::new(), Vec::new());
        for rung in infeasible(finite(), format.output, ladder) {
            missed.push(rung.missed);
        }
        for rung in vacuous(&values, Elements::Float(format.expected), ladder) {
            passes.push(rung.passes);
        }
        let facts = ToleranceFacts {
            infeasible: missed,
            vacuous: passes,
            tightest: tightest_feasible(finite(), format.output),
            suggestion: suggestion(format.output, scale, None),
        };
        Self { facts, output: format.output, scale }
    }

    /// The facts with the tolerance that the largest R suggests.
    pub fn with_bound(&self, bound: f64) -> ToleranceFacts {
        let bound = (bound > 0.0).then_some(bound);
        ToleranceFacts { suggestion: suggestion(self.output, self.scale, bound), ..self.facts.clone() }
    }
}

/// The compared elements, in order.
fn compared(expected: &ArrayD<f64>, selection: Selection) -> ArrayD<f64> {
    let mut compared: Vec<f64> = expected.iter().copied().collect();
    if let Selection::Where(_) = selection {
        let mut covered = Vec::with_capacity(compared.len());
        for_each_place(expected.shape(), &mut |index| covered.push(selection.covers(index)));
        let mut covered = covered.into_iter();
        compared.retain(|_| covered.next() == Some(true));
    }
    Array1::from(compared).into_dyn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use std::f64::consts::PI;

    fn missed(expected: &[f64], output: Dtype) -> Vec<usize> {
        infeasible(expected.iter().copied(), output, &Ladder::default()).iter().map(|rung| rung.missed).collect()
    }

    #[test]
    fn bf16_misses_1e_3_from_a_half_on_and_1e_5_from_0_0039_on() {
        // Between 0.5 and 1 bf16 has a gap of 2^-8, so the middle is off by 2^-9 = 1.95e-3. Between 0.25 and 0.5 the
        // gap is 2^-9 and the middle off by 2^-10 = 9.8e-4.
        let middle_above = 0.5 + 2f64.powi(-9);
        let middle_below = 0.5 - 2f64.powi(-10);
        assert_eq!(missed(&[middle_above], Dtype::Bf16), [1, 1, 1]);
        assert_eq!(missed(&[-middle_below], Dtype::Bf16), [1, 1, 0]);
        // Between 2^-8 = 0.0039 and 2^-7 the gap is 2^-15 and the middle off by 1.5e-5; below, by 7.6e-6.
        assert_eq!(missed(&[2f64.powi(-8) + 2f64.powi(-16)], Dtype::Bf16), [1, 0, 0]);
        assert_eq!(missed(&[2f64.powi(-8) - 2f64.powi(-17)], Dtype::Bf16), [0, 0, 0]);
        let facts = &infeasible([1.0, middle_above, f64::NAN], Dtype::Bf16, &Ladder::default())[2];
        assert_eq!((facts.elements, facts.missed, facts.overflows), (2, 1, 0));
        assert_eq!(facts.worst, Some(2f64.powi(-9)));
        assert_eq!(missed(&[PI, 1e30], Dtype::F64), [0, 0, 0]);
    }

    #[test]
    fn an_overflow_is_a_miss_and_an_expected_infinity_is_not() {
        let facts = &infeasible([70000.0, f64::INFINITY, 1.0], Dtype::F16, &Ladder::default())[0];
        assert_eq!((facts.elements, facts.missed, facts.overflows, facts.worst), (2, 1, 1, None));
        // 500 is beyond 448, the largest number of f8 e4m3, which has no infinity but NaN.
        assert_eq!(missed(&[500.0], Dtype::F8E4M3), [1, 1, 1]);
        assert_eq!(tightest_feasible([70000.0], Dtype::F16), None);
    }

    #[test]
    fn last_places_of_the_output_can_always_be_met() {
        let ladder = Ladder(vec![Rung { atol: 0.0, rtol: 0.0, max_ulps: Some(0.5) }]);
        assert_eq!(infeasible([PI, -1e-3, 3e4], Dtype::Bf16, &ladder)[0].missed, 0);
    }

    #[test]
    fn the_tightest_tolerance_is_the_worst_rounding() {
        // 0.5 + 2^-9 is off by 2^-9 = 1.95e-3, so 1e-2 is the first power of ten that can be met.
        let feasible = tightest_feasible([0.5 + 2f64.powi(-9), 0.1, f64::NEG_INFINITY], Dtype::Bf16).unwrap();
        assert_eq!(feasible, Feasible { atol: 2f64.powi(-9), power_of_ten: "1e-2".to_string() });
        assert_eq!(tightest_feasible([1.0, 2.0], Dtype::Bf16).unwrap().power_of_ten, "0");
        assert_eq!(tightest_feasible([], Dtype::Bf16).unwrap().atol, 0.0);
        for (x, expected) in [(0.01, "1e-2"), (0.010000000000000002, "1e-1"), (0.99, "1e0"), (7.0, "1e1")] {
            assert_eq!(power_of_ten_from(x), expected);
        }
    }

    fn passing(expected: ArrayD<f64>, elements: Elements, rung: Rung) -> Vec<Trivial> {
        vacuous(&expected, elements, &Ladder(vec![rung])).remove(0).passes
    }

    const F32: Elements = Elements::Float(Dtype::F32);

    #[test]
    fn zeros_pass_where_everything_is_small() {
        let at = |atol| passing(array![1e-3, -1e-3, 2e-4].into_dyn(), F32, Rung::absolute(atol));
        assert_eq!(at(1e-3), [Trivial::Zeros]);
        assert_eq!(at(9e-4), []);
        // KernelBench: atol = rtol = 1e-2 accepts zeros up to |x| = 1e-2 / (1 - 1e-2) = 0.0101.
        let kernel_bench = Rung { atol: 1e-2, rtol: 1e-2, max_ulps: None };
        // The mean of these two is 0 as well.
        let accepted = passing(array![0.0101, -0.0101].into_dyn(), F32, kernel_bench);
        assert_eq!(accepted, [Trivial::Zeros, Trivial::Mean]);
        assert_eq!(passing(array![0.0102, -0.0102].into_dyn(), F32, kernel_bench), []);
    }

    #[test]
    fn the_mean_and_a_permutation_pass_where_everything_is_alike() {
        // Mean 5.001; neighbours are 0.002 apart, the mean 0.001 off.
        let alike = array![[5.0, 5.002], [5.0, 5.002]].into_dyn();
        assert_eq!(passing(alike.clone(), F32, Rung::absolute(1.1e-3)), [Trivial::Mean]);
        assert_eq!(passing(alike.clone(), F32, Rung::absolute(2.1e-3)), [Trivial::Mean, Trivial::Permuted]);
        assert_eq!(passing(alike, F32, Rung::absolute(9e-4)), []);
        // The last element comes first: 0, 1e-4, 2e-4 … is off by 1e-4, but its first by 3e-4.
        let steps = array![0.0, 1e-4, 2e-4, 3e-4].into_dyn();
        assert!(!passing(steps.clone(), F32, Rung::absolute(2e-4)).contains(&Trivial::Permuted));
        assert!(passing(steps, F32, Rung::absolute(4e-4)).contains(&Trivial::Permuted));
    }

    #[test]
    fn where_all_are_equal_only_zeros_are_asked() {
        let loose = Rung::absolute(10.0);
        assert_eq!(passing(array![5.0, 5.0, 5.0].into_dyn(), F32, loose), [Trivial::Zeros]);
        assert_eq!(passing(array![5.0].into_dyn(), F32, Rung::absolute(1.0)), []);
        assert_eq!(passing(array![f64::NAN, f64::NAN].into_dyn(), F32, loose), []);
        assert_eq!(passing(array![0.0, -0.0].into_dyn(), F32, Rung::absolute(0.0)), [Trivial::Zeros]);
        assert_eq!(passing(ArrayD::zeros(vec![0]), F32, loose), []);
    }

    #[test]
    fn whole_numbers_have_no_mean_and_nan_agrees_with_itself_only() {
        let loose = Rung::absolute(1.0);
        assert_eq!(passing(array![0.0, 1.0].into_dyn(), Elements::Whole, loose), [Trivial::Zeros, Trivial::Permuted]);
        assert_eq!(passing(array![0.0, 1.0, 0.0].into_dyn(), Elements::Whole, Rung::absolute(0.5)), []);
        // Rolled, the NaN stands elsewhere; zeros and the mean are not NaN.
        assert_eq!(passing(array![0.0, f64::NAN, 1e-9].into_dyn(), F32, loose), []);
        // Two NaN side by side: one of them is met, the other not.
        assert_eq!(passing(array![f64::NAN, f64::NAN, 0.0].into_dyn(), F32, loose), []);
        assert_eq!(passing(array![f64::INFINITY, 0.0].into_dyn(), F32, Rung::absolute(f64::INFINITY)), []);
        let nothing_said = vacuous(&array![0.0].into_dyn(), F32, &Ladder(vec![]));
        assert!(nothing_said.is_empty());
    }

    #[test]
    fn a_suggestion_is_never_infeasible() {
        // One rounding of 7.1 to bf16 may be off by 2^-8 · 7.1 = 2.8e-2, whatever the bound says.
        let tight = suggestion(Dtype::Bf16, 7.1, Some(1e-6));
        assert_eq!(tight.atol, 2.8e-2);
        assert_eq!(
            tight.formula,
            "atol = u · max|x| = 2^-8 · 7.1 = 2.8e-2 (bf16, u = 2^-8; one rounding, more than 1.5 · R = 1.5 · 1.0e-6)"
        );
        let small = suggestion(Dtype::F16, 1e-8, None);
        assert_eq!(small.atol, 6.0e-8);
        assert!(small.formula.starts_with("atol = gap of f16 at 0 = 6.0e-8 (more than 2 · u · max|x|"), "{small:?}");
        for scale in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let none = suggestion(Dtype::F32, scale, Some(f64::NAN));
            assert!(none.atol > 0.0 && none.atol < 1e-44, "{none:?}");
        }
    }

    #[test]
    fn numbers_are_rounded_up_to_two_digits() {
        for (x, value, shown) in [
            (7.1, 7.1, "7.1"),
            (7.11, 7.2, "7.2"),
            (9.95, 10.0, "10"),
            (9.91, 10.0, "10"),
            (123.4, 130.0, "130"),
            (1.5 * 2.0e-6, 3.0e-6, "3.0e-6"),
            (3.14e-6, 3.2e-6, "3.2e-6"),
            (0.0, 0.0, "0"),
        ] {
            let digits = TwoDigits::up(x);
            assert_eq!((digits.value, digits.to_string().as_str()), (value, shown), "{x}");
        }
    }

    #[test]
    fn what_is_saved_reads_back_equal() {
        let ladder = Ladder::default();
        let saved = (
            infeasible([0.7, 7e4], Dtype::F16, &ladder),
            vacuous(&array![1e-4, 2e-4].into_dyn(), F32, &ladder),
            tightest_feasible([PI], Dtype::F16),
            suggestion(Dtype::Bf16, PI, None),
        );
        let json = serde_json::to_string(&saved).unwrap();
        let read: (Vec<Infeasible>, Vec<Vacuous>, Option<Feasible>, Suggestion) = serde_json::from_str(&json).unwrap();
        assert_eq!(read, saved);
        assert!(json.contains(r#""passes":["zeros","mean","permuted"]"#), "{json}");
    }
}
