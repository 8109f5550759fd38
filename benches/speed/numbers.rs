//! Numbers of no meaning, the same in each run.

use goldref::num::Real;
use ndarray::{Array, Dimension, ShapeBuilder, StrideShape};

/// So many in (-1, 1).
pub(crate) fn numbers<T: Real>(count: usize) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// An array of them.
pub(crate) fn array<T: Real, D: Dimension>(shape: impl ShapeBuilder<Dim = D> + Into<StrideShape<D>>) -> Array<T, D> {
    let shape = shape.into();
    let numbers = numbers(shape.size());
    Array::from_shape_vec(shape, numbers).expect("as many numbers as the shape has elements")
}
