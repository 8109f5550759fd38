//! The evaluations against numbers worked out by hand, and against goldref in f64.

use super::style::Style;
use super::{Answer, OPS, Question, Random, evaluate};
use goldref::eval::{Evaluator, Numerics};
use goldref::io::Array;
use goldref::num::{Dtype, round_f64};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An array of a question: name, shape, values.
type Input<'a> = (&'a str, &'a [usize], &'a [f64]);

/// The arrays as f64.
fn arrays(named: &[Input]) -> BTreeMap<String, Array> {
    let array = |shape: &[usize], values: &[f64]| ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap();
    named.iter().map(|&(name, shape, values)| (name.to_owned(), Array::from(array(shape, values)))).collect()
}

/// Every style in f64 gives `expected`, to `ulps` roundings of the largest of it.
fn gives(op: &str, params: Value, inputs: &[Input], expected: &[f64], ulps: f64) {
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for style in Style::every(Dtype::F64) {
        let answer = evaluate(op, &params, &arrays(inputs), &style);
        let out = answer["out"].iter();
        assert_eq!(out.len(), expected.len());
        for (actual, expected) in out.zip(expected) {
            let error = (actual - expected).abs();
            assert!(error <= ulps * f64::EPSILON * largest, "{op} {style:?}: {actual} for {expected}");
        }
    }
}

#[test]
fn whole_numbers_are_multiplied_exactly() {
    // [1 2 3] · [4 5 6] = 32, minus 2.
    let x: Input = ("x", &[1, 3], &[1.0, 2.0, 3.0]);
    let weight: [f64; 6] = [4.0, 5.0, 6.0, -1.0, 0.0, 1.0];
    gives("linear", json!({}), &[x, ("weight", &[2, 3], &weight), ("bias", &[2], &[-2.0, 1.0])], &[30.0, 3.0], 0.0);
    // The same weight transposed.
    let weight = [4.0, -1.0, 5.0, 0.0, 6.0, 1.0];
    gives("linear", json!({"weight_layout": "in_out"}), &[x, ("weight", &[3, 2], &weight)], &[32.0, 2.0], 0.0);
    // [1 2; 3 4] · [5; 6] = [17; 39].
    gives("matmul", json!({}), &[("a", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), ("b", &[2], &[5.0, 6.0])], &[17.0, 39.0], 0.0);
    // Batches of one and two: [1 1] · [2; 3] = 5 and [1 1] · [4; 5] = 9.
    gives(
        "matmul",
        json!({}),
        &[("a", &[1, 2], &[1.0, 1.0]), ("b", &[2, 2, 1], &[2.0, 3.0, 4.0, 5.0])],
        &[5.0, 9.0],
        0.0,
    );
}

#[test]
fn scores_a_logarithm_apart() {
    // exp(ln 3) = 3: 1/4 and 3/4. Two exponentials, a sum, a quotient: a few roundings of at most 1.
    let x: Input = ("x", &[2], &[0.0, 3f64.ln()]);
    gives("softmax", json!({}), &[x], &[0.25, 0.75], 4.0);
    gives("log_softmax", json!({}), &[x], &[0.25f64.ln(), 0.75f64.ln()], 4.0);
    // Along the first axis each column is one score alone.
    gives("softmax", json!({"axis": 0}), &[("x", &[1, 2], &[5.0, -700.0])], &[1.0, 1.0], 0.0);
}

#[test]
fn norms_of_three_and_four() {
    // mean(9, 16) = 12.5, and 12.5 + 3.5 = 16: divided by 4. Halves of eps are exact.
    let x: Input = ("x", &[2], &[3.0, 4.0]);
    let weight: Input = ("weight", &[2], &[8.0, 2.0]);
    gives("rms_norm", json!({"norm_eps": 3.5}), &[x, weight], &[6.0, 2.0], 0.0);
    gives("rms_norm", json!({"norm_eps": 3.5, "weight_form": "one_plus_w"}), &[x, weight], &[6.75, 3.0], 0.0);
    // Mean 3.5, centred ∓0.5, variance 0.25, and 0.25 + 0.75 = 1.
    let bias: Input = ("bias", &[2], &[1.0, 0.0]);
    gives("layer_norm", json!({"norm_eps": 0.75}), &[x, weight, bias], &[-3.0, 1.0], 0.0);
    let answer = evaluate("layer_norm", &json!({"norm_eps": 0.75}), &arrays(&[x]), &Style::plain(Dtype::F64));
    assert_eq!((answer["mean"][[0]], answer["inv_std_dev"][[0]]), (3.5, 1.0));
}

