//! The products, compiled once for each pair of scalar and storage format: what is generic over them elsewhere calls these and compiles none of its own.

use super::arrays::{assign_each, change_each, joined, owned_values};
use super::convert::converted;
use super::kernel::product;
use super::tiled::Packed;
use super::{ProductRules, Terms};
use crate::num::{Dtype, Float, Stored};
use crate::simd::Level;
use half::{bf16, f16};
use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMutD, Axis};

/// A format of right operands of the scalar `T`: of f64 all four, of f32 all but f64.
pub trait Operand<T: Float>: Stored<T> {
    /// See [`super::matmul_at`] and [`super::weighted_sum_at`].
    fn product(level: Level, a: ArrayView2<T>, b: ArrayView2<Self>, terms: Terms, rules: ProductRules) -> Array2<T>;
}

/// A scalar of the reference with all that is done with it: `f64` or `f32`.
pub trait Real: Float + Operand<Self> {
    /// The product with a right operand in single precision.
    fn product_f32(
        level: Level,
        a: ArrayView2<Self>,
        b: ArrayView2<f32>,
        terms: Terms,
        rules: ProductRules,
    ) -> Array2<Self>;
    /// The product with a right operand in bfloat16.
    fn product_bf16(
        level: Level,
        a: ArrayView2<Self>,
        b: ArrayView2<bf16>,
        terms: Terms,
        rules: ProductRules,
    ) -> Array2<Self>;
    /// The product with a right operand in IEEE half precision.
    fn product_f16(
        level: Level,
        a: ArrayView2<Self>,
        b: ArrayView2<f16>,
        terms: Terms,
        rules: ProductRules,
    ) -> Array2<Self>;
    /// See [`super::convert::to_f64`].
    fn array_to_f64(x: ArrayViewD<Self>) -> ArrayD<f64>;
    /// See [`super::convert::from_f64`].
    fn array_from_f64(x: ArrayViewD<f64>) -> ArrayD<Self>;
    /// See [`super::convert::rounded_from_f64`].
    fn array_rounded_from_f64(x: ArrayViewD<f64>, dtype: Dtype) -> ArrayD<Self>;
    /// See [`super::arrays::values`].
    fn array_values(x: ArrayViewD<Self>) -> Vec<Self>;
    /// See [`super::arrays::into_values`].
    fn array_into_values(x: ArrayD<Self>) -> Vec<Self>;
    /// See [`super::arrays::add`].
    fn array_add(a: ArrayViewMutD<Self>, b: ArrayViewD<Self>);
    /// See [`super::arrays::multiply`].
    fn array_multiply(a: ArrayViewMutD<Self>, b: ArrayViewD<Self>);
    /// See [`super::arrays::assign`].
    fn array_assign(to: ArrayViewMutD<Self>, from: ArrayViewD<Self>);
    /// See [`super::arrays::concatenated`].
    fn array_concatenated(axis: Axis, parts: &[ArrayViewD<Self>]) -> Option<ArrayD<Self>>;
    /// See [`super::arrays::add_each`].
    fn add_each(values: &mut [Self], others: &[Self]);
    /// Each value times the one of `others` in its place.
    fn multiply_each(values: &mut [Self], others: &[Self]);
    /// See [`Packed::new`].
    fn pack(level: Level, b: ArrayView2<Self>, rules: ProductRules) -> Packed<Self>;
    /// See [`Packed::product`].
    fn packed_product(packed: &Packed<Self>, a: ArrayView2<Self>, terms: Terms, out: ArrayViewMut2<Self>);
}

impl Operand<f64> for f64 {
    fn product(level: Level, a: ArrayView2<f64>, b: ArrayView2<f64>, terms: Terms, rules: ProductRules) -> Array2<f64> {
        product(level, a, b, terms, rules)
    }
}

/// Storage formats that both scalars hold: the scalar has the product.
macro_rules! operand {
    ($stored:ty, $product:ident) => {
        impl<T: Real> Operand<T> for $stored {
            #[inline]
            fn product(
                level: Level,
                a: ArrayView2<T>,
                b: ArrayView2<Self>,
                terms: Terms,
                rules: ProductRules,
            ) -> Array2<T> {
                T::$product(level, a, b, terms, rules)
            }
        }
    };
}
operand!(f32, product_f32);
operand!(bf16, product_bf16);
operand!(f16, product_f16);

macro_rules! real {
    ($scalar:ty: $($product:ident of $stored:ty),+) => {
        impl Real for $scalar {
            $(
                fn $product(
                    level: Level,
                    a: ArrayView2<Self>,
                    b: ArrayView2<$stored>,
                    terms: Terms,
                    rules: ProductRules,
                ) -> Array2<Self> {
                    product(level, a, b, terms, rules)
                }
            )+

            fn array_to_f64(x: ArrayViewD<Self>) -> ArrayD<f64> {
                converted(x, f64::from)
            }

            fn array_from_f64(x: ArrayViewD<f64>) -> ArrayD<Self> {
                converted(x, |x| x as Self)
            }

            fn array_rounded_from_f64(x: ArrayViewD<f64>, dtype: Dtype) -> ArrayD<Self> {
                converted(x, |x| crate::num::round_f64(x, dtype) as Self)
            }

            fn array_values(x: ArrayViewD<Self>) -> Vec<Self> {
                x.iter().copied().collect()
            }

            fn array_into_values(x: ArrayD<Self>) -> Vec<Self> {
                owned_values(x)
            }

            fn array_add(a: ArrayViewMutD<Self>, b: ArrayViewD<Self>) {
                change_each(a, b, Self::add_each);
            }

            fn array_multiply(a: ArrayViewMutD<Self>, b: ArrayViewD<Self>) {
                change_each(a, b, Self::multiply_each);
            }

            fn array_assign(to: ArrayViewMutD<Self>, from: ArrayViewD<Self>) {
                assign_each(to, from);
            }

            fn array_concatenated(axis: Axis, parts: &[ArrayViewD<Self>]) -> Option<ArrayD<Self>> {
                joined(axis, parts)
            }

            fn add_each(values: &mut [Self], others: &[Self]) {
                for (value, &other) in values.iter_mut().zip(others) {
                    *value += other;
                }
            }

            fn multiply_each(values: &mut [Self], others: &[Self]) {
                for (value, &other) in values.iter_mut().zip(others) {
                    *value *= other;
                }
            }

            fn pack(level: Level, b: ArrayView2<Self>, rules: ProductRules) -> Packed<Self> {
                Packed::of_panels(level, b, rules)
            }

            fn packed_product(packed: &Packed<Self>, a: ArrayView2<Self>, terms: Terms, out: ArrayViewMut2<Self>) {
                packed.times(a, terms, out);
            }
        }
    };
}
real!(f64: product_f32 of f32, product_bf16 of bf16, product_f16 of f16);
real!(f32: product_f32 of f32, product_bf16 of bf16, product_f16 of f16);
