//! Matrix products: the definition, and kernels that equal it to the bit.
//!
//! Knows scalars and arrays; knows nothing of models, files or sites.

pub mod arrays;
pub mod convert;
mod definition;
mod few_rows;
mod kernel;
mod operand;
mod order;
mod pack;
mod plain;
mod rounded;
mod tile;
mod tiled;

pub use definition::{matmul_definition, weighted_sum_definition};
pub use kernel::{matmul, matmul_at, weighted_sum, weighted_sum_at};
pub use operand::{Operand, Real};
pub use order::Order;
pub use tiled::Packed;

use crate::num::{Dtype, Float};

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

/// Which terms a sum has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// All.
    All,
    /// Those whose left factor is not 0: what a masked key holds, NaN included, is not read.
    NonZeroWeights,
}

impl ProductRules {
    /// No rounding but that of the scalar type itself.
    pub const fn exact_operands<T: Float>() -> Self {
        Self { operands: T::DTYPE, accumulator: T::DTYPE, order: Order::Ascending }
    }

    /// Whether the running sums are the scalar's own and in ascending order.
    pub fn only_rounds_operands<T: Float>(self) -> bool {
        !self.rounds_accumulator::<T>() && self.order == Order::Ascending
    }

    fn rounds_operands<T: Float>(self) -> bool {
        self.operands.precision() < T::DTYPE.precision()
    }

    fn rounds_accumulator<T: Float>(self) -> bool {
        self.accumulator.precision() < T::DTYPE.precision()
    }
}
