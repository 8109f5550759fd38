//! Products of a few rows, as in decoding: each number of the right operand is used so few times that copying it
//! would cost more than it saves. The rows of the right operand pass through once, as they lie in memory.

use super::{ProductRules, Terms};
use crate::num::Real;
use crate::simd::{Isa, Vector, Work};
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// At most so many rows are few.
pub(super) const FEW: usize = 4;
/// Rows of the right operand that are added while a running sum is in a register.
const DEPTH: usize = 8;

/// Whether the kernel takes these operands: rows of `b` that are contiguous, nothing to be rounded.
pub(super) fn fits<T: Real>(a: &ArrayView2<T>, b: &ArrayView2<T>, rules: ProductRules) -> bool {
    a.nrows() <= FEW && b.stride_of(Axis(1)) == 1 && !rules.rounds_operands::<T>()
}

/// `out += a b` for a few rows of `a`.
pub(super) struct FewRows<'a, T> {
    pub(super) a: ArrayView2<'a, T>,
    pub(super) b: ArrayView2<'a, T>,
    pub(super) out: ArrayViewMut2<'a, T>,
    pub(super) terms: Terms,
}

impl<T: Real> Work for FewRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, mut out, terms } = self;
        for (a, mut out) in a.outer_iter().zip(out.outer_iter_mut()) {
            let out = out.as_slice_mut().expect("rows of sums are contiguous");
            let mut rows: [&[T]; DEPTH] = [&[]; DEPTH];
            let mut factors = [T::ZERO; DEPTH];
            let mut held = 0;
            for (&x, row) in a.iter().zip(b.outer_iter()) {
                if terms == Terms::NonZeroWeights && x == T::ZERO {
                    continue;
                }
                (rows[held], factors[held]) = (row.to_slice().expect("`fits` asks for contiguous rows"), x);
                held += 1;
                if held == DEPTH {
                    add::<T, T::Vector<I>, DEPTH>(&rows, &factors, out);
                    held = 0;
                }
            }
            for (row, &x) in rows[..held].iter().zip(&factors) {
                add::<T, T::Vector<I>, 1>(&[row], &[x], out);
            }
        }
    }
}

/// `out[j] ← fma(factors[D − 1], rows[D − 1][j], … fma(factors[0], rows[0][j], out[j]))`.
#[inline(always)]
fn add<T: Real, V: Vector<Scalar = T>, const D: usize>(rows: &[&[T]], factors: &[T], out: &mut [T]) {
    let len = out.len();
    let rows: [&[T]; D] = std::array::from_fn(|d| &rows[d][..len]);
    let lanes: [V; D] = std::array::from_fn(|d| V::splat(factors[d]));
    let whole = len - len % V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        let mut sum = V::load(&out[at..]);
        for d in 0..D {
            sum = lanes[d].mul_add(V::load(&rows[d][at..]), sum);
        }
        sum.store(&mut out[at..]);
    }
    for at in whole..len {
        for d in 0..D {
            out[at] = factors[d].mul_add(rows[d][at], out[at]);
        }
    }
}
