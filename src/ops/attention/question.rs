//! Attention as a question: shapes taken apart, masks of every kind made one, stages handed back by name.

use super::{Allowed, Heads, ScoreMask, ScoreRule, attention, join_heads, split_heads};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Trace};
use crate::io::Array as Stored;
use crate::linalg::convert::to_f64;
use crate::num::Real;
use crate::ops::alibi;
use crate::ops::mask::{Causal, MaskRule, WindowAlign};
use crate::ops::question::{Answer, Question, refuse_oversize, with_axes};
use ndarray::{Array1, Array4, ArrayD, Axis, Ix1, Ix2, Ix4, Slice};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    scale: Option<f64>,
    softcap: Option<f64>,
    #[serde(default)]
    causal: Causal,
    window: Option<i64>,
    right_window: Option<i64>,
    #[serde(default)]
    window_align: WindowAlign,
    #[serde(default)]
    alibi: bool,
    num_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
}

/// What the operation as a question is asked with; the shapes fit.
#[derive(Debug)]
pub(crate) struct AttentionInputs<T> {
    pub(crate) q: Array4<T>,
    /// Past keys and the new ones.
    pub(crate) k: Array4<T>,
    /// Past values and the new ones.
    pub(crate) v: Array4<T>,
    pub(crate) mask: ScoreMask<T>,
    pub(crate) rule: ScoreRule,
    pub(crate) sinks: Option<Array1<T>>,
    /// How the queries' heads came.
    pub(crate) heads: Heads,
}

impl<T: Real> AttentionInputs<T> {
    pub(crate) fn read(question: &Question, eval: &Evaluator) -> Result<Self> {
        let params: Params = question.params()?;
        let (q, heads) = split_heads("q", question.activation::<T>("q", eval)?, params.num_heads)?;
        let (k, _) =
            split_heads("k", question.activation::<T>("k", eval)?, params.num_key_value_heads.or(params.num_heads))?;
        let (v, _) =
            split_heads("v", question.activation::<T>("v", eval)?, params.num_key_value_heads.or(params.num_heads))?;
        let past = |name: &str, new: &Array4<T>, eval: &Evaluator| -> Result<Array4<T>> {
            if !question.has(name) {
                return Ok(new.clone());
            }
            let past = with_axes::<T, Ix4>(name, "[batch, heads, past_len, dim]", question.activation(name, eval)?)?;
            ndarray::concatenate(Axis(2), &[past.view(), new.view()]).map_err(|_| {
                Error::ask(format!("{name} has shape {:?}; it cannot precede {:?}", past.dim(), new.dim()))
            })
        };
        let k_len = k.dim().2;
        let (k, v) = (past("past_key", &k, eval)?, past("past_value", &v, eval)?);
        fitting_shapes(&q, &k, &v)?;
        refuse_oversize("the scores", &[q.dim().0, q.dim().1, q.dim().2, k.dim().2])?;
        let geometry = Geometry { past_len: k.dim().2 - k_len, ..Geometry::of(&q, &k) };
        let mask = question_mask(question, &params, &geometry, eval)?;
        let sinks = question
            .optional_weight::<T>("sinks", eval)?
            .map(|x| with_axes::<T, Ix1>("sinks", "[num_heads]", x))
            .transpose()?;
        if sinks.as_ref().is_some_and(|sinks| sinks.len() != geometry.num_heads) {
            return Err(Error::ask(format!("sinks must have one score for each of the {} heads", geometry.num_heads)));
        }
        let rule =
            ScoreRule { scale: params.scale.unwrap_or(1.0 / (q.dim().3 as f64).sqrt()), softcap: params.softcap };

        Ok(Self { q, k, v, mask, rule, sinks, heads })
    }
}

/// The operation as a question → `out`, every stage by its name, `present_key`, `present_value`.
pub(in crate::ops) fn ask<T: Real>(question: &Question, eval: &mut Evaluator) -> Result<Answer> {
    let AttentionInputs { q, k, v, mask, rule, sinks, heads } = AttentionInputs::<T>::read(question, eval)?;
    let mut trace = Trace::of(["*"]);
    let mut traced = Evaluator::with_trace(*eval.numerics(), &mut trace);
    let context = attention(&q, k.view(), v.view(), &mask, &rule, sinks.as_ref(), &mut traced);

    let mut answer: Answer = trace
        .into_arrays()
        .into_iter()
        .map(|(site, array)| (site.trim_start_matches("attn.").to_string(), array))
        .collect();
    if let (None, Some(scores)) = (rule.softcap, answer.get("scores").cloned()) {
        answer.insert("softcapped_scores".to_string(), scores);
    }
    answer.insert("present_key".to_string(), to_f64(&k));
    answer.insert("present_value".to_string(), to_f64(&v));
    answer.insert("out".to_string(), to_f64(&join_heads(context, heads)));
    Ok(answer)
}

/// The sizes a mask has to fit.
struct Geometry {
    batch: usize,
    num_heads: usize,
    q_len: usize,
    kv_len: usize,
    past_len: usize,
}

impl Geometry {
    fn of<T>(q: &Array4<T>, k: &Array4<T>) -> Self {
        let (batch, num_heads, q_len, _) = q.dim();
        Self { batch, num_heads, q_len, kv_len: k.dim().2, past_len: 0 }
    }
}

fn fitting_shapes<T>(q: &Array4<T>, k: &Array4<T>, v: &Array4<T>) -> Result<()> {
    let ((b, h, _, d), (bk, hk, nk, dk), (bv, hv, nv, _)) = (q.dim(), k.dim(), v.dim());
    let fits = b == bk && b == bv && hk == hv && nk == nv && d == dk && hk > 0 && h % hk == 0 && d > 0;
    if fits {
        return Ok(());
    }
    Err(Error::ask(format!(
        "q {:?}, k {:?} and v {:?} do not fit: batch, key length and head width must agree and the query heads be a multiple of the key heads",
        q.dim(),
        k.dim(),
        v.dim()
    )))
}

