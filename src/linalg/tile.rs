//! A tile of running sums in registers.

use crate::num::Real;
use crate::simd::{TILE_VECTORS, Vector, prefetch};

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

/// Where the running sums of a tile come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// They begin at +0; what stands in their place is not read.
    Zero,
    /// They go on from what the terms before have left.
    Carried,
}

/// Writes into `R` rows, from `column` on, the running sums after the products of `R` rows of left factors and a packed
/// right panel `[k, TILE_VECTORS · LANES]`, each in ascending order of k.
// Loops and not `map`: what is handed to a function of another crate is not compiled for the instruction set.
#[inline(always)]
pub(super) fn tile<T: Real, V: Vector<Scalar = T>, const R: usize>(
    left: &[&[T]; R],
    right: &[T],
    segments: &[Segment],
    start: Start,
    rows: &mut [&mut [T]; R],
    column: usize,
) {
    let width = TILE_VECTORS * V::LANES;
    let mut sums = [[V::zero(); TILE_VECTORS]; R];
    if start == Start::Carried {
        for r in 0..R {
            let row = &rows[r][column..column + width];
            for v in 0..TILE_VECTORS {
                sums[r][v] = V::load(&row[v * V::LANES..]);
            }
        }
    }
    for &Segment { start, end, weights } in segments {
        let mut factors: [&[T]; R] = [&[]; R];
        for r in 0..R {
            factors[r] = &left[r][start..end];
        }
        let right = right[start * width..end * width].chunks_exact(width);
        // By value, so that the compiler keeps them in registers throughout.
        sums = match weights {
            Weights::All => carried_on::<T, V, R>(sums, factors, right, |_| true),
            Weights::NonZero => carried_on::<T, V, R>(sums, factors, right, |x| x != T::ZERO),
        };
    }
    for r in 0..R {
        let row = &mut rows[r][column..column + width];
        for v in 0..TILE_VECTORS {
            sums[r][v].store(&mut row[v * V::LANES..]);
        }
    }
}

/// Terms between asking for the factors of a panel and using them.
const AHEAD: usize = 16;

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
        let mut factors = [V::zero(); TILE_VECTORS];
        for v in 0..TILE_VECTORS {
            factors[v] = V::load(&right[v * V::LANES..]);
            prefetch(right.as_ptr().wrapping_add((AHEAD * TILE_VECTORS + v) * V::LANES));
        }
        for r in 0..R {
            // SAFETY: k is below the length of `right`, which is that of each row.
            let x = unsafe { *left[r].get_unchecked(k) };
            if counts(x) {
                let x = V::splat(x);
                for v in 0..TILE_VECTORS {
                    sums[r][v] = x.mul_add(factors[v], sums[r][v]);
                }
            }
        }
    }
    sums
}
