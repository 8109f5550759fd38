//! The same products, faster, equal to [`super::matmul_definition`] and [`super::weighted_sum_definition`] to the bit.
//!
//! A tile of running sums stays in registers while k walks upward through a block of terms; the next block loads the
//! sums again and carries on. So each sum sees the same fused multiply-adds in the same order as in the definition,
//! whatever the blocks, the instruction set and the number of threads.

use super::few_rows::{Few, FewRows, FewRowsByColumns};
use super::rounded::Rounded;
use super::tiled::product_by_tiles;
use super::{Operand, ProductRules, Real, Terms, matmul_definition, plain, weighted_sum_definition};
use crate::num::{Float, Stored, parallel, zeros};
use crate::simd::{Level, dispatch, dispatch_fma};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, CowArray, Ix2, s};

/// Multiply-adds below which threads cost more than they save.
const WORTH_THREADS: usize = 1 << 18;
/// Parts of columns for each thread.
const PARTS_A_THREAD: usize = 4;
/// A part has at least so many rows and columns: what it packs is used that many times.
const PART: usize = 128;

/// [`super::matmul_definition`], faster.
///
/// # Panics
/// If the inner sizes differ.
#[inline]
pub fn matmul<T: Float, S: Operand<T>>(a: ArrayView2<T>, b: ArrayView2<S>, rules: ProductRules) -> Array2<T> {
    matmul_at(Level::chosen(), a, b, rules)
}

/// [`matmul`] with a given instruction set, one of [`Level::all`].
///
/// # Panics
/// If the inner sizes differ.
#[inline]
pub fn matmul_at<T: Float, S: Operand<T>>(
    level: Level,
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    rules: ProductRules,
) -> Array2<T> {
    S::product(level, a, b, Terms::All, rules)
}

/// [`super::weighted_sum_definition`], faster.
///
/// # Panics
/// If the inner sizes differ.
#[inline]
pub fn weighted_sum<T: Real>(weights: ArrayView2<T>, rows: ArrayView2<T>, rules: ProductRules) -> Array2<T> {
    weighted_sum_at(Level::chosen(), weights, rows, rules)
}

/// [`weighted_sum`] with a given instruction set, one of [`Level::all`].
///
/// # Panics
/// If the inner sizes differ.
#[inline]
pub fn weighted_sum_at<T: Real>(
    level: Level,
    weights: ArrayView2<T>,
    rows: ArrayView2<T>,
    rules: ProductRules,
) -> Array2<T> {
    T::product(level, weights, rows, Terms::NonZeroWeights, rules)
}

/// The product of all terms or of some, with a given instruction set.
///
/// # Panics
/// If the inner sizes differ.
pub(super) fn product<T: Float, S: Stored<T>>(
    level: Level,
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    terms: Terms,
    rules: ProductRules,
) -> Array2<T> {
    assert_eq!(a.ncols(), b.nrows(), "product: inner sizes differ");
    if level == Level::Definition {
        return match terms {
            Terms::All => matmul_definition(a, b, rules),
            Terms::NonZeroWeights => weighted_sum_definition(a, b, rules),
        };
    }
    let order = rules.order.permutation(a.ncols());
    let (a, b) = (ordered(a, Axis(1), order.as_deref()), ordered(b, Axis(0), order.as_deref()));
    let (m, n) = (a.nrows(), b.ncols());
    let mut out = Array2::from_shape_vec((m, n), zeros(m * n)).expect("one zero for each sum");
    if rules.rounds_accumulator::<T>() {
        rounded(level, a.view(), b.view(), terms, rules, &mut out);
    } else {
        product_into(level, a.view(), b.view(), terms, rules, out.view_mut());
    }
    out
}

/// The operand with its terms in the order of summation, so that the kernels may always walk upward; it lies as before.
fn ordered<'a, S: Copy>(x: ArrayView2<'a, S>, terms: Axis, order: Option<&[usize]>) -> CowArray<'a, S, Ix2> {
    let Some(order) = order else { return CowArray::from(x) };
    let (lines, exchanged) = match terms {
        Axis(0) => (x.reversed_axes(), true),
        _ => (x, false),
    };
    // Line by line where the terms of one lie together, else term by term, where all lines do.
    let (rows, len) = lines.dim();
    let mut numbers = Vec::with_capacity(rows * len);
    let by_lines = lines.stride_of(Axis(1)) == 1;
    if by_lines {
        for line in lines.outer_iter() {
            numbers.extend(order.iter().map(|&term| line[term]));
        }
    } else {
        for &term in order {
            numbers.extend(lines.column(term));
        }
    }
    let shape = if by_lines { (rows, len) } else { (len, rows) };
    let gathered = Array2::from_shape_vec(shape, numbers).expect("each term of each line");
    CowArray::from(if by_lines == exchanged { gathered.reversed_axes() } else { gathered })
}

