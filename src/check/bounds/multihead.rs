//! `torch.nn.MultiheadAttention`: projections, attention, projection; each passes its errors on.

use super::attention::stages;
use super::products::linear;
use super::radius::{Radius, Steps};
use super::{Bounded, BoundedAnswer};
use crate::error::Result;
use crate::eval::{Evaluator, Numerics};
use crate::ops::attention::ScoreRule;
use crate::ops::multihead_attention::MultiheadInputs;
use crate::ops::question::Question;
use ndarray::{Array1, Array3, Axis, Ix3, Ix4, concatenate};

/// The module as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let MultiheadInputs { query, key, value, weights, masks } =
        MultiheadInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let project = |x: Array3<f64>, layer, extra: Option<&Array1<f64>>| {
        let projected = linear(&Bounded::exact(x), layer, &steps).stored(steps.activations);
        in_heads(with_extra_row(projected, extra), weights.num_heads)
    };
    let q = project(query, &weights.q_proj, None);
    let k = project(key, &weights.k_proj, weights.bias_k.as_ref());
    let v = project(value, &weights.v_proj, weights.bias_v.as_ref());
    let (batch, _, q_len, head_dim) = q.value.dim();
    let mask = masks.score_mask(batch, weights.num_heads, q_len, k.value.dim().2)?;
    let rule = ScoreRule { scale: 1.0 / (head_dim as f64).sqrt(), softcap: None };
    let mut stages = stages(&q, &k, &v, &mask, &rule, None, &steps);
    let mut answer = BoundedAnswer::new();
    if let Some(probs) = stages.remove("probs") {
        answer.insert("probs".to_string(), probs.into_dyn());
    }
    if let Some(context) = stages.remove("context") {
        let out = linear(&merged(context), &weights.out_proj, &steps).stored(steps.activations);
        answer.insert("out".to_string(), out.into_dyn());
    }
    Ok(answer)
}

/// One more key or value that every query may attend to.
fn with_extra_row(x: Bounded<Ix3>, row: Option<&Array1<f64>>) -> Bounded<Ix3> {
    let Some(row) = row else { return x };
    let (batch, len, width) = x.value.dim();
    let value = Array3::from_shape_fn((batch, 1, width), |(_, _, d)| row[d]);
    let radius = Array3::from_elem((batch, 1, width), Radius::NONE);
    let joined = |a: &Array3<f64>, b: &Array3<f64>| concatenate(Axis(1), &[a.view(), b.view()]);
    let value = joined(&x.value, &value).unwrap_or(x.value);
    let radius = Array3::from_shape_fn(
        value.raw_dim(),
        |(b, t, d)| if t < len { x.radius[[b, t, d]] } else { radius[[b, 0, d]] },
    );
    Bounded::new(value, radius)
}

/// `[batch, len, heads · dim]` as `[batch, heads, len, dim]`.
fn in_heads(x: Bounded<Ix3>, num_heads: usize) -> Bounded<Ix4> {
    let (batch, len, width) = x.value.dim();
    let dim = width / num_heads.max(1);
    let shape = (batch, num_heads, len, dim);
    let value = ndarray::Array4::from_shape_fn(shape, |(b, h, t, d)| x.value[[b, t, h * dim + d]]);
    let radius = ndarray::Array4::from_shape_fn(shape, |(b, h, t, d)| x.radius[[b, t, h * dim + d]]);
    Bounded::new(value, radius)
}

/// The inverse of [`in_heads`].
fn merged(x: Bounded<Ix4>) -> Bounded<Ix3> {
    let (batch, heads, len, dim) = x.value.dim();
    let shape = (batch, len, heads * dim);
    let value = Array3::from_shape_fn(shape, |(b, t, i)| x.value[[b, i / dim, t, i % dim]]);
    let radius = Array3::from_shape_fn(shape, |(b, t, i)| x.radius[[b, i / dim, t, i % dim]]);
    Bounded::new(value, radius)
}
