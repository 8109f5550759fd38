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
use crate::num::Dtype;
use crate::ops::attention::{AttentionInputs, ScoreMask, ScoreRule, attention, join_heads};
use crate::ops::question::Question;
use ndarray::{Array1, Array4, Axis, Ix4, s};
use std::collections::BTreeMap;

/// Every stage with its error, by the name of its site without `attn.`.
pub(super) type Stages = BTreeMap<&'static str, Bounded<Ix4>>;

/// Attention as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let AttentionInputs { q, k, v, mask, rule, sinks, heads } =
        AttentionInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let (present_key, present_value) = (Bounded::exact(k.clone()), Bounded::exact(v.clone()));
    let stages = stages(
        &Bounded::exact(q),
        &Bounded::exact(k),
        &Bounded::exact(v),
        &mask,
        &rule,
        sinks.as_ref(),
        &Steps::of(numerics),
    );
    let mut answer = BoundedAnswer::new();
    for (name, stage) in stages {
        if name == "context" {
            let Bounded { value, radius, .. } = stage;
            let out = Bounded::new(join_heads(value, heads), join_heads(radius, heads));
            answer.insert("out".to_string(), out);
        } else {
            answer.insert(name.to_string(), stage.into_dyn());
        }
    }
    answer.insert("present_key".to_string(), present_key.into_dyn());
    answer.insert("present_value".to_string(), present_value.into_dyn());
    Ok(answer)
}

/// The stages `scores`, `softcapped_scores`, `masked_scores`, `probs` and `context`.
pub(super) fn stages(
    q: &Bounded<Ix4>,
    k: &Bounded<Ix4>,
    v: &Bounded<Ix4>,
    mask: &ScoreMask<f64>,
    rule: &ScoreRule,
    sinks: Option<&Array1<f64>>,
    steps: &Steps,
) -> Stages {
    let mut exact = exact_stages(q, k, v, mask, rule, sinks);
    let mut take = |name: &str| exact.remove(name).unwrap_or_else(|| Array4::zeros((0, 0, 0, 0)));

    let value = take("scores");
    let radius = score_radii(q, k, rule.scale, steps);
    let scores = Bounded::new(value, radius).stored(steps.scores);

    let capped = match rule.softcap {
        None => scores.clone(),
        Some(softcap) => softcapped(&scores, take("softcapped_scores"), softcap, steps),
    };
    let masked = masked(&capped, take("masked_scores"), mask, steps);
    let (probs, context) = attend(&masked, take("probs"), take("context"), v, sinks, steps);
    // The scale is one rounded constant for all scores.
    BTreeMap::from([
        ("scores", scores.sharing(Shared::All)),
        ("softcapped_scores", capped.sharing(Shared::All)),
        ("masked_scores", masked.sharing(Shared::All)),
        ("probs", probs),
        ("context", context),
    ])
}

/// The values of each stage in f64.
fn exact_stages(
    q: &Bounded<Ix4>,
    k: &Bounded<Ix4>,
    v: &Bounded<Ix4>,
    mask: &ScoreMask<f64>,
    rule: &ScoreRule,
    sinks: Option<&Array1<f64>>,
) -> BTreeMap<String, Array4<f64>> {
    let mut trace = Trace::of(["*"]);
    let mut eval = Evaluator::with_trace(Numerics::plain(Dtype::F64), &mut trace);
    attention(&q.value, k.value.view(), v.value.view(), mask, rule, sinks, &mut eval);
    let four_axes = |array: ndarray::ArrayD<f64>| array.into_dimensionality::<Ix4>().ok();
    trace
        .into_arrays()
        .into_iter()
        .filter_map(|(site, array)| Some((site.trim_start_matches("attn.").to_string(), four_axes(array)?)))
        .collect()
}

/// The error of `scale · q kᵀ`, not yet stored. The scale is a rounded constant: two roundings.
fn score_radii(q: &Bounded<Ix4>, k: &Bounded<Ix4>, scale: f64, steps: &Steps) -> Array4<Radius> {
    let (batch, num_heads, q_len, head_dim) = q.value.dim();
    let (_, num_key_value_heads, kv_len, _) = k.value.dim();
    let group = num_heads / num_key_value_heads.max(1);
    let (queries, keys) = (q.pairs(), k.pairs());
    let row = |first: usize| first * head_dim..(first + 1) * head_dim;
    let mut radii = Vec::with_capacity(batch * num_heads * q_len * kv_len);
    for (b, h, i) in ndarray::indices((batch, num_heads, q_len)) {
        let query = &queries[row((b * num_heads + h) * q_len + i)];
        for j in 0..kv_len {
            let key = &keys[row((b * num_key_value_heads + h / group) * kv_len + j)];
            let mut dot = Dot::default();
            for (&q, &k) in query.iter().zip(key) {
                dot.add(q, k, steps.operands);
            }
            let (value, radius) = dot.finish(steps.accumulator);
            let scaled = scale * value;
            // Some store the product before it is scaled.
            let radius = radius.rounded(value, steps.scores);
            radii.push(radius.times(scale).rounded(scaled, steps.arithmetic).rounded(scaled, steps.arithmetic));
        }
    }
    Array4::from_shape_vec((batch, num_heads, q_len, kv_len), radii).expect("one radius for each score")
}

