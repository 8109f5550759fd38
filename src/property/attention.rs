//! Properties of attention, `softmax(q kᵀ · scale + mask) v`.

use super::sample::Sample;
use super::trial::{Answers, Pair, Posed, Trial, chosen, filled, joined, named, part, shaped, stored};
use crate::io::Array;
use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::{Value, json};

/// Queries, keys and values of a sample.
struct Qkv {
    q: ArrayD<f64>,
    k: ArrayD<f64>,
    v: ArrayD<f64>,
}

impl Qkv {
    /// As many queries as keys.
    fn of(sample: &Sample) -> Self {
        let numbers = sample.numbers();
        let shape = |heads: usize| [sample.batch, heads, sample.tokens(), sample.head_dim];
        Self {
            q: numbers.array(&shape(sample.heads())),
            k: numbers.array(&shape(sample.kv_heads)),
            v: numbers.array(&shape(sample.kv_heads)),
        }
    }

    fn ask(&self, params: Value) -> Posed {
        let arrays = [("q", &self.q), ("k", &self.k), ("v", &self.v)];
        let inputs = arrays.map(|(name, array)| (name, stored(array)));
        Posed { op: "attention", params, inputs: named(inputs.into()) }
    }

    fn shape(&self) -> Vec<usize> {
        self.q.shape().to_vec()
    }
}

fn all() -> Value {
    json!({})
}

fn causal() -> Value {
    json!({"causal": "bottom_right"})
}

/// The outputs of two questions of the same shape are equal.
fn same(posed: [Posed; 2], shape: Vec<usize>) -> Trial {
    Trial::new(posed.into(), move |answers| {
        Some(Pair {
            actual: shaped(answers, 1, "out", &shape)?.clone(),
            expected: shaped(answers, 0, "out", &shape)?.clone(),
        })
    })
}

/// `out[.., i, ..]` does not depend on `k[j], v[j]` for `j > i`.
pub(super) fn causality(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let other = Qkv::of(&Sample { seed: !sample.seed, ..sample.clone() });
    let changed = |old: &ArrayD<f64>, new: &ArrayD<f64>| {
        let (kept, later) = (part(old, 2, 0, sample.first), part(new, 2, sample.first, sample.tokens()));
        joined(2, &[kept.view(), later.view()])
    };
    let later = Qkv { q: qkv.q.clone(), k: changed(&qkv.k, &other.k), v: changed(&qkv.v, &other.v) };
    let (shape, first) = (qkv.shape(), sample.first);
    Trial::new(vec![qkv.ask(causal()), later.ask(causal())], move |answers| {
        let before = |question| Some(part(shaped(answers, question, "out", &shape)?, 2, 0, first));
        Some(Pair { actual: before(1)?, expected: before(0)? })
    })
}

/// New queries over a cache and new keys are the last rows of the whole.
pub(super) fn cached_is_whole(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let (first, len) = (sample.first, sample.tokens());
    let cut = |array: &ArrayD<f64>, from, to| stored(&part(array, 2, from, to));
    let inputs = named(vec![
        ("q", cut(&qkv.q, first, len)),
        ("k", cut(&qkv.k, first, len)),
        ("v", cut(&qkv.v, first, len)),
        ("past_key", cut(&qkv.k, 0, first)),
        ("past_value", cut(&qkv.v, 0, first)),
    ]);
    let cached = Posed { op: "attention", params: causal(), inputs };
    let shape = qkv.shape();
    Trial::new(vec![qkv.ask(causal()), cached], move |answers| {
        let mut short = shape.clone();
        short[2] = len - first;
        let expected = part(shaped(answers, 0, "out", &shape)?, 2, first, len);
        Some(Pair { actual: shaped(answers, 1, "out", &short)?.clone(), expected })
    })
}

/// Each request of a batch has the output that it has alone.
pub(super) fn batch_is_alone(sample: &Sample) -> Trial {
    last_is_alone(&Sample { batch: sample.batch.max(2), ..sample.clone() }, 0)
}

