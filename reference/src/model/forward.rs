//! The forward pass of a decoder-only transformer, for every family at once.
//!
//! ```text
//! x = norm(scale · E[ids] + P[positions])                         embedding
//! for each layer:                                                 sequential    (parallel)
//!     a = post_norm(W_o · attention(input_norm(x)))
//!     h = x + a                                                                 h = x
//!     m = post_norm(mlp(mlp_norm(h)))
//!     x = h + m                                                                 x = x + a + m
//! logits = softcap(scale · (W_head · norm(x)))
//! ```
//! Norms, biases, factors that a family does not have are absent from its [`ModelSpec`](super::ModelSpec).
//! Each tensor that is stored passes a site of the evaluator under the name given in the code.

use super::Model;
use super::kv_cache::Cached;
use super::session::Session;
use super::spec::{AttentionLayerSpec, LayerSpec, MlpSpec, Position, QkNorm, QkNormOver, Residual, Scale};
use super::weights::LayerWeights;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Operation, Role, Work};
use crate::linalg::arrays::{add, assign, copied, elements, multiply, reshaped, shaped, sum};
use crate::num::{Real, divide_each, scale_each};
use crate::ops::activation::soften;
use crate::ops::alibi;
use crate::ops::attention::{Allowed, ScoreMask, ScoreRule, attention, merge_heads, split_heads};
use crate::ops::embedding::embedding;
use crate::ops::linear::{Linear, linear, row_parallel_linear};
use crate::ops::mask::MaskRule;
use crate::ops::norm::{Norm, NormSpec, norm};
use crate::ops::rope::{self, RopeSpec, RopeTables};
use ndarray::{Array2, Array3, Array4, Ix2, Ix3, Ix4, s};

/// The tokens of one call.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// `[batch, q_len]`.
    pub input_ids: &'a Array2<i64>,
    /// `[batch, q_len]`, true for a real token; all real without.
    pub attention_mask: Option<&'a Array2<bool>>,
    /// `[batch, q_len]`; counted without.
    pub position_ids: Option<&'a Array2<i64>>,
}

/// Rotary tables of this call, one for each distinct spec.
type Tables<'s, T> = Vec<(&'s RopeSpec, RopeTables<T>)>;

impl<T: Real> Model<T> {
    /// Logits `[batch, q_len, vocab_size]` of the next tokens of a session.
    ///
    /// # Errors
    /// Ids outside the vocabulary, no tokens, shapes that do not fit, positions beyond a learned table.
    pub fn forward(&self, call: &Call, session: &mut Session<T>, eval: &mut Evaluator) -> Result<Array3<T>> {
        let x = self.hidden(call, session, eval)?;
        Ok(self.head(&x, eval))
    }

