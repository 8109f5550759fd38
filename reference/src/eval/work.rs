//! What an evaluation does, counted operation by operation: floating-point operations, and numbers read and written.

use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

/// Operations of a decoder, in the order in which a token meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Rows of the embedding, their scale, and learned positions.
    Embedding,
    /// RMSNorm and LayerNorm, those of queries and keys too.
    Norm,
    /// Linear layers: projections, MLP, head.
    Linear,
    /// Rotation of queries and keys.
    Rope,
    /// Storing new keys and values.
    Cache,
    /// `scale · q kᵀ`, softcap.
    Scores,
    /// Additive mask and softmax.
    Softmax,
    /// `probs v`.
    Context,
    /// Activation function and gate of an MLP.
    Activation,
    /// Sums on the residual stream, and factors on what is added.
    Residual,
    /// Factor and softcap of logits.
    Logits,
}

/// How many numbers, by where they live. How many bytes one takes is another question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Weights of the model.
    pub weights: u128,
    /// What one operation hands to the next.
    pub activations: u128,
    /// Scores and probabilities, which a fused attention keeps to itself.
    pub scores: u128,
    /// Keys and values in the cache.
    pub cache: u128,
}

/// What an operation does: each reads its operands and writes its result once.
///
/// A floating-point operation is one of + − × ÷ √ or one elementary function (exp, tanh); a multiply-add is two. Comparisons,
/// conversions and moving numbers are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Multiply-adds of matrix products.
    pub multiply_adds: u128,
    /// All other floating-point operations.
    pub other_flops: u128,
    /// Numbers read.
    pub read: Numbers,
    /// Numbers written.
    pub written: Numbers,
}

/// An array's length as a count.
fn wide(count: usize) -> u128 {
    count as u128
}

impl Work {
    /// Some multiply-adds.
    pub fn multiply_adds(count: usize) -> Self {
        Self { multiply_adds: wide(count), ..Self::default() }
    }

    /// Some other operations.
    pub fn flops(count: usize) -> Self {
        Self { other_flops: wide(count), ..Self::default() }
    }

    /// The same, with other operations besides.
    #[must_use]
    pub fn and_flops(mut self, count: usize) -> Self {
        self.other_flops += wide(count);
        self
    }

    /// The same, reading some activations too.
    #[must_use]
    pub fn reads(mut self, activations: usize) -> Self {
        self.read.activations += wide(activations);
        self
    }

    /// The same, reading some weights too.
    #[must_use]
    pub fn reads_weights(mut self, weights: usize) -> Self {
        self.read.weights += wide(weights);
        self
    }

    /// The same, reading some scores too.
    #[must_use]
    pub fn reads_scores(mut self, scores: usize) -> Self {
        self.read.scores += wide(scores);
        self
    }

    /// The same, reading some keys or values too.
    #[must_use]
    pub fn reads_cache(mut self, numbers: usize) -> Self {
        self.read.cache += wide(numbers);
        self
    }

    /// The same, writing some activations too.
    #[must_use]
    pub fn writes(mut self, activations: usize) -> Self {
        self.written.activations += wide(activations);
        self
    }

    /// The same, writing some scores too.
    #[must_use]
    pub fn writes_scores(mut self, scores: usize) -> Self {
        self.written.scores += wide(scores);
        self
    }

    /// The same, writing some keys or values too.
    #[must_use]
    pub fn writes_cache(mut self, numbers: usize) -> Self {
        self.written.cache += wide(numbers);
        self
    }

    /// All floating-point operations, a multiply-add as two.
    pub fn total_flops(&self) -> u128 {
        2 * self.multiply_adds + self.other_flops
    }
}

impl Add for Numbers {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            activations: self.activations + other.activations,
            scores: self.scores + other.scores,
            cache: self.cache + other.cache,
        }
    }
}

impl Add for Work {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            multiply_adds: self.multiply_adds + other.multiply_adds,
            other_flops: self.other_flops + other.other_flops,
            read: self.read + other.read,
            written: self.written + other.written,
        }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Counts what an evaluation does; see [`Evaluator::counted_by`](super::Evaluator::counted_by).
#[derive(Debug, Default)]
pub struct Counter {
    counts: RefCell<BTreeMap<Operation, Work>>,
}

impl Counter {
    pub(super) fn add(&self, operation: Operation, work: Work) {
        *self.counts.borrow_mut().entry(operation).or_default() += work;
    }

    /// What each operation did so far.
    pub fn counts(&self) -> BTreeMap<Operation, Work> {
        self.counts.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Evaluator, Numerics};
    use crate::num::Dtype;

    #[test]
    fn counts_add_up_by_operation_and_only_where_somebody_counts() {
        let counter = Counter::default();
        let eval = Evaluator::new(Numerics::plain(Dtype::F64)).counted_by(&counter);
        eval.count(Operation::Linear, Work::multiply_adds(12).and_flops(3).reads(4).reads_weights(5).writes(6));
        eval.count(Operation::Linear, Work::multiply_adds(1).reads_cache(7).writes_cache(8));
        eval.count(Operation::Scores, Work::flops(2).reads_scores(9).writes_scores(10));
        Evaluator::new(Numerics::plain(Dtype::F64)).count(Operation::Rope, Work::flops(1));
        let counts = counter.counts();
        assert_eq!(counts.len(), 2);
        let linear = counts[&Operation::Linear];
        assert_eq!((linear.total_flops(), linear.multiply_adds), (29, 13));
        assert_eq!(linear.read, Numbers { weights: 5, activations: 4, scores: 0, cache: 7 });
        assert_eq!(linear.written, Numbers { activations: 6, cache: 8, ..Numbers::default() });
        let all: Work = counts.into_values().sum();
        assert_eq!((all.other_flops, all.read.scores, all.written.scores), (5, 9, 10));
    }
}
