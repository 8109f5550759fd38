//! A batch of requests under way: its cache, and what was said of each token so far.

use super::kv_cache::{CacheKind, KvCache};
use super::spec::ModelSpec;
use crate::error::{Error, Result};
use crate::eval::CacheStorage;
use crate::linalg::arrays::shaped;
use crate::num::Real;
use crate::ops::refuse_positions;
use ndarray::{Array2, Ix2};

/// The state that a model carries from one call to the next.
#[derive(Debug)]
pub struct Session<T> {
    /// Keys and values of all layers.
    pub cache: KvCache<T>,
    /// `[batch, total_len]`: which tokens so far are real and not padding.
    pub(super) real: Array2<bool>,
    /// `[batch, total_len]`: the position of each token so far.
    pub(super) positions: Array2<i64>,
}

impl<T: Real> Session<T> {
    /// An empty session for `batch` requests side by side.
    pub fn new(spec: &ModelSpec, batch: usize, kind: CacheKind, storage: CacheStorage) -> Self {
        Self {
            cache: KvCache::new(spec, batch, kind, storage),
            real: Array2::from_elem((batch, 0), true),
            positions: Array2::zeros((batch, 0)),
        }
    }

    /// Requests side by side.
    pub fn batch(&self) -> usize {
        self.real.nrows()
    }

    /// Tokens so far.
    pub fn past_len(&self) -> usize {
        self.real.ncols()
    }

    /// Forgets everything, so that the next call starts a new request on the same memory.
    pub fn clear(&mut self) {
        let batch = self.real.nrows();
        self.cache.clear();
        self.real = Array2::from_elem((batch, 0), true);
        self.positions = Array2::zeros((batch, 0));
    }

    /// Appends what a call says of its tokens. Without positions, a token's position is the number of real
    /// tokens before it (`cumsum(mask) - 1`, at least 0), as Hugging Face's `generate` counts.
    pub(super) fn extend(
        &mut self,
        real: Option<&Array2<bool>>,
        positions: Option<&Array2<i64>>,
        q_len: usize,
    ) -> Result<()> {
        let batch = self.real.nrows();
        let all_real = Array2::from_elem((batch, q_len), true);
        let real = real.unwrap_or(&all_real);
        if real.dim() != (batch, q_len) {
            return Err(Error::ask(format!(
                "attention_mask has shape {:?}; these tokens are [{batch}, {q_len}]",
                real.dim()
            )));
        }
        let counted = counted_positions(&self.real, real);
        let positions = positions.unwrap_or(&counted);
        if positions.dim() != (batch, q_len) {
            return Err(Error::ask(format!(
                "position_ids has shape {:?}; these tokens are [{batch}, {q_len}]",
                positions.dim()
            )));
        }
        refuse_positions("position_ids", positions)?;
        self.real = followed_by(&self.real, real);
        self.positions = followed_by(&self.positions, positions);
        Ok(())
    }
}

/// Columns behind those of the past.
fn followed_by<E: Copy>(past: &Array2<E>, new: &Array2<E>) -> Array2<E> {
    let mut all = Vec::with_capacity(past.len() + new.len());
    for row in 0..new.nrows() {
        all.extend(past.row(row));
        all.extend(new.row(row));
    }
    shaped(all, Ix2(new.nrows(), past.ncols() + new.ncols()))
}

/// The number of real tokens before each of `real`, those of `past` counted: `cumsum(mask) - 1`, at least 0.
pub(crate) fn counted_positions(past: &Array2<bool>, real: &Array2<bool>) -> Array2<i64> {
    let mut positions = Array2::zeros(real.dim());
    for b in 0..real.nrows() {
        let mut tokens = past.row(b).iter().filter(|&&real| real).count() as i64;
        for t in 0..real.ncols() {
            tokens += i64::from(real[[b, t]]);
            positions[[b, t]] = (tokens - 1).max(0);
        }
    }
    positions
}