/// Each head has the output that it has alone.
pub(super) fn head_is_alone(sample: &Sample) -> Trial {
    last_is_alone(&Sample { kv_heads: sample.kv_heads.max(2), group: 1, ..sample.clone() }, 1)
}

/// The last index of an axis has the output that it has alone.
fn last_is_alone(sample: &Sample, axis: usize) -> Trial {
    let qkv = Qkv::of(sample);
    let last = move |array: &ArrayD<f64>| part(array, axis, array.shape()[axis] - 1, array.shape()[axis]);
    let alone = Qkv { q: last(&qkv.q), k: last(&qkv.k), v: last(&qkv.v) };
    let (whole, one) = (qkv.shape(), alone.shape());
    Trial::new(vec![alone.ask(causal()), qkv.ask(causal())], move |answers| {
        let actual = last(shaped(answers, 1, "out", &whole)?);
        Some(Pair { actual, expected: shaped(answers, 0, "out", &one)?.clone() })
    })
}

/// Without a mask the order of the keys does not matter, as long as the values come along.
pub(super) fn keys_permuted(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let order = Sample { seed: sample.seed ^ 1, ..sample.clone() }.numbers().permutation(sample.tokens());
    let permuted = Qkv { q: qkv.q.clone(), k: chosen(&qkv.k, 2, &order), v: chosen(&qkv.v, 2, &order) };
    same([qkv.ask(all()), permuted.ask(all())], qkv.shape())
}

/// Adding one vector to all keys adds one number to all scores of a row, and softmax does not see it.
pub(super) fn scores_shifted(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let vector = Sample { seed: sample.seed ^ 1, ..sample.clone() }.numbers().array(&[
        sample.batch,
        sample.kv_heads,
        1,
        sample.head_dim,
    ]);
    let shifted = Qkv { q: qkv.q.clone(), k: &qkv.k + &vector, v: qkv.v.clone() };
    same([qkv.ask(all()), shifted.ask(all())], qkv.shape())
}

/// Shared key heads are the same as key heads repeated for each query head: head `h` reads key head `h / group`.
pub(super) fn gqa_is_mha(sample: &Sample) -> Trial {
    let sample = Sample { kv_heads: sample.kv_heads.max(2), group: sample.group.max(2), ..sample.clone() };
    let qkv = Qkv::of(&sample);
    let repeat: Vec<usize> = (0..sample.heads()).map(|head| head / sample.group).collect();
    let mha = Qkv { q: qkv.q.clone(), k: chosen(&qkv.k, 1, &repeat), v: chosen(&qkv.v, 1, &repeat) };
    same([mha.ask(causal()), qkv.ask(causal())], qkv.shape())
}

/// `out(v + 2 w) = out(v) + 2 out(w)`.
pub(super) fn linear_in_values(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let w = Sample { seed: sample.seed ^ 1, ..sample.clone() }.numbers().array(qkv.v.shape());
    let of = |v: ArrayD<f64>| Qkv { q: qkv.q.clone(), k: qkv.k.clone(), v };
    let posed = [of(qkv.v.clone()), of(w.clone()), of(&qkv.v + &(&w * 2.0))].map(|qkv| qkv.ask(causal()));
    let shape = qkv.shape();
    Trial::new(posed.into(), move |answers| {
        let out = |question| shaped(answers, question, "out", &shape);
        Some(Pair { actual: out(2)?.clone(), expected: out(0)? + &(out(1)? * 2.0) })
    })
}

