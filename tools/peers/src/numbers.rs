//! Numbers of no meaning.

use goldref::num::Real;
use ndarray::Array2;

/// In (-1, 1), the same in each run.
pub fn numbers<T: Real>(rows: usize, columns: usize) -> Array2<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    Array2::from_shape_simple_fn((rows, columns), || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    })
}