/// Causality, windows, padding, lengths and the given mask, together.
fn question_mask<T: Real>(
    question: &Question,
    params: &Params,
    geometry: &Geometry,
    eval: &Evaluator,
) -> Result<ScoreMask<T>> {
    let &Geometry { batch, num_heads, q_len, kv_len, past_len } = geometry;
    let lengths = if question.has("kv_lens") {
        let lengths = with_axes::<i64, Ix1>("kv_lens", "[batch]", question.integers("kv_lens")?)?;
        if lengths.len() != batch || lengths.iter().any(|&n| n < 0 || n > kv_len as i64) {
            return Err(Error::ask(format!("kv_lens must have {batch} lengths between 0 and {kv_len}")));
        }
        Some(lengths)
    } else {
        None
    };
    let padding = if question.has("attention_mask") {
        let padding =
            with_axes::<bool, Ix2>("attention_mask", "[batch, kv_len]", question.booleans("attention_mask")?)?;
        if padding.dim() != (batch, kv_len) {
            return Err(Error::ask(format!(
                "attention_mask has shape {:?}; it must be [{batch}, {kv_len}]",
                padding.dim()
            )));
        }
        Some(padding)
    } else {
        None
    };
    let given = if question.has("attn_mask") { Some(given_mask(question, geometry, eval)?) } else { None };
    let (given_allowed, additive) = given.unwrap_or((None, None));

    let rule = |b: usize| MaskRule {
        causal: params.causal != Causal::None,
        offset: params.window_align.of(params.causal).offset(
            q_len,
            lengths.as_ref().map_or(kv_len, |n| n[b] as usize),
            past_len,
        ),
        window: params.window,
        right_window: params.right_window,
    };
    let rules: Vec<MaskRule> = (0..batch).map(rule).collect();
    let heads = if given_allowed.is_some() { num_heads } else { 1 };
    let allowed = Array4::from_shape_fn((batch, heads, q_len, kv_len), |(b, h, i, j)| {
        rules[b].allows(i as i64, j as i64)
            && lengths.as_ref().is_none_or(|n| (j as i64) < n[b])
            && padding.as_ref().is_none_or(|padding| padding[[b, j]])
            && given_allowed.as_ref().is_none_or(|given| given[[b, h, i, j]])
    });
    let additive = if params.alibi { Some(with_alibi(additive, geometry, &rules)) } else { additive };
    Ok(ScoreMask { allowed: Allowed::Pairs(allowed), additive })
}

/// The additive mask with ALiBi's biases, distances counted from the key a query is aligned with.
fn with_alibi<T: Real>(additive: Option<Array4<T>>, geometry: &Geometry, rules: &[MaskRule]) -> Array4<T> {
    let &Geometry { batch, num_heads, q_len, kv_len, .. } = geometry;
    let slopes = alibi::slopes::<T>(num_heads);
    let biases = Array4::from_shape_fn((batch, num_heads, q_len, kv_len), |(b, h, i, j)| {
        alibi::bias(slopes[h], i as i64 + rules[b].offset, j as i64)
    });
    match additive {
        Some(additive) => biases + additive,
        None => biases,
    }
}

/// A boolean and an additive part, either of which may be absent.
type GivenMask<T> = (Option<Array4<bool>>, Option<Array4<T>>);

/// `attn_mask` broadcast to `[batch, num_heads, q_len, kv_len]`. A last axis of more than one but fewer than
/// `kv_len` keys speaks of the first keys; the others are masked (ONNX `Attention`).
fn given_mask<T: Real>(question: &Question, geometry: &Geometry, eval: &Evaluator) -> Result<GivenMask<T>> {
    let &Geometry { batch, num_heads, q_len, kv_len, .. } = geometry;
    let full = [batch, num_heads, q_len, kv_len];
    let is_bool = matches!(question.raw("attn_mask")?, Stored::Bool(_));
    let (allowed, additive) = if is_bool {
        (question.booleans("attn_mask")?, None)
    } else {
        let additive = question.activation::<T>("attn_mask", eval)?;
        (ArrayD::from_elem(additive.shape(), true), Some(additive))
    };
    let refuse = || Error::ask(format!("attn_mask of shape {:?} does not broadcast to {full:?}", allowed.shape()));
    let last = allowed.shape().last().copied().ok_or_else(refuse)?;
    if last == 1 || last == kv_len {
        let allowed = allowed.broadcast(full).ok_or_else(refuse)?.to_owned();
        let additive = additive.map(|a| a.broadcast(full).map(|a| a.to_owned()).ok_or_else(refuse)).transpose()?;
        return Ok((Some(allowed), additive));
    }
    if last > kv_len {
        return Err(refuse());
    }
    let first = [batch, num_heads, q_len, last];
    let mut wide_allowed = ArrayD::from_elem(full.to_vec(), false);
    wide_allowed.slice_axis_mut(Axis(3), Slice::from(..last)).assign(&allowed.broadcast(first).ok_or_else(refuse)?);
    let additive = match additive {
        None => None,
        Some(additive) => {
            let mut wide = ArrayD::from_elem(full.to_vec(), T::ZERO);
            wide.slice_axis_mut(Axis(3), Slice::from(..last)).assign(&additive.broadcast(first).ok_or_else(refuse)?);
            Some(four_axes(wide)?)
        }
    };
    Ok((Some(four_axes(wide_allowed)?), additive))
}

fn four_axes<T>(array: ArrayD<T>) -> Result<Array4<T>> {
    array.into_dimensionality::<Ix4>().map_err(Error::ask)
}
