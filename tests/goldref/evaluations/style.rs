//! The ways in which one formula may rightly be computed.

use super::random::Random;
use goldref::num::Dtype;

/// How an operation is computed. Any value of it is a correct evaluation.
///
/// Arithmetic is f64 for storage in f64 and f32 for all others; inputs and outputs are rounded to the storage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Style {
    /// The format of inputs and outputs: f64, f32, f16 or bf16.
    pub(crate) storage: Dtype,
    /// The order of every sum.
    pub(crate) order: Order,
    /// How a product enters a sum.
    pub(crate) product: Product,
    /// Where intermediates are kept.
    pub(crate) stages: Stages,
    /// How softmax and attention go over the keys.
    pub(crate) pass: Pass,
}

/// The order in which terms are added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// First to last.
    Ascending,
    /// Last to first.
    Descending,
    /// Shuffled by this seed, differently for each length.
    Permuted(u64),
    /// Runs of eight, whose sums are added in a binary tree.
    Pairwise,
    /// Runs of so many, whose sums are added first to last.
    Blocked(usize),
}

/// How a product enters a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Product {
    /// Fused multiply-add: one rounding.
    Fused,
    /// Rounded, then added.
    Separate,
}

/// What becomes of a value between two steps of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stages {
    /// Stays in the format of the arithmetic, as in one fused kernel.
    Kept,
    /// Rounded to the storage wherever PyTorch's eager mode, one kernel a step, would store a tensor: a product before its
    /// bias, an activated gate, a normalised row before its weight, scores at each stage, probabilities.
    Stored,
}

/// How softmax and attention go over the keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pass {
    /// Maximum, exponentials, sum, quotient: each over the whole row.
    Whole,
    /// Block by block with a running maximum, as in flash attention; what was summed is rescaled when it rises.
    Online {
        /// Keys in a block.
        block: usize,
    },
}

impl Style {
    /// Ascending, fused, kept, whole: the plainest way.
    pub(crate) const fn plain(storage: Dtype) -> Self {
        Self { storage, order: Order::Ascending, product: Product::Fused, stages: Stages::Kept, pass: Pass::Whole }
    }

    /// Any way of computing with this storage.
    pub(crate) fn random(storage: Dtype, random: &mut Random) -> Self {
        let order = match random.below(5) {
            0 => Order::Ascending,
            1 => Order::Descending,
            2 => Order::Permuted(random.next()),
            3 => Order::Pairwise,
            _ => Order::Blocked([2, 3, 16, 32, 128][random.below(5)]),
        };
        let product = if random.one_in(2) { Product::Fused } else { Product::Separate };
        let stages = if random.one_in(2) { Stages::Kept } else { Stages::Stored };
        let pass = match random.below(2) {
            0 => Pass::Whole,
            _ => Pass::Online { block: [1, 2, 5, 16, 64][random.below(5)] },
        };
        Self { storage, order, product, stages, pass }
    }

    /// One style of each kind, for tests that go through all of them.
    pub(crate) fn every(storage: Dtype) -> Vec<Self> {
        let orders = [
            Order::Ascending,
            Order::Descending,
            Order::Permuted(7),
            Order::Pairwise,
            Order::Blocked(2),
            Order::Blocked(16),
        ];
        let passes = [Pass::Whole, Pass::Online { block: 1 }, Pass::Online { block: 4 }];
        let mut styles = Vec::new();
        for order in orders {
            for product in [Product::Fused, Product::Separate] {
                for stages in [Stages::Kept, Stages::Stored] {
                    styles.extend(passes.map(|pass| Self { storage, order, product, stages, pass }));
                }
            }
        }
        styles
    }
}
