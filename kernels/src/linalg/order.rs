//! In which order the terms of a product are added.

use crate::num::RandomStream;

/// The order of the terms of a sum over k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Upward, which defines the bits of the reference.
    #[default]
    Ascending,
    /// Another order that would be as right: a permutation which depends on the seed and on the number of terms.
    Permuted {
        /// Another seed, another order.
        seed: u64,
    },
}

impl Order {
    /// The places of `len` terms in the order they are added; `None` where that is the order they stand in.
    pub fn permutation(self, len: usize) -> Option<Vec<usize>> {
        let Self::Permuted { seed } = self else { return None };
        let stream = RandomStream::new(seed, len as u64);
        let mut places: Vec<usize> = (0..len).collect();
        // Fisher and Yates: each place from the last one down is exchanged with one at or before it.
        for last in (1..len).rev() {
            places.swap(last, stream.below(last as u64, last + 1));
        }
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_is_added_once_and_the_seed_decides_when() {
        for len in [0, 1, 2, 7, 300] {
            let mut places = Order::Permuted { seed: 3 }.permutation(len).unwrap();
            assert_eq!(places.len(), len);
            places.sort_unstable();
            assert!(places.iter().copied().eq(0..len));
        }
        let of = |seed| Order::Permuted { seed }.permutation(64);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(Order::Ascending.permutation(64), None);
    }

    #[test]
    fn every_order_of_three_comes_up_about_as_often() {
        // Binomial(6000, 1/6): 1000 ± 5 · 28.9.
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(Order::Permuted { seed }.permutation(3).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|n| (856..=1144).contains(n)), "{counts:?}");
    }
}
