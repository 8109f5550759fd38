//! Scaled dot-product attention (Vaswani et al., arXiv:1706.03762) with everything that grew around it.
//!
//! ```text
//! scores            = scale · q kᵀ                       [batch, num_heads, q_len, kv_len]
//! softcapped_scores = softcap · tanh(scores / softcap)    only with a softcap (Gemma 2)
//! masked_scores     = −∞ where masked, else softcapped_scores + additive
//! probs             = softmax(masked_scores)              along kv_len, with a sink in the denominator if there is one
//! context           = probs v                             [batch, num_heads, q_len, v_dim]
//! ```
//! Query head `h` reads key and value head `⌊h / (num_heads / num_key_value_heads)⌋`. The order softcap → mask →
//! softmax is Gemma 2's and ONNX's. A key whose masked score is −∞ has probability exactly 0 and is left out of
//! the last sum, so nothing stored at a masked place, not even NaN, reaches the result. A row without any key
//! has probabilities and context 0. Products, sums and their order: [`crate::linalg`], [`crate::ops::softmax`];
//! hence a row's bits do not depend on which other rows or masked keys were computed beside it.

mod blocks;
mod question;
mod score_mask;
mod softmax_rows;

pub use score_mask::{Allowed, ScoreMask};

pub(crate) use question::AttentionInputs;
pub(super) use question::ask;

use super::activation::soften;
use super::question::with_axes;
use super::softmax::softmax_with_sink;
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Operation, Role, Work};
use crate::linalg::arrays::{assign, elements, in_order, reshaped, shaped, values};
use crate::linalg::{matmul, weighted_sum};
use crate::num::parallel::in_pieces;
use crate::num::{Real, scale_each};
use blocks::Attention;
use ndarray::{Array1, Array3, Array4, ArrayD, ArrayView4, Ix3, Ix4, s};

/// Sites between the products.
const SITES: [&str; 4] = ["attn.scores", "attn.softcapped_scores", "attn.masked_scores", "attn.probs"];

/// The numbers of the score rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRule {
    /// Factor on `q kᵀ`.
    pub scale: f64,
    /// `softcap · tanh(scores / softcap)`.
    pub softcap: Option<f64>,
}

/// Attention of q `[batch, num_heads, q_len, head_dim]` over k `[batch, num_key_value_heads, kv_len, head_dim]` and
/// v `[.., kv_len, v_dim]`; the context `[batch, num_heads, q_len, v_dim]`. `sinks` is one score a head.
///
/// Where nobody looks at the stages they are computed by blocks of queries, with the same bits. Passes the sites `attn.scores`, `attn.softcapped_scores`, `attn.masked_scores`, `attn.probs`, `attn.context`.
///
/// # Panics
/// If the shapes do not fit.
pub fn attention<T: Real>(
    q: &Array4<T>,
    k: ArrayView4<T>,
    v: ArrayView4<T>,
    mask: &ScoreMask<T>,
    rule: &ScoreRule,
    sinks: Option<&Array1<T>>,
    eval: &mut Evaluator,
) -> Array4<T> {
    count(q, k, v, mask, rule, sinks, eval);
    if !eval.observes(&SITES) {
        let context = Attention { mask, rule, sinks, numerics: eval.numerics() }.context(q, k, v);
        return eval.at("attn.context", Role::Activation, context);
    }

    let scores = scale_scores(products(q, k, eval), rule.scale);
    let scores = eval.at("attn.scores", Role::Scores, scores);

    let capped = match rule.softcap {
        Some(softcap) => eval.at("attn.softcapped_scores", Role::Scores, soften(scores, softcap)),
        None => scores,
    };

    let masked = eval.at("attn.masked_scores", Role::Scores, apply_mask(capped, mask));

    let probs = eval.at("attn.probs", Role::Probs, probabilities(masked, sinks, eval));

    let context = combine(&probs, v, eval);
    eval.at("attn.context", Role::Activation, context)
}

