//! How much memory keys and values take.
//!
//! ```text
//! bytes a token = Σ over layers of 2 · num_key_value_heads · head_dim · b
//! ```
//! 2 for keys and values. Neither the number of query heads nor the hidden size matters: under grouped queries
//! (Ainslie et al., arXiv:2305.13245) several query heads share a key head, and `head_dim` need not be hidden / heads.

use crate::error::{Error, Result};
use crate::eval::CacheStorage;
use crate::model::ModelSpec;
use crate::model::kv_cache::CacheKind;
use crate::model::spec::AttentionLayerSpec;
use crate::num::Dtype;
use serde::Serialize;

/// How query heads share keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Multi-head: each query head has its own.
    MultiHead,
    /// Grouped-query: some share.
    GroupedQuery,
    /// Multi-query: all share one.
    MultiQuery,
}

/// The kind of one layer.
pub fn attention_kind(spec: &AttentionLayerSpec) -> AttentionKind {
    match (spec.num_attention_heads, spec.num_key_value_heads) {
        (heads, kv_heads) if heads == kv_heads => AttentionKind::MultiHead,
        (_, 1) => AttentionKind::MultiQuery,
        _ => AttentionKind::GroupedQuery,
    }
}

/// How a model keeps its keys and values.
#[derive(Debug, Clone, Copy)]
pub struct KvCacheSize<'s> {
    spec: &'s ModelSpec,
    kind: CacheKind,
    storage: CacheStorage,
}

impl<'s> KvCacheSize<'s> {
    /// The cache of a model, whose numbers have `dtype` unless `storage` says another.
    ///
    /// # Errors
    /// A page of no tokens, blocks of no numbers, tf32, which nothing is stored in.
    pub fn new(spec: &'s ModelSpec, kind: CacheKind, storage: CacheStorage, dtype: Dtype) -> Result<Self> {
        if kind == (CacheKind::Paged { page_size: 0 }) {
            return Err(Error::ask("a page of 0 tokens holds nothing; name a page size of at least 1"));
        }
        let storage = match storage {
            CacheStorage::AsComputed => CacheStorage::Float(dtype),
            other => other,
        };
        match storage {
            CacheStorage::Float(Dtype::Tf32) => {
                return Err(Error::ask("tf32 is a rounding of operands; no cache is stored in it"));
            }
            CacheStorage::Int8 { block: 0 } => return Err(Error::ask("a block of 0 numbers has no scale")),
            _ => {}
        }
        Ok(Self { spec, kind, storage })
    }

    /// Bytes of one token's keys and values in all layers, window or not.
    pub fn bytes_a_token(&self) -> u128 {
        self.spec.layers.iter().map(|layer| self.bytes(&layer.attention, 1)).sum()
    }

    /// Bytes of a request of `len` tokens: whole pages where there are pages, no more than a window where rings forget.
    pub fn bytes_a_request(&self, len: u128) -> u128 {
        self.spec.layers.iter().map(|layer| self.bytes(&layer.attention, self.rows(&layer.attention, len))).sum()
    }

    /// Bytes of a request's last page that no token has yet.
    pub fn waste(&self, len: u128) -> u128 {
        let exact = Self { kind: CacheKind::Contiguous, ..*self };
        match self.kind {
            CacheKind::Paged { .. } => self.bytes_a_request(len) - exact.bytes_a_request(len),
            CacheKind::Contiguous | CacheKind::Ring => 0,
        }
    }

    /// Tokens a layer has room for when a request has `len`.
    fn rows(&self, spec: &AttentionLayerSpec, len: u128) -> u128 {
        match (self.kind, spec.sliding_window) {
            (CacheKind::Paged { page_size }, _) => len.div_ceil(page_size as u128) * page_size as u128,
            (CacheKind::Ring, Some(window)) => len.min(window as u128),
            (CacheKind::Ring, None) | (CacheKind::Contiguous, _) => len,
        }
    }

    /// Keys and values of some tokens in one layer. 8-bit integers have a scale in f32 for each block of a head.
    fn bytes(&self, spec: &AttentionLayerSpec, tokens: u128) -> u128 {
        let heads = 2 * tokens * spec.num_key_value_heads as u128;
        let dim = spec.head_dim as u128;
        match self.storage {
            CacheStorage::Int8 { block } => heads * (dim + 4 * dim.div_ceil(block as u128)),
            CacheStorage::Float(dtype) => heads * dim * dtype.bytes() as u128,
            CacheStorage::AsComputed => unreachable!("`new` has named the format"),
        }
    }
}
