//! Attention as a question: shapes taken apart, masks of every kind made one, stages handed back by name.

use super::{Allowed, Heads, ScoreMask, ScoreRule, attention, join_heads, split_heads};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Trace};
use crate::io::Array as Stored;
use crate::linalg::arrays::{add, concatenated, shaped};
use crate::linalg::convert::to_f64;
use crate::num::Real;
use crate::ops::alibi;
use crate::ops::mask::{Causal, MaskRule, WindowAlign};
use crate::ops::parameters::parameters;
use crate::ops::question::{Answer, Question, refuse_oversize, with_axes};
use ndarray::{Array1, Array4, ArrayD, Axis, Ix1, Ix2, Ix4};

parameters! {
    struct Params {
        scale: Option<f64> = None,
        softcap: Option<f64> = None,
        causal: Causal = Causal::default(),
        window: Option<i64> = None,
        right_window: Option<i64> = None,
        window_align: WindowAlign = WindowAlign::default(),
        alibi: bool = false,
        num_heads: Option<usize> = None,
        num_key_value_heads: Option<usize> = None,
    }
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
        let params: Params = question.read()?;
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
            concatenated(Axis(2), &[past.view(), new.view()]).ok_or_else(|| {
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

    let mut answer = Answer::new();
    for (site, array) in trace.into_arrays() {
        answer.insert(site.trim_start_matches("attn.").to_string(), array);
    }
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
    let mut allowed = Vec::with_capacity(batch * heads * q_len * kv_len);
    for (b, h, i) in rows(batch, heads, q_len) {
        for j in 0..kv_len {
            allowed.push(
                rules[b].allows(i as i64, j as i64)
                    && lengths.as_ref().is_none_or(|n| (j as i64) < n[b])
                    && padding.as_ref().is_none_or(|padding| padding[[b, j]])
                    && given_allowed.as_ref().is_none_or(|given| given[[b, h, i, j]]),
            );
        }
    }
    let allowed = shaped(allowed, Ix4(batch, heads, q_len, kv_len));
    let additive = if params.alibi { Some(with_alibi(additive, geometry, &rules)) } else { additive };
    Ok(ScoreMask { allowed: Allowed::Pairs(allowed), additive })
}

/// Batch, head and query of each row of scores.
fn rows(batch: usize, heads: usize, q_len: usize) -> Vec<(usize, usize, usize)> {
    let mut rows = Vec::with_capacity(batch * heads * q_len);
    for b in 0..batch {
        for h in 0..heads {
            for i in 0..q_len {
                rows.push((b, h, i));
            }
        }
    }
    rows
}

/// The additive mask with ALiBi's biases, distances counted from the key a query is aligned with.
fn with_alibi<T: Real>(additive: Option<Array4<T>>, geometry: &Geometry, rules: &[MaskRule]) -> Array4<T> {
    let &Geometry { batch, num_heads, q_len, kv_len, .. } = geometry;
    let slopes = alibi::slopes::<T>(num_heads);
    let mut biases = Vec::with_capacity(batch * num_heads * q_len * kv_len);
    for (b, h, i) in rows(batch, num_heads, q_len) {
        for j in 0..kv_len {
            biases.push(alibi::bias(slopes[h], i as i64 + rules[b].offset, j as i64));
        }
    }
    let biases = shaped(biases, Ix4(batch, num_heads, q_len, kv_len));
    match additive {
        Some(additive) => add(biases, &additive),
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
    let additive = additive.map(|additive| over_all_keys(&additive, full, T::ZERO).ok_or_else(refuse)).transpose()?;
    Ok((Some(over_all_keys(&allowed, full, false).ok_or_else(refuse)?), additive))
}

/// A mask broadcast to `full`, with `rest` for keys that it does not speak of.
fn over_all_keys<E: Copy>(mask: &ArrayD<E>, full: [usize; 4], rest: E) -> Option<Array4<E>> {
    let [batch, num_heads, q_len, kv_len] = full;
    let told = match *mask.shape().last()? {
        1 => kv_len,
        told if told <= kv_len => told,
        _ => return None,
    };
    let mask = mask.broadcast([batch, num_heads, q_len, told])?;
    let mut all = Vec::with_capacity(batch * num_heads * q_len * kv_len);
    for (b, h, i) in rows(batch, num_heads, q_len) {
        for j in 0..kv_len {
            all.push(if j < told { mask[[b, h, i, j]] } else { rest });
        }
    }
    Some(shaped(all, Ix4(batch, num_heads, q_len, kv_len)))
}