/// What the stages take, masked keys included, each key and value read once for all heads that share it.
fn count<T: Real>(
    q: &Array4<T>,
    k: ArrayView4<T>,
    v: ArrayView4<T>,
    mask: &ScoreMask<T>,
    rule: &ScoreRule,
    sinks: Option<&Array1<T>>,
    eval: &Evaluator,
) {
    let ((batch, num_heads, q_len, head_dim), v_dim) = (q.dim(), v.dim().3);
    let rows = batch * num_heads * q_len;
    let scores = rows * k.dim().2;

    // The scale; a quotient, a tanh and a product.
    let per_score = 1 + rule.softcap.map_or(0, |_| 3);
    let work = Work::multiply_adds(scores * head_dim).and_flops(scores * per_score);
    eval.count(Operation::Scores, work.reads(q.len()).reads_cache(k.len()).writes_scores(scores));

    // s - m, exp, the sum, the quotient; the same but the quotient of a sink; the additive mask.
    let additive = if mask.additive.is_some() { scores } else { 0 };
    let work = Work::flops(4 * scores + additive + sinks.map_or(0, |_| 3 * rows));
    eval.count(Operation::Softmax, work.reads_scores(scores).writes_scores(scores));

    let work = Work::multiply_adds(scores * v_dim).reads_scores(scores).reads_cache(v.len());
    eval.count(Operation::Context, work.writes(rows * v_dim));
}

/// `q kᵀ`, head by head.
fn products<T: Real>(q: &Array4<T>, k: ArrayView4<T>, eval: &Evaluator) -> Array4<T> {
    let (batch, num_heads, q_len, _) = q.dim();
    let (_, num_key_value_heads, kv_len, _) = k.dim();
    let group = num_heads / num_key_value_heads;
    let mut out = Array4::from_elem((batch, num_heads, q_len, kv_len), T::ZERO);
    for b in 0..batch {
        for h in 0..num_heads {
            let (q, k) = (q.slice(s![b, h, .., ..]), k.slice(s![b, h / group, .., ..]));
            let scores = matmul(q, k.t(), eval.numerics().product_rules());
            assign(out.slice_mut(s![b, h, .., ..]), scores.view());
        }
    }
    out
}

/// `scale · scores`.
fn scale_scores<T: Real>(mut scores: Array4<T>, scale: f64) -> Array4<T> {
    scale_each(elements(&mut scores), T::from_f64(scale));
    scores
}

/// −∞ where not allowed, else score + additive.
fn apply_mask<T: Real>(scores: Array4<T>, mask: &ScoreMask<T>) -> Array4<T> {
    each_row(scores, &mut |b, h, query, row| mask.apply(b, h, query, row))
}

/// Softmax along the keys.
fn probabilities<T: Real>(scores: Array4<T>, sinks: Option<&Array1<T>>, eval: &Evaluator) -> Array4<T> {
    each_row(scores, &mut |_, h, _, row| softmax_with_sink(row, sinks.map(|sinks| sinks[h]), eval.numerics().softmax))
}

/// `change` with batch, head and query of each row of scores.
fn each_row<T: Real>(scores: Array4<T>, change: &mut dyn FnMut(usize, usize, usize, &mut [T])) -> Array4<T> {
    let (_, num_heads, q_len, kv_len) = scores.dim();
    let mut scores = in_order(scores);
    for (index, row) in elements(&mut scores).chunks_exact_mut(kv_len.max(1)).enumerate() {
        change(index / (num_heads * q_len), index / q_len % num_heads, index % q_len, row);
    }
    scores
}

/// `probs v`, head by head.
fn combine<T: Real>(probs: &Array4<T>, v: ArrayView4<T>, eval: &Evaluator) -> Array4<T> {
    let (batch, num_heads, q_len, _) = probs.dim();
    let (_, num_key_value_heads, _, v_dim) = v.dim();
    let group = num_heads / num_key_value_heads;
    let mut out = Array4::from_elem((batch, num_heads, q_len, v_dim), T::ZERO);
    for b in 0..batch {
        for h in 0..num_heads {
            let (probs, v) = (probs.slice(s![b, h, .., ..]), v.slice(s![b, h / group, .., ..]));
            let context = weighted_sum(probs, v, eval.numerics().product_rules());
            assign(out.slice_mut(s![b, h, .., ..]), context.view());
        }
    }
    out
}

/// Whether heads came as an axis of their own or side by side in the last axis, and so go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heads {
    Axis,
    Flat,
}

