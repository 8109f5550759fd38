//! Products by tiles over packed panels of the right operand.
//!
//! The terms are cut into blocks whose panels stay in the second cache; a tile takes up the sums that the block before has
//! left and carries on. Left factors are read where they lie: the few rows of a block of terms stay in the first cache.

use super::pack::{self, Aligned, Pack, Panel, Panelling};
use super::tile::{Left, Segment, Start, tile};
use super::{ProductRules, Real, Terms};
use crate::num::{Float, Stored};
use crate::simd::{Isa, Level, MAX_LANES, TILE_VECTORS, Vector, Work, dispatch_fma};
use ndarray::{ArrayView2, ArrayViewMut2, s};
use std::ops::Range;

/// Terms of a block.
const BLOCK_TERMS: usize = 256;
/// Bytes of panels that are packed together: half of a second cache.
const BLOCK_BYTES: usize = 1 << 20;
/// Bytes of panels that all rows go through before the next ones: they stay in the second cache beside the sums.
const GROUP_BYTES: usize = 1 << 19;
/// Rows of a tile, at the most.
const MAX_ROWS: usize = 8;

/// `out = a b`, packing `b` on the way. Rows of `out` are contiguous.
pub(super) fn product_by_tiles<T: Float, S: Stored<T>>(
    level: Level,
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    terms: Terms,
    rules: ProductRules,
    mut out: ArrayViewMut2<T>,
) {
    let (k, n) = b.dim();
    let group = BLOCK_BYTES / size_of::<T>() / BLOCK_TERMS.min(k.max(1));
    let group = group.next_multiple_of(TILE_VECTORS * MAX_LANES);
    let (mut panels, mut memory) = (Aligned::new(), Vec::new());
    for first_term in (0..k).step_by(BLOCK_TERMS) {
        let block = first_term..(first_term + BLOCK_TERMS).min(k);
        let a = pack::left(a.slice(s![.., block.clone()]), rules, &mut memory);
        for first_column in (0..n).step_by(group) {
            let columns = first_column..(first_column + group).min(n);
            dispatch_fma(level, Pack { b: b.slice(s![block.clone(), columns.clone()]), rules, panels: &mut panels });
            let panels = Panels { memory: panels.as_slice(), terms: block.len(), columns: columns.len() };
            let out = out.slice_mut(s![.., columns]);
            dispatch_fma(level, Tiles { a, panels, terms, start: start_of(first_term), out });
        }
    }
}

/// A right operand that is packed once and used for many left ones.
#[derive(Debug)]
pub struct Packed<T> {
    level: Level,
    rules: ProductRules,
    /// Blocks of terms, each with all panels.
    blocks: Vec<Aligned<T>>,
    terms: usize,
    columns: usize,
}

impl<T: Float> Packed<T> {
    pub(super) fn of_panels(level: Level, b: ArrayView2<T>, rules: ProductRules) -> Self {
        let (terms, columns) = b.dim();
        let mut blocks = Vec::with_capacity(terms.div_ceil(BLOCK_TERMS));
        for first in (0..terms).step_by(BLOCK_TERMS) {
            let mut panels = Aligned::new();
            let block = b.slice(s![first..(first + BLOCK_TERMS).min(terms), ..]);
            dispatch_fma(level, Pack { b: block, rules, panels: &mut panels });
            blocks.push(panels);
        }
        Self { level, rules, blocks, terms, columns }
    }

    pub(super) fn times(&self, a: ArrayView2<T>, terms: Terms, mut out: ArrayViewMut2<T>) {
        assert!(a.ncols() <= self.terms, "there are {} terms", self.terms);
        assert!(out.ncols() <= self.columns, "there are {} columns", self.columns);
        if a.ncols() == 0 {
            out.fill(T::ZERO);
        }
        let mut memory = Vec::new();
        for (panels, first) in self.blocks.iter().zip((0..a.ncols()).step_by(BLOCK_TERMS)) {
            let a = pack::left(a.slice(s![.., first..(first + BLOCK_TERMS).min(a.ncols())]), self.rules, &mut memory);
            // A panel has all terms of its block, of which `a` may have the first only.
            let block_terms = BLOCK_TERMS.min(self.terms - first);
            let panels = Panels { memory: panels.as_slice(), terms: block_terms, columns: self.columns };
            dispatch_fma(self.level, Tiles { a, panels, terms, start: start_of(first), out: out.view_mut() });
        }
    }
}

impl<T: Real> Packed<T> {
    /// Packs `b` for a level with fused multiply-add. The rules round operands at most, and keep the order.
    ///
    /// # Panics
    /// If the level has no fused multiply-add.
    #[inline]
    pub fn new(level: Level, b: ArrayView2<T>, rules: ProductRules) -> Self {
        T::pack(level, b, rules)
    }

    /// `out = a b`, of as many of the first terms as `a` has columns, and as many of the first columns as `out` has.
    /// Rows of `out` are contiguous.
    ///
    /// # Panics
    /// If `a` has more terms, or `out` more columns, than `b`.
    #[inline]
    pub fn product(&self, a: ArrayView2<T>, terms: Terms, out: ArrayViewMut2<T>) {
        T::packed_product(self, a, terms, out);
    }
}

