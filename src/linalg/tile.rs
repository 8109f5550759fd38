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
    for r in 0..R {
        for v in 0..TILE_VECTORS {
            sums[r][v] = V::load(&rows[r][v * V::LANES..]);
        }
    }
    for segment in segments {
        let left = left[segment.start * R..segment.end * R].as_chunks::<R>().0;
        let right = right[segment.start * width..segment.end * width].chunks_exact(width);
        // By value, so that the compiler keeps them in registers throughout.
        sums = match segment.weights {
            Weights::All => carried_on::<T, V, R>(sums, left.iter().zip(right), |_| true),
            Weights::NonZero => carried_on::<T, V, R>(sums, left.iter().zip(right), |x| x != T::ZERO),
        };
    }
    for r in 0..R {
        for v in 0..TILE_VECTORS {
            sums[r][v].store(&mut rows[r][v * V::LANES..]);
        }
    }
}

/// The sums after some more terms, of which those count whose left factor does.
#[inline(always)]
fn carried_on<'t, T: Real, V: Vector<Scalar = T>, const R: usize>(
    mut sums: [[V; TILE_VECTORS]; R],
    terms: impl Iterator<Item = (&'t [T; R], &'t [T])>,
    counts: impl Fn(T) -> bool,
) -> [[V; TILE_VECTORS]; R] {
    for (left, right) in terms {
        let right: [V; TILE_VECTORS] = std::array::from_fn(|v| V::load(&right[v * V::LANES..]));
        for r in 0..R {
            if counts(left[r]) {
                let x = V::splat(left[r]);
                for v in 0..TILE_VECTORS {
                    sums[r][v] = x.mul_add(right[v], sums[r][v]);
                }
            }
        }
    }
    sums
}
