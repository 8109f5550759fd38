//! Functions over slices: each calls the one compiled for the scalar, so that a crate that is generic over it compiles none of them anew.

use super::{Dtype, Float, RandomStream};

/// Each value rounded to nearest even in `dtype`, as by [`super::round_f64`] and [`super::round_f32`].
#[inline]
pub fn round_each<T: Float>(values: &mut [T], dtype: Dtype) {
    T::round_each(values, dtype);
}

/// Each value becomes [`super::round_stochastic`] of it with the chance of its place: that of element `first` of the stream for
/// the first one. A format at least as wide as the scalar changes nothing.
#[inline]
pub fn round_stochastic_each<T: Float>(values: &mut [T], dtype: Dtype, stream: RandomStream, first: u64) {
    T::round_stochastic_each(values, dtype, stream, first);
}

/// Each value becomes [`super::perturb`] of it in its own format, with the chance of its place.
#[inline]
pub fn perturb_each<T: Float>(values: &mut [T], stream: RandomStream, first: u64) {
    T::perturb_each(values, stream, first);
}

/// Each value becomes its quotient by `divisor`, correctly rounded as `/` is.
#[inline]
pub fn divide_each<T: Float>(values: &mut [T], divisor: T) {
    T::divide_each(values, divisor);
}

/// Each value becomes its product with `factor`, correctly rounded as `*` is.
#[inline]
pub fn scale_each<T: Float>(values: &mut [T], factor: T) {
    T::scale_each(values, factor);
}

/// Each value becomes its difference `x - subtrahend`, correctly rounded as `-` is.
#[inline]
pub fn subtract_each<T: Float>(values: &mut [T], subtrahend: T) {
    T::subtract_each(values, subtrahend);
}

/// The largest value; NaN if any value is NaN; −∞ of nothing. Of zeros, the first.
#[inline]
pub fn maximum<T: Float>(values: &[T]) -> T {
    T::maximum(values)
}

/// `((first + x₀) + x₁) + …`, each partial sum rounded to nearest even in `dtype`; a format at least as wide as the scalar's changes nothing.
#[inline]
pub fn rounded_sum<T: Float>(first: T, values: &[T], dtype: Dtype) -> T {
    T::rounded_sum(first, values, dtype)
}

/// `(Σ x²) / n`, the squares added by fused multiply-add.
#[inline]
pub fn mean_square<T: Float>(values: &[T]) -> T {
    T::mean_square(values)
}

/// The softmax of each row of `width` values, rows beginning `stride` apart; all with the same sink, a score that has no value:
///
/// ```text
/// m = max(max sⱼ, sink)      eⱼ = exp(sⱼ − m)      pⱼ = eⱼ / (exp(sink − m) + Σ eⱼ)
/// ```
/// The sum begins with the sink's term and goes on in ascending order. A row of −∞ alone, without a finite sink, becomes zeros; NaN anywhere makes
/// a row of NaN. What lies between the rows is left as it is.
///
/// # Panics
/// If `stride` is 0 or less than `width`.
#[inline]
pub fn softmax_each_row<T: Float>(rows: &mut [T], stride: usize, width: usize, sink: Option<T>) {
    T::softmax_each_row(rows, stride, width, sink);
}
