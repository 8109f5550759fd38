//! Bounds worked out by hand.

use super::*;
use crate::io::Array as Stored;
use crate::num::Dtype;
use ndarray::array;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const U: f64 = 5.960464477539063e-8; // 2^-24

fn of(op: &str, params: Value, arrays: &[(&str, ArrayD<f64>)], numerics: &Numerics) -> BTreeMap<String, Bound> {
    let arrays = arrays.iter().map(|(name, x)| (name.to_string(), Stored::F64(x.clone()))).collect();
    by_name(op, &Question { params: &params, arrays: &arrays }, numerics)
}

fn by_name(op: &str, question: &Question, numerics: &Numerics) -> BTreeMap<String, Bound> {
    bounds(op, question, numerics).unwrap().unwrap().into_iter().collect()
}

fn close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-6 * expected.abs(), "{actual:e}, not {expected:e}");
}

#[test]
fn every_operation_has_bounds_or_is_a_stack() {
    for op in crate::ops::ALL {
        let (bounded, stack) = (operations().any(|name| name == op.name), STACKS.contains(&op.name));
        assert!(bounded != stack, "{}", op.name);
    }
    assert!(operations().all(|name| crate::ops::find(name).is_some()));
}

#[test]
fn a_product_of_two_terms() {
    // 1·3 + 2·4: W = 2 u (3 + 8) = 22 u. Partial sums 3 and 11, squares 9 + 121; terms 9 + 64 times 2/2. R = 3 u √(130/3).
    let arrays = [("x", array![[1.0, 2.0]].into_dyn()), ("weight", array![[3.0, 4.0]].into_dyn())];
    let bound = &of("linear", json!({}), &arrays, &Numerics::plain(Dtype::F32))["out"];
    assert_eq!(bound.value[[0, 0]], 11.0);
    close(bound.worst[[0, 0]], 22.0 * U);
    close(bound.centred[[0, 0]], 22.0 * U);
    close(bound.estimate[[0, 0]], 3.0 * U * (130.0f64 / 3.0).sqrt());
}

#[test]
fn bounds_stay_in_order_where_everything_underflows() {
    // The product of 10^-20 and 10^-20 is a subnormal number of f32; each bound has a smallest normal number for it.
    let arrays = [("x", array![[1e-20]].into_dyn()), ("weight", array![[1e-20]].into_dyn())];
    let bound = &of("linear", json!({}), &arrays, &Numerics::plain(Dtype::F32))["out"];
    let [worst, centred, estimate] = [&bound.worst, &bound.centred, &bound.estimate].map(|bounds| bounds[[0, 0]]);
    assert!(
        worst >= centred && centred >= estimate && estimate >= Dtype::F32.smallest_normal(),
        "{worst} {centred} {estimate}"
    );
}

#[test]
fn storing_in_bf16_adds_its_unit_roundoff() {
    // As above, then 2^-8 · (11 + 22 u).
    let arrays = [("x", array![[1.0, 2.0]].into_dyn()), ("weight", array![[3.0, 4.0]].into_dyn())];
    let bound = &of("linear", json!({}), &arrays, &Numerics::stored_in(Dtype::Bf16))["out"];
    close(bound.worst[[0, 0]], 22.0 * U + (11.0 + 22.0 * U) / 256.0);
    // 3σ of one uniform rounding is √3 times its bound; R is never more than C.
    assert_eq!(bound.estimate[[0, 0]], bound.centred[[0, 0]]);
}

#[test]
fn a_rounded_input_moves_the_value_and_not_the_bound() {
    // bf16 keeps 1.01 as 1.0078125.
    let arrays = [("x", array![[1.01]].into_dyn()), ("weight", array![[1.0]].into_dyn())];
    let bound = &of("linear", json!({}), &arrays, &Numerics::stored_in(Dtype::Bf16))["out"];
    assert_eq!(bound.value[[0, 0]], 1.0078125);
    assert!(bound.worst[[0, 0]] < 1.01 * 1.001 / 256.0);
}

#[test]
fn a_lone_key_has_no_error_and_a_masked_one_takes_part_in_nothing() {
    let arrays = [("x", array![[3.0, f64::NEG_INFINITY], [f64::NEG_INFINITY, f64::NEG_INFINITY]].into_dyn())];
    let bound = &of("softmax", json!({}), &arrays, &Numerics::plain(Dtype::F32))["out"];
    assert_eq!(bound.value, array![[1.0, 0.0], [0.0, 0.0]].into_dyn());
    assert_eq!(bound.worst[[0, 1]], 0.0);
    assert_eq!((bound.worst[[1, 0]], bound.worst[[1, 1]]), (0.0, 0.0));
    assert!(bound.centred[[0, 0]] < 1e-30, "a probability of 1 keeps its 1: {:e}", bound.centred[[0, 0]]);
}

#[test]
fn two_equal_scores() {
    // z = 0, no rescaling: e = (c + 1) u = 5 u each, p = 1/2. C = φ · ½ (½ · 5u + ½ · 5u) + ½ (u + 2 u) = 4 u to first order.
    let arrays = [("x", array![[7.0, 7.0]].into_dyn())];
    let bound = &of("softmax", json!({}), &arrays, &Numerics::plain(Dtype::F32))["out"];
    assert!((bound.centred[[0, 0]] - 4.0 * U).abs() < 1e-4 * U, "{:e}", bound.centred[[0, 0]] / U);
    // W: (1 + 5u)(1 + 3u) / (1 - 5u - 3u) - 1 = 16 u, times ½.
    assert!((bound.worst[[0, 0]] - 8.0 * U).abs() < 1e-4 * U, "{:e}", bound.worst[[0, 0]] / U);
}

