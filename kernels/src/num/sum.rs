//! The defined sums. Each is a left fold in ascending order, started at +0, so that its bits depend on
//! the values and on nothing else: not on blocks, threads or the CPU.

use super::Float;
use crate::simd::{Isa, Level, Work, dispatch};

/// `((0 + x₀) + x₁) + …`.
#[inline]
pub fn sum<T: Float>(x: &[T]) -> T {
    x.iter().fold(T::ZERO, |acc, &x| acc + x)
}

/// `sum(x) / n`.
#[inline]
pub fn mean<T: Float>(x: &[T]) -> T {
    sum(x) / T::from_f64(x.len() as f64)
}

/// `(Σ x²) / n`, the squares added by fused multiply-add.
pub(super) fn mean_square<T: Float>(x: &[T]) -> T {
    // Compiled for the instruction set, since without it a fused multiply-add is a call.
    struct SumOfSquares<'a, T>(&'a [T]);
    impl<T: Float> Work for SumOfSquares<'_, T> {
        type Output = T;
        #[inline(always)]
        fn run<I: Isa>(self) -> T {
            let mut acc = T::ZERO;
            for &x in self.0 {
                acc = x.mul_add(x, acc);
            }
            acc
        }
    }
    dispatch(Level::chosen(), SumOfSquares(x)) / T::from_f64(x.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_ascending() {
        // 2^53 + 1 is lost when added first to last, and kept from last to first.
        assert_eq!(sum(&[2f64.powi(53), 1.0, 1.0]), 2f64.powi(53));
        assert_eq!(sum(&[1.0, 1.0, 2f64.powi(53)]), 2f64.powi(53) + 2.0);
    }
}
