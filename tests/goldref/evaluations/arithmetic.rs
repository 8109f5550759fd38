//! The arithmetic of a style: each operation rounded to f32 or f64, sums in the order asked for.
//!
//! Numbers are f64 that hold values of the arithmetic's format. `+ − × ÷ √` of two f32 computed in f64 and rounded to f32
//! are correctly rounded, because 53 ≥ 2·24 + 2 (Figueroa, "When is double rounding innocuous?", 1995); a fused
//! multiply-add is not, and is asked of the hardware.

use super::random::Random;
use super::style::{Order, Product, Stages, Style};
use goldref::num::{Dtype, round_f64};

impl Style {
    /// The nearest number of the arithmetic's format.
    pub(super) fn r(&self, x: f64) -> f64 {
        if self.storage == Dtype::F64 { x } else { f64::from(x as f32) }
    }

    /// Rounded to the storage.
    pub(super) fn stored(&self, x: f64) -> f64 {
        round_f64(x, self.storage)
    }

    /// A value between two steps.
    pub(super) fn between(&self, x: f64) -> f64 {
        match self.stages {
            Stages::Kept => x,
            Stages::Stored => self.stored(x),
        }
    }

    pub(super) fn add(&self, a: f64, b: f64) -> f64 {
        self.r(a + b)
    }

    pub(super) fn sub(&self, a: f64, b: f64) -> f64 {
        self.r(a - b)
    }

    pub(super) fn mul(&self, a: f64, b: f64) -> f64 {
        self.r(a * b)
    }

    pub(super) fn div(&self, a: f64, b: f64) -> f64 {
        self.r(a / b)
    }

    pub(super) fn sqrt(&self, x: f64) -> f64 {
        self.r(x.sqrt())
    }

    /// The system's `exp`: within an ulp in f64, once rounded in f32.
    pub(super) fn exp(&self, x: f64) -> f64 {
        self.r(x.exp())
    }

    pub(super) fn ln(&self, x: f64) -> f64 {
        self.r(x.ln())
    }

    pub(super) fn tanh(&self, x: f64) -> f64 {
        self.r(x.tanh())
    }

    pub(super) fn pow(&self, x: f64, y: f64) -> f64 {
        self.r(x.powf(y))
    }

    /// `acc + a b`.
    fn accumulate(&self, acc: f64, a: f64, b: f64) -> f64 {
        match (self.product, self.storage) {
            (Product::Separate, _) => self.add(acc, self.mul(a, b)),
            (Product::Fused, Dtype::F64) => a.mul_add(b, acc),
            (Product::Fused, _) => f64::from((a as f32).mul_add(b as f32, acc as f32)),
        }
    }

    /// The order of sums of `length` terms.
    pub(super) fn sums(&self, length: usize) -> Sums<'_> {
        let ascending: Vec<usize> = (0..length).collect();
        let runs = |size: usize| ascending.chunks(size.max(1)).map(<[usize]>::to_vec).collect();
        let runs = match self.order {
            Order::Ascending => runs(length),
            Order::Descending => vec![ascending.into_iter().rev().collect()],
            Order::Permuted(seed) => vec![shuffled(ascending, seed)],
            Order::Pairwise => runs(8),
            Order::Blocked(size) => runs(size),
        };
        Sums { style: self, runs }
    }
}

fn shuffled(mut indices: Vec<usize>, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed ^ indices.len() as u64);
    for last in (1..indices.len()).rev() {
        indices.swap(last, random.below(last + 1));
    }
    indices
}

/// Sums of one length, in one order: within each run by a fold, then the runs' sums together.
pub(super) struct Sums<'a> {
    style: &'a Style,
    runs: Vec<Vec<usize>>,
}

impl Sums<'_> {
    /// `Σ aᵢ bᵢ`.
    pub(super) fn dot(&self, a: &[f64], b: &[f64]) -> f64 {
        let run = |run: &Vec<usize>| run.iter().fold(0.0, |acc, &i| self.style.accumulate(acc, a[i], b[i]));
        self.together(self.runs.iter().map(run).collect())
    }

    /// `Σ aᵢ`.
    pub(super) fn of(&self, a: &[f64]) -> f64 {
        let run = |run: &Vec<usize>| run.iter().fold(0.0, |acc, &i| self.style.add(acc, a[i]));
        self.together(self.runs.iter().map(run).collect())
    }

    fn together(&self, mut partial: Vec<f64>) -> f64 {
        if self.style.order == Order::Pairwise {
            while partial.len() > 1 {
                partial = partial
                    .chunks(2)
                    .map(|pair| pair.iter().copied().reduce(|a, b| self.style.add(a, b)).unwrap_or(0.0))
                    .collect();
            }
        }
        partial.into_iter().fold(0.0, |acc, x| self.style.add(acc, x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(order: Order, product: Product) -> Style {
        Style { order, product, ..Style::plain(Dtype::F32) }
    }

    fn sum(order: Order, terms: &[f64]) -> f64 {
        style(order, Product::Fused).sums(terms.len()).of(terms)
    }

    #[test]
    fn orders_are_what_they_say() {
        // In f32, 2^24 + 1 is a tie and goes to the even 2^24; 1 + 1 first gives 2^24 + 2.
        let big = 16_777_216.0;
        let terms = [big, 1.0, 1.0, 1.0];
        assert_eq!(sum(Order::Ascending, &terms), big);
        // 3 + 2^24 is a tie between 2^24 + 2 and 2^24 + 4, whose significand is even.
        assert_eq!(sum(Order::Descending, &terms), big + 4.0);
        // (2^24 + 1) + (1 + 1).
        assert_eq!(sum(Order::Blocked(2), &terms), big + 2.0);
        assert_eq!(sum(Order::Blocked(16), &terms), big);
        // Runs of eight: 2^24 alone swallows the ones of its own run; the next three runs give 8 each, the tree
        // adds (2^24 + 8) + (8 + 8).
        let mut many = vec![1.0; 32];
        many[0] = big;
        assert_eq!(sum(Order::Pairwise, &many), big + 24.0);
        let shuffles: std::collections::BTreeSet<Vec<usize>> =
            (0..20).map(|seed| shuffled((0..6).collect(), seed)).collect();
        assert!(shuffles.len() > 15);
        for order in shuffles {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn a_fused_product_is_rounded_once() {
        // (1 + 2^-12)² = 1 + 2^-11 + 2^-24; the last term is half an ulp and lost when the product is rounded.
        let x = 1.0 + 2f64.powi(-12);
        let (a, b) = ([-(1.0 + 2f64.powi(-11)), x], [1.0, x]);
        let dot = |product| style(Order::Ascending, product).sums(2).dot(&a, &b);
        assert_eq!(dot(Product::Fused), 2f64.powi(-24));
        assert_eq!(dot(Product::Separate), 0.0);
    }

    #[test]
    fn sums_of_nothing_are_zero() {
        for style in Style::every(Dtype::F32) {
            assert_eq!((style.sums(0).of(&[]), style.sums(0).dot(&[], &[])), (0.0, 0.0));
        }
    }

    #[test]
    fn only_stored_stages_are_rounded() {
        let kept = Style::plain(Dtype::Bf16);
        let stored = Style { stages: Stages::Stored, ..kept };
        // 257 is not a number of bf16; 256 is.
        assert_eq!((kept.between(257.0), stored.between(257.0), kept.stored(257.0)), (257.0, 256.0, 256.0));
    }
}
