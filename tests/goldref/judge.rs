//! The judge is right about right answers: a correct evaluation in any format, order and blocking is never accused.

use super::evaluations::{self, OPS, Random, style::Stages, style::Style};
use goldref::check::bounds::{Bound, bounds};
use goldref::check::{Judged, Ladder, Selection, Uncertainty, Verdict, Yardstick, compare, judge};
use goldref::eval::{Evaluator, Numerics};
use goldref::io::Array;
use goldref::num::Dtype;
use goldref::ops;
use ndarray::ArrayD;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a style declares of itself.
fn numerics(style: &Style) -> Numerics {
    match (style.storage, style.stages) {
        (Dtype::F64 | Dtype::F32, _) => Numerics::plain(style.storage),
        (storage, Stages::Kept) => Numerics::stored_in(storage),
        (storage, Stages::Stored) => Numerics::eager(storage),
    }
}

/// The opinion about each array of a candidate's answer, held against the answer in f64.
fn opinions(
    op: &str,
    params: &Value,
    arrays: &BTreeMap<String, Array>,
    answer: &BTreeMap<String, ArrayD<f64>>,
    numerics: &Numerics,
) -> Vec<(String, Judged)> {
    let question = ops::Question { params, arrays };
    let oracle = Numerics::plain(Dtype::F64);
    let expected = ops::find(op).unwrap().ask(&question, &mut Evaluator::new(oracle)).unwrap();
    let of = |numerics: &Numerics| -> BTreeMap<String, Bound> {
        bounds(op, &question, numerics).unwrap().unwrap().into_iter().collect()
    };
    let (bound, exact) = (of(numerics), of(&oracle));
    let mut found = Vec::new();
    for (name, actual) in answer {
        let (Some(expected), Some(bound)) = (expected.get(name), bound.get(name)) else { continue };
        // In f64 the oracle is an evaluation too, as far off as the candidate may be.
        let own =
            if numerics.arithmetic == Dtype::F64 { exact[name].worst.iter().copied().fold(0.0, f64::max) } else { 0.0 };
        let facts = compare(actual, expected, Dtype::F64, Selection::All, &Ladder::default()).unwrap();
        let yardstick = Yardstick::of_bound(bound, &exact[name].value, numerics, Uncertainty::of(Dtype::F64, own));
        found.push((name.clone(), judge(actual, expected, Selection::All, &facts, &yardstick)));
    }
    assert!(!found.is_empty(), "{op}: nothing was judged");
    found
}

/// Random questions of each operation and format, each answered in a random style.
const ROUNDS: u64 = 170;

