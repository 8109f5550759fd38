//! Stable sorting, compiled once.
//!
//! The sort of the standard library is compiled anew, with some 2000 lines of LLVM IR, for each type and each comparison. This one sorts
//! the indices instead and asks the comparison through a reference: right for lists of which the order is not the work.

use std::cmp::Ordering;

/// Sorts `items` by `compare`; equal items stay in their order.
pub fn sort_by<T>(items: &mut [T], compare: &dyn Fn(&T, &T) -> Ordering) {
    let mut order = sorted_indices(items.len(), &|a, b| compare(&items[a], &items[b]));
    // Cycle by cycle: each place takes the item that belongs there, and the one it held moves on to where that came from.
    for start in 0..order.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// The indices below `len` in the order of `compare`; equal ones ascend.
pub fn sorted_indices(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..len).collect();
    indices.sort_by(|&a, &b| compare(a, b));
    indices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(items in prop::collection::vec((0u8..9, any::<u32>()), 0..200)) {
            let (mut actual, mut expected) = (items.clone(), items);
            sort_by(&mut actual, &|a, b| a.0.cmp(&b.0));
            expected.sort_by_key(|item| item.0);
            prop_assert_eq!(actual, expected);
        }
    }
}