fn attend(values: [f64; 2], numerics: &Numerics) -> Bound {
    let arrays = [
        ("q", array![[[[30.0]]]].into_dyn()),
        ("k", array![[[[0.9], [1.0]]]].into_dyn()),
        ("v", array![[[[values[0]], [values[1]]]]].into_dyn()),
    ];
    of("attention", json!({}), &arrays, numerics)["out"].clone()
}

#[test]
fn an_error_common_to_all_values_cancels_in_c_and_not_in_w() {
    // Scores near 30 stored in bf16 are off by up to 2^-8 · 30 each: with equal values that changes nothing.
    let numerics = Numerics { activations: Dtype::F32, probs: Dtype::F32, ..Numerics::eager(Dtype::Bf16) };
    let at = [0, 0, 0, 0];
    let (equal, near, far) =
        (attend([5.0, 5.0], &numerics), attend([4.0, 6.0], &numerics), attend([1004.0, 1006.0], &numerics));
    assert!(equal.centred[at] < 1e-5, "{:e}", equal.centred[at]);
    assert!(near.centred[at] > 1e-2 && (far.centred[at] / near.centred[at] - 1.0).abs() < 0.1, "{near:?} {far:?}");
    // W goes by |v|, up to the distance to the farthest value.
    assert!(far.worst[at] > 1.8 && near.worst[at] < far.worst[at], "{near:?} {far:?}");
}

#[test]
fn a_context_stays_among_its_values_whatever_the_scores() {
    // Scores of 1e6 stored in bf16 are off by thousands: any weights at all, but the context lies between 4 and 6.
    let arrays = [
        ("q", array![[[[1e6]]]].into_dyn()),
        ("k", array![[[[0.99], [1.0]]]].into_dyn()),
        ("v", array![[[[4.0], [6.0]]]].into_dyn()),
    ];
    let bound = &of("attention", json!({}), &arrays, &Numerics::eager(Dtype::Bf16))["out"];
    let (w, c) = (bound.worst[[0, 0, 0, 0]], bound.centred[[0, 0, 0, 0]]);
    assert!(c > 1.9 && w >= c && w < 2.2, "{w} {c}");
}

#[test]
fn poison_at_masked_places_reaches_no_bound() {
    let arrays = BTreeMap::from([
        ("q".to_string(), Stored::F64(array![[[[1.0]]]].into_dyn())),
        ("k".to_string(), Stored::F64(array![[[[0.5], [f64::NAN]]]].into_dyn())),
        ("v".to_string(), Stored::F64(array![[[[7.0], [f64::NAN]]]].into_dyn())),
        ("attn_mask".to_string(), Stored::Bool(array![[true, false]].into_dyn())),
    ]);
    let question = Question { params: &json!({}), arrays: &arrays };
    let bound = &by_name("attention", &question, &Numerics::plain(Dtype::F32))["out"];
    assert_eq!(bound.value[[0, 0, 0, 0]], 7.0);
    assert!(bound.worst[[0, 0, 0, 0]] < 1e-4, "{:e}", bound.worst[[0, 0, 0, 0]]);
}

#[test]
fn a_large_mean_costs_a_layer_norm_its_digits() {
    // x = 30000 ± 1: the mean is uncertain by n u mean|x| / n = 30000 u = 1.8e-3, and so is every centred value of size 1.
    let arrays = [("x", array![[29999.0, 30001.0]].into_dyn())];
    let bound = &of("layer_norm", json!({"norm_eps": 0.0}), &arrays, &Numerics::plain(Dtype::F32))["out"];
    let worst = bound.worst[[0, 0]];
    assert!((1.8e-3..4e-2).contains(&worst), "{worst:e}");
    let small = [("x", array![[-1.0, 1.0]].into_dyn())];
    assert!(
        of("layer_norm", json!({"norm_eps": 0.0}), &small, &Numerics::plain(Dtype::F32))["out"].worst[[0, 0]] < 4e-6
    );
}

#[test]
fn an_angle_is_as_uncertain_as_its_position_is_large() {
    // 16 u · 5000 = 4.8e-3 radians in f32, for a component of size 1.
    let at = |position: f64| {
        let arrays = BTreeMap::from([
            ("x".to_string(), Stored::F64(array![[[[1.0, 0.0]]]].into_dyn())),
            ("position_ids".to_string(), Stored::I64(array![[position as i64]].into_dyn())),
        ]);
        let params = json!({"rope_theta": 10000.0});
        let question = Question { params: &params, arrays: &arrays };
        by_name("rope", &question, &Numerics::plain(Dtype::F32))["out"].worst[[0, 0, 0, 0]]
    };
    assert!((4e-3..6e-3).contains(&at(5000.0)), "{:e}", at(5000.0));
    assert!(at(1.0) < 1e-5);
}

#[test]
fn moving_values_costs_nothing() {
    let arrays = BTreeMap::from([
        ("input_ids".to_string(), Stored::I64(array![1].into_dyn())),
        ("weight".to_string(), Stored::F64(array![[1.0], [0.1]].into_dyn())),
    ]);
    let question = Question { params: &json!({}), arrays: &arrays };
    let bound = by_name("embedding", &question, &Numerics::stored_in(Dtype::Bf16))["out"].clone();
    assert_eq!(bound.worst[[0, 0]], 0.0);
    // 0.1 in bf16, as the numerics store the table.
    assert_eq!(bound.value[[0, 0]], 0.10009765625);
}
