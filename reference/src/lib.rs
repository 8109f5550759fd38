//! The right answers of goldref, and how far another answer may be off.
//!
//! Modules stand below in layer order: a module uses only those above it. For the mathematics read [`ops`], one file an operation, then the forward pass in
//! [`model`]; for the roundings [`eval::Numerics`] and the table in [`variant`].

// In layer order, each a group of its own so that the order stays.
pub mod harmless;

pub mod error;

pub mod simd;

pub mod num;

pub mod linalg;

#[cfg(feature = "reference")]
pub mod eval;

#[cfg(feature = "files")]
pub mod io;

#[cfg(feature = "reference")]
pub mod ops;

#[cfg(feature = "reference")]
pub mod model;

#[cfg(feature = "reference")]
pub mod cost;

#[cfg(feature = "compare")]
pub mod check;

#[cfg(feature = "reference")]
pub mod variant;

#[cfg(feature = "reference")]
pub mod fault;
