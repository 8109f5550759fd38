//! Matrix products; an item is a floating-point operation, to be held against `limits::multiply_adds`.

use crate::numbers::array;
use divan::Bencher;
use divan::counter::ItemsCount;
use goldref::linalg::{ProductRules, matmul, weighted_sum};
use goldref::num::Real;
use ndarray::Array2;
use std::fmt;

/// `[m, k]` times `[k, n]`.
struct Shape {
    m: usize,
    k: usize,
    n: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { m, k, n } = self;
        write!(f, "{m}×{k}×{n}")
    }
}

const fn shape(m: usize, k: usize, n: usize) -> Shape {
    Shape { m, k, n }
}

/// Those of `tools/bench_peers.py`.
const SHAPES: [Shape; 5] = [
    shape(1024, 1024, 1024),
    shape(2048, 2048, 64),
    shape(2048, 64, 2048),
    shape(16, 4096, 4096),
    shape(1, 4096, 4096),
];

impl Shape {
    fn operands<T: Real>(&self) -> (Array2<T>, Array2<T>) {
        (array((self.m, self.k)), array((self.k, self.n)))
    }

    fn operations(&self) -> ItemsCount {
        ItemsCount::new(2 * self.m * self.k * self.n)
    }
}

#[divan::bench(types = [f64, f32], args = SHAPES)]
fn products<T: Real>(bencher: Bencher, shape: &Shape) {
    let (a, b) = shape.operands::<T>();
    bencher.counter(shape.operations()).bench(|| matmul(a.view(), b.view(), ProductRules::exact_operands::<T>()));
}

/// As attention sums values: terms whose weight is 0 are left out, here none.
#[divan::bench(types = [f64, f32], args = [shape(1024, 1024, 128)])]
fn weighted_sums<T: Real>(bencher: Bencher, shape: &Shape) {
    let (a, b) = shape.operands::<T>();
    bencher.counter(shape.operations()).bench(|| weighted_sum(a.view(), b.view(), ProductRules::exact_operands::<T>()));
}
