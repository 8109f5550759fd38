//! Differences and products of each value with one number, rounded sums and the maximum: loops that become vector code at every instruction set.

use super::{Dtype, Float};
use crate::simd::{Isa, Level, Work, dispatch};

/// Running maxima.
const LANES: usize = 32;

/// See [`super::scale_each`].
pub(super) fn scale_each<T: Float>(values: &mut [T], factor: T) {
    struct Scaled<'a, T>(&'a mut [T], T);
    impl<T: Float> Work for Scaled<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            for x in self.0.iter_mut() {
                *x = *x * self.1;
            }
        }
    }
    dispatch(Level::chosen(), Scaled(values, factor));
}

/// See [`super::subtract_each`].
pub(super) fn subtract_each<T: Float>(values: &mut [T], subtrahend: T) {
    struct Shifted<'a, T>(&'a mut [T], T);
    impl<T: Float> Work for Shifted<'_, T> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            for x in self.0.iter_mut() {
                *x = *x - self.1;
            }
        }
    }
    dispatch(Level::chosen(), Shifted(values, subtrahend));
}

/// See [`super::rounded_sum`].
pub(super) fn rounded_sum<T: Float>(first: T, values: &[T], dtype: Dtype) -> T {
    let mut sum = first;
    if dtype.precision() < T::DTYPE.precision() {
        for &x in values {
            sum = (sum + x).round_to(dtype);
        }
    } else {
        for &x in values {
            sum = sum + x;
        }
    }
    sum
}

/// See [`super::maximum`].
pub(super) fn maximum<T: Float>(values: &[T]) -> T {
    let largest = dispatch(Level::chosen(), Largest(values));
    if largest == T::ZERO {
        // Which of the two zeros: the first.
        return values.iter().copied().find(|&x| x == T::ZERO).unwrap_or(largest);
    }
    largest
}

/// See [`largest`].
struct Largest<'a, T>(&'a [T]);

impl<T: Float> Work for Largest<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run<I: Isa>(self) -> T {
        largest(self.0, None)
    }
}

/// The largest of the values and one more, NaN if any is; of zeros either. To be called from work that is compiled for a level.
#[inline(always)]
pub(super) fn largest<T: Float>(values: &[T], one_more: Option<T>) -> T {
    let (mut lanes, mut odd) = ([T::NEG_INFINITY; LANES], [false; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let x = chunk[lane];
            odd[lane] |= x.is_nan();
            lanes[lane] = if x > lanes[lane] { x } else { lanes[lane] };
        }
    }
    let mut largest = T::NEG_INFINITY;
    let mut any_nan = odd.contains(&true);
    for &x in rest.iter().chain(&lanes).chain(&one_more) {
        largest = if x > largest { x } else { largest };
        any_nan |= x.is_nan();
    }
    // A maximum that hides a NaN would hide the fault.
    if any_nan { T::from_f64(f64::NAN) } else { largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maximum_keeps_nan_wherever_it_stands_and_the_first_zero() {
        for length in [1, 31, 32, 33, 100] {
            for at in 0..length {
                let mut values: Vec<f64> = (0..length).map(|i| -1.0 - i as f64).collect();
                values[at] = 2.5;
                assert_eq!(maximum(&values), 2.5);
                values[at] = f64::NAN;
                assert!(maximum(&values).is_nan(), "{at} of {length}");
                values[at] = -0.0;
                values[length - 1 - at] = 0.0;
                let first_is_negative = at < length - 1 - at;
                assert_eq!(maximum(&values).is_sign_negative(), first_is_negative, "{at} of {length}");
            }
        }
        assert_eq!(maximum::<f64>(&[]), f64::NEG_INFINITY);
        assert_eq!(maximum(&[f64::NEG_INFINITY, -3.0]), -3.0);
        assert!(maximum(&[f32::NAN]).is_nan());
    }

    #[test]
    fn each_partial_sum_is_rounded() {
        // 256 + 1 goes back to 256 in bf16, each time.
        assert_eq!(rounded_sum(256.0f32, &[1.0; 8], Dtype::Bf16), 256.0);
        assert_eq!(rounded_sum(256.0f32, &[1.0; 8], Dtype::F32), 264.0);
        assert_eq!(rounded_sum(0.0f32, &[1.0; 300], Dtype::Bf16), 256.0);
    }

    #[test]
    fn a_difference_is_that_of_each() {
        let mut values: Vec<f32> = (0..70).map(|i| i as f32 / 3.0).collect();
        let expected: Vec<f32> = values.iter().map(|x| x - 0.7).collect();
        subtract_each(&mut values, 0.7);
        assert_eq!(values, expected);
    }
}