    /// Logits `[batch, vocab_size]` of the last token alone, the same as those of [`Self::forward`]: all that generation
    /// needs of a prompt.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn last_logits(&self, call: &Call, session: &mut Session<T>, eval: &mut Evaluator) -> Result<Array2<T>> {
        let x = self.hidden(call, session, eval)?;
        let last = copied(&x.slice(s![.., -1.., ..]));
        let logits = self.head(&last, eval);
        let (batch, _, vocab_size) = logits.dim();
        Ok(reshaped(logits, Ix2(batch, vocab_size)))
    }

    /// `norm(x)` after the last layer, `[batch, q_len, hidden_size]`.
    fn hidden(&self, call: &Call, session: &mut Session<T>, eval: &mut Evaluator) -> Result<Array3<T>> {
        let q_len = call.input_ids.ncols();
        if call.input_ids.is_empty() {
            return Err(Error::ask(format!(
                "input_ids has shape {:?}; there must be at least one token",
                call.input_ids.dim()
            )));
        }
        session.extend(call.attention_mask, call.position_ids, q_len)?;

        let mut x = self.embed(call.input_ids, session, eval)?;

        let mut tables = Tables::new();
        for (i, (spec, weights)) in self.spec.layers.iter().zip(&self.weights.layers).enumerate() {
            eval.enter_layer(i);
            x = layer(&x, i, spec, weights, session, &mut tables, eval)?;
        }
        eval.leave_layers();

        Ok(optional_norm("final_norm", &x, &self.weights.final_norm, self.spec.final_norm.as_ref(), eval))
    }

    /// `norm(scale · E[ids] + P[positions])`.
    fn embed(&self, ids: &Array2<i64>, session: &Session<T>, eval: &mut Evaluator) -> Result<Array3<T>> {
        let spec = &self.spec.embedding;
        let tokens = embedding(&ids.clone().into_dyn(), &self.weights.embed_tokens, spec.scale, eval)?;
        let tokens = eval.at("embed_tokens", Role::Activation, tokens);
        let summed = match &self.weights.embed_positions {
            None => tokens,
            Some(table) => {
                let positions = session.positions.slice(s![.., session.past_len() - ids.ncols()..]).to_owned();
                let rows = embedding(&positions.into_dyn(), table, None, eval)
                    .map_err(|_| Error::ask(format!("a position lies beyond the {} learned ones", table.nrows())))?;
                eval.count(Operation::Embedding, elementwise(1, tokens.len(), 2));
                eval.at("embed_sum", Role::Activation, add(tokens, &rows))
            }
        };
        let x = summed.into_dimensionality::<Ix3>().map_err(Error::ask)?;
        let x = match &spec.norm {
            None => x,
            Some(norm_spec) => norm(&x, &self.weights.embed_norm, norm_spec, eval),
        };
        Ok(eval.at("embed", Role::Activation, x))
    }

    /// `softcap(scale · (W_head · x))`.
    fn head(&self, x: &Array3<T>, eval: &mut Evaluator) -> Array3<T> {
        let spec = &self.spec.head;
        let logits = linear(x, &self.weights.lm_head, eval);
        // A factor; a quotient, a tanh and a product.
        for flops in [usize::from(spec.scale != Scale::None), spec.softcap.map_or(0, |_| 3)] {
            if flops > 0 {
                eval.count(Operation::Logits, elementwise(flops, logits.len(), 1));
            }
        }
        let logits = match spec.scale {
            Scale::None => logits,
            Scale::Multiply(factor) => multiplied(logits, factor),
            Scale::Divide(divisor) => divided(logits, divisor),
        };
        let logits = match spec.softcap {
            None => logits,
            Some(softcap) => soften(logits, softcap),
        };
        eval.at("logits", Role::Logits, logits)
    }
}

/// One layer on the residual stream.
fn layer<'s, T: Real>(
    x: &Array3<T>,
    index: usize,
    spec: &'s LayerSpec,
    weights: &LayerWeights<T>,
    session: &mut Session<T>,
    tables: &mut Tables<'s, T>,
    eval: &mut Evaluator,
) -> Result<Array3<T>> {
    let normed = optional_norm("input_norm", x, &weights.input_norm, spec.input_norm.as_ref(), eval);

    let a = attention_sublayer(&normed, index, &spec.attention, weights, session, tables, eval)?;
    let a = optional_norm("attn.post_norm", &a, &weights.post_attention_norm, spec.post_attention_norm.as_ref(), eval);
    let a = scaled(a, spec.residual_scale, eval);

    // Two sums, one for each sublayer.
    eval.count(Operation::Residual, elementwise(1, 2 * x.len(), 2));
    let h = match spec.residual {
        Residual::Sequential => eval.at("attn_residual", Role::Activation, sum(x, &a)),
        Residual::SequentialFromNorm => eval.at("attn_residual", Role::Activation, sum(&normed, &a)),
        Residual::Parallel => x.clone(),
    };

    let mlp_input = match (&spec.mlp_norm, spec.residual) {
        (None, Residual::Parallel) => normed,
        (norm_spec, _) => optional_norm("mlp_norm", &h, &weights.mlp_norm, norm_spec.as_ref(), eval),
    };
    let m = mlp(&mlp_input, &spec.mlp, weights, eval);
    let m = optional_norm("mlp.post_norm", &m, &weights.post_mlp_norm, spec.post_mlp_norm.as_ref(), eval);
    let m = scaled(m, spec.residual_scale, eval);

    let y = match spec.residual {
        Residual::Sequential => add(h, &m),
        Residual::SequentialFromNorm => add(mlp_input, &m),
        Residual::Parallel => add(eval.at("attn_residual", Role::Activation, add(h, &a)), &m),
    };
    Ok(eval.at("output", Role::Activation, y))
}

