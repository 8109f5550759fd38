//! What two arrays differ in. Facts, no opinion.

use super::ladder::Ladder;
use crate::num::{Dtype, ulp_distance};
use ndarray::{ArrayD, Dimension};
use serde::{Deserialize, Serialize};

/// Which elements are compared.
#[derive(Debug, Clone, Copy, Default)]
pub enum Selection<'a> {
    /// All of them.
    #[default]
    All,
    /// Those whose leading index is true here.
    Where(&'a ArrayD<bool>),
}

/// The facts about `actual` against `expected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Largest distance in last places of the expected format.
    pub worst_ulps: Option<Disagreement>,
    /// Largest |expected|, infinities left out.
    pub scale: f64,
}

/// One element of two arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Where.
    pub index: Vec<usize>,
    /// What was answered. JSON has no NaN or infinity: they become null.
    pub actual: f64,
    /// What is right.
    pub expected: f64,
    /// The measure that is largest here.
    pub err: f64,
}

/// Why two arrays could not be compared element by element: that is itself a disagreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongShape {
    /// Shape of the answer.
    pub actual: Vec<usize>,
    /// Shape expected.
    pub expected: Vec<usize>,
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
    if actual.shape() != expected.shape() {
        return Err(WrongShape { actual: actual.shape().to_vec(), expected: expected.shape().to_vec() });
    }
    let mut facts = Comparison {
        compared: 0,
        left_out: 0,
        mismatches: vec![0; ladder.0.len()],
        non_finite_mismatches: 0,
        worst_abs: None,
        worst_ulps: None,
        scale: 0.0,
    };
    for ((index, &actual), &expected) in actual.indexed_iter().zip(expected) {
        if let Selection::Where(chosen) = selection
            && !chosen.get(&index.slice()[..chosen.ndim().min(index.ndim())]).copied().unwrap_or(true)
        {
            facts.left_out += 1;
            continue;
        }
        facts.compared += 1;
        if expected.is_finite() && expected.abs() > facts.scale {
            facts.scale = expected.abs();
        }
        match classify(actual, expected) {
            Pair::Equal => {}
            Pair::NonFinite => {
                facts.non_finite_mismatches += 1;
                facts.mismatches.iter_mut().for_each(|count| *count += 1);
                let here = |err| Disagreement { index: index.slice().to_vec(), actual, expected, err };
                keep_worst(&mut facts.worst_abs, f64::INFINITY, here);
                keep_worst(&mut facts.worst_ulps, f64::INFINITY, here);
            }
            Pair::Different => {
                for (rung, count) in ladder.0.iter().zip(&mut facts.mismatches) {
                    if !rung.accepts(actual, expected, dtype) {
                        *count += 1;
                    }
                }
                let here = |err| Disagreement { index: index.slice().to_vec(), actual, expected, err };
                keep_worst(&mut facts.worst_abs, (actual - expected).abs(), here);
                keep_worst(&mut facts.worst_ulps, ulp_distance(actual, expected, dtype), here);
            }
        }
    }
    Ok(facts)
}

/// Keeps the first of the largest. `err` is never NaN here: non-finite pairs come as ∞.
fn keep_worst(worst: &mut Option<Disagreement>, err: f64, here: impl FnOnce(f64) -> Disagreement) {
    if worst.as_ref().is_none_or(|worst| err > worst.err) {
        *worst = Some(here(err));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn facts(actual: ArrayD<f64>, expected: ArrayD<f64>) -> Comparison {
        compare(&actual, &expected, Dtype::F32, Selection::All, &Ladder::default()).unwrap()
    }

    #[test]
    fn an_all_nan_answer_disagrees_everywhere() {
        // A fold with f32::max over |NaN - x| reads as "max diff 0".
        let facts = facts(ArrayD::from_elem(vec![4], f64::NAN), array![1.0, 2.0, 3.0, 4.0].into_dyn());
        assert_eq!(facts.mismatches, [4, 4, 4]);
        assert_eq!(facts.non_finite_mismatches, 4);
        assert_eq!(facts.worst_abs.unwrap().err, f64::INFINITY);
    }

    #[test]
    fn infinities_have_a_sign_and_are_not_large_numbers() {
        let inf = f64::INFINITY;
        assert_eq!(facts(array![inf].into_dyn(), array![-inf].into_dyn()).mismatches, [1, 1, 1]);
        assert_eq!(facts(array![f64::from(f32::MAX)].into_dyn(), array![inf].into_dyn()).mismatches, [1, 1, 1]);
        assert_eq!(facts(array![-inf, f64::NAN].into_dyn(), array![-inf, f64::NAN].into_dyn()).mismatches, [0, 0, 0]);
    }

    #[test]
    fn a_finite_answer_where_nan_is_expected_disagrees() {
        // Checkers that skip elements whose reference is not finite never see a leak through a mask.
        assert_eq!(facts(array![0.0].into_dyn(), array![f64::NAN].into_dyn()).mismatches, [1, 1, 1]);
    }

    #[test]
    fn rungs_count_their_own_mismatches_and_the_worst_has_an_index() {
        let facts = facts(array![[1.0, 2.00005], [3.0, -3.99]].into_dyn(), array![[1.0, 2.0], [3.0, -4.0]].into_dyn());
        assert_eq!(facts.mismatches, [2, 1, 1]);
        let worst = facts.worst_abs.unwrap();
        assert_eq!((worst.index, worst.actual, worst.expected), (vec![1, 1], -3.99, -4.0));
    }

    #[test]
    fn a_minus_sign_counts() {
        assert_eq!(facts(array![-1.0].into_dyn(), array![1.0].into_dyn()).mismatches, [1, 1, 1]);
        assert_eq!(facts(array![-0.0].into_dyn(), array![0.0].into_dyn()).mismatches, [0, 0, 0]);
    }

    #[test]
    fn another_shape_is_no_comparison() {
        let (row, column) = (array![[1.0, 2.0]].into_dyn(), array![[1.0], [2.0]].into_dyn());
        assert!(compare(&row, &column, Dtype::F32, Selection::All, &Ladder::default()).is_err());
        // The tolerance is not a matter of the array's size either: one wrong element of a million is one.
        let mut million = ArrayD::zeros(vec![1_000_000]);
        let expected = million.clone();
        million[[999_999]] = 2e-3;
        assert_eq!(facts(million, expected).mismatches, [1, 1, 1]);
    }

    #[test]
    fn a_selection_leaves_rows_out() {
        let chosen = array![[true, false]].into_dyn();
        let (actual, expected) = (array![[[1.0], [9.0]]].into_dyn(), array![[[1.0], [2.0]]].into_dyn());
        let facts = compare(&actual, &expected, Dtype::F64, Selection::Where(&chosen), &Ladder::default()).unwrap();
        assert_eq!((facts.compared, facts.left_out, facts.mismatches), (1, 1, vec![0, 0, 0]));
    }
}
