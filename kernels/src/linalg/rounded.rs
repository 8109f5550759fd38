//! Products whose running sums are rounded after each step.

use super::{ProductRules, Terms};
use crate::num::Float;
use crate::simd::{Isa, Work};

/// `out = a b`, operands in standard layout, shapes `[m, k]`, `[k, n]`, `[m, n]`.
pub(super) struct Rounded<'a, T> {
    pub(super) a: &'a [T],
    pub(super) b: &'a [T],
    pub(super) out: &'a mut [T],
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) terms: Terms,
    pub(super) rules: ProductRules,
}

impl<T: Float> Work for Rounded<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { a, b, out, n, k, terms, rules } = self;
        if n == 0 || k == 0 {
            return;
        }
        for (a, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
            for (&x, row) in a.iter().zip(b.chunks_exact(n)) {
                if terms == Terms::NonZeroWeights && x == T::ZERO {
                    continue;
                }
                for (sum, &y) in out.iter_mut().zip(row) {
                    *sum = x.mul_add(y, *sum).round_to(rules.accumulator);
                }
            }
        }
    }
}
