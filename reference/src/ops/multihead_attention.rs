//! Attention with its four projections, as `torch.nn.MultiheadAttention` packs it.
//!
//! ```text
//! Q = query W_qᵀ + b_q,  K = key W_kᵀ + b_k,  V = value W_vᵀ + b_v        split into num_heads
//! out = merge(attention(Q, K, V; scale = 1/√head_dim)) W_oᵀ + b_o
//! ```
//! `in_proj_weight` holds W_q, W_k and W_v one below the other. `bias_k` and `bias_v` are one more key and value
//! that every query may attend to. In a boolean mask of `torch.nn`, true means "may not attend", the opposite of
//! `scaled_dot_product_attention`.

use super::attention::{Allowed, Heads, ScoreMask, ScoreRule, attention, merge_heads, split_heads};
use super::linear::{Linear, linear};
use super::parameters::parameters;
use super::question::{Answer, Question, with_axes};
use super::weight::Weight;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Role, Trace};
use crate::io::Array as Stored;
use crate::linalg::arrays::{concatenated, copied, into_values, shaped};
use crate::num::Real;
use ndarray::{Array1, Array3, Array4, ArrayD, Axis, Ix1, Ix2, Ix3, Ix4, s};

/// The weights of one module.
#[derive(Debug, Clone)]
pub(crate) struct MultiheadWeights<T> {
    pub(crate) q_proj: Linear<T>,
    pub(crate) k_proj: Linear<T>,
    pub(crate) v_proj: Linear<T>,
    pub(crate) out_proj: Linear<T>,
    pub(crate) bias_k: Option<Array1<T>>,
    pub(crate) bias_v: Option<Array1<T>>,
    pub(crate) num_heads: usize,
}

/// `torch.nn`'s two masks, true where a query may not attend.
#[derive(Debug, Clone, Default)]
pub(crate) struct TorchMasks<T> {
    /// `[q_len, kv_len]` or `[batch · num_heads, q_len, kv_len]`.
    pub(crate) hidden: Option<ArrayD<bool>>,
    /// Added to the scores; shapes as `hidden`.
    pub(crate) additive: Option<ArrayD<T>>,
    /// `[batch, kv_len]`.
    pub(crate) padding: Option<ArrayD<bool>>,
}

impl<T: Real> MultiheadWeights<T> {
    /// Reads the module's weights, whose names start with `prefix`.
    pub(crate) fn read(question: &Question, prefix: &str, num_heads: usize, eval: &Evaluator) -> Result<Self> {
        let matrix = |name: &str| -> Result<ndarray::Array2<T>> {
            let name = format!("{prefix}{name}");
            with_axes::<T, Ix2>(&name, "[out, in]", question.weight(&name, eval)?)
        };
        let vector = |name: &str| -> Result<Option<Array1<T>>> {
            let name = format!("{prefix}{name}");
            Ok(question.optional_weight::<T>(&name, eval)?.map(|x| into_values(x).into()))
        };
        let (q, k, v) = if question.has(&format!("{prefix}in_proj_weight")) {
            let packed = matrix("in_proj_weight")?;
            let width = packed.nrows() / 3;
            let part = |i: usize| copied(&packed.slice(s![i * width..(i + 1) * width, ..]));
            (part(0), part(1), part(2))
        } else {
            (matrix("q_proj_weight")?, matrix("k_proj_weight")?, matrix("v_proj_weight")?)
        };
        let width = q.nrows();
        if num_heads == 0 || width % num_heads != 0 {
            return Err(Error::ask(format!("num_heads is {num_heads}; it must divide the width {width}")));
        }
        let biases = vector("in_proj_bias")?;
        if biases.as_ref().is_some_and(|b| b.len() != 3 * width) {
            return Err(Error::ask(format!("{prefix}in_proj_bias must have {} elements", 3 * width)));
        }
        let projection = |weight: ndarray::Array2<T>, i: usize| Linear {
            weight: Weight::from(weight).transposed(),
            bias: biases.as_ref().map(|b| copied(&b.slice(s![i * width..(i + 1) * width]))),
        };
        Ok(Self {
            q_proj: projection(q, 0),
            k_proj: projection(k, 1),
            v_proj: projection(v, 2),
            out_proj: Linear {
                weight: Weight::from(matrix("out_proj.weight")?).transposed(),
                bias: vector("out_proj.bias")?,
            },
            bias_k: vector("bias_k")?,
            bias_v: vector("bias_v")?,
            num_heads,
        })
    }

