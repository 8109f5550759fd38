//! Properties of the small operations: softmax, rotary positions, norms, products.

use super::sample::Sample;
use super::trial::{Pair, Posed, Trial, chosen, filled, mapped, named, shaped, stored};
use crate::io::Array;
use ndarray::{ArrayD, Axis};
use serde_json::{Value, json};

fn ask(op: &'static str, params: Value, arrays: &[(&str, &ArrayD<f64>)]) -> Posed {
    let inputs = arrays.iter().map(|&(name, array)| (name, stored(array))).collect();
    Posed { op, params, inputs: named(inputs) }
}

fn rows(sample: &Sample) -> ArrayD<f64> {
    sample.numbers().array(&[sample.batch, sample.first, sample.tokens()])
}

/// `softmax(x + c) = softmax(x)`.
pub(super) fn softmax_shifted(sample: &Sample) -> Trial {
    let x = rows(sample);
    let shape = x.shape().to_vec();
    let posed = [&x, &(&x + 64.0)].map(|x| ask("softmax", json!({"axis": -1}), &[("x", x)]));
    Trial::new(posed.into(), move |answers| {
        let out = |question| shaped(answers, question, "out", &shape).cloned();
        Some(Pair { actual: out(1)?, expected: out(0)? })
    })
}

/// Probabilities of a row sum to one, and none is negative.
pub(super) fn softmax_sums_to_one(sample: &Sample) -> Trial {
    let x = rows(sample);
    let shape = x.shape().to_vec();
    Trial::new(vec![ask("softmax", json!({"axis": -1}), &[("x", &x)])], move |answers| {
        let out = shaped(answers, 0, "out", &shape)?;
        // A negative probability makes the sum of the absolute values larger than one.
        let actual = mapped(out, f64::abs).sum_axis(Axis(2));
        let expected = ArrayD::ones(actual.raw_dim());
        Some(Pair { actual, expected })
    })
}

/// The order of the row comes back in the order of the probabilities.
pub(super) fn softmax_permuted(sample: &Sample) -> Trial {
    let x = rows(sample);
    let order = Sample { seed: sample.seed ^ 1, ..sample.clone() }.numbers().permutation(sample.tokens());
    let shape = x.shape().to_vec();
    let posed = [&x, &chosen(&x, 2, &order)].map(|x| ask("softmax", json!({"axis": -1}), &[("x", x)]));
    Trial::new(posed.into(), move |answers| {
        let out = |question| shaped(answers, question, "out", &shape);
        Some(Pair { actual: out(1)?.clone(), expected: chosen(out(0)?, 2, &order) })
    })
}

/// Gaps of 2048 make a row one-hot.
pub(super) fn softmax_exact(sample: &Sample) -> Trial {
    let (rows, len) = (sample.first, sample.tokens());
    let order = sample.numbers().permutation(len);
    let hot = filled(&[rows, len], &|at| f64::from(u8::from(order[at[0] % len] == at[1])));
    Trial::new(vec![ask("softmax", json!({"axis": -1}), &[("x", &(&hot * 2048.0))])], move |answers| {
        Some(Pair { actual: shaped(answers, 0, "out", hot.shape())?.clone(), expected: hot.clone() })
    })
}

fn rope(x: &ArrayD<f64>, positions: Vec<i64>, layout: &str) -> Posed {
    let params = json!({"layout": layout, "rope_theta": 10000.0});
    let mut posed = ask("rope", params, &[("x", x)]);
    let len = positions.len();
    let ids = Array::I64(filled(&[1, len], &|at| positions[at[1]]));
    posed.inputs.insert("position_ids".to_string(), ids);
    posed
}

fn layout(sample: &Sample) -> &'static str {
    if sample.seed.is_multiple_of(2) { "half_split" } else { "interleaved" }
}

