//! The numbers of goldref: formats, defined sums and products, correctly rounded functions, and kernels that equal them to the bit.
//!
//! Three layers, each using only those above it: [`simd`] (processors), [`num`] (scalars and slices of them), [`linalg`] (products). The
//! crate is compiled with all optimisation and seldom changes. What leaves it is concrete: functions that are generic over the scalar
//! call a method of [`num::Float`], [`linalg::Operand`] or [`linalg::Real`], which is compiled here, once for each scalar, and not
//! anew in each crate that uses it, at whatever level that is optimised.

pub mod simd;

pub mod num;

pub mod linalg;