/// `[batch, heads, len, dim]` as it is, `[batch, len, heads · dim]` taken apart.
pub(crate) fn split_heads<T: Real>(name: &str, x: ArrayD<T>, num_heads: Option<usize>) -> Result<(Array4<T>, Heads)> {
    if x.ndim() == 4 {
        return Ok((with_axes::<T, Ix4>(name, "[batch, heads, len, dim]", x)?, Heads::Axis));
    }
    let x = with_axes::<T, Ix3>(name, "[batch, heads, len, dim] or [batch, len, heads · dim]", x)?;
    let (batch, len, width) = x.dim();
    let heads = num_heads
        .ok_or_else(|| Error::ask(format!("{name} has three axes; then params must say the number of heads")))?;
    if heads == 0 || width % heads != 0 {
        return Err(Error::ask(format!("{name} is {width} wide; that cannot be split into {heads} heads")));
    }
    Ok((middle_axes_exchanged(&values(&x), [batch, len, heads, width / heads]), Heads::Flat))
}

/// The inverse of [`split_heads`].
pub(crate) fn join_heads<T: Real>(x: Array4<T>, heads: Heads) -> ArrayD<T> {
    match heads {
        Heads::Axis => x.into_dyn(),
        Heads::Flat => merge_heads(x).into_dyn(),
    }
}

/// `[batch, heads, len, dim]` as `[batch, len, heads · dim]`.
pub(crate) fn merge_heads<T: Real>(x: Array4<T>) -> Array3<T> {
    let (batch, heads, len, dim) = x.dim();
    reshaped(middle_axes_exchanged(&values(&x), [batch, heads, len, dim]), Ix3(batch, len, heads * dim))
}

