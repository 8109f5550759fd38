//! Operands in the order in which a tile reads them, widened and rounded on the way.

use super::tile::{Left, Segment, Weights};
use super::{ProductRules, Terms};
use crate::num::{Float, Stored, round_each, zeros};
use crate::simd::{Isa, MAX_LANES, TILE_VECTORS, Vector, Work};
use ndarray::{ArrayView2, Axis, s};

/// Memory that begins with a cache line, so that no register spans two.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Float> Aligned<T> {
    pub(super) fn new() -> Self {
        Self { memory: Vec::new(), start: 0, len: 0 }
    }

    /// `len` numbers; what they are is left open.
    fn resized(&mut self, len: usize) -> &mut [T] {
        const LINE: usize = 64;
        let slack = LINE / size_of::<T>();
        if self.memory.len() < len + slack {
            self.memory = zeros(len + slack);
        }
        self.start = self.memory.as_ptr().align_offset(LINE).min(slack);
        self.len = len;
        &mut self.memory[self.start..self.start + len]
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }
}

/// How columns are cut into panels: as few as can be, of nearly the same number of registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panelling {
    count: usize,
    /// Registers of the narrower panels.
    narrow: usize,
    /// Panels that have one register more; they come first.
    wide: usize,
}

/// A panel: its first column and its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) column: usize,
    pub(super) vectors: usize,
}

impl Panelling {
    pub(super) fn of(columns: usize, lanes: usize) -> Self {
        let vectors = columns.div_ceil(lanes);
        let count = vectors.div_ceil(TILE_VECTORS);
        let (narrow, wide) = (vectors.checked_div(count).unwrap_or(0), vectors.checked_rem(count).unwrap_or(0));
        Self { count, narrow, wide }
    }

    pub(super) fn count(self) -> usize {
        self.count
    }

    #[inline(always)]
    pub(super) fn panel(self, number: usize, lanes: usize) -> Panel {
        let vectors = self.narrow + usize::from(number < self.wide);
        Panel { column: (number * self.narrow + number.min(self.wide)) * lanes, vectors }
    }
}

/// Packs `[k, columns]` as panels `[k, width]` one after the other, the last filled up with zeros.
pub(super) struct Pack<'a, T, S> {
    pub(super) b: ArrayView2<'a, S>,
    pub(super) rules: ProductRules,
    pub(super) panels: &'a mut Aligned<T>,
}

impl<T: Float, S: Stored<T>> Work for Pack<'_, T, S> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { b, rules, panels } = self;
        let lanes = T::Vector::<I>::LANES;
        let (k, columns) = b.dim();
        let panels = panels.resized(k * columns.next_multiple_of(lanes));
        if b.stride_of(Axis(1)) == 1 || columns <= 1 {
            side_by_side::<T, S, T::Vector<I>>(b, panels);
        } else if b.stride_of(Axis(0)) == 1 {
            one_after_the_other::<T, S, T::Vector<I>>(b, panels);
        } else {
            number_by_number::<T, S, T::Vector<I>>(b, panels);
        }
        round(panels, rules);
    }
}

/// The first numbers of a slice, widened into a register.
#[inline(always)]
pub(super) fn widened<T: Float, S: Stored<T>, V: Vector<Scalar = T>>(from: &[S]) -> V {
    let from = &from[..V::LANES];
    let mut wide = [T::ZERO; MAX_LANES];
    for lane in 0..V::LANES {
        wide[lane] = from[lane].widen();
    }
    V::load(&wide)
}

/// Rows that are contiguous: some of them at a time, so that reading and writing both walk along memory.
#[inline(always)]
fn side_by_side<T: Float, S: Stored<T>, V: Vector<Scalar = T>>(b: ArrayView2<S>, panels: &mut [T]) {
    const STEPS: usize = 8;
    let (k, columns) = b.dim();
    let panelling = Panelling::of(columns, V::LANES);
    let mut rows_of_b = b.outer_iter();
    for first in (0..k).step_by(STEPS) {
        let last = (first + STEPS).min(k);
        let mut rows: [&[S]; STEPS] = [&[]; STEPS];
        for (place, row) in rows[..last - first].iter_mut().zip(&mut rows_of_b) {
            *place = row.to_slice().expect("rows are contiguous");
        }
        for number in 0..panelling.count() {
            let Panel { column, vectors } = panelling.panel(number, V::LANES);
            let width = vectors * V::LANES;
            let panel = &mut panels[column * k..][first * width..last * width];
            if column + width <= columns {
                for (places, row) in panel.chunks_exact_mut(width).zip(&rows) {
                    let row = &row[column..column + width];
                    for v in 0..vectors {
                        widened::<T, S, V>(&row[v * V::LANES..]).store(&mut places[v * V::LANES..]);
                    }
                }
            } else {
                for (places, row) in panel.chunks_exact_mut(width).zip(&rows) {
                    let (inside, outside) = places.split_at_mut(columns - column);
                    inside.iter_mut().zip(&row[column..]).for_each(|(place, x)| *place = x.widen());
                    outside.fill(T::ZERO);
                }
            }
        }
    }
}

