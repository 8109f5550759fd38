//! What a question is made of: small sizes and the kind of numbers, as plain data that shrinks.

use crate::error::{Error, Result};
use crate::num::RandomStream;
use crate::num::sort::sorted_indices;
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// The sizes and numbers of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Seed of all numbers.
    pub seed: u64,
    /// Requests side by side.
    pub batch: usize,
    /// Key heads.
    pub kv_heads: usize,
    /// Query heads that share a key head.
    pub group: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Tokens before a cut: those of a prompt, or of a past.
    pub first: usize,
    /// Tokens from the cut on.
    pub then: usize,
    /// What the numbers are.
    pub values: Values,
}

/// Normal numbers are multiples of its reciprocal.
const GRID: f64 = 1024.0;

/// The kind of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Whole numbers from -2 to 2: a counterexample of these is read by eye.
    Small,
    /// Normally distributed, rounded to multiples of 2⁻¹⁰.
    Normal,
}

/// All samples; they shrink to one request, one head, two features, two tokens and whole numbers.
pub(super) fn samples() -> impl Strategy<Value = Sample> {
    let sizes = (1usize..=3, 1usize..=3, 1usize..=3, 1usize..=8);
    let values = prop_oneof![Just(Values::Small), Just(Values::Normal)];
    (any::<u64>().no_shrink(), sizes, 1usize..=9, 1usize..=9, values).prop_map(
        |(seed, (batch, kv_heads, group, half), first, then, values)| Sample {
            seed,
            batch,
            kv_heads,
            group,
            head_dim: 2 * half,
            first,
            then,
            values,
        },
    )
}

impl Sample {
    /// Query heads.
    pub fn heads(&self) -> usize {
        self.kv_heads * self.group
    }

    /// All tokens.
    pub fn tokens(&self) -> usize {
        self.first + self.then
    }

    /// Whether its sizes are those of a question that may be asked; a file may say anything.
    ///
    /// # Errors
    /// Sizes of 0 or beyond what is ever sampled.
    pub(super) fn refuse(&self) -> Result<()> {
        let sizes = [self.batch, self.kv_heads, self.group, self.head_dim, self.first, self.then];
        if sizes.iter().all(|size| (1..=64).contains(size)) && self.head_dim.is_multiple_of(2) {
            return Ok(());
        }
        Err(Error::ask("the sizes of its sample must be between 1 and 64, and head_dim even"))
    }

    /// Arrays of this sample, one after the other.
    pub(super) fn numbers(&self) -> Numbers {
        Numbers { seed: self.seed, values: self.values, arrays: Cell::new(0) }
    }

    /// In words, for a counterexample.
    pub fn in_words(&self) -> String {
        let plural = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        format!(
            "{}, {} over {}, head_dim {}, {} + {}, {}",
            plural(self.batch, "request"),
            plural(self.heads(), "query head"),
            plural(self.kv_heads, "key head"),
            self.head_dim,
            self.first,
            plural(self.then, "token"),
            match self.values {
                Values::Small => "whole numbers from -2 to 2",
                Values::Normal => "normal numbers",
            }
        )
    }
}

/// Hands out arrays, each of a stream of its own.
#[derive(Debug)]
pub(super) struct Numbers {
    seed: u64,
    values: Values,
    arrays: Cell<u64>,
}

impl Numbers {
    fn stream(&self) -> RandomStream {
        let array = self.arrays.replace(self.arrays.get() + 1);
        RandomStream::new(self.seed, array)
    }

    /// Numbers of the sample's kind. They are multiples of 2⁻¹⁰, so that sums of a few of them are exact in f32 too.
    pub(super) fn array(&self, shape: &[usize]) -> ArrayD<f64> {
        let stream = self.stream();
        let mut index = 0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            index += 1;
            match self.values {
                Values::Small => stream.below(index, 5) as f64 - 2.0,
                // The sum of twelve uniform numbers: near enough to normal.
                Values::Normal => {
                    let sum: f64 = (0..12).map(|part| stream.uniform(12 * index + part)).sum();
                    ((sum - 6.0) * GRID).round() / GRID
                }
            }
        })
    }

    /// Whole numbers below `bound`.
    pub(super) fn below(&self, shape: &[usize], bound: usize) -> ArrayD<i64> {
        let stream = self.stream();
        let mut index = 0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            index += 1;
            stream.below(index, bound) as i64
        })
    }

    /// Whole numbers from `least` on, `count` of them.
    pub(super) fn whole(&self, shape: &[usize], count: usize, least: f64) -> ArrayD<f64> {
        let stream = self.stream();
        let mut index = 0;
        ArrayD::from_shape_simple_fn(IxDyn(shape), || {
            index += 1;
            stream.below(index, count) as f64 + least
        })
    }

    /// The numbers 0 to `len - 1` in another order.
    pub(super) fn permutation(&self, len: usize) -> Vec<usize> {
        let stream = self.stream();
        sorted_indices(len, &|a, b| stream.bits(a as u64).cmp(&stream.bits(b as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_a_sample_differ_and_come_again_alike() {
        let sample =
            Sample { seed: 7, batch: 1, kv_heads: 1, group: 2, head_dim: 4, first: 2, then: 1, values: Values::Normal };
        let (one, other) = (sample.numbers(), sample.numbers());
        let (a, b) = (one.array(&[40]), one.array(&[40]));
        assert_ne!(a, b);
        assert_eq!((other.array(&[40]), other.array(&[40])), (a.clone(), b));
        assert!(a.iter().all(|x| x.abs() < 6.0 && f64::from(*x as f32) == *x) && a.iter().any(|x| x.abs() > 1.0));
        let mut order = one.permutation(9);
        assert_ne!(order, (0..9).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
        assert_eq!(
            sample.in_words(),
            "1 request, 2 query heads over 1 key head, head_dim 4, 2 + 1 token, normal numbers"
        );
    }
}