/// Every output lies between the least and the largest value of its feature.
pub(super) fn convex_hull(sample: &Sample) -> Trial {
    let qkv = Qkv::of(sample);
    let (shape, v, group) = (qkv.shape(), qkv.v.clone(), sample.group);
    Trial::new(vec![qkv.ask(all())], move |answers| {
        let out = shaped(answers, 0, "out", &shape)?;
        let clamped = filled(&shape, &|at| {
            let values = v.index_axis(Axis(0), at[0]).index_axis_move(Axis(0), at[1] / group);
            let feature = values.index_axis_move(Axis(1), at[3]);
            let (least, most) = feature.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &x| {
                (if x < least { x } else { least }, if x > most { x } else { most })
            });
            let x = out[at];
            // What is no number lies nowhere.
            if x.is_nan() || x < least {
                least
            } else if x > most {
                most
            } else {
                x
            }
        });
        Some(Pair { actual: out.clone(), expected: clamped })
    })
}

/// A masked key has the weight 0: its value may be anything.
fn poisoned(sample: &Sample, poison: f64) -> Trial {
    let qkv = Qkv::of(sample);
    let mut bad = qkv.v.clone();
    bad.slice_axis_mut(Axis(2), (sample.first..).into()).fill(poison);
    let mask = filled(&[sample.batch, sample.tokens()], &|at| i64::from(at[1] < sample.first));
    let ask = |qkv: &Qkv| {
        let mut posed = qkv.ask(all());
        posed.inputs.insert("attention_mask".to_string(), Array::I64(mask.clone()));
        posed
    };
    let poisoned = Qkv { q: qkv.q.clone(), k: qkv.k.clone(), v: bad };
    same([ask(&qkv), ask(&poisoned)], qkv.shape())
}

pub(super) fn poisoned_with_large(sample: &Sample) -> Trial {
    poisoned(sample, f64::from(1e30_f32))
}

pub(super) fn poisoned_with_nan(sample: &Sample) -> Trial {
    poisoned(sample, f64::NAN)
}

/// Keys far apart: each query gives all its weight to one key, and the output is that key's value, exactly.
pub(super) fn exact_one_hot(sample: &Sample) -> Trial {
    let (len, batch, heads) = (sample.tokens(), sample.batch, sample.kv_heads);
    // Token i of the keys is a unit vector times 32 and the query that looks at it one times 64: a gap of 2048, and exp(-2048) is 0 in f64 too.
    let unit = |token: usize, feature: usize| if token == feature { 1.0 } else { 0.0 };
    let shape = [batch, heads, len, len];
    let order = sample.numbers().permutation(len);
    let k = filled(&shape, &|at| 32.0 * unit(at[2], at[3]));
    let q = filled(&shape, &|at| 64.0 * unit(order[at[2]], at[3]));
    let v = sample.numbers().whole(&[batch, heads, len, sample.head_dim], 17, -8.0);
    let expected = chosen(&v, 2, &order);
    exactly(Qkv { q, k, v }, json!({"scale": 1.0}), expected)
}

/// Equal keys: each has the weight 1/n, and with n a power of two and whole values the mean is exact.
pub(super) fn exact_mean(sample: &Sample) -> Trial {
    let len = [2, 4, 8, 16][sample.tokens() % 4];
    let numbers = sample.numbers();
    let (batch, heads, dim) = (sample.batch, sample.kv_heads, sample.head_dim);
    let q = numbers.whole(&[batch, heads, sample.first, dim], 5, -2.0);
    let k = ArrayD::from_elem(IxDyn(&[batch, heads, len, dim]), 1.0);
    // Multiples of 16: their mean over up to 16 keys is a whole number below 8 in each format.
    let v = &numbers.whole(&[batch, heads, len, dim], 3, -1.0) * 16.0;
    let mean = v.sum_axis(Axis(2)) / len as f64;
    let rows: Vec<_> = (0..sample.first).map(|_| mean.view().insert_axis(Axis(2))).collect();
    let expected = joined(2, &rows);
    exactly(Qkv { q, k, v }, json!({"scale": 1.0}), expected)
}

fn exactly(qkv: Qkv, params: Value, expected: ArrayD<f64>) -> Trial {
    Trial::new(vec![qkv.ask(params)], move |answers: Answers| {
        let actual = shaped(answers, 0, "out", expected.shape())?.clone();
        Some(Pair { actual, expected: expected.clone() })
    })
}