fn rounded<T: Float, S: Stored<T>>(
    level: Level,
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    terms: Terms,
    rules: ProductRules,
    out: &mut Array2<T>,
) {
    fn operand<T: Float, S: Stored<T>>(x: ArrayView2<S>, rules: ProductRules) -> Array2<T> {
        x.mapv(|x| x.widen().round_to(rules.operands)).as_standard_layout().into_owned()
    }
    let (n, k) = (b.ncols(), a.ncols());
    let (a, b): (Array2<T>, Array2<T>) = (operand(a, rules), operand(b, rules));
    let slices = (a.as_slice(), b.as_slice(), out.as_slice_mut());
    let (Some(a), Some(b), Some(out)) = slices else { unreachable!("all three are in standard layout") };
    dispatch(level, Rounded { a, b, out, n, k, terms, rules });
}

/// `out = a b`, the terms in ascending order. `out` comes as zeros, and its rows are contiguous.
fn product_into<T: Float, S: Stored<T>>(
    level: Level,
    a: ArrayView2<T>,
    b: ArrayView2<S>,
    terms: Terms,
    rules: ProductRules,
    out: ArrayViewMut2<T>,
) {
    let (m, n) = out.dim();
    let few = Few::of(&a, &b, terms, rules);
    let part = |a: ArrayView2<T>, b: ArrayView2<S>, out: ArrayViewMut2<T>| match few {
        _ if !level.has_fma() => plain::product(a, b, terms, rules, out),
        Some(Few::ByRows) => dispatch_fma(level, FewRows { a, b, out, terms }),
        Some(Few::ByColumns) => dispatch_fma(level, FewRowsByColumns { a, b, out }),
        None => product_by_tiles(level, a, b, terms, rules, out),
    };
    let threads = rayon::current_num_threads();
    if threads == 1 || m * n * a.ncols() < WORTH_THREADS {
        return part(a, b, out);
    }
    // Along the longer side: what the other operand costs to pack is paid once a part. Several parts for each thread where
    // each packs columns of its own, so that one thread that is late does not keep the others waiting.
    let several = few.is_none() && m <= n;
    let parts = if several { PARTS_A_THREAD * threads } else { threads };
    let length = |side: usize| side.div_ceil(parts).next_multiple_of(PART);
    let axis = if m > n { Axis(0) } else { Axis(1) };
    let mut parts = cut(out, axis, length(m.max(n)));
    parallel::for_each_chunk(&mut parts, 1, &|_, parts| {
        for (start, out) in parts {
            let (a, b) = match axis {
                Axis(0) => (a.slice(s![*start..*start + out.nrows(), ..]), b),
                _ => (a, b.slice(s![.., *start..*start + out.ncols()])),
            };
            part(a, b, out.view_mut());
        }
    });
}

