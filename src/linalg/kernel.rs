//! The same products, faster, equal to [`super::matmul_definition`] to the bit.
//!
//! A tile keeps `MR × NR` running sums in registers and walks k upward once, so each sum sees the same
//! fused multiply-adds in the same order as in the definition. The code is written once; on x86-64 it is
//! compiled a second time with AVX2 and FMA switched on and chosen at run time. Without hardware FMA the
//! compiler calls a software one: slow, and the same bits.

use super::ProductRules;
use crate::num::Real;
use ndarray::{Array2, ArrayView2, Axis, CowArray, Ix2};

/// Rows of a tile.
const MR: usize = 4;
/// Columns of a tile: with `MR`, 64 running sums, which the vector registers of AVX2 hold.
const NR: usize = 16;

/// [`super::matmul_definition`], faster.
///
/// # Panics
/// If the inner sizes differ.
pub fn matmul<T: Real>(a: ArrayView2<T>, b: ArrayView2<T>, rules: ProductRules) -> Array2<T> {
    assert_eq!(a.ncols(), b.nrows(), "matmul: inner sizes differ");
    let (m, n, k) = (a.nrows(), b.ncols(), a.ncols());
    let order = rules.order.permutation(k);
    let (a, b) = (ordered(a, Axis(1), order.as_deref()), ordered(b, Axis(0), order.as_deref()));
    let (a, b) = (operand(a.view(), rules), operand(b.view(), rules));
    let mut out = vec![T::ZERO; m * n];
    let a = a.as_slice().expect("an operand is in standard layout");
    let b = b.as_slice().expect("an operand is in standard layout");
    if rules.rounds_accumulator::<T>() {
        dispatch(RoundedProduct { a, b, out: &mut out, n, k, rules });
    } else {
        dispatch(Product { a, b, out: &mut out, m, n, k });
    }
    Array2::from_shape_vec((m, n), out).expect("m·n sums were made")
}

/// [`super::weighted_sum_definition`], faster.
///
/// # Panics
/// If the inner sizes differ.
pub fn weighted_sum<T: Real>(weights: ArrayView2<T>, rows: ArrayView2<T>, rules: ProductRules) -> Array2<T> {
    assert_eq!(weights.ncols(), rows.nrows(), "weighted sum: inner sizes differ");
    let (m, n, k) = (weights.nrows(), rows.ncols(), weights.ncols());
    let order = rules.order.permutation(k);
    let (weights, rows) = (ordered(weights, Axis(1), order.as_deref()), ordered(rows, Axis(0), order.as_deref()));
    let (weights, rows) = (operand(weights.view(), rules), operand(rows.view(), rules));
    let mut out = vec![T::ZERO; m * n];
    dispatch(WeightedSum {
        weights: weights.as_slice().expect("an operand is in standard layout"),
        rows: rows.as_slice().expect("an operand is in standard layout"),
        out: &mut out,
        n,
        k,
        rules,
    });
    Array2::from_shape_vec((m, n), out).expect("m·n sums were made")
}

/// The operand with its terms in the order of summation, so that the kernels may always walk upward.
fn ordered<'a, T: Real>(x: ArrayView2<'a, T>, terms: Axis, order: Option<&[usize]>) -> CowArray<'a, T, Ix2> {
    match order {
        None => CowArray::from(x),
        Some(order) => CowArray::from(x.select(terms, order)),
    }
}

/// The operand in standard layout, rounded if the rules say so; a view where nothing has to be done.
fn operand<T: Real>(x: ArrayView2<'_, T>, rules: ProductRules) -> CowArray<'_, T, Ix2> {
    if rules.rounds_operands::<T>() {
        CowArray::from(x.as_standard_layout().mapv(|x| x.round_to(rules.operands)))
    } else if x.is_standard_layout() {
        CowArray::from(x)
    } else {
        CowArray::from(x.as_standard_layout().into_owned())
    }
}

/// Work that is compiled once for each instruction set. `run` is `#[inline(always)]` in each
/// implementation, so that it takes on the instruction set of its caller.
trait Work {
    fn run(self);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<W: Work>(work: W) {
    work.run();
}

fn dispatch<W: Work>(work: W) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: both features were just found on this CPU.
        return unsafe { run_avx2(work) };
    }
    work.run();
}

