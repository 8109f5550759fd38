//! Pages from a shuffled pool (Kwon et al., PagedAttention, arXiv:2309.06180).

use super::{Cached, LayerCache};
use crate::linalg::arrays::{assign, elements};
use crate::num::Real;
use ndarray::{Array3, Array4, CowArray, s};

/// Pages added to the pool at a time.
const POOL_STEP: usize = 8;

/// Rows in pages of fixed size; each batch row has a block table of page numbers, in the order of its tokens.
///
/// The pool hands pages out in shuffled order, so a reader that takes pages for contiguous reads the wrong
/// ones, and free pages are filled with NaN, so a reader that goes too far shows it.
#[derive(Debug)]
pub(super) struct Paged<T> {
    pages: Vec<Page<T>>,
    free: Vec<usize>,
    block_tables: Vec<Vec<usize>>,
    page_size: usize,
    heads: usize,
    dim: usize,
    len: usize,
    shuffle: u64,
}

/// `[heads, page_size, dim]` keys and values.
#[derive(Debug)]
struct Page<T> {
    k: Array3<T>,
    v: Array3<T>,
}

impl<T: Real> Paged<T> {
    pub(super) fn new((batch, heads, dim): (usize, usize, usize), page_size: usize) -> Self {
        let block_tables = vec![Vec::new(); batch];
        Self {
            pages: Vec::new(),
            free: Vec::new(),
            block_tables,
            page_size: page_size.max(1),
            heads,
            dim,
            len: 0,
            shuffle: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A free page in shuffled order. The order is fixed, so runs repeat.
    fn take_page(&mut self) -> usize {
        if self.free.is_empty() {
            let poison = || Array3::from_elem((self.heads, self.page_size, self.dim), T::from_f64(f64::NAN));
            let start = self.pages.len();
            self.pages.extend((0..POOL_STEP).map(|_| Page { k: poison(), v: poison() }));
            self.free.extend(start..start + POOL_STEP);
        }
        // xorshift64 (Marsaglia 2003)
        self.shuffle ^= self.shuffle << 13;
        self.shuffle ^= self.shuffle >> 7;
        self.shuffle ^= self.shuffle << 17;
        let index = (self.shuffle % self.free.len() as u64) as usize;
        self.free.swap_remove(index)
    }

    fn gather(&self, part: fn(&Page<T>) -> &Array3<T>) -> Array4<T> {
        let mut out = Array4::from_elem((self.block_tables.len(), self.heads, self.len, self.dim), T::ZERO);
        for (b, table) in self.block_tables.iter().enumerate() {
            for (block, &page) in table.iter().enumerate() {
                let start = block * self.page_size;
                let rows = self.page_size.min(self.len - start);
                let source = part(&self.pages[page]).slice(s![.., ..rows, ..]);
                assign(out.slice_mut(s![b, .., start..start + rows, ..]), source);
            }
        }
        out
    }
}

impl<T: Real> LayerCache<T> for Paged<T> {
    fn extend(&mut self, k: Array4<T>, v: Array4<T>) -> Cached<'_, T> {
        for t in 0..k.dim().2 {
            let (block, slot) = (self.len / self.page_size, self.len % self.page_size);
            for b in 0..self.block_tables.len() {
                if slot == 0 {
                    let page = self.take_page();
                    self.block_tables[b].push(page);
                }
                let page = self.block_tables[b][block];
                assign(self.pages[page].k.slice_mut(s![.., slot, ..]), k.slice(s![b, .., t, ..]));
                assign(self.pages[page].v.slice_mut(s![.., slot, ..]), v.slice(s![b, .., t, ..]));
            }
            self.len += 1;
        }
        Cached {
            k: CowArray::from(self.gather(|page| &page.k)),
            v: CowArray::from(self.gather(|page| &page.v)),
            first: 0,
        }
    }

    fn numbers(&self) -> usize {
        let pages: usize = self.block_tables.iter().map(Vec::len).sum();
        2 * pages * self.heads * self.page_size * self.dim
    }

    fn clear(&mut self) {
        for table in &mut self.block_tables {
            for page in table.drain(..) {
                elements(&mut self.pages[page].k).fill(T::from_f64(f64::NAN));
                elements(&mut self.pages[page].v).fill(T::from_f64(f64::NAN));
                self.free.push(page);
            }
        }
        self.len = 0;
    }
}
