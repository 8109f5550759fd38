//! Which scores count, and what is added to them.

use crate::num::Real;
use crate::ops::mask::MaskRule;
use ndarray::{Array2, Array4, ArrayView1, s};

/// Which scores count, and what is added to them.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreMask<T> {
    /// Whether the query may attend to the key.
    pub allowed: Allowed,
    /// Added to the score; broadcasts to `[batch, num_heads, q_len, kv_len]`.
    pub additive: Option<Array4<T>>,
}

/// Whether queries may attend to keys: said one by one, or by a rule, which needs no memory for each pair.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    /// Each pair; broadcasts to `[batch, num_heads, q_len, kv_len]`.
    Pairs(Array4<bool>),
    /// The same rule for each head and request.
    Rule {
        /// Of query `i` and key `first_key + j`.
        rule: MaskRule,
        /// The key that the first column stands for.
        first_key: usize,
        /// `[batch, first_key + kv_len]`: keys that are real and no padding.
        real: Array2<bool>,
    },
}

impl<T: Real> ScoreMask<T> {
    /// The scores of one query over the first keys: `score + additive`, then −∞ where not allowed.
    pub(super) fn apply(&self, batch: usize, head: usize, query: usize, row: &mut [T]) {
        if let Some(additive) = &self.additive {
            let broadcast = broadcast_row(additive, batch, head, query);
            for (s, at) in row.iter_mut().zip(0..) {
                *s = *s + broadcast[at % broadcast.len()];
            }
        }
        match &self.allowed {
            Allowed::Pairs(pairs) => {
                let allowed = broadcast_row(pairs, batch, head, query);
                for (s, at) in row.iter_mut().zip(0..) {
                    if !allowed[at % allowed.len()] {
                        *s = T::NEG_INFINITY;
                    }
                }
            }
            Allowed::Rule { rule, first_key, real } => {
                let query = query as i64;
                let column = |key: i64| key.saturating_sub(*first_key as i64).clamp(0, row.len() as i64) as usize;
                let first = column(rule.first_key(query).max(0));
                let end = rule.last_key(query).map_or(row.len(), |last| column(last.saturating_add(1)));
                row[..first].fill(T::NEG_INFINITY);
                row[end.max(first)..].fill(T::NEG_INFINITY);
                let real = real.slice(s![batch, *first_key..*first_key + row.len()]);
                // Mostly no key is padding, and a slice says so quickly; not by `all`, which stops early and so goes one by one.
                if real.as_slice().is_none_or(|real| !real.iter().fold(true, |all, &real| all & real)) {
                    row.iter_mut().zip(real).filter(|(_, real)| !**real).for_each(|(s, _)| *s = T::NEG_INFINITY);
                }
            }
        }
    }

    /// Keys up to the last that any query before `queries` may attend to, of `kv_len`: what lies behind has no part.
    pub(super) fn keys_of(&self, queries: usize, kv_len: usize) -> usize {
        match &self.allowed {
            Allowed::Pairs(_) => kv_len,
            Allowed::Rule { rule, first_key, .. } => {
                let end = rule.last_key(queries as i64 - 1).map(|last| last.saturating_add(1) - *first_key as i64);
                end.map_or(kv_len, |end| end.clamp(0, kv_len as i64) as usize)
            }
        }
    }
}

/// The entries of a query. An axis of length 1 serves all: the keys too, of which there is one entry then.
fn broadcast_row<E>(mask: &Array4<E>, batch: usize, head: usize, query: usize) -> ArrayView1<'_, E> {
    let (batches, heads, queries, _) = mask.dim();
    mask.slice(s![batch % batches, head % heads, query % queries, ..])
}