/// `softcap · tanh(s / softcap)`: the slope is at most 1, and `x tanh'(x) ≤ tanh x` for the rounding of the quotient.
fn softcapped(scores: &Bounded<Ix4>, value: Array4<f64>, softcap: f64, steps: &Steps) -> Bounded<Ix4> {
    let mut radius = scores.radius.clone();
    ndarray::Zip::from(&mut radius).and(&value).and(&scores.value).for_each(|radius, &capped, &score| {
        let slope = 1.0 - (score / softcap).tanh().powi(2);
        let inherited = Radius { variance: radius.variance * slope * slope, ..*radius };
        let own = Radius::uniform((FUNCTION + 1.0) * steps.arithmetic.u * capped.abs());
        *radius = inherited.plus(own).rounded(capped, steps.arithmetic);
    });
    Bounded::new(value, radius).stored(steps.scores)
}

/// `s + additive`, and −∞ where a key is not allowed: exactly.
fn masked(scores: &Bounded<Ix4>, value: Array4<f64>, mask: &ScoreMask<f64>, steps: &Steps) -> Bounded<Ix4> {
    let mut radius = scores.radius.clone();
    if mask.additive.is_some() {
        ndarray::Zip::from(&mut radius).and(&value).for_each(|radius, &value| {
            *radius = radius.rounded(value, steps.arithmetic).rounded(value, steps.scores);
        });
    }
    ndarray::Zip::from(&mut radius).and(&value).for_each(|radius, &value| {
        if value == f64::NEG_INFINITY {
            *radius = Radius::NONE;
        }
    });
    Bounded::new(value, radius)
}

/// Probabilities and context of all rows.
fn attend(
    masked: &Bounded<Ix4>,
    probs: Array4<f64>,
    context: Array4<f64>,
    v: &Bounded<Ix4>,
    sinks: Option<&Array1<f64>>,
    steps: &Steps,
) -> (Bounded<Ix4>, Bounded<Ix4>) {
    let (batch, num_heads, q_len, kv_len) = masked.value.dim();
    let group = num_heads / v.value.dim().1.max(1);
    let mut probs_radius = Array4::from_elem(probs.raw_dim(), Radius::NONE);
    let mut context_radius = Array4::from_elem(context.raw_dim(), Radius::NONE);
    let (scores, radii) = (masked.value.as_standard_layout(), masked.radius.as_standard_layout());
    for b in 0..batch {
        for h in 0..num_heads {
            for i in 0..q_len {
                let (scores, radii) = (scores.slice(s![b, h, i, ..]), radii.slice(s![b, h, i, ..]));
                let (Some(scores), Some(radii)) = (scores.as_slice(), radii.as_slice()) else { continue };
                let row = softmax::row(scores, radii, sinks.map(|sinks| sinks[h]), steps);
                for (j, radius) in row.radii().into_iter().enumerate() {
                    probs_radius[[b, h, i, j]] = radius.rounded(probs[[b, h, i, j]], steps.probs);
                }
                let shared = row_weights(&row, probs.slice(s![b, h, i, ..]).iter().copied(), steps);
                let (values, value_radii) =
                    (v.value.slice(s![b, h / group, .., ..]), v.radius.slice(s![b, h / group, .., ..]));
                for (d, (values, value_radii)) in
                    values.axis_iter(Axis(1)).zip(value_radii.axis_iter(Axis(1))).enumerate()
                {
                    let o = context[[b, h, i, d]];
                    let keys = (0..kv_len).map(|j| (j, values[j], value_radii[j]));
                    context_radius[[b, h, i, d]] =
                        context_radii(&row, &shared, o, keys, steps).rounded(o, steps.activations);
                }
            }
        }
    }
    (Bounded::new(probs, probs_radius), Bounded::new(context, context_radius))
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

fn row_weights(row: &Row, probs: impl Iterator<Item = f64>, steps: &Steps) -> Weights {
    let a = row.largest();
    let inner = (2.0 * a).exp_m1() / 2.0;
    let psi = if a > 0.0 { inner.exp_m1() / a } else { 1.0 };
    let stored: Vec<Step> = probs.map(|p| if p > 0.0 { steps.probs } else { Step::NONE }).collect();
    let keys = row.probs.iter().filter(|&&p| p > 0.0).count() as f64;
    Weights { worst: row.relative_worst(), psi: if psi.is_nan() { f64::INFINITY } else { psi }, stored, keys }
}

/// The error of one component of a context, not yet stored.
fn context_radii(
    row: &Row,
    weights: &Weights,
    o: f64,
    keys: impl Iterator<Item = (usize, f64, Radius)>,
    steps: &Steps,
) -> Radius {
    let mut of_probs = Radius::NONE;
    let mut rest = Radius::NONE;
    let (mut farthest, mut magnitude, mut partial, mut partial_squares, mut squares) = (0.0, 0.0, 0.0f64, 0.0, 0.0);
    for (j, v, dv) in keys {
        let p = row.probs[j];
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
