//! Products by tiles over packed panels of the right operand.
//!
//! The terms are cut into blocks whose panels stay in the first two caches; a tile loads the sums that the block before
//! has left and carries on.

use super::pack::{self, Aligned};
use super::tile::{Segment, Start, tile};
use super::{ProductRules, Terms};
use crate::num::Real;
use crate::simd::{Isa, Level, TILE_VECTORS, Vector, Work, dispatch, prefetch};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

/// Terms of a block.
const BLOCK_TERMS: usize = 512;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;
/// Bytes after which the places of a first cache begin again.
const CACHE_WAY: usize = 4096;
/// Panels of the right operand that are packed together.
const BLOCK_PANELS: usize = 16;

fn width<T: Real, I: Isa>() -> usize {
    TILE_VECTORS * T::Vector::<I>::LANES
}

/// `out = a b`, packing `b` on the way.
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
                pack::right::<T, T::Vector<I>>(b.slice(s![block.clone(), columns.clone()]), rules, &mut panels);
                let (a, out) = (a.slice(s![.., block.clone()]), out.slice_mut(s![.., columns]));
                let stride = a.ncols() * width::<T, I>();
                let start = start_of(first_term);
                Panels { a, panels: panels.as_slice(), stride, out, start, terms, rules }.add::<I>(&mut scratch);
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
                    pack::right::<T, T::Vector<I>>(b.slice(s![first..last, ..]), rules, &mut panels);
                    blocks.push(panels);
                }
                blocks
            }
        }
        Self { level, rules, blocks: dispatch(level, Pack(b, rules)), terms: b.nrows() }
    }

    /// `out = a b`, of as many of the first terms as `a` has columns, and as many of the first columns as `out` has.
    ///
    /// # Panics
    /// If `a` has more terms than `b`.
    pub(crate) fn product(&self, a: ArrayView2<T>, terms: Terms, out: ArrayViewMut2<T>) {
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
            Panels { a, panels, stride, out, start: start_of(first), terms, rules: packed.rules }.add::<I>(&mut scratch);
        }
    }
}

/// How the sums of a block begin whose first term is this one.
fn start_of(first_term: usize) -> Start {
    if first_term == 0 { Start::Zero } else { Start::Carried }
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
    start: Start,
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
            let rows = [12, 8, 4, 2].into_iter().find(|&rows| rows <= left && rows <= I::TILE_ROWS).unwrap_or(1);
            match rows {
                12 if I::TILE_ROWS >= 12 => self.rows::<I, 12>(first, scratch),
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
        // Rows of a power of two apart would share the same few places of the first cache.
        let apart = a.stride_of(Axis(0)).unsigned_abs() * size_of::<T>();
        let in_place = a.stride_of(Axis(1)) == 1 && !apart.is_multiple_of(CACHE_WAY / 2);
        let packed_stride = len + CACHE_LINE / size_of::<T>();
        if !in_place || self.rules.rounds_operands::<T>() {
            pack::left(a, packed_stride, self.rules, left);
        } else {
            left.clear();
        }
        let mut factors: [&[T]; R] = [&[]; R];
        for (r, row) in a.outer_iter().enumerate() {
            factors[r] = match left.is_empty() {
                true => row.to_slice().expect("the row is contiguous"),
                false => &left[r * packed_stride..][..len],
            };
        }
        pack::segments(&factors, self.terms, segments);
        edge.resize(R * width, T::ZERO);

        let columns = self.out.ncols();
        let mut out = self.out.slice_mut(s![first..first + R, ..]);
        let mut sums: [&mut [T]; R] = std::array::from_fn(|_| Default::default());
        for (sums, row) in sums.iter_mut().zip(out.outer_iter_mut()) {
            *sums = row.into_slice().expect("rows of sums are contiguous");
        }
        for number in 0..columns.div_ceil(width) {
            let panel = &self.panels[number * self.stride..][..len * width];
            let (start, end) = (number * width, ((number + 1) * width).min(columns));
            // What the next tile begins with.
            for row in &sums {
                prefetch(row.as_ptr().wrapping_add(end));
                prefetch(row.as_ptr().wrapping_add(end + CACHE_LINE / size_of::<T>()));
            }
            if end - start == width {
                tile::<T, T::Vector<I>, R>(&factors, panel, segments, self.start, &mut sums, start);
                continue;
            }
            let mut padded: [&mut [T]; R] = std::array::from_fn(|_| Default::default());
            for ((padded, edge), sums) in padded.iter_mut().zip(edge.chunks_exact_mut(width)).zip(&sums) {
                edge[..end - start].copy_from_slice(&sums[start..end]);
                *padded = edge;
            }
            tile::<T, T::Vector<I>, R>(&factors, panel, segments, self.start, &mut padded, 0);
            for (sums, padded) in sums.iter_mut().zip(&padded) {
                sums[start..end].copy_from_slice(&padded[..end - start]);
            }
        }
    }
}