#[test]
fn ten_thousand_correct_evaluations_are_rounding() {
    let mut judged = 0;
    let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, op) in OPS.into_iter().enumerate() {
        for storage in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16] {
            for round in 0..ROUNDS {
                let seed = (number as u64) << 32 | (storage.precision() as u64) << 16 | round;
                let mut random = Random::new(seed);
                let question = evaluations::Question::random(op, storage, &mut random);
                let style = Style::random(storage, &mut random);
                let answer = evaluations::evaluate(op, &question.params, &question.arrays, &style);
                for (array, opinion) in opinions(op, &question.params, &question.arrays, &answer, &numerics(&style)) {
                    judged += 1;
                    if !opinion.verdict.is_rounding() {
                        wrong.entry(op).or_default().push(format!("{array} seed {seed:#x} {style:?}: {opinion:?}"));
                    }
                }
            }
        }
    }
    assert!(judged >= 10_000, "{judged}");
    let shown =
        wrong.iter().map(|(op, all)| format!("{op}, {} times: {}", all.len(), all[..all.len().min(3)].join("\n")));
    assert!(wrong.is_empty(), "of {judged}:\n{}", shown.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_onnx_goldens_in_16_bits_are_explained_by_rounding() {
    let store = super::store();
    let onnx = store.suites.iter().find(|suite| suite.name == "onnx").unwrap();
    let mut judged = 0;
    for case in &onnx.cases {
        let inputs = case.inputs().unwrap();
        let expected = case.expected().unwrap();
        let format = |array: &Array| Dtype::ALL.into_iter().find(|dtype| dtype.name() == array.dtype_name());
        let Some(storage) = expected.get("out").and_then(format).filter(|dtype| dtype.precision() < 24) else {
            continue;
        };
        // The standard's reference computes each step in the format of the test, the inside of a softmax too.
        let numerics = Numerics { softmax: storage, ..Numerics::eager(storage) };
        let golden = expected.iter().map(|(name, array)| (name.clone(), array.to_f64())).collect();
        for (array, opinion) in opinions(&case.op, &case.params, &inputs, &golden, &numerics) {
            judged += 1;
            assert!(opinion.verdict.is_rounding(), "{} {array}: {opinion:?}", case.name);
        }
    }
    assert!(judged >= 12, "{judged}");
}

/// A wrong answer to one question, and the verdict that it must not escape.
fn verdict_of(op: &str, params: Value, arrays: &[(&str, ArrayD<f64>)], wrong: &ArrayD<f64>, dtype: Dtype) -> Verdict {
    let arrays = arrays.iter().map(|(name, x)| (name.to_string(), Array::F64(x.clone()))).collect();
    let numerics = if dtype == Dtype::F32 { Numerics::plain(dtype) } else { Numerics::stored_in(dtype) };
    let answer = BTreeMap::from([("out".to_string(), wrong.clone())]);
    opinions(op, &params, &arrays, &answer, &numerics)[0].1.verdict
}

#[test]
fn a_wrong_eps_is_not_rounding_though_it_passes_1e_3() {
    let x = ArrayD::from_shape_fn(vec![64, 32], |at| ((at[0] * 37 + at[1] * 11) % 101) as f64 / 300.0 - 0.1637);
    let with_eps = |eps: f64| {
        let mut y = x.clone();
        for mut row in y.rows_mut() {
            let r = 1.0 / (row.iter().map(|x| x * x).sum::<f64>() / 32.0 + eps).sqrt();
            row.mapv_inplace(|x| x * r);
        }
        y
    };
    let params = serde_json::json!({"norm_eps": 1e-6});
    let verdict =
        |wrong: &ArrayD<f64>, dtype| verdict_of("rms_norm", params.clone(), &[("x", x.clone())], wrong, dtype);
    let right = with_eps(1e-6).mapv(|y| f64::from(y as f32));
    let wrong = with_eps(1e-5).mapv(|y| f64::from(y as f32));
    assert!(right.iter().zip(&wrong).all(|(a, b)| (a - b).abs() < 1e-3));
    assert_eq!(verdict(&right, Dtype::F32), Verdict::Rounding);
    assert_eq!(verdict(&wrong, Dtype::F32), Verdict::NotRounding);
}

#[test]
fn a_gelu_of_the_other_form_is_not_rounding_in_f32() {
    let x = ArrayD::from_shape_fn(vec![256], |at| at[0] as f64 / 32.0 - 4.0);
    let tanh = x.mapv(|x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044715 * x * x * x)).tanh()));
    let params = serde_json::json!({"approximate": "none"});
    assert_eq!(verdict_of("gelu", params, &[("x", x)], &tanh, Dtype::F32), Verdict::NotRounding);
}

#[test]
fn bf16_rounding_that_always_goes_down_leans() {
    // Truncation instead of rounding to nearest: every single error is below one unit in the last place.
    let x = ArrayD::from_shape_fn(vec![64, 32], |at| 1.0 + (at[0] * 53 + at[1] * 19) as f64 / 977.0);
    let x = x.mapv(|x| f64::from(half::bf16::from_f64(x)));
    let w =
        ArrayD::from_shape_fn(vec![1, 32], |at| 1.0 + at[1] as f64 / 64.0).mapv(|x| f64::from(half::bf16::from_f64(x)));
    let exact = ArrayD::from_shape_fn(vec![64, 1], |at| (0..32).map(|i| x[[at[0], i]] * w[[0, i]]).sum::<f64>());
    let truncated = exact.mapv(|y| f64::from(f32::from_bits((y as f32).to_bits() & 0xffff_0000)));
    let nearest = exact.mapv(|y| f64::from(half::bf16::from_f64(y)));
    let arrays = [("x", x), ("weight", w)];
    assert_eq!(
        verdict_of("linear", Value::Object(Default::default()), &arrays, &nearest, Dtype::Bf16),
        Verdict::Rounding
    );
    assert!(
        verdict_of("linear", Value::Object(Default::default()), &arrays, &truncated, Dtype::Bf16)
            >= Verdict::Suspicious
    );
}
