//! Products of a few rows, as in decoding: each number of the right operand is used so few times that copying it
//! would cost more than it saves. The right operand passes through once, as it lies in memory: row by row, or, where its
//! columns are contiguous, in squares that are transposed in registers.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use super::pack::{terms_of, widened};
use super::{ProductRules, Terms};
use crate::num::{Float, Stored};
use crate::simd::{Isa, MAX_LANES, Vector, Work, prefetch};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

/// At most so many rows are few.
pub(super) const FEW: usize = 4;
/// Rows of the right operand that are added while a running sum is in a register.
const DEPTH: usize = 8;

/// Bytes of lines that lie so near that the next ones are asked for while these are read: the processor itself does not
/// look beyond a page, and short lines are read across.
const NEAR: usize = 1 << 15;
/// Bytes.
const CACHE_LINE: usize = 64;

/// How the right operand lies, if one of these kernels takes it: a few rows on the left, nothing to be rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Few {
    /// Contiguous rows: [`FewRows`].
    ByRows,
    /// Contiguous columns: [`FewRowsByColumns`].
    ByColumns,
}

impl Few {
    pub(super) fn of<T: Float, S>(
        a: &ArrayView2<T>,
        b: &ArrayView2<S>,
        terms: Terms,
        rules: ProductRules,
    ) -> Option<Self> {
        if a.nrows() > FEW || rules.rounds_operands::<T>() {
            return None;
        }
        if b.stride_of(Axis(1)) == 1 {
            return Some(Self::ByRows);
        }
        let by_columns = terms == Terms::All && b.stride_of(Axis(0)) == 1 && a.stride_of(Axis(1)) == 1 && b.ncols() > 1;
        by_columns.then_some(Self::ByColumns)
    }
}

/// `out += a b` for a few rows of `a`.
pub(super) struct FewRows<'a, T, S> {
    pub(super) a: ArrayView2<'a, T>,
    pub(super) b: ArrayView2<'a, S>,
    pub(super) out: ArrayViewMut2<'a, T>,
    pub(super) terms: Terms,
}

impl<T: Float, S: Stored<T>> Work for FewRows<'_, T, S> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, mut out, terms } = self;
        let mut rows_of_b = b.outer_iter();
        let next_rows = DEPTH * b.stride_of(Axis(0)).unsigned_abs();
        let near = next_rows * size_of::<S>() <= NEAR;
        for first in (0..b.nrows()).step_by(DEPTH) {
            let last = (first + DEPTH).min(b.nrows());
            let mut rows: [&[S]; DEPTH] = [&[]; DEPTH];
            for (place, row) in rows[..last - first].iter_mut().zip(&mut rows_of_b) {
                *place = row.to_slice().expect("`Few` asks for contiguous rows");
                for at in (0..row.len()).step_by(CACHE_LINE / size_of::<S>()).filter(|_| near) {
                    prefetch(row.as_ptr().wrapping_add(at + next_rows));
                }
            }
            for (a, mut out) in a.outer_iter().zip(out.outer_iter_mut()) {
                let out = out.as_slice_mut().expect("rows of sums are contiguous");
                let mut factors = [T::ZERO; DEPTH];
                for (factor, term) in factors.iter_mut().zip(first..last) {
                    *factor = a[term];
                }
                let all_count = terms == Terms::All || !factors.contains(&T::ZERO);
                if last - first == DEPTH && all_count {
                    add::<T, S, T::Vector<I>, DEPTH>(&rows, &factors, out);
                    continue;
                }
                for (row, &x) in rows[..last - first].iter().zip(&factors) {
                    if terms == Terms::All || x != T::ZERO {
                        add::<T, S, T::Vector<I>, 1>(&[row], &[x], out);
                    }
                }
            }
        }
    }
}

/// `out[j] ← fma(factors[D − 1], rows[D − 1][j], … fma(factors[0], rows[0][j], out[j]))`.
#[inline(always)]
fn add<T: Float, S: Stored<T>, V: Vector<Scalar = T>, const D: usize>(rows: &[&[S]], factors: &[T], out: &mut [T]) {
    let len = out.len();
    let (mut whole_rows, mut lanes): ([&[S]; D], [V; D]) = ([&[]; D], [V::zero(); D]);
    for d in 0..D {
        (whole_rows[d], lanes[d]) = (&rows[d][..len], V::splat(factors[d]));
    }
    let rows = whole_rows;
    let whole = len - len % V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        let mut sum = V::load(&out[at..]);
        for d in 0..D {
            sum = lanes[d].mul_add(widened::<T, S, V>(&rows[d][at..]), sum);
        }
        sum.store(&mut out[at..]);
    }
    for at in whole..len {
        for d in 0..D {
            out[at] = factors[d].mul_add(rows[d][at].widen(), out[at]);
        }
    }
}