/// `W_o · attention(W_q x, W_k x, W_v x)`.
fn attention_sublayer<'s, T: Real>(
    x: &Array3<T>,
    index: usize,
    spec: &'s AttentionLayerSpec,
    weights: &LayerWeights<T>,
    session: &mut Session<T>,
    tables: &mut Tables<'s, T>,
    eval: &mut Evaluator,
) -> Result<Array3<T>> {
    // q, k, v [batch, heads, q_len, head_dim]
    let q = projected("attn.q", x, &weights.q_proj, spec.num_attention_heads, eval)?;
    let k = projected("attn.k", x, &weights.k_proj, spec.num_key_value_heads, eval)?;
    let v = projected("attn.v", x, &weights.v_proj, spec.num_key_value_heads, eval)?;

    let q = qk_normed("attn.q_norm", q, &weights.q_norm, spec.qk_norm.as_ref(), eval)?;
    let k = qk_normed("attn.k_norm", k, &weights.k_norm, spec.qk_norm.as_ref(), eval)?;

    let (q, k) = match &spec.position {
        Position::Rope(rope) => {
            let tables = tables_of(rope, session, x.dim().1, tables, eval);
            for rotated in [&q, &k] {
                let (pairs, table) = (rotated.len() / spec.head_dim * (rope.rotary_dim / 2), 2 * tables.cos.len());
                // Four products and two sums a pair.
                let work = Work::flops(6 * pairs).reads(rotated.len() + table);
                eval.count(Operation::Rope, work.writes(rotated.len()));
            }
            let (q, k) = (rope::rotate(&q, tables, rope.layout), rope::rotate(&k, tables, rope.layout));
            (eval.at("attn.q_rope", Role::Activation, q), eval.at("attn.k_rope", Role::Activation, k))
        }
        Position::None | Position::Alibi => (q, k),
    };

    eval.count(Operation::Cache, Work::default().reads(k.len() + v.len()).writes_cache(k.len() + v.len()));
    let Session { cache, real, positions } = session;
    let Cached { k, v, first } = cache.extend(index, k, v, eval);
    eval.keys_start_at(first);
    let (k, v) = (eval.read("attn.keys", k), eval.read("attn.values", v));
    let mask = layer_mask(spec, real, positions, x.dim().1, first);
    let rule = ScoreRule { scale: spec.scale, softcap: spec.softcap };
    let context = attention(&q, k.view(), v.view(), &mask, &rule, None, eval);

    let out = row_parallel_linear(&merge_heads(context), &weights.o_proj, spec.head_dim, eval);
    Ok(eval.at("attn.out", Role::Activation, out))
}

/// A projection split into heads.
fn projected<T: Real>(
    site: &str,
    x: &Array3<T>,
    layer: &Linear<T>,
    heads: usize,
    eval: &mut Evaluator,
) -> Result<Array4<T>> {
    let y = eval_heads(linear(x, layer, eval), heads)?;
    Ok(eval.at(site, Role::Activation, y))
}

fn eval_heads<T: Real>(y: Array3<T>, heads: usize) -> Result<Array4<T>> {
    split_heads("a projection", y.into_dyn(), Some(heads)).map(|(y, _)| y)
}

/// Norm of queries or keys, over one head or all of them.
fn qk_normed<T: Real>(
    site: &str,
    x: Array4<T>,
    weights: &Norm<T>,
    spec: Option<&QkNorm>,
    eval: &mut Evaluator,
) -> Result<Array4<T>> {
    let Some(spec) = spec else { return Ok(x) };
    let heads = x.dim().1;
    let y = match spec.over {
        QkNormOver::Head => norm(&x, weights, &spec.norm, eval),
        QkNormOver::AllHeads => eval_heads(norm(&merge_heads(x), weights, &spec.norm, eval), heads)?,
        QkNormOver::HeadWithOwnWeight => {
            let dim = x.dim().3;
            let own = |all: &Option<ndarray::Array1<T>>, h: usize| {
                all.as_ref().map(|all| copied(&all.slice(s![h * dim..(h + 1) * dim])))
            };
            let mut normed = x.clone();
            for h in 0..heads {
                let weights = Norm { weight: own(&weights.weight, h), bias: own(&weights.bias, h) };
                let head = norm(&copied(&x.slice(s![.., h..h + 1, .., ..])), &weights, &spec.norm, eval);
                assign(normed.slice_mut(s![.., h..h + 1, .., ..]), head.view());
            }
            normed
        }
    };
    Ok(eval.at(site, Role::Activation, y))
}

