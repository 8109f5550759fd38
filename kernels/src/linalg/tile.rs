//! A tile of running sums in registers.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use crate::num::Float;
use crate::simd::{Vector, prefetch};
use ndarray::{ArrayView2, Axis};

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

/// Rows of left factors, each contiguous.
// One address and one distance, where a slice for each row would need more registers than there are.
#[derive(Clone, Copy)]
pub(super) struct Left<'a, T> {
    rows: ArrayView2<'a, T>,
    first: *const T,
    distance: isize,
}

impl<'a, T> Left<'a, T> {
    /// # Panics
    /// If a row is not contiguous.
    pub(super) fn new(rows: ArrayView2<'a, T>) -> Self {
        assert!(rows.stride_of(Axis(1)) == 1 || rows.ncols() <= 1, "rows of factors are contiguous");
        Self { first: rows.as_ptr(), distance: rows.stride_of(Axis(0)), rows }
    }

    pub(super) fn terms(&self) -> usize {
        self.rows.ncols()
    }

    pub(super) fn row(&self, r: usize) -> &'a [T] {
        self.rows.index_axis_move(Axis(0), r).to_slice().unwrap_or_default()
    }
}

/// Writes into `R` rows `N` registers: the running sums after the products of `R` rows of left factors and a packed
/// right panel `[k, N · LANES]`, each in ascending order of k.
// Loops and not `map`: what is handed to a function of another crate is not compiled for the instruction set.
#[inline(always)]
pub(super) fn tile<T: Float, V: Vector<Scalar = T>, const R: usize, const N: usize>(
    left: Left<T>,
    panel: &[T],
    segments: &[Segment],
    start: Start,
    out: &mut [&mut [T]; R],
) {
    let width = N * V::LANES;
    assert!(left.rows.nrows() == R && panel.len() == left.terms() * width, "a row of factors for each row of sums");
    let mut sums = [[V::zero(); N]; R];
    if start == Start::Carried {
        for r in 0..R {
            let row = &out[r][..width];
            for v in 0..N {
                sums[r][v] = V::load(&row[v * V::LANES..]);
            }
        }
    }
    for &Segment { start, end, weights } in segments {
        let panel = &panel[start * width..end * width];
        // By value, so that the compiler keeps them in registers throughout.
        // SAFETY: there are R rows, and the slice of the panel has shown that they have the terms up to `end`.
        sums = unsafe {
            let first = left.first.add(start);
            match weights {
                Weights::All => carried_on::<T, V, R, N>(sums, first, left.distance, panel, |_| true),
                Weights::NonZero => carried_on::<T, V, R, N>(sums, first, left.distance, panel, |x| x != T::ZERO),
            }
        };
    }
    for r in 0..R {
        let row = &mut out[r][..width];
        for v in 0..N {
            sums[r][v].store(&mut row[v * V::LANES..]);
        }
    }
}

/// Terms between asking for the factors of a panel and using them.
const AHEAD: usize = 8;

/// The sums after some more terms, of which those count whose left factor does.
///
/// # Safety
/// From `first` on, `R` rows of as many factors as the panel has terms, each `distance` after the one before.
#[inline(always)]
unsafe fn carried_on<T: Float, V: Vector<Scalar = T>, const R: usize, const N: usize>(
    mut sums: [[V; N]; R],
    mut first: *const T,
    distance: isize,
    panel: &[T],
    counts: impl Fn(T) -> bool,
) -> [[V; N]; R] {
    let width = N * V::LANES;
    let mut right = panel.as_ptr();
    // Not `chunks_exact`, of which compilers make multiplications in this loop.
    for _ in 0..panel.len() / width {
        // SAFETY: as many whole rows as the panel has.
        let row = unsafe { std::slice::from_raw_parts(right, width) };
        let mut factors = [V::zero(); N];
        for v in 0..N {
            factors[v] = V::load(&row[v * V::LANES..]);
            prefetch(right.wrapping_add(AHEAD * width + v * V::LANES));
        }
        for r in 0..R {
            // SAFETY: the caller says so of this row and term.
            let x = unsafe { *first.offset(r as isize * distance) };
            if counts(x) {
                let x = V::splat(x);
                for v in 0..N {
                    sums[r][v] = x.mul_add(factors[v], sums[r][v]);
                }
            }
        }
        (first, right) = (first.wrapping_add(1), right.wrapping_add(width));
    }
    sums
}
