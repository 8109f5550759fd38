//! A tile of running sums in registers.

use crate::num::Real;
use crate::simd::{Vector, prefetch};

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

/// Writes into `R` rows, from `column` on, `N` registers: the running sums after the products of `R` rows of left factors and a packed
/// right panel `[k, N · LANES]`, each in ascending order of k.
// Loops and not `map`: what is handed to a function of another crate is not compiled for the instruction set.
#[inline(always)]
pub(super) fn tile<T: Real, V: Vector<Scalar = T>, const R: usize, const N: usize>(
    left: &[&[T]; R],
    panel: &[T],
    segments: &[Segment],
    start: Start,
    out: &mut [&mut [T]; R],
    column: usize,
) {
    let width = N * V::LANES;
    let mut sums = [[V::zero(); N]; R];
    if start == Start::Carried {
        for r in 0..R {
            let row = &out[r][column..column + width];
            for v in 0..N {
                sums[r][v] = V::load(&row[v * V::LANES..]);
            }
        }
    }
    for &Segment { start, end, weights } in segments {
        let mut factors: [&[T]; R] = [&[]; R];
        for r in 0..R {
            factors[r] = &left[r][start..end];
        }
        let panel = &panel[start * width..end * width];
        // By value, so that the compiler keeps them in registers throughout.
        sums = match weights {
            Weights::All => carried_on::<T, V, R, N>(sums, factors, panel, |_| true),
            Weights::NonZero => carried_on::<T, V, R, N>(sums, factors, panel, |x| x != T::ZERO),
        };
    }
    for r in 0..R {
        let row = &mut out[r][column..column + width];
        for v in 0..N {
            sums[r][v].store(&mut row[v * V::LANES..]);
        }
    }
}

/// Terms between asking for the factors of a panel and using them.
const AHEAD: usize = 8;

/// The sums after some more terms, of which those count whose left factor does.
#[inline(always)]
fn carried_on<T: Real, V: Vector<Scalar = T>, const R: usize, const N: usize>(
    mut sums: [[V; N]; R],
    left: [&[T]; R],
    panel: &[T],
    counts: impl Fn(T) -> bool,
) -> [[V; N]; R] {
    let right = panel.chunks_exact(N * V::LANES);
    let terms = right.len();
    assert!(left.iter().all(|row| row.len() == terms), "a factor for each term");
    for (k, right) in right.enumerate() {
        let mut factors = [V::zero(); N];
        for v in 0..N {
            factors[v] = V::load(&right[v * V::LANES..]);
            prefetch(right.as_ptr().wrapping_add((AHEAD * N + v) * V::LANES));
        }
        for r in 0..R {
            // SAFETY: k is below the number of terms, which is the length of each row.
            let x = unsafe { *left[r].get_unchecked(k) };
            if counts(x) {
                let x = V::splat(x);
                for v in 0..N {
                    sums[r][v] = x.mul_add(factors[v], sums[r][v]);
                }
            }
        }
    }
    sums
}
