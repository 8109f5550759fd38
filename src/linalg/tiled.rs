//! Products by tiles over packed panels of the right operand.
//!
//! The terms are cut into blocks whose panels stay in the first two caches; a tile loads the sums that the block before
//! has left and carries on.

use super::pack::{self, Aligned};
use super::tile::{Segment, tile};
use super::{ProductRules, Terms};
use crate::num::Real;
use crate::simd::{Isa, Level, TILE_VECTORS, Vector, Work, dispatch};
use ndarray::{ArrayView2, ArrayViewMut2, s};

/// Terms of a block.
const BLOCK_TERMS: usize = 256;
/// Panels of the right operand that are packed together.
const BLOCK_PANELS: usize = 24;

fn width<T: Real, I: Isa>() -> usize {
    TILE_VECTORS * T::Vector::<I>::LANES
}

/// `out += a b`, packing `b` on the way.
pub(super) struct Tiled<'a, T> {
    pub(super) a: ArrayView2<'a, T>,
    pub(super) b: ArrayView2<'a, T>,
    pub(super) out: ArrayViewMut2<'a, T>,
    pub(super) terms: Terms,
    pub(super) rules: ProductRules,
}

impl<T: Real> Work for Tiled<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, mut out, terms, rules } = self;
        let (k, n) = b.dim();
        let group = BLOCK_PANELS * width::<T, I>();
        let (mut panels, mut scratch) = (Aligned::new(), Scratch::default());
        for first_term in (0..k).step_by(BLOCK_TERMS) {
            let block = first_term..(first_term + BLOCK_TERMS).min(k);
            for first_column in (0..n).step_by(group) {
                let columns = first_column..(first_column + group).min(n);
                pack::right(b.slice(s![block.clone(), columns.clone()]), width::<T, I>(), rules, &mut panels);
                let (a, out) = (a.slice(s![.., block.clone()]), out.slice_mut(s![.., columns]));
                let stride = a.ncols() * width::<T, I>();
                Panels { a, panels: panels.as_slice(), stride, out, terms, rules }.add::<I>(&mut scratch);
            }
        }
    }
}

/// A right operand that is packed once and used for many left ones.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    level: Level,
    rules: ProductRules,
    /// Blocks of terms, each with all panels.
    blocks: Vec<Aligned<T>>,
    terms: usize,
}

impl<T: Real> Packed<T> {
    /// Packs `b` for a level. The rules round operands at most, and keep the order.
    pub(crate) fn new(level: Level, b: ArrayView2<T>, rules: ProductRules) -> Self {
        struct Pack<'a, T>(ArrayView2<'a, T>, ProductRules);
        impl<T: Real> Work for Pack<'_, T> {
            type Output = Vec<Aligned<T>>;
            #[inline(always)]
            fn run<I: Isa>(self) -> Vec<Aligned<T>> {
                let Self(b, rules) = self;
                // A loop, since a closure that is handed on would not be compiled for the instruction set.
                let mut blocks = Vec::new();
                for first in (0..b.nrows()).step_by(BLOCK_TERMS) {
                    let mut panels = Aligned::new();
                    let last = (first + BLOCK_TERMS).min(b.nrows());
                    pack::right(b.slice(s![first..last, ..]), width::<T, I>(), rules, &mut panels);
                    blocks.push(panels);
                }
                blocks
            }
        }
        Self { level, rules, blocks: dispatch(level, Pack(b, rules)), terms: b.nrows() }
    }

    /// `out += a b`, of as many of the first terms as `a` has columns, and as many of the first columns as `out` has.
    ///
    /// # Panics
    /// If `a` has more terms than `b`.
    pub(crate) fn add_product(&self, a: ArrayView2<T>, terms: Terms, out: ArrayViewMut2<T>) {
        assert!(a.ncols() <= self.terms, "there are {} terms", self.terms);
        dispatch(self.level, PackedProduct { a, packed: self, terms, out });
    }
}

struct PackedProduct<'a, T> {
    a: ArrayView2<'a, T>,
    packed: &'a Packed<T>,
    terms: Terms,
    out: ArrayViewMut2<'a, T>,
}

