//! Products without registers of their own, for processors on which a fused multiply-add is a call: its time is all the time there is.

use super::{ProductRules, Terms};
use crate::num::{Float, Stored};
use ndarray::{ArrayView2, ArrayViewMut2};

/// `out += a b`, the terms in ascending order.
pub(super) fn product<T: Float, S: Stored<T>>(
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    terms: Terms,
    rules: ProductRules,
    mut out: ArrayViewMut2<T>,
) {
    for (i, mut sums) in out.outer_iter_mut().enumerate() {
        for k in 0..b.nrows() {
            let x = a[[i, k]].round_to(rules.operands);
            if terms == Terms::NonZeroWeights && x == T::ZERO {
                continue;
            }
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = x.mul_add(b[[k, j]].widen().round_to(rules.operands), *sum);
            }
        }
    }
}