/// `out = a b` for a few rows of `a`, the columns of `b` being contiguous.
pub(super) struct FewRowsByColumns<'a, T, S> {
    pub(super) a: ArrayView2<'a, T>,
    pub(super) b: ArrayView2<'a, S>,
    pub(super) out: ArrayViewMut2<'a, T>,
}

impl<T: Float, S: Stored<T>> Work for FewRowsByColumns<'_, T, S> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, out } = self;
        match a.nrows() {
            1 => by_columns::<T, S, T::Vector<I>, 1>(a, b, out),
            // Two rows and three are four of which some are zeros: the right operand passes through once all the same.
            _ => by_columns::<T, S, T::Vector<I>, FEW>(a, b, out),
        }
    }
}

/// Registers of columns that are worked on together, so that a sum need not wait for the one before.
const TOGETHER: usize = 2;

#[inline(always)]
fn by_columns<T: Float, S: Stored<T>, V: Vector<Scalar = T>, const R: usize>(
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    mut out: ArrayViewMut2<T>,
) {
    let (k, n) = b.dim();
    // Rows that are not there are zeros, whose sums are not stored.
    let zeros = if a.nrows() < R { vec![T::ZERO; k] } else { Vec::new() };
    let mut left: [&[T]; R] = [&zeros; R];
    for (left, row) in left.iter_mut().zip(a.outer_iter()) {
        *left = &row.to_slice().expect("`Few` asks for contiguous rows")[..k];
    }
    let whole = k - k % V::LANES;
    // Of short columns, such as keys, the next ones; of long ones, such as weights, what follows in them.
    let next_columns = TOGETHER * V::LANES * b.stride_of(Axis(1)).unsigned_abs();
    let near = next_columns * size_of::<S>() <= NEAR;
    let ahead = if near { next_columns } else { 8 * CACHE_LINE / size_of::<S>() };
    let (mut columns_of_b, mut last): (_, &[S]) = (b.axis_iter(Axis(1)), &[]);
    for start in (0..n).step_by(TOGETHER * V::LANES) {
        let mut columns: [[&[S]; MAX_LANES]; TOGETHER] = [[&[]; MAX_LANES]; TOGETHER];
        for v in 0..TOGETHER {
            for lane in 0..V::LANES {
                // Behind the last column stands the last one again; its sums are not stored.
                if let Some(column) = columns_of_b.next() {
                    last = column.to_slice().expect("`Few` asks for contiguous columns");
                }
                columns[v][lane] = last;
            }
        }
        let mut sums = [[V::zero(); TOGETHER]; R];
        for term in (0..whole).step_by(V::LANES) {
            for v in 0..TOGETHER {
                for column in &columns[v][..V::LANES] {
                    prefetch(column.as_ptr().wrapping_add(term + ahead));
                }
                let square = terms_of::<T, S, V>(&columns[v], term);
                for lane in 0..V::LANES {
                    for r in 0..R {
                        sums[r][v] = V::splat(left[r][term + lane]).mul_add(square[lane], sums[r][v]);
                    }
                }
            }
        }
        for r in 0..out.nrows() {
            let mut finished = [T::ZERO; TOGETHER * MAX_LANES];
            for v in 0..TOGETHER {
                let sums_of = &mut finished[v * V::LANES..][..V::LANES];
                sums[r][v].store(sums_of);
                for (sum, column) in sums_of.iter_mut().zip(&columns[v]) {
                    for (&x, y) in left[r][whole..].iter().zip(&column[whole..]) {
                        *sum = x.mul_add(y.widen(), *sum);
                    }
                }
            }
            let end = (start + TOGETHER * V::LANES).min(n);
            let out = out.slice_mut(s![r, start..end]);
            out.into_slice().expect("rows of sums are contiguous").copy_from_slice(&finished[..end - start]);
        }
    }
}