/// The tables of this call's tokens, made when a layer first needs them.
fn tables_of<'t, 's, T: Real>(
    spec: &'s RopeSpec,
    session: &Session<T>,
    q_len: usize,
    tables: &'t mut Tables<'s, T>,
    eval: &mut Evaluator,
) -> &'t RopeTables<T> {
    let known = tables.iter().position(|(known, _)| *known == spec);
    let index = known.unwrap_or_else(|| {
        let positions = session.positions.slice(s![.., session.past_len() - q_len..]).to_owned();
        tables.push((spec, rope::tables(spec, &positions, eval)));
        tables.len() - 1
    });
    &tables[index].1
}

/// Causality, the layer's window, padding and ALiBi, for the last `q_len` tokens over keys from `first` on.
fn layer_mask<T: Real>(
    spec: &AttentionLayerSpec,
    real: &Array2<bool>,
    positions: &Array2<i64>,
    q_len: usize,
    first: usize,
) -> ScoreMask<T> {
    let (batch, total_len) = real.dim();
    let past_len = total_len - q_len;
    let rule = MaskRule {
        causal: true,
        offset: past_len as i64,
        window: spec.sliding_window.map(|w| w as i64),
        right_window: None,
    };
    let allowed = Allowed::Rule { rule, first_key: first, real: real.clone() };
    let additive = (spec.position == Position::Alibi).then(|| {
        let slopes = alibi::slopes::<T>(spec.num_attention_heads);
        let mut biases = Vec::with_capacity(batch * slopes.len() * q_len * (total_len - first));
        for b in 0..batch {
            for &slope in &slopes {
                for i in past_len..total_len {
                    for j in first..total_len {
                        biases.push(alibi::bias(slope, positions[[b, i]], positions[[b, j]]));
                    }
                }
            }
        }
        shaped(biases, Ix4(batch, slopes.len(), q_len, total_len - first))
    });
    ScoreMask { allowed, additive }
}

/// `W_down (act(W_gate x) · W_up x)`, or `W_down act(W_up x)` without a gate.
fn mlp<T: Real>(x: &Array3<T>, spec: &MlpSpec, weights: &LayerWeights<T>, eval: &mut Evaluator) -> Array3<T> {
    let up = linear(x, &weights.up_proj, eval);
    let up = eval.at("mlp.up", Role::Activation, up);
    // The activation function counts as one operation, and the product with the gate as another.
    eval.count(Operation::Activation, elementwise(1, up.len(), 1));
    if weights.gate_proj.is_some() {
        eval.count(Operation::Activation, elementwise(1, up.len(), 2));
    }
    let hidden = match &weights.gate_proj {
        None => eval.at("mlp.activated", Role::Activation, spec.activation.apply_to(up)),
        Some(gate_proj) => {
            let gate = linear(x, gate_proj, eval);
            let gate = eval.at("mlp.gate", Role::Activation, gate);
            let activated = eval.at("mlp.activated", Role::Activation, spec.activation.apply_to(gate));
            eval.at("mlp.gated", Role::Activation, multiply(activated, &up))
        }
    };
    let down = row_parallel_linear(&hidden, &weights.down_proj, 1, eval);
    eval.at("mlp.down", Role::Activation, down)
}

fn optional_norm<T: Real>(
    site: &str,
    x: &Array3<T>,
    weights: &Norm<T>,
    spec: Option<&NormSpec>,
    eval: &mut Evaluator,
) -> Array3<T> {
    match spec {
        None => x.clone(),
        Some(spec) => {
            let y = norm(x, weights, spec, eval);
            eval.at(site, Role::Activation, y)
        }
    }
}

fn scaled<T: Real>(x: Array3<T>, factor: Option<f64>, eval: &Evaluator) -> Array3<T> {
    match factor {
        None => x,
        Some(factor) => {
            eval.count(Operation::Residual, elementwise(1, x.len(), 1));
            multiplied(x, factor)
        }
    }
}

/// `factor · x`.
fn multiplied<T: Real>(mut x: Array3<T>, factor: f64) -> Array3<T> {
    scale_each(elements(&mut x), T::from_f64(factor));
    x
}

/// `x / divisor`.
fn divided<T: Real>(mut x: Array3<T>, divisor: f64) -> Array3<T> {
    divide_each(elements(&mut x), T::from_f64(divisor));
    x
}

/// Some operations for each of `len` results, each of `inputs` numbers.
fn elementwise(flops: usize, len: usize, inputs: usize) -> Work {
    Work::flops(flops * len).reads(inputs * len).writes(len)
}