#[test]
fn activations_at_numbers_that_are_known() {
    let x: Input = ("x", &[3], &[0.0, 1.0, -1.0]);
    // Φ(1) = 0.841344746068543 (tables of the normal distribution); Φ(−1) = 1 − Φ(1).
    let phi = 0.841_344_746_068_542_9;
    gives("gelu", json!({}), &[x], &[0.0, phi, phi - 1.0], 4.0);
    // σ(ln 3) = 3/4, σ(−ln 3) = 1/4.
    let (log, alpha) = (3f64.ln(), json!({"alpha": 1.0}));
    let x: Input = ("x", &[2], &[log, -log]);
    gives("silu", alpha.clone(), &[x], &[0.75 * log, -0.25 * log], 4.0);
    gives("silu", json!({"alpha": 2.0}), &[("x", &[1], &[log / 2.0])], &[0.375 * log], 4.0);
    gives("gelu", json!({"approximate": "quick"}), &[("x", &[1], &[log / 1.702])], &[0.75 * log / 1.702], 4.0);
    // 1/2 · (1 + tanh(√(2/π) · 1.044715)) by mpmath at 30 digits; far out gelu is x or 0.
    let tanh: Input = ("x", &[3], &[1.0, 10.0, -10.0]);
    gives("gelu", json!({"approximate": "tanh"}), &[tanh], &[0.841_191_990_608_276_7, 10.0, 0.0], 1.0);
    gives("relu", json!({}), &[("x", &[2], &[-3.0, 2.0])], &[0.0, 2.0], 0.0);
    gives("swiglu", alpha, &[("gate", &[1], &[log]), ("up", &[1], &[-2.0])], &[-1.5 * log], 4.0);
    gives("geglu", json!({}), &[("gate", &[1], &[1.0]), ("up", &[1], &[2.0])], &[2.0 * phi], 4.0);
}

#[test]
fn inputs_are_rounded_before_anything_else() {
    // 257 is not a number of bf16, which has 256: 257 − 256 is 0 there, and 1 in f32.
    let inputs = arrays(&[("x", &[2], &[257.0, -256.0]), ("weight", &[1, 2], &[1.0, 1.0])]);
    for (storage, expected) in [(Dtype::Bf16, 0.0), (Dtype::F32, 1.0)] {
        for style in Style::every(storage) {
            assert_eq!(evaluate("linear", &json!({}), &inputs, &style)["out"][[0]], expected, "{style:?}");
        }
    }
}

#[test]
fn rotations_by_one_radian() {
    // rotary_dim 2 has the frequency 1 alone; the third component passes.
    let mut inputs = arrays(&[("x", &[1, 1, 1, 3], &[1.0, 2.0, 5.0])]);
    inputs.insert("position_ids".to_owned(), Array::from(ndarray::arr1(&[1i64]).into_dyn()));
    let (sin, cos) = 1f64.sin_cos();
    let expected = [cos - 2.0 * sin, 2.0 * cos + sin, 5.0];
    for style in Style::every(Dtype::F64) {
        for layout in ["half_split", "interleaved"] {
            let params = json!({"rope_theta": 100.0, "rotary_dim": 2, "layout": layout});
            let answer = evaluate("rope", &params, &inputs, &style);
            assert!(answer["out"].iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-15), "{style:?}");
        }
        // Four components: frequencies 1 and 1/10; half split pairs (1, 3), interleaved (1, 2).
        inputs.insert("x".to_owned(), arrays(&[("x", &[1, 1, 1, 4], &[1.0, 2.0, 3.0, 4.0])])["x"].clone());
        let half = evaluate("rope", &json!({"rope_theta": 100.0}), &inputs, &style);
        assert!((half["out"][[0, 0, 0, 0]] - (cos - 3.0 * sin)).abs() < 1e-15);
        assert!((half["out"][[0, 0, 0, 1]] - (2.0 * 0.1f64.cos() - 4.0 * 0.1f64.sin())).abs() < 1e-15);
        let pairs = evaluate("rope", &json!({"rope_theta": 100.0, "layout": "interleaved"}), &inputs, &style);
        assert!((pairs["out"][[0, 0, 0, 0]] - (cos - 2.0 * sin)).abs() < 1e-15);
        inputs.insert("x".to_owned(), arrays(&[("x", &[1, 1, 1, 3], &[1.0, 2.0, 5.0])])["x"].clone());
    }
}

