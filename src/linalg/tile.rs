//! A tile of running sums in registers.

use crate::num::Real;
use crate::simd::{Isa, TILE_VECTORS, Vector};

/// Consecutive terms of a tile that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) weights: Weights,
}

/// Which left factors of a segment take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weights {
    /// All of them.
    All,
    /// Those that are not 0: in a weighted sum a weight of 0 adds nothing, not even `0 · NaN`.
    NonZero,
}

/// Adds the terms of a packed left panel `[k, rows]` and a packed right panel `[k, TILE_VECTORS · LANES]` to `rows`
/// rows of running sums, each sum in ascending order of k: loaded, carried on, and stored.
#[inline(always)]
pub(super) fn tile<T: Real, I: Isa>(left: &[T], right: &[T], segments: &[Segment], rows: &mut [&mut [T]]) {
    // Arms beyond the rows of this instruction set are never taken, and its constant lets the compiler drop them.
    match rows.len() {
        1 => fixed::<T, T::Vector<I>, 1>(left, right, segments, rows),
        2 => fixed::<T, T::Vector<I>, 2>(left, right, segments, rows),
        3 => fixed::<T, T::Vector<I>, 3>(left, right, segments, rows),
        4 => fixed::<T, T::Vector<I>, 4>(left, right, segments, rows),
        5 if I::TILE_ROWS > 4 => fixed::<T, T::Vector<I>, 5>(left, right, segments, rows),
        6 if I::TILE_ROWS > 4 => fixed::<T, T::Vector<I>, 6>(left, right, segments, rows),
        7 if I::TILE_ROWS > 4 => fixed::<T, T::Vector<I>, 7>(left, right, segments, rows),
        8 if I::TILE_ROWS > 4 => fixed::<T, T::Vector<I>, 8>(left, right, segments, rows),
        _ => {}
    }
}

#[inline(always)]
fn fixed<T: Real, V: Vector<Scalar = T>, const R: usize>(
    left: &[T],
    right: &[T],
    segments: &[Segment],
    rows: &mut [&mut [T]],
) {
    let width = TILE_VECTORS * V::LANES;
    let mut sums = [[V::zero(); TILE_VECTORS]; R];
    for (sums, row) in sums.iter_mut().zip(rows.iter()) {
        for (sum, lanes) in sums.iter_mut().zip(row.chunks_exact(V::LANES)) {
            *sum = V::load(lanes);
        }
    }
    for segment in segments {
        let left = left[segment.start * R..segment.end * R].as_chunks::<R>().0;
        let terms = left.iter().zip(right[segment.start * width..segment.end * width].chunks_exact(width));
        match segment.weights {
            Weights::All => {
                for (left, right) in terms {
                    let right: [V; TILE_VECTORS] = std::array::from_fn(|v| V::load(&right[v * V::LANES..]));
                    for (sums, &x) in sums.iter_mut().zip(left) {
                        let x = V::splat(x);
                        for (sum, y) in sums.iter_mut().zip(right) {
                            *sum = x.mul_add(y, *sum);
                        }
                    }
                }
            }
            Weights::NonZero => {
                for (left, right) in terms {
                    let right: [V; TILE_VECTORS] = std::array::from_fn(|v| V::load(&right[v * V::LANES..]));
                    for (sums, &x) in sums.iter_mut().zip(left) {
                        if x != T::ZERO {
                            let x = V::splat(x);
                            for (sum, y) in sums.iter_mut().zip(right) {
                                *sum = x.mul_add(y, *sum);
                            }
                        }
                    }
                }
            }
        }
    }
    for (sums, row) in sums.iter().zip(rows.iter_mut()) {
        for (sum, lanes) in sums.iter().zip(row.chunks_exact_mut(V::LANES)) {
            sum.store(lanes);
        }
    }
}
