//! The stages of [`super::attention`], some queries at a time over all keys they may attend to.
//!
//! A row of scores is whole, with its exact maximum, so its bits are those of the stages one after the other; memory
//! grows with the length and not with its square, and keys behind the last one that a block may attend to are not
//! looked at.

use super::softmax_rows::softmax_rows;
use super::{ScoreMask, ScoreRule};
use crate::eval::Numerics;
use crate::linalg::{Packed, ProductRules, Terms, matmul, weighted_sum};
use crate::num::{Dtype, Real};
use crate::ops::activation::soften_each;
use crate::simd::Level;
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayView4, ArrayViewMut2, s};
use rayon::prelude::*;

/// Queries of a block: their scores stay in the second cache up to some thousand keys.
const QUERIES: usize = 32;

/// What all heads share.
pub(super) struct Attention<'a, T> {
    pub(super) mask: &'a ScoreMask<T>,
    pub(super) rule: &'a ScoreRule,
    pub(super) sinks: Option<&'a Array1<T>>,
    pub(super) numerics: &'a Numerics,
}

/// The keys and values of one head.
enum KeysAndValues<'a, T> {
    /// As they lie in memory: `[kv_len, head_dim]` and `[kv_len, v_dim]`.
    Plain(ArrayView2<'a, T>, ArrayView2<'a, T>),
    /// Packed for many queries.
    Packed(Packed<T>, Packed<T>),
}

impl<T: Real> Attention<'_, T> {
    /// The context before it is stored, `[batch, num_heads, q_len, v_dim]`.
    pub(super) fn context(&self, q: &Array4<T>, k: ArrayView4<T>, v: ArrayView4<T>) -> Array4<T> {
        let (_, num_heads, q_len, _) = q.dim();
        let (_, kv_heads, kv_len, v_dim) = v.dim();
        let group = num_heads / kv_heads;
        let mut out = Array4::default((q.dim().0, num_heads, q_len, v_dim));
        let head_size = q_len * v_dim;
        let Some(contexts) = out.as_slice_mut().filter(|contexts| !contexts.is_empty()) else { return out };
        // Heads that share keys and values lie side by side.
        contexts.par_chunks_mut(group * head_size).enumerate().for_each(|(kv, contexts)| {
            let (b, kv_head) = (kv / kv_heads, kv % kv_heads);
            let k = k.slice(s![b, kv_head, .., ..]);
            let v = v.slice(s![b, kv_head, .., ..]);
            let keys_and_values = self.prepared(k, v, group * q_len);
            contexts.par_chunks_mut(head_size).enumerate().for_each(|(member, contexts)| {
                let h = kv_head * group + member;
                contexts.par_chunks_mut(QUERIES * v_dim).enumerate().for_each(|(block, contexts)| {
                    let first = block * QUERIES;
                    let queries = first..first + contexts.len() / v_dim;
                    let keys = self.mask.keys_of(queries.end, kv_len);
                    let q = q.slice(s![b, h, queries.clone(), ..]);
                    let mut probs = self.scores(q, &keys_and_values, keys);
                    self.probabilities(
                        probs.as_slice_mut().expect("scores are new and in standard layout"),
                        keys,
                        (b, h, first),
                    );
                    let out = ArrayViewMut2::from_shape((probs.nrows(), v_dim), contexts);
                    self.combine(probs, &keys_and_values, out.expect("a row of context for each query"));
                });
            });
        });
        out
    }

    /// Packs what many queries read, if the products have plain rules.
    fn prepared<'a>(&self, k: ArrayView2<'a, T>, v: ArrayView2<'a, T>, queries: usize) -> KeysAndValues<'a, T> {
        let rules = self.numerics.product_rules();
        let level = Level::chosen();
        if queries < QUERIES || level == Level::Definition || !rules.only_rounds_operands::<T>() {
            return KeysAndValues::Plain(k, v);
        }
        KeysAndValues::Packed(Packed::new(level, k.t(), rules), Packed::new(level, v, rules))
    }

    /// `scale · q kᵀ` over the first `keys`, stored.
    fn scores(&self, q: ArrayView2<T>, keys_and_values: &KeysAndValues<T>, keys: usize) -> Array2<T> {
        let mut scores = match keys_and_values {
            KeysAndValues::Plain(k, _) => matmul(q, k.slice(s![..keys, ..]).t(), self.rules()),
            KeysAndValues::Packed(k, _) => {
                let mut scores = Array2::default((q.nrows(), keys));
                k.product(q, Terms::All, scores.view_mut());
                scores
            }
        };
        let scale = T::from_f64(self.rule.scale);
        scores.mapv_inplace(|s| s * scale);
        if let Some(scores) = scores.as_slice_mut() {
            store(scores, self.numerics.scores);
        }
        scores
    }

    /// From scores of some queries to probabilities: softcap, mask, softmax along the keys, each stored.
    fn probabilities(&self, rows: &mut [T], keys: usize, (b, h, first): (usize, usize, usize)) {
        if let Some(softcap) = self.rule.softcap {
            soften_each(rows, softcap);
            store(rows, self.numerics.scores);
        }
        for (row, query) in rows.chunks_exact_mut(keys.max(1)).zip(first..) {
            self.mask.apply(b, h, query, row);
        }
        store(rows, self.numerics.scores);
        softmax_rows(rows, keys, self.sinks.map(|sinks| sinks[h]), self.numerics.softmax);
        store(rows, self.numerics.probs);
    }

    /// `probs v`.
    fn combine(&self, probs: Array2<T>, keys_and_values: &KeysAndValues<T>, mut out: ArrayViewMut2<T>) {
        match keys_and_values {
            KeysAndValues::Plain(_, v) => {
                let v = v.slice(s![..probs.ncols(), ..]);
                out.assign(&weighted_sum(probs.view(), v, self.rules()));
            }
            KeysAndValues::Packed(_, v) => v.product(probs.view(), Terms::NonZeroWeights, out),
        }
    }

    fn rules(&self) -> ProductRules {
        self.numerics.product_rules()
    }
}

/// Rounds to the format that a stage is stored in.
fn store<T: Real>(values: &mut [T], dtype: Dtype) {
    if dtype.precision() < T::DTYPE.precision() {
        values.iter_mut().for_each(|x| *x = x.round_to(dtype));
    }
}