/// How the sums of a block begin whose first term is this one.
fn start_of(first_term: usize) -> Start {
    if first_term == 0 { Start::Zero } else { Start::Carried }
}

/// A packed right operand `[terms, columns]`.
#[derive(Clone, Copy)]
struct Panels<'a, T> {
    memory: &'a [T],
    terms: usize,
    columns: usize,
}

/// Carries the sums in `out` on by the terms of `a` and the first columns of the panels.
struct Tiles<'a, T> {
    a: ArrayView2<'a, T>,
    panels: Panels<'a, T>,
    terms: Terms,
    start: Start,
    out: ArrayViewMut2<'a, T>,
}

impl<T: Float> Work for Tiles<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, panels, terms, start, mut out } = self;
        let lanes = T::Vector::<I>::LANES;
        let panelling = Panelling::of(panels.columns, lanes);
        let panel_bytes = panels.terms * TILE_VECTORS * lanes * size_of::<T>();
        let group = (GROUP_BYTES / panel_bytes.max(1)).max(1);
        let mut segments = Vec::new();
        let mut edge = [[T::ZERO; TILE_VECTORS * MAX_LANES]; MAX_ROWS];
        for first_panel in (0..panelling.count()).step_by(group) {
            let numbers = first_panel..(first_panel + group).min(panelling.count());
            let mut first = 0;
            while first < a.nrows() {
                let rows = match a.nrows() - first {
                    8.. if I::EIGHT_ROWS => 8,
                    4.. => 4,
                    _ => 1,
                };
                let (numbers, segments, edge) = (numbers.clone(), &mut segments, &mut edge);
                let strip = Strip { panels, panelling, numbers, start, terms, segments, edge };
                let (a, out) = (a.slice(s![first..first + rows, ..]), out.slice_mut(s![first..first + rows, ..]));
                first += rows;
                // A question about the instruction set alone: where the answer is no, tiles of eight rows are not compiled.
                if I::EIGHT_ROWS && rows == 8 {
                    strip.run::<I, 8>(a, out);
                    continue;
                }
                match rows {
                    4 => strip.run::<I, 4>(a, out),
                    _ => strip.run::<I, 1>(a, out),
                }
            }
        }
    }
}

/// Rows of a tile over some panels.
struct Strip<'a, T> {
    panels: Panels<'a, T>,
    panelling: Panelling,
    numbers: Range<usize>,
    start: Start,
    terms: Terms,
    segments: &'a mut Vec<Segment>,
    /// Where the sums of a tile stand that reaches over the right edge.
    edge: &'a mut [[T; TILE_VECTORS * MAX_LANES]; MAX_ROWS],
}

impl<T: Float> Strip<'_, T> {
    #[inline(always)]
    fn run<I: Isa, const R: usize>(mut self, a: ArrayView2<T>, mut sums: ArrayViewMut2<T>) {
        let left = Left::new(a);
        let columns = sums.ncols();
        let mut out: [&mut [T]; R] = std::array::from_fn(|_| Default::default());
        for (out, row) in out.iter_mut().zip(sums.outer_iter_mut()) {
            *out = row.into_slice().expect("rows of sums are contiguous");
        }
        pack::segments::<T, R>(left, self.terms, self.segments);
        for number in self.numbers.clone() {
            let Panel { column, vectors } = self.panelling.panel(number, T::Vector::<I>::LANES);
            if column >= columns {
                break;
            }
            match vectors {
                3 => self.tile::<I, R, 3>(left, column, &mut out),
                2 => self.tile::<I, R, 2>(left, column, &mut out),
                _ => self.tile::<I, R, 1>(left, column, &mut out),
            }
        }
    }

    /// A tile, through a copy where it reaches over the right edge.
    #[inline(always)]
    fn tile<I: Isa, const R: usize, const N: usize>(&mut self, left: Left<T>, column: usize, out: &mut [&mut [T]; R]) {
        let Self { panels, start, segments, edge, .. } = self;
        let width = N * T::Vector::<I>::LANES;
        let panel = &panels.memory[column * panels.terms..][..left.terms() * width];
        let there = (out[0].len() - column).min(width);
        let inside = there == width;
        let mut sums: [&mut [T]; R] = std::array::from_fn(|_| Default::default());
        for ((sums, edge), out) in sums.iter_mut().zip(edge.iter_mut()).zip(out.iter_mut()) {
            if inside {
                *sums = &mut out[column..column + width];
            } else {
                let edge = &mut edge[..width];
                edge[..there].copy_from_slice(&out[column..]);
                edge[there..].fill(T::ZERO);
                *sums = edge;
            }
        }
        tile::<T, T::Vector<I>, R, N>(left, panel, segments, *start, &mut sums);
        if !inside {
            for (out, edge) in out.iter_mut().zip(edge.iter()) {
                out[column..].copy_from_slice(&edge[..there]);
            }
        }
    }
}
