//! Operands in the order in which a tile reads them, rounded on the way where the rules say so.

use super::tile::{Segment, Weights};
use super::{ProductRules, Terms};
use crate::num::Real;
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

/// `[rows, k]` one row after the other.
pub(super) fn left<T: Real>(a: ArrayView2<T>, rules: ProductRules, rows: &mut Vec<T>) {
    rows.clear();
    rows.extend(a.iter());
    round(rows, rules);
}

/// `[k, columns]` as panels `[k, width]` one after the other, the last filled up with zeros.
pub(super) fn right<T: Real>(b: ArrayView2<T>, width: usize, rules: ProductRules, panels: &mut Aligned<T>) {
    let (k, columns) = b.dim();
    let count = columns.div_ceil(width);
    let panels = panels.resized(count * k * width);
    if let Some(last) = panels.len().checked_sub(k * width).filter(|_| columns % width != 0) {
        panels[last..].fill(T::ZERO);
    }
    let contiguous_rows = b.stride_of(Axis(1)) == 1 || columns <= 1;
    for (number, panel) in panels.chunks_exact_mut((k * width).max(1)).enumerate() {
        let b = b.slice(s![.., number * width..((number + 1) * width).min(columns)]);
        if contiguous_rows {
            for (row, places) in b.outer_iter().zip(panel.chunks_exact_mut(width)) {
                match row.as_slice() {
                    Some(row) => places[..row.len()].copy_from_slice(row),
                    None => places.iter_mut().zip(row).for_each(|(place, &x)| *place = x),
                }
            }
        } else {
            transposed(b, width, panel);
        }
    }
    round(panels, rules);
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