/// `out = a b`.
struct Product<'a, T> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
    m: usize,
    n: usize,
    k: usize,
}

impl<T: Real> Work for Product<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, out, m, n, k } = self;
        let mut i = 0;
        while i < m {
            let rows = MR.min(m - i);
            let mut j = 0;
            while j + NR <= n {
                if rows == MR {
                    tile::<T, MR, NR>(&a[i * k..], b, &mut out[i * n..], n, k, j);
                } else {
                    for r in i..i + rows {
                        tile::<T, 1, NR>(&a[r * k..], b, &mut out[r * n..], n, k, j);
                    }
                }
                j += NR;
            }
            for r in i..i + rows {
                for c in j..n {
                    tile::<T, 1, 1>(&a[r * k..], b, &mut out[r * n..], n, k, c);
                }
            }
            i += rows;
        }
    }
}

/// `R × C` sums at column `j`, each walking k upward once.
#[inline(always)]
fn tile<T: Real, const R: usize, const C: usize>(a: &[T], b: &[T], out: &mut [T], n: usize, k: usize, j: usize) {
    let mut acc = [[T::ZERO; C]; R];
    for kk in 0..k {
        let row = &b[kk * n + j..][..C];
        for r in 0..R {
            let x = a[r * k + kk];
            for c in 0..C {
                acc[r][c] = x.mul_add(row[c], acc[r][c]);
            }
        }
    }
    for r in 0..R {
        out[r * n + j..][..C].copy_from_slice(&acc[r]);
    }
}

/// `out = a b` with the running sums rounded after each step.
struct RoundedProduct<'a, T> {
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
    n: usize,
    k: usize,
    rules: ProductRules,
}

impl<T: Real> Work for RoundedProduct<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, out, n, k, rules } = self;
        if n == 0 || k == 0 {
            return;
        }
        for (a, out) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
            for (&x, row) in a.iter().zip(b.chunks_exact(n)) {
                for (acc, &y) in out.iter_mut().zip(row) {
                    *acc = x.mul_add(y, *acc).round_to(rules.accumulator);
                }
            }
        }
    }
}

/// `out = weights · rows`, weights of exactly 0 left out.
struct WeightedSum<'a, T> {
    weights: &'a [T],
    rows: &'a [T],
    out: &'a mut [T],
    n: usize,
    k: usize,
    rules: ProductRules,
}