impl<T: Real> Work for PackedProduct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, packed, terms, mut out } = self;
        let mut scratch = Scratch::default();
        for (number, panels) in packed.blocks.iter().enumerate() {
            let first = number * BLOCK_TERMS;
            if first >= a.ncols() {
                break;
            }
            let a = a.slice(s![.., first..(first + BLOCK_TERMS).min(a.ncols())]);
            // A panel has all terms of its block, of which `a` may have the first only.
            let stride = BLOCK_TERMS.min(packed.terms - first) * width::<T, I>();
            let (panels, out) = (panels.as_slice(), out.view_mut());
            Panels { a, panels, stride, out, terms, rules: packed.rules }.add::<I>(&mut scratch);
        }
    }
}

/// Memory of one worker.
struct Scratch<T> {
    left: Vec<T>,
    segments: Vec<Segment>,
    /// The sums of a tile that reaches over the right edge.
    edge: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self { left: Vec::new(), segments: Vec::new(), edge: Vec::new() }
    }
}

/// Rows of left factors, packed panels with their terms, and the sums that go on.
struct Panels<'a, T> {
    a: ArrayView2<'a, T>,
    panels: &'a [T],
    /// From one panel to the next.
    stride: usize,
    out: ArrayViewMut2<'a, T>,
    terms: Terms,
    rules: ProductRules,
}

impl<T: Real> Panels<'_, T> {
    #[inline(always)]
    fn add<I: Isa>(mut self, scratch: &mut Scratch<T>) {
        let m = self.a.nrows();
        let mut first = 0;
        while first < m {
            let left = m - first;
            let rows = [8, 4, 2].into_iter().find(|&rows| rows <= left && rows <= I::TILE_ROWS).unwrap_or(1);
            match rows {
                8 if I::TILE_ROWS >= 8 => self.rows::<I, 8>(first, scratch),
                4 => self.rows::<I, 4>(first, scratch),
                2 => self.rows::<I, 2>(first, scratch),
                _ => self.rows::<I, 1>(first, scratch),
            }
            first += rows;
        }
    }

    /// `R` rows over all panels.
    #[inline(always)]
    fn rows<I: Isa, const R: usize>(&mut self, first: usize, scratch: &mut Scratch<T>) {
        let (width, len) = (width::<T, I>(), self.a.ncols());
        let Scratch { left, segments, edge } = scratch;
        let a = self.a.slice(s![first..first + R, ..]);
        let contiguous = a.outer_iter().all(|row| row.as_slice().is_some());
        if !contiguous || self.rules.rounds_operands::<T>() {
            pack::left(a, self.rules, left);
        } else {
            left.clear();
        }
        let mut views = a.outer_iter();
        let factors: [&[T]; R] = std::array::from_fn(|r| match left.is_empty() {
            true => views.next().and_then(|row| row.to_slice()).unwrap_or_default(),
            false => &left[r * len..(r + 1) * len],
        });
        pack::segments(&factors, self.terms, segments);
        edge.resize(R * width, T::ZERO);

        let columns = self.out.ncols();
        let mut out = self.out.slice_mut(s![first..first + R, ..]);
        let mut views = out.outer_iter_mut();
        let mut sums: [&mut [T]; R] =
            std::array::from_fn(|_| views.next().and_then(|row| row.into_slice()).unwrap_or_default());
        for number in 0..columns.div_ceil(width) {
            let panel = &self.panels[number * self.stride..][..len * width];
            let (start, end) = (number * width, ((number + 1) * width).min(columns));
            if end - start == width {
                let inside = sums.each_mut().map(|row| &mut row[start..end]);
                tile::<T, T::Vector<I>, R>(factors, panel, segments, inside);
            } else {
                for (to, from) in edge.chunks_exact_mut(width).zip(&sums) {
                    to[..end - start].copy_from_slice(&from[start..end]);
                }
                let mut padded = edge.chunks_exact_mut(width);
                let inside = std::array::from_fn(|_| padded.next().unwrap_or_default());
                tile::<T, T::Vector<I>, R>(factors, panel, segments, inside);
                for (to, from) in sums.iter_mut().zip(edge.chunks_exact(width)) {
                    to[start..end].copy_from_slice(&from[..end - start]);
                }
            }
        }
    }
}
