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
use ndarray::{Array1, Array3};

/// The module as a question.
pub(super) fn ask(question: &Question, numerics: &Numerics) -> Result<BoundedAnswer> {
    let steps = Steps::of(numerics);
    let MultiheadInputs { query, key, value, weights, masks } =
        MultiheadInputs::<f64>::read(question, &Evaluator::new(*numerics))?;
    let project = |x: Array3<f64>, layer, extra: Option<&Array1<f64>>| {
        let projected = linear(&Bounded::exact(&x.into_dyn()), layer, &steps).stored(steps.activations);
        in_heads(&with_extra_row(projected, extra), weights.num_heads)
    };
    let q = project(query, &weights.q_proj, None);
    let k = project(key, &weights.k_proj, weights.bias_k.as_ref());
    let v = project(value, &weights.v_proj, weights.bias_v.as_ref());
    let [batch, _, q_len, head_dim] = q.axes();
    let [_, _, kv_len, _] = k.axes();
    let mask = masks.score_mask(batch, weights.num_heads, q_len, kv_len)?;
    let rule = ScoreRule { scale: 1.0 / (head_dim as f64).sqrt(), softcap: None };
    let mut answer = BoundedAnswer::new();
    for (name, stage) in stages(&q, &k, &v, &mask, &rule, None, &steps) {
        match name {
            "probs" => answer.push((name.to_string(), stage)),
            "context" => {
                let out = linear(&stage.with_merged_heads(), &weights.out_proj, &steps).stored(steps.activations);
                answer.push(("out".to_string(), out));
            }
            _ => {}
        }
    }
    Ok(answer)
}

/// One more key or value that every query may attend to.
fn with_extra_row(x: Bounded, row: Option<&Array1<f64>>) -> Bounded {
    let Some(row) = row else { return x };
    let [batch, len, width] = x.axes();
    let mut pairs = Vec::with_capacity(batch * (len + 1) * width);
    for b in 0..batch {
        for at in b * len * width..(b + 1) * len * width {
            pairs.push(x.pair(at));
        }
        for d in 0..width {
            pairs.push((row[d], Radius::NONE));
        }
    }
    Bounded::from_pairs(&[batch, len + 1, width], pairs)
}

/// `[batch, len, heads · dim]` as `[batch, heads, len, dim]`.
fn in_heads(x: &Bounded, num_heads: usize) -> Bounded {
    let [batch, len, width] = x.axes();
    let dim = width / num_heads.max(1);
    let mut pairs = Vec::with_capacity(x.value.len());
    for b in 0..batch {
        for h in 0..num_heads {
            for t in 0..len {
                let first = (b * len + t) * width + h * dim;
                for at in first..first + dim {
                    pairs.push(x.pair(at));
                }
            }
        }
    }
    Bounded::from_pairs(&[batch, num_heads, len, dim], pairs)
}