    fn refuse_widths(&self, query: &Array3<T>, key: &Array3<T>, value: &Array3<T>) -> Result<()> {
        let inputs = [("query", query, &self.q_proj), ("key", key, &self.k_proj), ("value", value, &self.v_proj)];
        for (name, x, layer) in inputs {
            let (width, takes) = (x.dim().2, layer.weight.nrows());
            if width != takes {
                return Err(Error::ask(format!("{name} is {width} wide; its projection takes {takes}")));
            }
        }
        Ok(())
    }
}

/// The module: query `[batch, q_len, width]`, key and value `[batch, kv_len, _]` → `[batch, q_len, width]`.
pub(crate) fn multihead_attention<T: Real>(
    query: &Array3<T>,
    key: &Array3<T>,
    value: &Array3<T>,
    weights: &MultiheadWeights<T>,
    masks: &TorchMasks<T>,
    eval: &mut Evaluator,
) -> Result<Array3<T>> {
    weights.refuse_widths(query, key, value)?;
    let q = linear(query, &weights.q_proj, eval);
    let q = eval.at("attn.q", Role::Activation, q);
    let k = linear(key, &weights.k_proj, eval);
    let k = with_extra_row(eval.at("attn.k", Role::Activation, k), weights.bias_k.as_ref());
    let v = linear(value, &weights.v_proj, eval);
    let v = with_extra_row(eval.at("attn.v", Role::Activation, v), weights.bias_v.as_ref());

    let heads = |x: Array3<T>| {
        split_heads("a projection", x.into_dyn(), Some(weights.num_heads)).map(|(x, _): (Array4<T>, Heads)| x)
    };
    let (q, k, v) = (heads(q)?, heads(k)?, heads(v)?);
    let mask = masks.score_mask(q.dim().0, weights.num_heads, q.dim().2, k.dim().2)?;
    let rule = ScoreRule { scale: 1.0 / (q.dim().3 as f64).sqrt(), softcap: None };
    let context = merge_heads(attention(&q, k.view(), v.view(), &mask, &rule, None, eval));
    let out = linear(&context, &weights.out_proj, eval);
    Ok(eval.at("attn.out", Role::Activation, out))
}

fn with_extra_row<T: Real>(x: Array3<T>, row: Option<&Array1<T>>) -> Array3<T> {
    let Some(row) = row else { return x };
    let (batch, _, width) = x.dim();
    let row = row.broadcast((batch, 1, width)).expect("an extra key is as wide as a key");
    concatenated(Axis(1), &[x.view(), row]).expect("one more row")
}

impl<T: Real> TorchMasks<T> {
    /// `attn_mask` (boolean or float) and `key_padding_mask` by these names.
    pub(crate) fn read(question: &Question, attn_mask: &str, padding: &str, eval: &Evaluator) -> Result<Self> {
        let mut masks = Self { hidden: None, additive: None, padding: None };
        if question.has(attn_mask) {
            if matches!(question.raw(attn_mask)?, Stored::Bool(_)) {
                masks.hidden = Some(question.booleans(attn_mask)?);
            } else {
                masks.additive = Some(question.activation(attn_mask, eval)?);
            }
        }
        if question.has(padding) {
            masks.padding = Some(question.booleans(padding)?);
        }
        Ok(masks)
    }

