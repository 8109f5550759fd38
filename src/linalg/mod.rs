//! Matrix products: the definition, and kernels that equal it to the bit.
//!
//! Knows scalars and arrays; knows nothing of models, files or sites.

mod definition;
mod kernel;
mod order;

pub use definition::{matmul_definition, weighted_sum_definition};
pub use kernel::{matmul, weighted_sum};
pub use order::Order;

use crate::num::{Dtype, Real};

/// How a product is rounded on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductRules {
    /// Both operands are rounded to this format first (tf32).
    pub operands: Dtype,
    /// The running sum is rounded to this format after each fused multiply-add.
    pub accumulator: Dtype,
    /// In which order the terms are added.
    pub order: Order,
}

impl ProductRules {
    /// No rounding but that of the scalar type itself.
    pub const fn exact_operands<T: Real>() -> Self {
        Self { operands: T::DTYPE, accumulator: T::DTYPE, order: Order::Ascending }
    }

    fn rounds_operands<T: Real>(self) -> bool {
        self.operands.precision() < T::DTYPE.precision()
    }

    fn rounds_accumulator<T: Real>(self) -> bool {
        self.accumulator.precision() < T::DTYPE.precision()
    }
}
