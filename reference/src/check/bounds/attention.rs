//! Scaled dot-product attention, stage by stage.
//!
//! ```text
//! scores   δ = n u σ Σ |q||k| + 2 u |s|, stored twice                 products.rs
//! capped   tanh' ≤ 1:  δ + 5 u |c|, stored
//! masked   δ + u |s + a|, stored
//! probs    softmax.rs, stored
//! context  W: Σⱼ pⱼ rⱼ |vⱼ|                            rⱼ the factor of the worst case of softmax.rs
//!          C: ψ(max e) Σⱼ pⱼ eⱼ |vⱼ - o|                ψ(a) = (exp((exp(2a) - 1) / 2) - 1) / a
//!          R: 3 √ Σⱼ pⱼ² var eⱼ (vⱼ - o)²
//!          and to each: (n - 1) u |o| of the sum, u_P Σ pⱼ |vⱼ| of stored probabilities and of the quotient, n u Σ pⱼ |vⱼ| of the
//!          last product, Σ pⱼ δvⱼ of the values, storing
//! ```
//! C follows the path `p(t) = softmax(s + tε)`, where `ȯ = Σ pⱼ(t) εⱼ (vⱼ - o(t))`: a shift of all scores, or of all values,
//! changes nothing. With `p(t) ≤ exp(2ta) p` and `|vⱼ - o(t)| ≤ |vⱼ - o| + |o(t) - o|`, Grönwall's inequality gives ψ. A context
//! is a mean of its values, so no error of the probabilities moves it further than to the farthest of them.

use super::products::Dot;
use super::radius::{FUNCTION, Radius, Step, Steps};
use super::softmax::{self, Row};
use super::{Bounded, BoundedAnswer, Shared};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics, Trace};
use crate::linalg::arrays;
use crate::num::Dtype;
use crate::ops::attention::{AttentionInputs, Heads, ScoreMask, ScoreRule, attention};
use crate::ops::question::Question;
use ndarray::{Array1, Array4, ArrayD};
use std::collections::BTreeMap;