/// A view cut along an axis: pieces of at most `length`, each with its first index.
fn cut<T>(view: ArrayViewMut2<T>, axis: Axis, length: usize) -> Vec<(usize, ArrayViewMut2<T>)> {
    let (mut parts, mut rest, mut start) = (Vec::new(), view, 0);
    while rest.len_of(axis) > length {
        let (part, next) = rest.split_at(axis, length);
        parts.push((start, part));
        (rest, start) = (next, start + length);
    }
    parts.push((start, rest));
    parts
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
        // Small ones of every kind, and some that need several blocks of terms and panels.
        let sizes = prop_oneof![
            9 => (0usize..7, 0usize..40, 0usize..9),
            2 => (0usize..21, 0usize..130, 0usize..30),
            1 => (1usize..11, 1usize..60, 250usize..530),
            2 => (4usize..19, 40usize..160, 3usize..40),
            1 => (1usize..6, 700usize..900, 1usize..9),
        ];
        sizes.prop_flat_map(|(m, n, k)| {
            (prop::collection::vec(value(), m * k), prop::collection::vec(value(), k * n)).prop_map(move |(a, b)| {
                (Array2::from_shape_vec((m, k), a).unwrap(), Array2::from_shape_vec((k, n), b).unwrap())
            })
        })
    }

    fn assert_same_bits<T: Float>(actual: &Array2<T>, expected: &Array2<T>) {
        assert_eq!(actual.dim(), expected.dim());
        for (a, e) in actual.iter().zip(expected) {
            let (a, e) = (a.to_f64(), e.to_f64());
            assert!(a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan()), "{a:e} {e:e}");
        }
    }

    fn every_level_agrees<T: Real>(a: ArrayView2<T>, b: ArrayView2<T>, rules: ProductRules) {
        let (product, sum) = (matmul_definition(a, b, rules), weighted_sum_definition(a, b, rules));
        for level in Level::all() {
            assert_same_bits(&matmul_at(level, a, b, rules), &product);
            assert_same_bits(&weighted_sum_at(level, a, b, rules), &sum);
        }
    }

    /// The product with a right operand in another format is that with its numbers widened before.
    fn every_level_widens<T: Float, S: Operand<T>>(a: ArrayView2<T>, b: ArrayView2<S>, rules: ProductRules) {
        let product = matmul_definition(a, b.mapv(|x| x.widen()).view(), rules);
        assert_same_bits(&matmul_definition(a, b, rules), &product);
        for level in Level::all() {
            assert_same_bits(&matmul_at(level, a, b, rules), &product);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn kernels_equal_the_definition_to_the_bit((a, b) in operands(), rules in rules()) {
            every_level_agrees(a.view(), b.view(), rules);
            // Transposed and reversed operands: the strides differ, the numbers do not.
            let (at, bt) = (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
            every_level_agrees(at.t(), bt.t(), rules);
            every_level_agrees(a.slice(s![..;-1, ..;-1]), b.slice(s![..;-1, ..;-2]), rules);
            let (a, b) = (a.mapv(|x| x as f32), b.mapv(|x| x as f32));
            every_level_agrees(a.view(), b.view(), rules);
            every_level_agrees(a.view(), b.slice(s![.., ..;-1]), rules);
        }

        #[test]
        fn stored_formats_are_widened_on_the_way((a, b) in operands(), rules in rules()) {
            let single = a.mapv(|x| x as f32);
            let (bf16, f16) = (b.mapv(half::bf16::from_f64), b.mapv(half::f16::from_f64));
            every_level_widens(a.view(), b.mapv(|x| x as f32).view(), rules);
            every_level_widens(single.view(), bf16.view(), rules);
            every_level_widens(single.view(), f16.view(), rules);
            // As a checkpoint has it: the terms of a column lie one after the other.
            let (bf16, f16) = (bf16.t().as_standard_layout().into_owned(), f16.t().as_standard_layout().into_owned());
            every_level_widens(single.view(), bf16.t(), rules);
            every_level_widens(a.view(), f16.t(), rules);
        }
    }

    #[test]
    fn a_sum_that_underflows_keeps_its_sign_beside_weights_of_zero() {
        // The first term rounds to −0; a term of 0 · 1 would make it +0.
        let weights = Array2::from_shape_fn((9, 3), |(i, j)| if j == 0 { 1e-200 } else { (i % 2) as f64 * 1e-200 });
        let rows = Array2::from_shape_fn((3, 5), |(j, _)| if j == 0 { -1e-200 } else { -1e-300 });
        every_level_agrees(weights.view(), rows.view(), ProductRules::exact_operands::<f64>());
        assert!(
            weighted_sum(weights.view(), rows.view(), ProductRules::exact_operands::<f64>())[[0, 0]].is_sign_negative()
        );
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let a = Array2::from_shape_fn((300, 70), |(i, k)| ((i * 37 + k * 11) % 121) as f64 / 7.0 - 8.0);
        let b = Array2::from_shape_fn((70, 200), |(k, j)| ((k * 17 + j * 5) % 121) as f64 / 7.0 - 8.0);
        let of = |threads: usize, a: ArrayView2<f64>, b: ArrayView2<f64>| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| matmul(a, b, ProductRules::exact_operands::<f64>()))
        };
        let expected = matmul_definition(a.view(), b.view(), ProductRules::exact_operands::<f64>());
        for threads in [1, 2, 3, 8] {
            assert_eq!(of(threads, a.view(), b.view()), expected, "{threads}");
            assert_eq!(of(threads, b.t(), a.t()), expected.t(), "{threads}");
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
