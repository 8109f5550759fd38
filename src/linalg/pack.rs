//! Operands in the order in which a tile reads them, rounded on the way where the rules say so.

use super::tile::{Segment, Weights};
use super::{ProductRules, Terms};
use crate::num::Real;
use crate::simd::{TILE_VECTORS, Vector};
use ndarray::{ArrayView2, Axis, s};

/// Memory that begins with a cache line, so that no register spans two.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Real> Aligned<T> {
    pub(super) fn new() -> Self {
        Self { memory: Vec::new(), start: 0, len: 0 }
    }

    /// `len` numbers; what they are is left open.
    fn resized(&mut self, len: usize) -> &mut [T] {
        const LINE: usize = 64;
        let slack = LINE / size_of::<T>();
        if self.memory.len() < len + slack {
            self.memory.resize(len + slack, T::ZERO);
        }
        self.start = self.memory.as_ptr().align_offset(LINE).min(slack);
        self.len = len;
        &mut self.memory[self.start..self.start + len]
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }
}

/// The terms of some rows of left factors by kind. Terms that add nothing to any row are in no segment.
pub(super) fn segments<T: Real>(left: &[&[T]], terms: Terms, segments: &mut Vec<Segment>) {
    let len = left.first().map_or(0, |row| row.len());
    segments.clear();
    // Looked for row by row first: mostly there is none.
    let any_zero =
        terms == Terms::NonZeroWeights && left.iter().any(|row| row.iter().fold(false, |any, &x| any | (x == T::ZERO)));
    if !any_zero {
        segments.push(Segment { start: 0, end: len, weights: Weights::All });
        return;
    }
    for at in 0..len {
        let weights = match left.iter().filter(|row| row[at] == T::ZERO).count() {
            0 => Weights::All,
            zeros if zeros == left.len() => continue,
            _ => Weights::NonZero,
        };
        match segments.last_mut() {
            Some(last) if last.end == at && last.weights == weights => last.end = at + 1,
            _ => segments.push(Segment { start: at, end: at + 1, weights }),
        }
    }
}

/// `[rows, k]` one row after the other, each `stride` after the one before.
pub(super) fn left<T: Real>(a: ArrayView2<T>, stride: usize, rules: ProductRules, rows: &mut Vec<T>) {
    rows.resize(a.nrows() * stride, T::ZERO);
    for (row, places) in a.outer_iter().zip(rows.chunks_exact_mut(stride)) {
        let places = &mut places[..a.ncols()];
        match row.as_slice() {
            Some(row) => places.copy_from_slice(row),
            None => places.iter_mut().zip(row).for_each(|(place, &x)| *place = x),
        }
        round(places, rules);
    }
}

/// `[k, columns]` as panels `[k, width]` one after the other, the last filled up with zeros.
#[inline(always)]
pub(super) fn right<T: Real, V: Vector<Scalar = T>>(b: ArrayView2<T>, rules: ProductRules, panels: &mut Aligned<T>) {
    let width = TILE_VECTORS * V::LANES;
    let (k, columns) = b.dim();
    let count = columns.div_ceil(width);
    let panels = panels.resized(count * k * width);
    if let Some(last) = panels.len().checked_sub(k * width).filter(|_| columns % width != 0) {
        panels[last..].fill(T::ZERO);
    }
    if b.stride_of(Axis(1)) == 1 || columns <= 1 {
        side_by_side::<T, V>(b, panels);
    } else {
        for (number, panel) in panels.chunks_exact_mut((k * width).max(1)).enumerate() {
            transposed(b.slice(s![.., number * width..((number + 1) * width).min(columns)]), width, panel);
        }
    }
    round(panels, rules);
}

/// Rows that are contiguous: some of them at a time, so that reading and writing both walk along memory.
#[inline(always)]
fn side_by_side<T: Real, V: Vector<Scalar = T>>(b: ArrayView2<T>, panels: &mut [T]) {
    const STEPS: usize = 8;
    let width = TILE_VECTORS * V::LANES;
    let (k, columns) = b.dim();
    let whole = columns - columns % width;
    for first in (0..k).step_by(STEPS) {
        let last = (first + STEPS).min(k);
        let mut rows: [&[T]; STEPS] = [&[]; STEPS];
        for (row, term) in rows.iter_mut().zip(first..last) {
            *row = b.slice_move(s![term, ..]).to_slice().expect("rows are contiguous");
        }
        for start in (0..whole).step_by(width) {
            let panel = &mut panels[start * k..(start + width) * k][first * width..last * width];
            for (places, row) in panel.chunks_exact_mut(width).zip(&rows) {
                let row = &row[start..start + width];
                for v in 0..TILE_VECTORS {
                    V::load(&row[v * V::LANES..]).store(&mut places[v * V::LANES..]);
                }
            }
        }
        if whole < columns {
            let panel = &mut panels[whole * k..][first * width..last * width];
            for (places, row) in panel.chunks_exact_mut(width).zip(&rows) {
                places[..columns - whole].copy_from_slice(&row[whole..]);
            }
        }
    }
}

/// Columns that lie one after the other, such as keys in a cache: some of each at a time, so that what is written
/// stays in the first cache.
fn transposed<T: Real>(b: ArrayView2<T>, width: usize, panel: &mut [T]) {
    const STEPS: usize = 16;
    let k = b.nrows();
    for first in (0..k).step_by(STEPS) {
        let last = (first + STEPS).min(k);
        for (c, column) in b.axis_iter(Axis(1)).enumerate() {
            let column = column.slice(s![first..last]);
            let places = panel[first * width + c..].iter_mut().step_by(width);
            match column.as_slice() {
                Some(column) => places.zip(column).for_each(|(place, &x)| *place = x),
                None => places.zip(column).for_each(|(place, &x)| *place = x),
            }
        }
    }
}

fn round<T: Real>(values: &mut [T], rules: ProductRules) {
    if rules.rounds_operands::<T>() {
        values.iter_mut().for_each(|x| *x = x.round_to(rules.operands));
    }
}
