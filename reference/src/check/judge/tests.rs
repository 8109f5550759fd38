//! Verdicts of errors made by hand.

use super::*;
use crate::check::{Ladder, compare};
use ndarray::{Array1, array};

/// A yardstick of these radii and nothing else.
fn of_radii<'a>(
    worst: Option<&'a ArrayD<f64>>,
    centred: &'a ArrayD<f64>,
    estimate: &'a ArrayD<f64>,
    shared: Option<Shared>,
) -> Yardstick<'a> {
    let uncertainty = Uncertainty::default();
    Yardstick { basis: Basis::Bounds, worst, centred, estimate, shift: None, uncertainty, shared }
}

/// R = 3, C = 6, W = 9 for each element.
fn judged(actual: Vec<f64>, expected: Vec<f64>) -> Judged {
    let radii = |size: f64| ArrayD::from_elem(vec![expected.len()], size);
    let (estimate, centred, worst) = (radii(3.0), radii(6.0), radii(9.0));
    let yardstick = of_radii(Some(&worst), &centred, &estimate, Some(Shared::Leading(1)));
    with(actual, expected, &yardstick)
}

fn with(actual: Vec<f64>, expected: Vec<f64>, yardstick: &Yardstick) -> Judged {
    let (actual, expected) = (Array1::from(actual).into_dyn(), Array1::from(expected).into_dyn());
    let facts = compare(&actual, &expected, Dtype::F64, Selection::All, &Ladder::default()).unwrap();
    judge(&actual, &expected, Selection::All, &facts, yardstick)
}

#[test]
fn each_verdict_has_its_range() {
    let verdict = |err: f64| judged(vec![100.0 + err, 50.0], vec![100.0, 50.0]).verdict;
    assert_eq!(verdict(0.0), Verdict::Exact);
    assert_eq!(verdict(4.5), Verdict::Rounding);
    assert_eq!(verdict(-4.6), Verdict::Explained);
    assert_eq!(verdict(6.1), Verdict::Suspicious);
    assert_eq!(verdict(9.0), Verdict::Suspicious);
    assert_eq!(verdict(-9.1), Verdict::NotRounding);
    assert_eq!(verdict(f64::NAN), Verdict::NotFinite);
    assert_eq!(verdict(f64::INFINITY), Verdict::NotFinite);
}

#[test]
fn the_ratios_name_the_worst_element() {
    let judged = judged(vec![101.0, 44.0], vec![100.0, 50.0]);
    let ratios = judged.ratios.unwrap();
    assert_eq!((ratios.estimate, ratios.centred, ratios.worst), (2.0, 1.0, Some(6.0 / 9.0)));
    assert_eq!((ratios.index, ratios.allowed), (vec![1], 3.0));
}

#[test]
fn an_error_where_none_is_allowed_is_not_rounding() {
    let zeros = ArrayD::zeros(vec![1]);
    let yardstick = of_radii(Some(&zeros), &zeros, &zeros, None);
    let judged = with(vec![1.0 + 1e-15], vec![1.0], &yardstick);
    assert_eq!(judged.verdict, Verdict::NotRounding);
    assert_eq!(judged.ratios.unwrap().estimate, f64::INFINITY);
}

#[test]
fn nan_in_a_bound_allows_nothing() {
    let nan = ArrayD::from_elem(vec![1], f64::NAN);
    let yardstick = of_radii(Some(&nan), &nan, &nan, None);
    assert_eq!(with(vec![1.5], vec![1.0], &yardstick).verdict, Verdict::NotRounding);
}

/// Values of a thousand magnitudes, of both signs.
fn spread(n: usize) -> Vec<f64> {
    (0..n).map(|i| (1000.0 + i as f64) * if i % 3 == 0 { -1.0 } else { 1.0 }).collect()
}

