//! A ring of as many rows as the sliding window, the oldest overwritten.

use super::{Cached, LayerCache};
use crate::linalg::arrays::{assign, concatenated, elements};
use crate::num::Real;
use ndarray::{Array4, Axis, CowArray, s};

/// Row `t` of the sequence stands in slot `t mod window`.
///
/// A chunk longer than what is free would overwrite rows that its own first queries still need, so the old
/// rows are read before the new ones are written.
#[derive(Debug)]
pub(super) struct Ring<T> {
    k: Array4<T>,
    v: Array4<T>,
    window: usize,
    len: usize,
}

impl<T: Real> Ring<T> {
    pub(super) fn new((batch, heads, dim): (usize, usize, usize), window: usize) -> Self {
        let slots = || Array4::from_elem((batch, heads, 0, dim), T::ZERO);
        Self { k: slots(), v: slots(), window, len: 0 }
    }

    /// The last rows still there, oldest first, then the new ones.
    fn with_past(&self, ring: &Array4<T>, new: &Array4<T>) -> Array4<T> {
        let kept = self.len.min(self.window);
        // From the oldest to the end of the ring, and from its start to the youngest.
        let oldest = (self.len - kept) % self.window.max(1);
        let behind = kept.min(self.window - oldest);
        let (old, young) =
            (ring.slice(s![.., .., oldest..oldest + behind, ..]), ring.slice(s![.., .., ..kept - behind, ..]));
        concatenated(Axis(2), &[old, young, new.view()]).expect("ring and new rows differ in length only")
    }

    /// Makes room for `rows` rows, at most the window. New slots hold NaN, so that reading one early shows.
    fn grow(ring: &mut Array4<T>, rows: usize, window: usize) {
        let (batch, heads, there, dim) = ring.dim();
        let wanted = rows.min(window);
        if wanted > there {
            let slots = wanted.max(2 * there).min(window);
            let empty = Array4::from_elem((batch, heads, slots - there, dim), T::from_f64(f64::NAN));
            *ring = concatenated(Axis(2), &[ring.view(), empty.view()]).expect("slots differ in number only");
        }
    }

    fn write(ring: &mut Array4<T>, new: &Array4<T>, start: usize, window: usize) {
        Self::grow(ring, start + new.dim().2, window);
        for t in 0..new.dim().2 {
            assign(ring.slice_mut(s![.., .., (start + t) % window, ..]), new.slice(s![.., .., t, ..]));
        }
    }
}

impl<T: Real> LayerCache<T> for Ring<T> {
    fn extend(&mut self, k: Array4<T>, v: Array4<T>) -> Cached<'_, T> {
        let first = self.len - self.len.min(self.window);
        let (all_k, all_v) = (self.with_past(&self.k, &k), self.with_past(&self.v, &v));
        Self::write(&mut self.k, &k, self.len, self.window);
        Self::write(&mut self.v, &v, self.len, self.window);
        self.len += k.dim().2;
        Cached { k: CowArray::from(all_k), v: CowArray::from(all_v), first }
    }

    fn numbers(&self) -> usize {
        let (batch, heads, _, dim) = self.k.dim();
        2 * batch * heads * self.len.min(self.window) * dim
    }

    fn clear(&mut self) {
        elements(&mut self.k).fill(T::from_f64(f64::NAN));
        elements(&mut self.v).fill(T::from_f64(f64::NAN));
        self.len = 0;
    }
}
