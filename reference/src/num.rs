//! Scalars: formats and their constants, rounding, ulps, correctly rounded elementary functions, the defined sums.
//!
//! The lowest layer. Knows nothing of arrays, files or models. Stands in the crate `goldref-kernels`.

pub use goldref_kernels::linalg::Real;
pub use goldref_kernels::num::*;
