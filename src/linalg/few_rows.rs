//! Products of a few rows, as in decoding: each number of the right operand is used so few times that copying it
//! would cost more than it saves. The rows of the right operand pass through once, as they lie in memory.

use super::pack::widened;
use super::{ProductRules, Terms};
use crate::num::{Real, Stored};
use crate::simd::{Isa, Vector, Work};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

/// At most so many rows are few.
pub(super) const FEW: usize = 4;
/// Rows of the right operand that are added while a running sum is in a register.
const DEPTH: usize = 8;

/// Whether the kernel takes these operands: rows of `b` that are contiguous, nothing to be rounded.
pub(super) fn fits<T: Real, S>(a: &ArrayView2<T>, b: &ArrayView2<S>, rules: ProductRules) -> bool {
    a.nrows() <= FEW && b.stride_of(Axis(1)) == 1 && !rules.rounds_operands::<T>()
}

/// `out += a b` for a few rows of `a`.
pub(super) struct FewRows<'a, T, S> {
    pub(super) a: ArrayView2<'a, T>,
    pub(super) b: ArrayView2<'a, S>,
    pub(super) out: ArrayViewMut2<'a, T>,
    pub(super) terms: Terms,
}

impl<T: Real, S: Stored<T>> Work for FewRows<'_, T, S> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, mut out, terms } = self;
        for first in (0..b.nrows()).step_by(DEPTH) {
            let last = (first + DEPTH).min(b.nrows());
            let mut rows: [&[S]; DEPTH] = [&[]; DEPTH];
            for (row, term) in rows.iter_mut().zip(first..last) {
                *row = b.slice_move(s![term, ..]).to_slice().expect("`fits` asks for contiguous rows");
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
fn add<T: Real, S: Stored<T>, V: Vector<Scalar = T>, const D: usize>(rows: &[&[S]], factors: &[T], out: &mut [T]) {
    let len = out.len();
    let rows: [&[S]; D] = std::array::from_fn(|d| &rows[d][..len]);
    let lanes: [V; D] = std::array::from_fn(|d| V::splat(factors[d]));
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