/// Columns that are contiguous, such as keys in a cache or the outputs of a layer in a checkpoint: squares of a register's
/// width are transposed in registers.
#[inline(always)]
fn one_after_the_other<T: Float, S: Stored<T>, V: Vector<Scalar = T>>(b: ArrayView2<S>, panels: &mut [T]) {
    let (k, columns) = b.dim();
    let panelling = Panelling::of(columns, V::LANES);
    let mut columns_of_b = b.axis_iter(Axis(1));
    for number in 0..panelling.count() {
        let Panel { column: start, vectors } = panelling.panel(number, V::LANES);
        let width = vectors * V::LANES;
        let panel = &mut panels[start * k..][..k * width];
        for v in 0..vectors {
            let first = start + v * V::LANES;
            let there = columns.saturating_sub(first).min(V::LANES);
            let mut rows: [&[S]; MAX_LANES] = [&[]; MAX_LANES];
            for (place, column) in rows[..there].iter_mut().zip(&mut columns_of_b) {
                *place = column.to_slice().expect("columns are contiguous");
            }
            let whole = if there == V::LANES { k - k % V::LANES } else { 0 };
            for term in (0..whole).step_by(V::LANES) {
                let square = terms_of::<T, S, V>(&rows, term);
                for lane in 0..V::LANES {
                    square[lane].store(&mut panel[(term + lane) * width + v * V::LANES..]);
                }
            }
            for term in whole..k {
                let places = &mut panel[term * width + v * V::LANES..][..V::LANES];
                for (place, row) in places.iter_mut().zip(&rows[..there]) {
                    *place = row[term].widen();
                }
                places[there..].fill(T::ZERO);
            }
        }
    }
}

/// A register of each of some terms, from `term` on: one number of each column.
#[inline(always)]
pub(super) fn terms_of<T: Float, S: Stored<T>, V: Vector<Scalar = T>>(
    columns: &[&[S]; MAX_LANES],
    term: usize,
) -> [V; MAX_LANES] {
    let mut square = [V::zero(); MAX_LANES];
    for lane in 0..V::LANES {
        square[lane] = widened::<T, S, V>(&columns[lane][term..]);
    }
    transposed(square)
}

/// Rows become columns: to interleave the two halves of the rows turns the bits of all places by one, and as many turns
/// as a row number has bits exchange rows and lanes.
#[inline(always)]
fn transposed<V: Vector>(mut square: [V; MAX_LANES]) -> [V; MAX_LANES] {
    let half = V::LANES / 2;
    for _ in 0..V::LANES.ilog2() {
        let before = square;
        for row in 0..half {
            (square[2 * row], square[2 * row + 1]) = before[row].interleave(before[row + half]);
        }
    }
    square
}

/// Neither rows nor columns that are contiguous.
#[inline(always)]
fn number_by_number<T: Float, S: Stored<T>, V: Vector<Scalar = T>>(b: ArrayView2<S>, panels: &mut [T]) {
    let (k, columns) = b.dim();
    let panelling = Panelling::of(columns, V::LANES);
    for number in 0..panelling.count() {
        let Panel { column, vectors } = panelling.panel(number, V::LANES);
        let width = vectors * V::LANES;
        for (term, places) in panels[column * k..][..k * width].chunks_exact_mut(width).enumerate() {
            for (c, place) in places.iter_mut().enumerate() {
                *place = b.get((term, column + c)).map_or(T::ZERO, |x| x.widen());
            }
        }
    }
}

/// The terms of some rows of left factors by kind. Terms that add nothing to any row are in no segment.
#[inline(always)]
pub(super) fn segments<T: Float, const R: usize>(left: Left<T>, terms: Terms, segments: &mut Vec<Segment>) {
    let len = left.terms();
    segments.clear();
    let mut rows: [&[T]; R] = [&[]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = left.row(r);
    }
    // Looked for row by row first: mostly there is none.
    let any_zero =
        terms == Terms::NonZeroWeights && rows.iter().any(|row| row.iter().fold(false, |any, &x| any | (x == T::ZERO)));
    if !any_zero {
        segments.push(Segment { start: 0, end: len, weights: Weights::All });
        return;
    }
    for at in 0..len {
        let weights = match rows.iter().filter(|row| row[at] == T::ZERO).count() {
            0 => Weights::All,
            zeros if zeros == R => continue,
            _ => Weights::NonZero,
        };
        match segments.last_mut() {
            Some(last) if last.end == at && last.weights == weights => last.end = at + 1,
            _ => segments.push(Segment { start: at, end: at + 1, weights }),
        }
    }
}

/// Left factors whose rows are contiguous, in place where they are so and need no rounding, else as a copy in `memory`.
pub(super) fn left<'a, T: Float>(
    a: ArrayView2<'a, T>,
    rules: ProductRules,
    memory: &'a mut Vec<T>,
) -> ArrayView2<'a, T> {
    if a.stride_of(Axis(1)) == 1 && !rules.rounds_operands::<T>() {
        return a;
    }
    let (rows, k) = a.dim();
    // Rows of a power of two apart would share the same few places of the first cache.
    let stride = k.next_multiple_of(MAX_LANES) + MAX_LANES;
    memory.resize(rows * stride, T::ZERO);
    for (row, places) in a.outer_iter().zip(memory.chunks_exact_mut(stride)) {
        let places = &mut places[..k];
        match row.as_slice() {
            Some(row) => places.copy_from_slice(row),
            None => places.iter_mut().zip(row).for_each(|(place, &x)| *place = x),
        }
        round(places, rules);
    }
    let copy = ArrayView2::from_shape((rows, stride), memory).expect("as many numbers as rows of this width have");
    copy.slice_move(s![.., ..k])
}

fn round<T: Float>(values: &mut [T], rules: ProductRules) {
    round_each(values, rules.operands);
}
