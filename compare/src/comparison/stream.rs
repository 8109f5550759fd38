//! One pass over two operands on all cores.
//!
//! The parts that are worked on at the same time, and the order in which their results are added up, depend on the
//! number of elements alone: the facts are the same with one thread and with many.

use super::definition::{self, Indices};
use super::kernel::{self, Scratch};
use super::operand::Operand;
use super::totals::{BLOCK, Rules, Totals};
use crate::num::parallel;
use crate::simd::Level;

/// Below this many elements, threads cost more than they save.
const WORTH_THREADS: usize = 1 << 17;
/// Parts of a large array. Each keeps its own counts, so that their number bounds the memory.
const PARTS: usize = 128;

/// Everything about all elements.
pub(super) fn all(level: Level, actual: &Operand, expected: &Operand, rules: &Rules) -> Totals {
    let count = expected.len();
    if count < WORTH_THREADS {
        return part(level, actual, expected, (0, count), rules);
    }
    let length = count.div_ceil(PARTS).next_multiple_of(BLOCK);
    let parts = parallel::map(count.div_ceil(length), &|number| {
        let start = number * length;
        part(level, actual, expected, (start, length.min(count - start)), rules)
    });
    let mut totals = Totals::new(rules.rungs.len());
    parts.into_iter().for_each(|part| totals.append(part));
    totals.shown.truncate(rules.show);
    totals
}

/// Everything about some elements, which need not be neighbours.
pub(super) fn listed(actual: &Operand, expected: &Operand, indices: &[usize], rules: &Rules) -> Totals {
    let mut totals = Totals::new(rules.rungs.len());
    for block in indices.chunks(BLOCK) {
        definition::add_block(&mut totals, actual, expected, Indices::List(block), rules);
    }
    totals
}

fn part(level: Level, actual: &Operand, expected: &Operand, (start, count): (usize, usize), rules: &Rules) -> Totals {
    let mut totals = Totals::new(rules.rungs.len());
    let mut scratch = Scratch::new();
    for at in (start..start + count).step_by(BLOCK) {
        let block = (at, BLOCK.min(start + count - at));
        kernel::add_block(level, &mut scratch, &mut totals, (actual, expected), block, rules);
    }
    scratch.flush(&mut totals);
    totals
}
