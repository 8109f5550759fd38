//! A tile of running sums in registers.

use crate::num::Real;
use crate::simd::{TILE_VECTORS, Vector};

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

/// Adds to `R` rows of running sums the products of `R` rows of left factors and a packed right panel
/// `[k, TILE_VECTORS · LANES]`, each sum in ascending order of k: loaded, carried on, and stored.
#[inline(always)]
pub(super) fn tile<T: Real, V: Vector<Scalar = T>, const R: usize>(
    left: [&[T]; R],
    right: &[T],
    segments: &[Segment],
    rows: [&mut [T]; R],
) {
    let width = TILE_VECTORS * V::LANES;
    let mut sums = [[V::zero(); TILE_VECTORS]; R];
    for r in 0..R {
        for v in 0..TILE_VECTORS {
            sums[r][v] = V::load(&rows[r][v * V::LANES..]);
        }
    }
    for &Segment { start, end, weights } in segments {
        let left = left.map(|row| &row[start..end]);
        let right = right[start * width..end * width].chunks_exact(width);
        // By value, so that the compiler keeps them in registers throughout.
        sums = match weights {
            Weights::All => carried_on::<T, V, R>(sums, left, right, |_| true),
            Weights::NonZero => carried_on::<T, V, R>(sums, left, right, |x| x != T::ZERO),
        };
    }
    for (sums, row) in sums.into_iter().zip(rows) {
        for v in 0..TILE_VECTORS {
            sums[v].store(&mut row[v * V::LANES..]);
        }
    }
}

/// The sums after some more terms, of which those count whose left factor does.
#[inline(always)]
fn carried_on<'t, T: Real, V: Vector<Scalar = T>, const R: usize>(
    mut sums: [[V; TILE_VECTORS]; R],
    left: [&[T]; R],
    right: impl ExactSizeIterator<Item = &'t [T]>,
    counts: impl Fn(T) -> bool,
) -> [[V; TILE_VECTORS]; R] {
    let len = right.len();
    assert!(left.iter().all(|row| row.len() == len), "a row of factors for each term");
    for (k, right) in right.enumerate() {
        let right: [V; TILE_VECTORS] = std::array::from_fn(|v| V::load(&right[v * V::LANES..]));
        for r in 0..R {
            // SAFETY: k is below the length of `right`, which is that of each row.
            let x = unsafe { *left[r].get_unchecked(k) };
            if counts(x) {
                let x = V::splat(x);
                for v in 0..TILE_VECTORS {
                    sums[r][v] = x.mul_add(right[v], sums[r][v]);
                }
            }
        }
    }
    sums
}