impl<T: Real> Work for WeightedSum<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { weights, rows, out, n, k, rules } = self;
        if n == 0 || k == 0 {
            return;
        }
        for (weights, out) in weights.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
            for (&weight, row) in weights.iter().zip(rows.chunks_exact(n)) {
                if weight == T::ZERO {
                    continue;
                }
                for (acc, &x) in out.iter_mut().zip(row) {
                    *acc = weight.mul_add(x, *acc).round_to(rules.accumulator);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Order, matmul_definition, weighted_sum_definition};
    use super::*;
    use crate::num::Dtype;
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = ProductRules> {
        let dtype = prop::sample::select(vec![Dtype::F64, Dtype::F32, Dtype::Tf32, Dtype::Bf16, Dtype::F16]);
        let order = prop_oneof![Just(Order::Ascending), any::<u64>().prop_map(|seed| Order::Permuted { seed })];
        (dtype.clone(), dtype, order).prop_map(|(operands, accumulator, order)| ProductRules {
            operands,
            accumulator,
            order,
        })
    }

    /// Mostly ordinary numbers, with zeros of both signs, subnormals, infinities and NaN among them.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![20 => -3.0..3.0f64, 1 => Just(0.0), 1 => Just(-0.0), 1 => Just(1e-310), 1 => Just(f64::INFINITY), 1 => Just(f64::NAN)]
    }

    fn operands() -> impl Strategy<Value = (Array2<f64>, Array2<f64>)> {
        (0usize..7, 0usize..40, 0usize..9).prop_flat_map(|(m, n, k)| {
            (prop::collection::vec(value(), m * k), prop::collection::vec(value(), k * n)).prop_map(move |(a, b)| {
                (Array2::from_shape_vec((m, k), a).unwrap(), Array2::from_shape_vec((k, n), b).unwrap())
            })
        })
    }

    fn assert_same_bits<T: Real>(actual: &Array2<T>, expected: &Array2<T>) {
        assert_eq!(actual.dim(), expected.dim());
        for (a, e) in actual.iter().zip(expected) {
            let (a, e) = (a.to_f64(), e.to_f64());
            assert!(a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan()), "{a:e} {e:e}");
        }
    }

    proptest! {
        #[test]
        fn kernels_equal_the_definition_to_the_bit((a, b) in operands(), rules in rules()) {
            assert_same_bits(&matmul(a.view(), b.view(), rules), &matmul_definition(a.view(), b.view(), rules));
            assert_same_bits(&weighted_sum(a.view(), b.view(), rules), &weighted_sum_definition(a.view(), b.view(), rules));
            // Transposed operands: the strides differ, the numbers do not.
            let (at, bt) = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
            assert_same_bits(&matmul(at.t(), bt.t(), rules), &matmul_definition(a.view(), b.view(), rules));
            let (a, b) = (a.mapv(|x| x as f32), b.mapv(|x| x as f32));
            assert_same_bits(&matmul(a.view(), b.view(), rules), &matmul_definition(a.view(), b.view(), rules));
            assert_same_bits(&weighted_sum(a.view(), b.view(), rules), &weighted_sum_definition(a.view(), b.view(), rules));
        }
    }

    #[test]
    fn a_weight_of_zero_leaves_nan_out() {
        let weights = ndarray::array![[1.0, 0.0]];
        let rows = ndarray::array![[2.0], [f64::NAN]];
        assert_eq!(weighted_sum(weights.view(), rows.view(), ProductRules::exact_operands::<f64>())[[0, 0]], 2.0);
        assert!(matmul(weights.view(), rows.view(), ProductRules::exact_operands::<f64>())[[0, 0]].is_nan());
        for seed in 0..4 {
            let permuted = ProductRules { order: Order::Permuted { seed }, ..ProductRules::exact_operands::<f64>() };
            assert_eq!(weighted_sum(weights.view(), rows.view(), permuted)[[0, 0]], 2.0);
        }
    }

    #[test]
    fn another_order_changes_rounding_and_nothing_else() {
        // Sums of products of integers up to 60 are exact in f32 in every order: 50 · 3600 < 2^24.
        let a = Array2::from_shape_fn((5, 50), |(i, k)| ((i * 37 + k * 11) % 121) as f32 - 60.0);
        let b = Array2::from_shape_fn((50, 19), |(k, j)| ((k * 17 + j * 5) % 121) as f32 - 60.0);
        let ascending = ProductRules::exact_operands::<f32>();
        let permuted = |seed| ProductRules { order: Order::Permuted { seed }, ..ascending };
        for seed in 0..4 {
            assert_eq!(matmul(a.view(), b.view(), permuted(seed)), matmul(a.view(), b.view(), ascending));
            assert_eq!(weighted_sum(a.view(), b.view(), permuted(seed)), weighted_sum(a.view(), b.view(), ascending));
        }
        // Thirds are not exact: then the order is seen.
        let a = a.mapv(|x| x / 3.0);
        assert_ne!(matmul(a.view(), b.view(), permuted(1)), matmul(a.view(), b.view(), ascending));
        assert_ne!(matmul(a.view(), b.view(), permuted(1)), matmul(a.view(), b.view(), permuted(2)));
    }
}
