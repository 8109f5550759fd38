//! The two scalars the reference computes in, f64 and f32, with one meaning for each operation.
//!
//! `+ - * /`, `sqrt` and `mul_add` are correctly rounded by IEEE 754; the elementary functions are
//! correctly rounded by CORE-MATH (<https://core-math.gitlabpages.inria.fr/>). So each operation has
//! one right result, the same on each CPU and operating system.

use super::elementary::{Cos, Erfc, Exp, Sin, Tanh, each};
use super::{Dtype, RandomStream, Stored, arithmetic, softmax_rows};
use crate::simd::{Isa, Level, Vector};
use num_ops::NumOps;

mod num_ops {
    use std::ops::{Add, Div, Mul, Neg, Sub};

    /// The four operations and the sign.
    pub trait NumOps:
        Sized + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
    {
    }
    impl NumOps for f64 {}
    impl NumOps for f32 {}
}

/// A scalar of the reference: `f64` or `f32`.
pub trait Float: NumOps + Stored<Self> + PartialOrd + Default {
    /// A register of this scalar.
    type Vector<I: Isa>: Vector<Scalar = Self>;

    /// The format of this scalar.
    const DTYPE: Dtype;
    /// +0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// −∞.
    const NEG_INFINITY: Self;

    /// The nearest value of this type (exact for f64).
    fn from_f64(x: f64) -> Self;
    /// The same value (always exact).
    fn from_f32(x: f32) -> Self;
    /// The same value in f64 (always exact).
    fn to_f64(self) -> f64;
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `eˣ`, correctly rounded.
    fn exp(self) -> Self;
    /// Natural logarithm, correctly rounded.
    fn ln(self) -> Self;
    /// `tanh x`, correctly rounded.
    fn tanh(self) -> Self;
    /// The complementary error function `1 - erf x`, correctly rounded.
    fn erfc(self) -> Self;
    /// `sin x`, correctly rounded for every x.
    fn sin(self) -> Self;
    /// `cos x`, correctly rounded for every x.
    fn cos(self) -> Self;
    /// `xʸ`, correctly rounded.
    fn pow(self, y: Self) -> Self;
    /// `1/√x`, correctly rounded.
    fn rsqrt(self) -> Self;
    /// `√x`, correctly rounded.
    fn sqrt(self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// Whether this is NaN.
    fn is_nan(self) -> bool;
    /// Each value becomes [`Self::exp`] of it, to the bit (a NaN is some NaN); sooner than one after the other.
    fn exp_each(values: &mut [Self]);
    /// Each value becomes [`Self::tanh`] of it, as [`Self::exp_each`].
    fn tanh_each(values: &mut [Self]);
    /// Each value becomes [`Self::erfc`] of it, as [`Self::exp_each`].
    fn erfc_each(values: &mut [Self]);
    /// Each value becomes [`Self::sin`] of it, as [`Self::exp_each`].
    fn sin_each(values: &mut [Self]);
    /// Each value becomes [`Self::cos`] of it, as [`Self::exp_each`].
    fn cos_each(values: &mut [Self]);
    /// This value rounded to nearest even in `dtype`; a format at least as wide changes nothing.
    fn round_to(self, dtype: Dtype) -> Self;
    /// See [`super::round_each`].
    fn round_each(values: &mut [Self], dtype: Dtype);
    /// See [`super::round_stochastic_each`].
    fn round_stochastic_each(values: &mut [Self], dtype: Dtype, stream: RandomStream, first: u64);
    /// See [`super::perturb_each`].
    fn perturb_each(values: &mut [Self], stream: RandomStream, first: u64);
    /// See [`super::divide_each`].
    fn divide_each(values: &mut [Self], divisor: Self);
    /// See [`super::scale_each`].
    fn scale_each(values: &mut [Self], factor: Self);
    /// See [`super::subtract_each`].
    fn subtract_each(values: &mut [Self], subtrahend: Self);
    /// See [`super::maximum`].
    fn maximum(values: &[Self]) -> Self;
    /// See [`super::rounded_sum`].
    fn rounded_sum(first: Self, values: &[Self], dtype: Dtype) -> Self;
    /// See [`super::mean_square`].
    fn mean_square(values: &[Self]) -> Self;
    /// See [`super::softmax_each_row`].
    fn softmax_each_row(rows: &mut [Self], stride: usize, width: usize, sink: Option<Self>);
}

macro_rules! real {
    ($t:ty, $register:ident, $dtype:expr, $round:path, $exp:ident $ln:ident $tanh:ident $erfc:ident $sin:ident $cos:ident $pow:ident $rsqrt:ident) => {
        impl Float for $t {
            type Vector<I: Isa> = I::$register;

            const DTYPE: Dtype = $dtype;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = <$t>::NEG_INFINITY;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                <$t>::from(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$t>::mul_add(self, a, b)
            }
            #[inline]
            fn exp(self) -> Self {
                super::core_math::$exp(self)
            }
            #[inline]
            fn ln(self) -> Self {
                super::core_math::$ln(self)
            }
            #[inline]
            fn tanh(self) -> Self {
                super::core_math::$tanh(self)
            }
            #[inline]
            fn erfc(self) -> Self {
                super::core_math::$erfc(self)
            }
            #[inline]
            fn sin(self) -> Self {
                super::core_math::$sin(self)
            }
            #[inline]
            fn cos(self) -> Self {
                super::core_math::$cos(self)
            }
            #[inline]
            fn pow(self, y: Self) -> Self {
                super::core_math::$pow(self, y)
            }
            #[inline]
            fn rsqrt(self) -> Self {
                super::core_math::$rsqrt(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            fn exp_each(values: &mut [Self]) {
                each::<Exp, $t>(Level::chosen(), values);
            }
            fn tanh_each(values: &mut [Self]) {
                each::<Tanh, $t>(Level::chosen(), values);
            }
            fn erfc_each(values: &mut [Self]) {
                each::<Erfc, $t>(Level::chosen(), values);
            }
            fn sin_each(values: &mut [Self]) {
                each::<Sin, $t>(Level::chosen(), values);
            }
            fn cos_each(values: &mut [Self]) {
                each::<Cos, $t>(Level::chosen(), values);
            }
            #[inline(always)]
            fn round_to(self, dtype: Dtype) -> Self {
                $round(self, dtype)
            }
            fn round_each(values: &mut [Self], dtype: Dtype) {
                super::rounding::round_each(values, dtype);
            }
            fn round_stochastic_each(values: &mut [Self], dtype: Dtype, stream: RandomStream, first: u64) {
                super::stochastic::round_stochastic_each(values, dtype, stream, first);
            }
            fn perturb_each(values: &mut [Self], stream: RandomStream, first: u64) {
                super::stochastic::perturb_each(values, stream, first);
            }
            fn divide_each(values: &mut [Self], divisor: Self) {
                super::quotients::divide_each(values, divisor);
            }
            fn scale_each(values: &mut [Self], factor: Self) {
                arithmetic::scale_each(values, factor);
            }
            fn subtract_each(values: &mut [Self], subtrahend: Self) {
                arithmetic::subtract_each(values, subtrahend);
            }
            fn maximum(values: &[Self]) -> Self {
                arithmetic::maximum(values)
            }
            fn rounded_sum(first: Self, values: &[Self], dtype: Dtype) -> Self {
                arithmetic::rounded_sum(first, values, dtype)
            }
            fn mean_square(values: &[Self]) -> Self {
                super::sum::mean_square(values)
            }
            fn softmax_each_row(rows: &mut [Self], stride: usize, width: usize, sink: Option<Self>) {
                softmax_rows::softmax_each_row(rows, stride, width, sink);
            }
        }
    };
}

real!(f64, F64, Dtype::F64, super::round_f64, exp log tanh erfc sin cos pow rsqrt);
real!(f32, F32, Dtype::F32, super::round_f32, expf logf tanhf erfcf sinf cosf powf rsqrtf);