#[test]
fn small_errors_that_lean_to_one_side_are_suspicious() {
    // Half a standard deviation each, a thousand times: 0.5 · √1000 = 16 standard deviations of the mean.
    let expected = spread(1000);
    let offset = judged(expected.iter().map(|e| e + 0.5).collect(), expected.clone());
    assert_eq!(offset.verdict, Verdict::Suspicious);
    let bias = offset.bias.unwrap();
    assert!((bias.offset - 0.5 * 1000f64.sqrt()).abs() < 1e-9 && bias.scale.abs() < bias.offset, "{bias:?}");
    let factor = judged(expected.iter().map(|e| e + 0.5 * e.signum()).collect(), expected.clone());
    assert_eq!(factor.verdict, Verdict::Suspicious);
    assert!(factor.reason.contains("wrong factor"), "{}", factor.reason);
    // The same sizes without a direction are rounding.
    let even = expected.iter().enumerate().map(|(i, e)| e + if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
    assert_eq!(judged(even, expected).verdict, Verdict::Rounding);
}

#[test]
fn elements_that_share_a_rounding_count_once() {
    // A thousand times the same value rounds a thousand times in the same direction.
    let same = judged(vec![7.5; 1000], vec![7.0; 1000]);
    assert_eq!(same.verdict, Verdict::Rounding);
    let bias = same.bias.unwrap();
    assert!((bias.offset - 0.5).abs() < 1e-9, "{bias:?}");
    // So do those of one row.
    let expected = spread(1000);
    let radii = |size: f64| ArrayD::from_elem(vec![1000], size);
    let (estimate, centred, worst) = (radii(3.0), radii(6.0), radii(9.0));
    let yardstick = of_radii(Some(&worst), &centred, &estimate, Some(Shared::All));
    let row = with(expected.iter().map(|e| e + 0.5).collect(), expected, &yardstick);
    assert_eq!(row.verdict, Verdict::Rounding);
}

#[test]
fn what_the_inputs_rounding_makes_is_nobodys_error() {
    let radii = |size: f64| ArrayD::from_elem(vec![1], size);
    let bound = Bound {
        value: array![1.0078125].into_dyn(),
        worst: radii(1e-6),
        centred: radii(1e-6),
        estimate: radii(1e-6),
        shared: Shared::All,
    };
    let exact = array![1.01].into_dyn();
    let numerics = Numerics::stored_in(Dtype::Bf16);
    let yardstick = Yardstick::of_bound(&bound, &exact, &numerics, Uncertainty::default());
    assert_eq!(with(vec![1.0078125], vec![1.01], &yardstick).verdict, Verdict::Rounding);
    // From the input as it came, the answer is 1.01 itself.
    assert_eq!(with(vec![1.0100001], vec![1.01], &yardstick).verdict, Verdict::Rounding);
    assert_eq!(with(vec![1.0101], vec![1.01], &yardstick).verdict, Verdict::NotRounding);
}

#[test]
fn uncertain_expected_values_widen_every_bound() {
    let zeros = ArrayD::zeros(vec![1]);
    // Stored in bf16: 2^-8 · 4, and oracles 0.5 apart.
    let uncertainty = Uncertainty::of(Dtype::Bf16, 0.5);
    let yardstick = Yardstick { uncertainty, ..of_radii(Some(&zeros), &zeros, &zeros, None) };
    assert_eq!(with(vec![4.5 + 4.0 / 256.0], vec![4.0], &yardstick).verdict, Verdict::Rounding);
    // The three bounds are one here, and 1.5 of it is rounding still.
    assert_eq!(with(vec![4.8], vec![4.0], &yardstick).verdict, Verdict::NotRounding);
}

#[test]
fn a_floor_has_no_worst_case() {
    let (estimate, centred) = (array![3.0].into_dyn(), array![9.0].into_dyn());
    let floor = Floor { estimate, centred, evaluations: 4 };
    let yardstick = Yardstick::of_floor(&floor, Uncertainty::default());
    assert_eq!(with(vec![1.0], vec![9.0], &yardstick).verdict, Verdict::Explained);
    let beyond = with(vec![1.0], vec![11.0], &yardstick);
    assert_eq!(beyond.verdict, Verdict::NotRounding);
    assert!(beyond.reason.contains("beyond the floor"), "{}", beyond.reason);
    assert_eq!(beyond.ratios.unwrap().worst, None);
}

#[test]
fn elements_that_are_left_out_are_not_judged() {
    let (actual, expected) = (array![[1.0], [99.0]].into_dyn(), array![[1.5], [2.0]].into_dyn());
    let chosen = array![true, false].into_dyn();
    let selection = Selection::Where(&chosen);
    let facts = compare(&actual, &expected, Dtype::F64, selection, &Ladder::default()).unwrap();
    let radius = ArrayD::from_elem(vec![2, 1], 1.0);
    let yardstick = of_radii(Some(&radius), &radius, &radius, None);
    assert_eq!(judge(&actual, &expected, selection, &facts, &yardstick).verdict, Verdict::Rounding);
}
