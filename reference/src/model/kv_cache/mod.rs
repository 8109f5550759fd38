//! Key-value caches. All give attention the same numbers; they differ in where they keep them.
//!
//! Every forward pass goes through a cache, a whole prefill too, so cached decoding is not another code
//! path: a layer stores its new keys and values and attends to what the cache hands back.

mod contiguous;
mod paged;
mod ring;
mod storage;

use super::spec::ModelSpec;
use crate::eval::{CacheStorage, Evaluator};
use crate::num::Real;
use contiguous::Contiguous;
use ndarray::{Array4, CowArray, Ix4};
use paged::Paged;
use ring::Ring;
use storage::store;

/// Where a cache keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// One array a layer, in order.
    Contiguous,
    /// Pages of `page_size` tokens taken from a pool in shuffled order; free pages hold NaN.
    Paged {
        /// Tokens a page.
        page_size: usize,
    },
    /// Layers with a sliding window keep only that many rows and overwrite the oldest; others are contiguous.
    Ring,
}

/// What a layer attends to: keys and values `[batch, num_key_value_heads, len, head_dim]`.
#[derive(Debug)]
pub struct Cached<'a, T> {
    /// Keys, oldest first.
    pub k: CowArray<'a, T, Ix4>,
    /// Values, likewise.
    pub v: CowArray<'a, T, Ix4>,
    /// Index, in the whole sequence, of the first row.
    pub first: usize,
}

/// The cache of one layer.
trait LayerCache<T>: Send {
    /// Stores new rows after the old ones and hands back all that the new queries may need.
    fn extend(&mut self, k: Array4<T>, v: Array4<T>) -> Cached<'_, T>;
    /// Numbers of keys and values held, a page whole.
    fn numbers(&self) -> usize;
    /// Forgets all rows.
    fn clear(&mut self);
}

/// The caches of all layers.
pub struct KvCache<T> {
    layers: Vec<Box<dyn LayerCache<T>>>,
    storage: CacheStorage,
}

impl<T> std::fmt::Debug for KvCache<T> {
    /// Millions of numbers are of no use to a reader.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layers = self.layers.len();
        f.debug_struct("KvCache").field("layers", &layers).field("storage", &self.storage).finish_non_exhaustive()
    }
}

impl<T: Real> KvCache<T> {
    /// An empty cache.
    pub fn new(spec: &ModelSpec, batch: usize, kind: CacheKind, storage: CacheStorage) -> Self {
        let layers = spec.layers.iter().map(|layer| {
            let attention = &layer.attention;
            let shape = (batch, attention.num_key_value_heads, attention.head_dim);
            let cache: Box<dyn LayerCache<T>> = match (kind, attention.sliding_window) {
                (CacheKind::Paged { page_size }, _) => Box::new(Paged::new(shape, page_size)),
                (CacheKind::Ring, Some(window)) => Box::new(Ring::new(shape, window)),
                (CacheKind::Ring, None) | (CacheKind::Contiguous, _) => Box::new(Contiguous::new(shape)),
            };
            cache
        });
        Self { layers: layers.collect(), storage }
    }

    /// Stores the new keys and values of `layer` as the storage rounds them, and hands back what to attend to.
    /// With chance where `eval` does.
    pub fn extend(&mut self, layer: usize, k: Array4<T>, v: Array4<T>, eval: &Evaluator) -> Cached<'_, T> {
        let (k, v) = (store(k, self.storage, eval.next_stream()), store(v, self.storage, eval.next_stream()));
        self.layers[layer].extend(k, v)
    }

    /// Numbers of keys and values held in all layers, pages whole: what [`crate::cost::KvCacheSize`] foresees. Room for more is
    /// not counted.
    pub fn numbers(&self) -> usize {
        self.layers.iter().map(|layer| layer.numbers()).sum()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.clear());
    }
}
