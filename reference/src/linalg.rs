//! Matrix products: the definition, and kernels that equal it to the bit.
//!
//! Knows scalars and arrays; knows nothing of models, files or sites. Stands in the crate `goldref-kernels`.

pub use goldref_kernels::linalg::*;
