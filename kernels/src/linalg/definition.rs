//! What a product is. Read this to know the bits; [`super::kernel`] is only faster.

use super::ProductRules;
use crate::num::{Float, Stored};
use ndarray::{Array2, ArrayView2};

/// `out[i][j]` = left fold over k ascending of `acc ← fma(a[i][k], b[k][j], acc)`, starting at +0.
///
/// Shapes: a `[m, k]`, b `[k, n]`, out `[m, n]`. With rules, both operands are rounded first and the
/// running sum after each step, and k runs in their order.
///
/// # Panics
/// If the inner sizes differ.
pub fn matmul_definition<T: Float, S: Stored<T>>(a: ArrayView2<T>, b: ArrayView2<S>, rules: ProductRules) -> Array2<T> {
    assert_eq!(a.ncols(), b.nrows(), "matmul: inner sizes differ");
    let order = rules.order.permutation(a.ncols()).unwrap_or_else(|| (0..a.ncols()).collect());
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| {
        let mut acc = T::ZERO;
        for &k in &order {
            let x = a[[i, k]].round_to(rules.operands);
            let y = b[[k, j]].widen().round_to(rules.operands);
            acc = x.mul_add(y, acc).round_to(rules.accumulator);
        }
        acc
    })
}

/// `out[i][d]` = left fold over j ascending of `acc ← fma(weights[i][j], rows[j][d], acc)`, starting at +0,
/// where a weight of exactly 0 is left out: a masked key adds nothing, not even `0 · NaN`.
///
/// Shapes: weights `[m, n]`, rows `[n, d]`, out `[m, d]`. Rules as in [`matmul_definition`].
///
/// # Panics
/// If the inner sizes differ.
pub fn weighted_sum_definition<T: Float, S: Stored<T>>(
    weights: ArrayView2<T>,
    rows: ArrayView2<S>,
    rules: ProductRules,
) -> Array2<T> {
    assert_eq!(weights.ncols(), rows.nrows(), "weighted sum: inner sizes differ");
    let order = rules.order.permutation(rows.nrows()).unwrap_or_else(|| (0..rows.nrows()).collect());
    Array2::from_shape_fn((weights.nrows(), rows.ncols()), |(i, d)| {
        let mut acc = T::ZERO;
        for &j in &order {
            let weight = weights[[i, j]].round_to(rules.operands);
            if weight != T::ZERO {
                let x = rows[[j, d]].widen().round_to(rules.operands);
                acc = weight.mul_add(x, acc).round_to(rules.accumulator);
            }
        }
        acc
    })
}