#[test]
fn slopes_and_rows_of_tables() {
    let integers = |values: &[i64]| Array::from(ndarray::arr1(values).into_dyn());
    let positions =
        BTreeMap::from([("q_positions".to_owned(), integers(&[3])), ("kv_positions".to_owned(), integers(&[3, 1]))]);
    let mut lookup = arrays(&[("weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    lookup.insert("input_ids".to_owned(), integers(&[1, 0]));
    for style in Style::every(Dtype::F64) {
        // Six heads: 1/4, 1/16, 1/64, 1/256 of four, then 1/2 and 1/8 of eight; two keys back costs twice the slope.
        let answer = evaluate("alibi", &json!({"num_heads": 6}), &positions, &style);
        assert_eq!(answer["slopes"].as_slice().unwrap(), [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
        assert_eq!((answer["bias"][[4, 0, 0]], answer["bias"][[4, 0, 1]]), (0.0, -1.0));
        let answer = evaluate("embedding", &json!({"scale": 2.0}), &lookup, &style);
        assert_eq!(answer["out"].as_slice().unwrap(), [6.0, 8.0, 2.0, 4.0]);
    }
}

#[test]
fn two_keys_a_logarithm_apart() {
    // Scores 0 and ln 3, probabilities 1/4 and 3/4, values 8 and 4: 2 + 3 = 5. Softcapped, the mask comes after.
    let log = 3f64.ln();
    let q: Input = ("q", &[1, 1, 1, 1], &[1.0]);
    let v: Input = ("v", &[1, 1, 2, 1], &[8.0, 4.0]);
    gives("attention", json!({}), &[q, ("k", &[1, 1, 2, 1], &[0.0, log]), v], &[5.0], 4.0);
    let mask: Input = ("attn_mask", &[1, 1, 1, 2], &[0.0, log]);
    gives("attention", json!({"softcap": 3.0}), &[q, ("k", &[1, 1, 2, 1], &[0.0, 0.0]), v, mask], &[5.0], 4.0);
    // A scale of 1/2 halves the scores.
    gives("attention", json!({"scale": 0.5}), &[q, ("k", &[1, 1, 2, 1], &[0.0, 2.0 * log]), v], &[5.0], 4.0);
    let mask = [f64::NEG_INFINITY, f64::NEG_INFINITY];
    let masked: Input = ("attn_mask", &[1, 1, 1, 2], &mask);
    gives("attention", json!({}), &[q, ("k", &[1, 1, 2, 1], &[0.0, log]), v, masked], &[0.0], 0.0);
}

#[test]
fn equal_keys_average_what_is_visible() {
    let q: Input = ("q", &[1, 1, 2, 1], &[1.0, 1.0]);
    let k: Input = ("k", &[1, 1, 4, 1], &[0.0; 4]);
    let v: Input = ("v", &[1, 1, 4, 1], &[1.0, 2.0, 6.0, 7.0]);
    // Two queries are the last of four tokens: the first sees 1, 2, 6 (mean 3), the second all (mean 4).
    gives("attention", json!({"causal": "bottom_right"}), &[q, k, v], &[3.0, 4.0], 2.0);
    gives("attention", json!({"causal": "top_left"}), &[q, k, v], &[1.0, 1.5], 2.0);
    // A window of two: 2, 6 and 6, 7.
    gives("attention", json!({"causal": "bottom_right", "window": 2}), &[q, k, v], &[4.0, 6.5], 2.0);
    // Query heads 0 and 1 read the first key head, 2 and 3 the second.
    let q: Input = ("q", &[1, 4, 1, 1], &[1.0; 4]);
    let (k, v): (Input, Input) = (("k", &[1, 2, 1, 1], &[1.0, 1.0]), ("v", &[1, 2, 1, 1], &[5.0, 9.0]));
    gives("attention", json!({}), &[q, k, v], &[5.0, 5.0, 9.0, 9.0], 0.0);
}

/// goldref's own answer in f64.
fn goldref(question: &Question) -> Answer {
    let mut eval = Evaluator::new(Numerics::plain(Dtype::F64));
    let asked = goldref::ops::Question { params: &question.params, arrays: &question.arrays };
    goldref::ops::find(question.op).unwrap().ask(&asked, &mut eval).unwrap()
}

/// A sanity check and no proof of either side: two evaluations that share nothing but the question.
#[test]
fn in_f64_every_style_agrees_with_goldref() {
    let mut random = Random::new(11);
    for op in OPS {
        for round in 0..60 {
            let question = Question::random(op, Dtype::F64, &mut random);
            let style = Style::random(Dtype::F64, &mut random);
            let expected = goldref(&question);
            for (name, actual) in evaluate(op, &question.params, &question.arrays, &style) {
                let expected = &expected[&name];
                assert_eq!(actual.shape(), expected.shape(), "{op} {round} {name}");
                let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
                // Of a constant row a LayerNorm leaves the rounding of its mean, up to 24 · 2^-52, over √1e-6.
                let floor = if op == "layer_norm" { 1e-10 } else { 0.0 };
                for (actual, expected) in actual.iter().zip(expected) {
                    let near = (actual - expected).abs() <= 1e-9 * largest + floor;
                    assert!(near || actual == expected, "{op} {round} {name}, {style:?}: {actual} for {expected}");
                }
            }
        }
    }
}

#[test]
fn answers_are_numbers_of_the_storage_and_nothing_overflows() {
    let mut random = Random::new(12);
    for storage in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        for op in OPS {
            for _ in 0..20 {
                let question = Question::random(op, storage, &mut random);
                let style = Style::random(storage, &mut random);
                let answer = evaluate(op, &question.params, &question.arrays, &style);
                for (name, array) in answer.iter().filter(|(name, _)| *name == "out" || *name == "bias") {
                    for &x in array {
                        assert!(x.is_finite() && round_f64(x, storage) == x, "{op} {name} {style:?}: {x}");
                    }
                }
            }
        }
    }
}

#[test]
fn styles_round_differently() {
    // Forty keys of eight components, nothing special about them.
    let wave = |n: usize, step: f64| (0..n).map(|i| 2.0 * (i as f64 * step).sin()).collect::<Vec<_>>();
    let (q, k, v) = (wave(24, 1.3), wave(320, 0.7), wave(320, 0.37));
    let inputs = arrays(&[("q", &[1, 1, 3, 8], &q), ("k", &[1, 1, 40, 8], &k), ("v", &[1, 1, 40, 8], &v)]);
    // Three passes in six orders make 18 in f32 at least. 16 bits round most of that away, but not where they round:
    // all stages, the probabilities alone, none.
    for (storage, least) in [(Dtype::F32, 18), (Dtype::F16, 3), (Dtype::Bf16, 3)] {
        let answers: BTreeSet<Vec<u64>> = Style::every(storage)
            .iter()
            .map(|style| evaluate("attention", &json!({}), &inputs, style)["out"].iter().map(|x| x.to_bits()).collect())
            .collect();
        assert!(answers.len() >= least, "{storage}: {} different answers", answers.len());
    }
}
