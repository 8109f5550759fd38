//! One growing array.

use super::{Cached, LayerCache};
use crate::linalg::arrays::assign;
use crate::num::{Real, zeros};
use ndarray::{Array4, CowArray, s};

/// Rows in order, in an array with room for as many again when it grows, so that a decode after a long prompt does not
/// begin with a copy of it.
#[derive(Debug)]
pub(super) struct Contiguous<T> {
    k: Array4<T>,
    v: Array4<T>,
    len: usize,
}

impl<T: Real> Contiguous<T> {
    pub(super) fn new((batch, heads, dim): (usize, usize, usize)) -> Self {
        let empty = || Array4::from_elem((batch, heads, 0, dim), T::ZERO);
        Self { k: empty(), v: empty(), len: 0 }
    }
}

/// The same rows in an array with room for `capacity`.
fn grown<T: Real>(old: &Array4<T>, len: usize, capacity: usize) -> Array4<T> {
    let (batch, heads, _, dim) = old.dim();
    // Zeros of the system, of which only what is written takes memory.
    let zeros = zeros(batch * heads * capacity * dim);
    let mut new = Array4::from_shape_vec((batch, heads, capacity, dim), zeros).expect("one zero for each number");
    assign(new.slice_mut(s![.., .., ..len, ..]), old.slice(s![.., .., ..len, ..]));
    new
}

impl<T: Real> LayerCache<T> for Contiguous<T> {
    fn extend(&mut self, k: Array4<T>, v: Array4<T>) -> Cached<'_, T> {
        let end = self.len + k.dim().2;
        if end > self.k.dim().2 {
            self.k = grown(&self.k, self.len, 2 * end);
            self.v = grown(&self.v, self.len, 2 * end);
        }
        assign(self.k.slice_mut(s![.., .., self.len..end, ..]), k.view());
        assign(self.v.slice_mut(s![.., .., self.len..end, ..]), v.view());
        self.len = end;
        Cached {
            k: CowArray::from(self.k.slice(s![.., .., ..end, ..])),
            v: CowArray::from(self.v.slice(s![.., .., ..end, ..])),
            first: 0,
        }
    }

    fn numbers(&self) -> usize {
        let (batch, heads, _, dim) = self.k.dim();
        2 * batch * heads * self.len * dim
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}