/// `[a, b, c, d]` as `[a, c, b, d]`, in memory too, row by row of the last axis.
fn middle_axes_exchanged<T: Real>(x: &[T], [a, b, c, d]: [usize; 4]) -> Array4<T> {
    let mut out = vec![T::ZERO; x.len()];
    if !out.is_empty() {
        in_pieces(&mut out, d, &|first, rows| {
            for (row, index) in rows.chunks_exact_mut(d).zip(first / d..) {
                let from = (index / (b * c) * b + index % b) * c + index / b % c;
                row.copy_from_slice(&x[from * d..(from + 1) * d]);
            }
        });
    }
    shaped(out, Ix4(a, c, b, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Numerics;
    use crate::num::Dtype;
    use crate::ops::mask::MaskRule;
    use ndarray::array;
    use proptest::prelude::*;

    fn no_mask<T>() -> ScoreMask<T> {
        ScoreMask { allowed: Allowed::Pairs(Array4::from_elem((1, 1, 1, 1), true)), additive: None }
    }

    fn of(q: &Array4<f64>, k: &Array4<f64>, v: &Array4<f64>, mask: &ScoreMask<f64>) -> Array4<f64> {
        let mut eval = Evaluator::new(Numerics::plain(Dtype::F64));
        attention(q, k.view(), v.view(), mask, &ScoreRule { scale: 1.0, softcap: None }, None, &mut eval)
    }

    fn causal(q_len: usize, kv_len: usize) -> ScoreMask<f64> {
        let rule = MaskRule { causal: true, offset: kv_len as i64 - q_len as i64, ..MaskRule::default() };
        ScoreMask {
            allowed: Allowed::Pairs(Array4::from_shape_fn((1, 1, q_len, kv_len), |(_, _, i, j)| {
                rule.allows(i as i64, j as i64)
            })),
            additive: None,
        }
    }

    #[test]
    fn two_keys_a_logarithm_apart() {
        // Scores 0 and ln 3, probabilities 1/4 and 3/4, values 8 and 4: 2 + 3 = 5.
        let out = of(&array![[[[1.0]]]], &array![[[[0.0], [3f64.ln()]]]], &array![[[[8.0], [4.0]]]], &no_mask());
        approx::assert_relative_eq!(out[[0, 0, 0, 0]], 5.0, max_relative = 1e-15);
    }

    #[test]
    fn a_row_without_keys_is_zero_and_poison_does_not_leak() {
        let mut mask = no_mask();
        mask.allowed = Allowed::Pairs(array![[[[true, false], [false, false]]]]);
        let q = array![[[[1.0], [1.0]]]];
        let out = of(&q, &array![[[[0.5], [f64::NAN]]]], &array![[[[7.0], [f64::NAN]]]], &mask);
        assert_eq!(out, array![[[[7.0], [0.0]]]]);
    }

    #[test]
    fn poison_does_not_leak_under_any_seed() {
        let mut mask = no_mask();
        mask.allowed = Allowed::Pairs(array![[[[true, false, true], [false, false, false]]]]);
        let (q, k) = (array![[[[1.0], [1.0]]]], array![[[[0.5], [f64::NAN], [0.25]]]]);
        let v = array![[[[7.0], [f64::NAN], [7.0]]]];
        for seed in 0..16 {
            let mut eval = Evaluator::new(Numerics::plain(Dtype::F64).perturbed(seed));
            let rule = ScoreRule { scale: 1.0, softcap: None };
            let out = attention(&q, k.view(), v.view(), &mask, &rule, None, &mut eval);
            // Probabilities of sum 1 up to a few roundings, 7 times that; without keys 0 exactly.
            assert!((out[[0, 0, 0, 0]] - 7.0).abs() <= 64.0 * f64::EPSILON, "{out}");
            assert_eq!(out[[0, 0, 1, 0]].to_bits(), 0, "{out}");
        }
    }

    /// The context by blocks and through whole stages, as bits.
    fn both_ways<T: Real>(
        numerics: Numerics,
        sizes: [usize; 3],
        mask: &ScoreMask<f64>,
        softcap: Option<f64>,
    ) -> [Vec<u64>; 2] {
        let [q_len, kv_len, dim] = sizes;
        let numbers = |shape: [usize; 4], step: usize| {
            let count: usize = shape.iter().product();
            let x =
                (0..count).map(|i| T::from_f64((i * step % 997) as f64 / 250.0 - 2.0).round_to(numerics.activations));
            Array4::from_shape_vec(shape, x.collect()).unwrap()
        };
        let (q, k, v) =
            (numbers([2, 4, q_len, dim], 7), numbers([2, 2, kv_len, dim], 13), numbers([2, 2, kv_len, dim], 29));
        let additive = mask.additive.as_ref().map(|additive| additive.mapv(T::from_f64));
        let mask = ScoreMask { allowed: mask.allowed.clone(), additive };
        let rule = ScoreRule { scale: 0.3, softcap };
        let sinks = Array1::from_iter([0.5, -1.0, 2.0, 0.0].map(T::from_f64));
        let mut trace = crate::eval::Trace::of(["attn.probs"]);
        let mut staged = Evaluator::with_trace(numerics, &mut trace);
        [&mut Evaluator::new(numerics), &mut staged].map(|eval| {
            let context = attention(&q, k.view(), v.view(), &mask, &rule, Some(&sinks), eval);
            context.iter().map(|x| x.to_f64().to_bits()).collect()
        })
    }

    #[test]
    fn blocks_have_the_bits_of_the_stages() {
        let mut formats =
            vec![Numerics::plain(Dtype::F32), Numerics::stored_in(Dtype::Bf16), Numerics::eager(Dtype::F16)];
        formats.push(Numerics { operands: Dtype::Tf32, ..Numerics::plain(Dtype::F32) });
        formats.push(Numerics { accumulator: Dtype::Bf16, softmax: Dtype::Bf16, ..Numerics::stored_in(Dtype::Bf16) });
        // 32 queries: a block holds both heads of a group.
        for [q_len, kv_len, dim] in [[1, 40, 5], [37, 37, 8], [70, 300, 16], [3, 2, 4], [32, 50, 6]] {
            let rule =
                |window| MaskRule { causal: true, offset: kv_len as i64 - q_len as i64, window, right_window: None };
            let real = ndarray::Array2::from_shape_fn((2, kv_len), |(b, j)| b == 0 || j > 1);
            let additive =
                Array4::from_shape_fn((1, 4, q_len, kv_len), |(_, h, i, j)| (h + i) as f64 * -0.1 + j as f64 * 0.01);
            let pairs = Array4::from_shape_fn((2, 1, q_len, kv_len), |(b, _, i, j)| (b + i + j) % 3 > 0);
            let by_rule = |window| Allowed::Rule { rule: rule(window), first_key: 0, real: real.clone() };
            let masks = [
                ScoreMask { allowed: by_rule(None), additive: None },
                ScoreMask { allowed: by_rule(Some(7)), additive: Some(additive) },
                ScoreMask { allowed: Allowed::Pairs(pairs), additive: None },
            ];
            for (mask, softcap) in masks.iter().zip([None, Some(1.5), None]) {
                let [blocks, stages] =
                    both_ways::<f64>(Numerics::plain(Dtype::F64), [q_len, kv_len, dim], mask, softcap);
                assert_eq!(blocks, stages, "f64, {q_len} queries");
                for &numerics in &formats {
                    let [blocks, stages] = both_ways::<f32>(numerics, [q_len, kv_len, dim], mask, softcap);
                    assert_eq!(blocks, stages, "{numerics:?}, {q_len} queries");
                }
            }
        }
    }

    #[test]
    fn a_rule_and_its_pairs_are_one_mask() {
        let rule = MaskRule { causal: false, offset: 2, window: Some(4), right_window: Some(1) };
        let real = ndarray::Array2::from_shape_fn((2, 50), |(b, j)| (b + j) % 5 > 0);
        let pairs = Array4::from_shape_fn((2, 1, 40, 47), |(b, _, i, j)| {
            real[[b, 3 + j]] && rule.allows(i as i64, 3 + j as i64)
        });
        let numerics = Numerics::plain(Dtype::F64);
        let of = |allowed| both_ways::<f64>(numerics, [40, 47, 6], &ScoreMask { allowed, additive: None }, None);
        assert_eq!(of(Allowed::Rule { rule, first_key: 3, real: real.clone() }), of(Allowed::Pairs(pairs)));
    }

    fn tensor(heads: usize, len: usize, dim: usize) -> impl Strategy<Value = Array4<f64>> {
        prop::collection::vec(-2.0f64..2.0, heads * len * dim)
            .prop_map(move |x| Array4::from_shape_vec((1, heads, len, dim), x).unwrap())
    }

    proptest! {
        #[test]
        fn earlier_rows_do_not_see_later_keys((q, k, v) in (tensor(2, 5, 3), tensor(1, 5, 3), tensor(1, 5, 2)), poison in -9.0f64..9.0) {
            let before = of(&q, &k, &v, &causal(5, 5));
            let (mut k2, mut v2) = (k.clone(), v.clone());
            k2.slice_mut(s![.., .., 3.., ..]).fill(poison);
            v2.slice_mut(s![.., .., 3.., ..]).fill(poison);
            let after = of(&q, &k2, &v2, &causal(5, 5));
            prop_assert_eq!(before.slice(s![.., .., ..3, ..]), after.slice(s![.., .., ..3, ..]));
        }

        #[test]
        fn the_last_rows_alone_give_the_same_bits((q, k, v) in (tensor(2, 6, 3), tensor(1, 6, 3), tensor(1, 6, 2)), from in 0usize..6) {
            let whole = of(&q, &k, &v, &causal(6, 6));
            let rest = of(&q.slice(s![.., .., from.., ..]).to_owned(), &k, &v, &causal(6 - from, 6));
            prop_assert_eq!(whole.slice(s![.., .., from.., ..]), rest.view());
        }

        #[test]
        fn grouped_heads_equal_repeated_heads((q, k, v) in (tensor(6, 4, 3), tensor(2, 4, 3), tensor(2, 4, 3))) {
            let repeat = |x: &Array4<f64>| Array4::from_shape_fn((1, 6, 4, 3), |(b, h, t, d)| x[[b, h / 3, t, d]]);
            prop_assert_eq!(of(&q, &k, &v, &no_mask()), of(&q, &repeat(&k), &repeat(&v), &no_mask()));
        }

        #[test]
        fn permuted_keys_change_rounding_only((q, k, v) in (tensor(1, 3, 4), tensor(1, 7, 4), tensor(1, 7, 2)), by in 1usize..7) {
            let permute = |x: &Array4<f64>| Array4::from_shape_fn(x.dim(), |(b, h, t, d)| x[[b, h, (t + by) % 7, d]]);
            let (a, b) = (of(&q, &k, &v, &no_mask()), of(&q, &permute(&k), &permute(&v), &no_mask()));
            // Two folds of 7 terms of at most 2 each, and the same scores: 2 · 2 · 8 roundings.
            prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 32.0 * f64::EPSILON));
        }

        #[test]
        fn values_enter_linearly_and_stay_in_their_hull((q, k, v, w) in (tensor(1, 3, 4), tensor(1, 5, 4), tensor(1, 5, 2), tensor(1, 5, 2))) {
            let (of_v, of_w, of_sum) = (of(&q, &k, &v, &no_mask()), of(&q, &k, &w, &no_mask()), of(&q, &k, &(&v + &w), &no_mask()));
            let sum = &of_v + &of_w;
            prop_assert!(sum.iter().zip(&of_sum).all(|(a, b)| (a - b).abs() <= 64.0 * f64::EPSILON));
            let (low, high) = v.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
            prop_assert!(of_v.iter().all(|&x| x >= low - 1e-14 && x <= high + 1e-14));
        }
    }
}