    /// Both masks as one; keys beyond the masks' width (`bias_k`) are always allowed.
    pub(crate) fn score_mask(
        &self,
        batch: usize,
        num_heads: usize,
        q_len: usize,
        kv_len: usize,
    ) -> Result<ScoreMask<T>> {
        let full = [batch, num_heads, q_len, kv_len];
        let hidden = match &self.hidden {
            Some(hidden) => over_all_heads(hidden, full, false)?,
            None => Array4::from_elem(full, false),
        };
        let additive = match &self.additive {
            Some(additive) => Some(over_all_heads(additive, full, T::ZERO)?),
            None => None,
        };
        let mut allowed = hidden;
        for allowed in &mut allowed {
            *allowed = !*allowed;
        }
        if let Some(padding) = &self.padding {
            if padding.ndim() != 2 || padding.shape()[0] != batch || padding.shape()[1] > kv_len {
                return Err(Error::ask(format!(
                    "key_padding_mask has shape {:?}; it must be [{batch}, {kv_len}]",
                    padding.shape()
                )));
            }
            let width = padding.shape()[1];
            for ((b, _, _, j), allowed) in allowed.indexed_iter_mut() {
                *allowed = *allowed && !(j < width && padding[[b, j]]);
            }
        }
        Ok(ScoreMask { allowed: Allowed::Pairs(allowed), additive })
    }
}

/// A mask `[q, kv]` for every batch and head, or `[batch · num_heads, q, kv]`, with `rest` for keys that it does not speak of.
fn over_all_heads<E: Copy>(mask: &ArrayD<E>, full: [usize; 4], rest: E) -> Result<Array4<E>> {
    let [batch, num_heads, q_len, kv_len] = full;
    let (width, one_for_all) = match *mask.shape() {
        [q, kv] if q == q_len && kv <= kv_len => (kv, true),
        [n, q, kv] if n == batch * num_heads && q == q_len && kv <= kv_len => (kv, false),
        _ => {
            return Err(Error::ask(format!(
                "attn_mask has shape {:?}; it must be [{q_len}, {kv_len}] or [{}, {q_len}, {kv_len}]",
                mask.shape(),
                batch * num_heads
            )));
        }
    };
    let mut all = Vec::with_capacity(batch * num_heads * q_len * kv_len);
    for head in 0..batch * num_heads {
        for i in 0..q_len {
            for j in 0..width {
                all.push(if one_for_all { mask[[i, j]] } else { mask[[head, i, j]] });
            }
            all.resize(all.len() + kv_len - width, rest);
        }
    }
    Ok(shaped(all, Ix4(batch, num_heads, q_len, kv_len)))
}

parameters! {
    struct Params {
        num_heads: usize,
    }
}

/// What the module as a question is asked with.
#[derive(Debug)]
pub(crate) struct MultiheadInputs<T> {
    pub(crate) query: Array3<T>,
    pub(crate) key: Array3<T>,
    pub(crate) value: Array3<T>,
    pub(crate) weights: MultiheadWeights<T>,
    pub(crate) masks: TorchMasks<T>,
}

impl<T: Real> MultiheadInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: Params = question.read()?;
        let tokens = |name: &str| with_axes::<T, Ix3>(name, "[batch, len, width]", question.activation(name, eval)?);
        let query = tokens("query")?;
        let key = if question.has("key") { tokens("key")? } else { query.clone() };
        let value = if question.has("value") { tokens("value")? } else { key.clone() };
        let weights = MultiheadWeights::read(question, "", params.num_heads, eval)?;
        let masks = TorchMasks::read(question, "attn_mask", "key_padding_mask", eval)?;
        weights.refuse_widths(&query, &key, &value)?;
        Ok(Self { query, key, value, weights, masks })
    }
}

/// The module as a question: `query`, `[key]`, `[value]` and its weights → `out`, `probs`.
pub(super) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let MultiheadInputs { query, key, value, weights, masks } = MultiheadInputs::<T>::read(question, eval)?;
    let mut trace = Trace::of(["attn.probs"]);
    let mut traced = Evaluator::with_trace(*eval.numerics(), &mut trace);
    let out = multihead_attention(&query, &key, &value, &weights, &masks, &mut traced)?;
    let mut answer = super::question::answer_out(out);
    for (_, probs) in trace.into_arrays() {
        answer.insert("probs".to_string(), probs);
    }
    Ok(answer)
}

/// A vector by name.
pub(crate) fn vector<T: Real>(question: &Question, name: &str, eval: &Evaluator) -> Result<Option<Array1<T>>> {
    question.optional_weight::<T>(name, eval)?.map(|x| with_axes::<T, Ix1>(name, "[width]", x)).transpose()
}