/// Every stage with its error, by the name of its site without `attn.`.
pub(super) type Stages = [(&'static str, Bounded); 5];

/// Attention as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let AttentionInputs { q, k, v, mask, rule, sinks, heads } =
        AttentionInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let [q, k, v] = [q, k, v].map(|x| Bounded::exact(&x.into_dyn()));
    let mut answer = BoundedAnswer::new();
    for (name, stage) in stages(&q, &k, &v, &mask, &rule, sinks.as_ref(), &Steps::of(numerics)) {
        match (name, heads) {
            ("context", Heads::Axis) => answer.push(("out".to_string(), stage)),
            ("context", Heads::Flat) => answer.push(("out".to_string(), stage.with_merged_heads())),
            _ => answer.push((name.to_string(), stage)),
        }
    }
    answer.push(("present_key".to_string(), k));
    answer.push(("present_value".to_string(), v));
    Ok(answer)
}

/// The stages `scores`, `softcapped_scores`, `masked_scores`, `probs` and `context`.
pub(super) fn stages(
    q: &Bounded,
    k: &Bounded,
    v: &Bounded,
    mask: &ScoreMask<f64>,
    rule: &ScoreRule,
    sinks: Option<&Array1<f64>>,
    steps: &Steps,
) -> Stages {
    let exact = exact_stages(q, k, v, mask, rule, sinks);
    let values = |site: &str| exact.get(site).map_or_else(Vec::new, |x| arrays::values(x).into_owned());

    let scores = scores(q, k, values("attn.scores"), rule.scale, steps).stored(steps.scores);
    let capped = match rule.softcap {
        None => scores.clone(),
        Some(softcap) => softcapped(&scores, values("attn.softcapped_scores"), softcap, steps),
    };
    let masked = masked(&capped, values("attn.masked_scores"), mask, steps);
    let (probs, context) = attend(&masked, values("attn.probs"), values("attn.context"), v, sinks, steps);
    // The scale is one rounded constant for all scores.
    [
        ("scores", scores.sharing(Shared::All)),
        ("softcapped_scores", capped.sharing(Shared::All)),
        ("masked_scores", masked.sharing(Shared::All)),
        ("probs", probs),
        ("context", context),
    ]
}

/// The values of each stage in f64, by the name of its site.
fn exact_stages(
    q: &Bounded,
    k: &Bounded,
    v: &Bounded,
    mask: &ScoreMask<f64>,
    rule: &ScoreRule,
    sinks: Option<&Array1<f64>>,
) -> BTreeMap<String, ArrayD<f64>> {
    let array = |x: &Bounded| {
        let axes: [usize; 4] = x.axes();
        Array4::from_shape_vec(axes, x.value.clone()).expect("a value for each place")
    };
    let (q, k, v) = (array(q), array(k), array(v));
    let mut trace = Trace::of(["*"]);
    let mut eval = Evaluator::with_trace(Numerics::plain(Dtype::F64), &mut trace);
    attention(&q, k.view(), v.view(), mask, rule, sinks, &mut eval);
    trace.into_arrays()
}

/// `scale · q kᵀ`, not yet stored. The scale is a rounded constant: two roundings.
fn scores(q: &Bounded, k: &Bounded, value: Vec<f64>, scale: f64, steps: &Steps) -> Bounded {
    let [batch, num_heads, q_len, head_dim] = q.axes();
    let [_, num_key_value_heads, kv_len, _] = k.axes();
    let group = num_heads / num_key_value_heads.max(1);
    let mut radii = Vec::with_capacity(batch * num_heads * q_len * kv_len);
    for row in 0..batch * num_heads * q_len {
        let (b, h) = (row / (num_heads * q_len), row / q_len % num_heads);
        for j in 0..kv_len {
            let (query, key) = (row * head_dim, ((b * num_key_value_heads + h / group) * kv_len + j) * head_dim);
            let mut dot = Dot::default();
            for d in 0..head_dim {
                dot.add(q.pair(query + d), k.pair(key + d), steps.operands);
            }
            let (value, radius) = dot.finish(steps.accumulator);
            let scaled = scale * value;
            // Some store the product before it is scaled.
            let radius = radius.rounded(value, steps.scores);
            radii.push(radius.times(scale).rounded(scaled, steps.arithmetic).rounded(scaled, steps.arithmetic));
        }
    }
    Bounded::new(&[batch, num_heads, q_len, kv_len], value, radii)
}

/// `softcap · tanh(s / softcap)`: the slope is at most 1, and `x tanh'(x) ≤ tanh x` for the rounding of the quotient.
fn softcapped(scores: &Bounded, value: Vec<f64>, softcap: f64, steps: &Steps) -> Bounded {
    let mut radii = scores.radius.clone();
    for (at, radius) in radii.iter_mut().enumerate() {
        let (capped, score) = (value[at], scores.value[at]);
        let slope = 1.0 - (score / softcap).tanh().powi(2);
        let inherited = Radius { variance: radius.variance * slope * slope, ..*radius };
        let own = Radius::uniform((FUNCTION + 1.0) * steps.arithmetic.u * capped.abs());
        *radius = inherited.plus(own).rounded(capped, steps.arithmetic);
    }
    Bounded::new(&scores.shape, value, radii).stored(steps.scores)
}

/// `s + additive`, and −∞ where a key is not allowed: exactly.
fn masked(scores: &Bounded, value: Vec<f64>, mask: &ScoreMask<f64>, steps: &Steps) -> Bounded {
    let mut radii = scores.radius.clone();
    for (radius, &value) in radii.iter_mut().zip(&value) {
        if value == f64::NEG_INFINITY {
            *radius = Radius::NONE;
        } else if mask.additive.is_some() {
            *radius = radius.rounded(value, steps.arithmetic).rounded(value, steps.scores);
        }
    }
    Bounded::new(&scores.shape, value, radii)
}

/// Probabilities and context of all rows.
fn attend(
    masked: &Bounded,
    probs: Vec<f64>,
    context: Vec<f64>,
    v: &Bounded,
    sinks: Option<&Array1<f64>>,
    steps: &Steps,
) -> (Bounded, Bounded) {
    let [batch, num_heads, q_len, kv_len] = masked.axes();
    let [_, num_key_value_heads, _, head_dim] = v.axes();
    let group = num_heads / num_key_value_heads.max(1);
    let (mut probs_radii, mut context_radii) = (Vec::with_capacity(probs.len()), Vec::with_capacity(context.len()));
    for number in 0..batch * num_heads * q_len {
        let (b, h) = (number / (num_heads * q_len), number / q_len % num_heads);
        let places = number * kv_len..(number + 1) * kv_len;
        let (scores, radii) = (&masked.value[places.clone()], &masked.radius[places.clone()]);
        let row = softmax::row(scores, radii, sinks.map(|sinks| sinks[h]), steps);
        let probs = &probs[places];
        for (radius, &prob) in row.radii().into_iter().zip(probs) {
            probs_radii.push(radius.rounded(prob, steps.probs));
        }
        let shared = row_weights(&row, probs, steps);
        for d in 0..head_dim {
            let o = context[number * head_dim + d];
            // The values of a key/value head, component d of each key.
            let first = (b * num_key_value_heads + h / group) * kv_len * head_dim + d;
            let radius = context_radius(&row, &shared, o, |j| v.pair(first + j * head_dim), steps);
            context_radii.push(radius.rounded(o, steps.activations));
        }
    }
    let context_shape = [batch, num_heads, q_len, head_dim];
    (Bounded::new(&masked.shape, probs, probs_radii), Bounded::new(&context_shape, context, context_radii))
}

/// A factor without limit makes anything possible, even from a probability that is 0 in f64.
fn times(factor: f64, size: f64) -> f64 {
    if factor.is_finite() { factor * size } else { f64::INFINITY }
}

/// What all columns of a context share.
struct Weights {
    /// Factor of the worst case on each probability.
    worst: Vec<f64>,
    /// ψ(max e).
    psi: f64,
    /// Stored probability and quotient, for each key: relative and absolute part.
    stored: Vec<Step>,
    keys: f64,
}

fn row_weights(row: &Row, probs: &[f64], steps: &Steps) -> Weights {
    let a = row.largest();
    let inner = (2.0 * a).exp_m1() / 2.0;
    let psi = if a > 0.0 { inner.exp_m1() / a } else { 1.0 };
    let mut stored = vec![Step::NONE; probs.len()];
    for (stored, &p) in stored.iter_mut().zip(probs) {
        if p > 0.0 {
            *stored = steps.probs;
        }
    }
    let keys = row.probs.iter().filter(|&&p| p > 0.0).count() as f64;
    Weights { worst: row.relative_worst(), psi: if psi.is_nan() { f64::INFINITY } else { psi }, stored, keys }
}

/// The error of one component of a context, not yet stored.
fn context_radius(
    row: &Row,
    weights: &Weights,
    o: f64,
    value_of: impl Fn(usize) -> (f64, Radius),
    steps: &Steps,
) -> Radius {
    let mut of_probs = Radius::NONE;
    let mut rest = Radius::NONE;
    let (mut farthest, mut magnitude, mut partial, mut partial_squares, mut squares) = (0.0, 0.0, 0.0f64, 0.0, 0.0);
    for (j, &p) in row.probs.iter().enumerate() {
        let (v, dv) = value_of(j);
        let (e, distance) = (row.exponent[j], (v - o).abs());
        // A masked key takes part in nothing, whatever is stored there.
        if p == 0.0 && e == Radius::NONE {
            continue;
        }
        of_probs = of_probs.plus(Radius {
            worst: times(weights.worst[j], p * v.abs()),
            centred: times(weights.psi, p * e.centred * distance),
            variance: p * p * e.variance * distance * distance,
        });
        farthest = super::larger(farthest, distance + dv.worst);
        let stored = Radius::uniform((weights.stored[j].u * p + weights.stored[j].floor) * v.abs());
        rest = rest.plus(stored).plus(row.own.times(p * v)).plus(dv.times(p));
        let size = p * (v.abs() + dv.worst);
        partial += p * v;
        partial_squares += partial * partial;
        squares += size * size;
        magnitude += size;
    }
    let cap = farthest + (row.common.worst + row.own.worst) * magnitude;
    of_probs.worst = super::smaller(of_probs.worst, cap);
    of_probs.centred = super::smaller(of_probs.centred, cap);
    let operands = Radius::uniform(steps.operands.u * (2.0 + steps.operands.u) * magnitude);
    let u = steps.accumulator.u;
    // A block's sum is multiplied whenever the maximum grows: as many roundings again at most.
    let size = 2.0 * weights.keys * (u * magnitude + steps.accumulator.floor);
    let spread = partial_squares.max(0.5 * weights.keys * squares);
    let summed = Radius { variance: u * u / 3.0 * spread, ..Radius::uniform(size) };
    of_probs.plus(rest).plus(row.common.times(o)).plus(operands).plus(Radius { worst: size, centred: size, ..summed })
}