/// `⟨rope(q, m), rope(k, n)⟩` depends on `m - n` alone.
pub(super) fn rope_relative(sample: &Sample) -> Trial {
    let numbers = sample.numbers();
    let shape = [1, sample.kv_heads, sample.tokens(), sample.head_dim];
    let (q, k) = (numbers.array(&shape), numbers.array(&shape));
    let at = |from: usize| (from..from + sample.tokens()).map(|position| position as i64).collect::<Vec<_>>();
    let from = 1 + numbers.below(&[1], 200)[[0]] as usize;
    let posed = [(&q, 0), (&k, 0), (&q, from), (&k, from)].map(|(x, from)| rope(x, at(from), layout(sample)));
    Trial::new(posed.into(), move |answers| {
        let rotated = |question| shaped(answers, question, "out", &shape);
        // Each query with each key of its head.
        let scores = |q: &ArrayD<f64>, k: &ArrayD<f64>| {
            filled(&[shape[1], shape[2], shape[2]], &|at| {
                (0..shape[3]).map(|d| q[[0, at[0], at[1], d]] * k[[0, at[0], at[2], d]]).sum::<f64>()
            })
        };
        Some(Pair { actual: scores(rotated(2)?, rotated(3)?), expected: scores(rotated(0)?, rotated(1)?) })
    })
}

/// A rotation changes no norm.
pub(super) fn rope_keeps_norms(sample: &Sample) -> Trial {
    let shape = [1, sample.kv_heads, sample.tokens(), sample.head_dim];
    let x = sample.numbers().array(&shape);
    let positions = (0..sample.tokens()).map(|token| 37 * token as i64).collect();
    let squares = |x: &ArrayD<f64>| mapped(x, |x| x * x).sum_axis(Axis(3));
    let expected = squares(&x);
    Trial::new(vec![rope(&x, positions, layout(sample))], move |answers| {
        Some(Pair { actual: squares(shaped(answers, 0, "out", &shape)?), expected: expected.clone() })
    })
}

/// At position 0 nothing is rotated, exactly.
pub(super) fn rope_exact(sample: &Sample) -> Trial {
    let shape = [1, sample.kv_heads, sample.tokens(), sample.head_dim];
    let x = sample.numbers().whole(&shape, 17, -8.0);
    Trial::new(vec![rope(&x, vec![0; sample.tokens()], layout(sample))], move |answers| {
        Some(Pair { actual: shaped(answers, 0, "out", &shape)?.clone(), expected: x.clone() })
    })
}

/// Small whole numbers: products and sums are exact in each format.
pub(super) fn matmul_exact(sample: &Sample) -> Trial {
    let numbers = sample.numbers();
    let whole = |shape: [usize; 2]| numbers.whole(&shape, 5, -2.0);
    let (a, b) = (whole([sample.tokens(), sample.head_dim]), whole([sample.head_dim, sample.first]));
    let expected = filled(&[sample.tokens(), sample.first], &|at| {
        (0..sample.head_dim).map(|k| a[[at[0], k]] * b[[k, at[1]]]).sum::<f64>()
    });
    Trial::new(vec![ask("matmul", json!({}), &[("a", &a), ("b", &b)])], move |answers| {
        Some(Pair { actual: shaped(answers, 0, "out", expected.shape())?.clone(), expected: expected.clone() })
    })
}

/// With an identity as weight and a whole bias nothing is rounded.
pub(super) fn linear_exact(sample: &Sample) -> Trial {
    let (numbers, dim) = (sample.numbers(), sample.head_dim);
    let x = numbers.whole(&[sample.tokens(), dim], 17, -8.0);
    let bias = numbers.whole(&[dim], 9, -4.0);
    let identity = filled(&[dim, dim], &|at| f64::from(u8::from(at[0] == at[1])));
    let expected = &x + &bias;
    let posed = ask("linear", json!({}), &[("x", &x), ("weight", &identity), ("bias", &bias)]);
    Trial::new(vec![posed], move |answers| {
        Some(Pair { actual: shaped(answers, 0, "out", expected.shape())?.clone(), expected: expected.clone() })
    })
}

/// `rms_norm(-x) = -rms_norm(x)`, and the weight is a factor of its feature alone.
pub(super) fn rms_norm_odd(sample: &Sample) -> Trial {
    let (numbers, dim) = (sample.numbers(), sample.head_dim);
    let (x, weight) = (numbers.array(&[sample.tokens(), dim]), numbers.array(&[dim]));
    let shape = x.shape().to_vec();
    let posed = [(&x, &weight), (&(-&x), &(&weight * 2.0))]
        .map(|(x, weight)| ask("rms_norm", json!({"norm_eps": 1e-5}), &[("x", x), ("weight", weight)]));
    Trial::new(posed.into(), move |answers| {
        let out = |question| shaped(answers, question, "out", &shape);
        Some(Pair { actual: out(1)?.clone(), expected: out(0)? * -2.0 })
    })
}
