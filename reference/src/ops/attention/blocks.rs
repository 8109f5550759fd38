//! The stages of [`super::attention`], some queries at a time over all keys they may attend to.
//!
//! A row of scores is whole, with its exact maximum, so its bits are those of the stages one after the other; memory
//! grows with the length and not with its square, and keys behind the last one that a block may attend to are not
//! looked at.

use super::softmax_rows::softmax_rows;
use super::{ScoreMask, ScoreRule};
use crate::eval::Numerics;
use crate::linalg::arrays::{assign, values};
use crate::linalg::{Packed, ProductRules, Terms, matmul, weighted_sum};
use crate::num::parallel::{Pool, for_each_chunk};
use crate::num::{Real, round_each, scale_each};
use crate::ops::activation::soften_each;
use crate::simd::Level;
use ndarray::{Array1, Array4, ArrayView2, ArrayView4, ArrayViewMut2, s};

/// Queries of a block: their scores stay in the second cache up to some thousand keys.
const QUERIES: usize = 64;

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

/// Rows of queries that share keys and values. Row `r` is query `r % q_len` of head `first_head + r / q_len`.
struct Group<'a, T> {
    batch: usize,
    first_head: usize,
    q_len: usize,
    /// `[rows, head_dim]`.
    q: ArrayView2<'a, T>,
    keys_and_values: KeysAndValues<'a, T>,
    kv_len: usize,
}

impl<T: Real> Attention<'_, T> {
    /// The context before it is stored, `[batch, num_heads, q_len, v_dim]`.
    pub(super) fn context(&self, q: &Array4<T>, k: ArrayView4<T>, v: ArrayView4<T>) -> Array4<T> {
        let (batch, num_heads, q_len, head_dim) = q.dim();
        let (_, kv_heads, kv_len, v_dim) = v.dim();
        let members = num_heads / kv_heads;
        let mut out = Array4::from_elem((batch, num_heads, q_len, v_dim), T::ZERO);
        // Heads that share keys and values lie side by side.
        let queries = values(q);
        let rows = members * q_len;
        let Some(contexts) = out.as_slice_mut().filter(|contexts| !contexts.is_empty()) else { return out };
        let memories = Pool::default();
        for_each_chunk(contexts, rows * v_dim, &|shared, contexts| {
            let (b, kv_head) = (shared / kv_heads, shared % kv_heads);
            let (k, v) = (k.slice(s![b, kv_head, .., ..]), v.slice(s![b, kv_head, .., ..]));
            let group = Group {
                batch: b,
                first_head: kv_head * members,
                q_len,
                q: ArrayView2::from_shape((rows, head_dim), &queries[shared * rows * head_dim..][..rows * head_dim])
                    .expect("a query for each row"),
                keys_and_values: self.prepared(k, v, rows),
                kv_len,
            };
            // A block does not reach from one head into the next unless it holds all queries of both.
            let whole = if q_len >= QUERIES { q_len } else { QUERIES / q_len * q_len };
            for_each_chunk(contexts, whole * v_dim, &|part, contexts| {
                for_each_chunk(contexts, QUERIES * v_dim, &|block, out| {
                    let rows = out.len() / v_dim;
                    let out = ArrayViewMut2::from_shape((rows, v_dim), out).expect("a row of context for each query");
                    let mut memory = memories.take();
                    self.block(&group, part * whole + block * QUERIES, &mut memory, out);
                    memories.give_back(memory);
                });
            });
        });
        out
    }

    /// Packs what many queries read, if the products have plain rules.
    fn prepared<'a>(&self, k: ArrayView2<'a, T>, v: ArrayView2<'a, T>, queries: usize) -> KeysAndValues<'a, T> {
        let rules = self.rules();
        let level = Level::chosen();
        if queries < QUERIES || !level.has_fma() || !rules.only_rounds_operands::<T>() {
            return KeysAndValues::Plain(k, v);
        }
        KeysAndValues::Packed(Packed::new(level, k.t(), rules), Packed::new(level, v, rules))
    }

    /// The contexts of the rows from `first` on; `memory` is for their scores.
    fn block(&self, group: &Group<T>, first: usize, memory: &mut Vec<T>, out: ArrayViewMut2<T>) {
        let rows = out.nrows();
        // The last query of the block: of its own head, or of the heads that it holds whole.
        let last = if group.q_len >= QUERIES { (first + rows - 1) % group.q_len } else { group.q_len - 1 };
        let keys = self.mask.keys_of(last + 1, group.kv_len);
        // Rows of a power of two apart would share the same few places of the first cache.
        let stride = keys.next_multiple_of(16) + 16;
        memory.resize(rows * stride, T::ZERO);
        let scores = ArrayViewMut2::from_shape((rows, stride), memory).expect("as many numbers as these rows have");
        self.products(group, first, scores.slice_move(s![.., ..keys]));
        self.probabilities(group, first, memory, stride, keys);
        let probs = ArrayView2::from_shape((rows, stride), memory).expect("as many numbers as these rows have");
        self.combine(group, probs.slice_move(s![.., ..keys]), out);
    }

    /// `q kᵀ` over the first keys.
    fn products(&self, group: &Group<T>, first: usize, mut scores: ArrayViewMut2<T>) {
        let (rows, keys) = scores.dim();
        let q = group.q.slice(s![first..first + rows, ..]);
        match &group.keys_and_values {
            KeysAndValues::Plain(k, _) => {
                assign(scores.view_mut(), matmul(q, k.slice(s![..keys, ..]).t(), self.rules()).view());
            }
            KeysAndValues::Packed(k, _) => k.product(q, Terms::All, scores),
        }
    }

    /// From products to probabilities: scale, softcap, mask, softmax along the keys, each stored.
    fn probabilities(&self, group: &Group<T>, first: usize, scores: &mut [T], stride: usize, keys: usize) {
        let stored = self.numerics.scores;
        let scale = T::from_f64(self.rule.scale);
        let mut at = first;
        // The rows of a head share its sink.
        let behind = first + scores.len() / stride;
        while at < behind {
            let (head, query) = (group.first_head + at / group.q_len, at % group.q_len);
            let end = (at + group.q_len - query).min(behind);
            let rows = &mut scores[(at - first) * stride..(end - first) * stride];
            for (row, query) in rows.chunks_mut(stride).zip(query..) {
                let row = &mut row[..keys];
                scale_each(row, scale);
                round_each(row, stored);
                if let Some(softcap) = self.rule.softcap {
                    soften_each(row, softcap);
                    round_each(row, stored);
                }
                self.mask.apply(group.batch, head, query, row);
                if self.mask.additive.is_some() {
                    round_each(row, stored);
                }
            }
            softmax_rows(rows, stride, keys, self.sinks.map(|sinks| sinks[head]), self.numerics.softmax);
            for row in rows.chunks_mut(stride) {
                round_each(&mut row[..keys], self.numerics.probs);
            }
            at = end;
        }
    }

    /// `probs v`.
    fn combine(&self, group: &Group<T>, probs: ArrayView2<T>, mut out: ArrayViewMut2<T>) {
        match &group.keys_and_values {
            KeysAndValues::Plain(_, v) => {
                assign(out.view_mut(), weighted_sum(probs, v.slice(s![..probs.ncols(), ..]), self.rules()).view());
            }
            KeysAndValues::Packed(_, v) => v.product(probs, Terms::NonZeroWeights, out),
        }
    }

    fn rules(&self) -> ProductRules {
        self.numerics.product_rules()
    }
}
