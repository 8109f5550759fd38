//! The facts of a block at once: loops over f64 values that become vector code, equal to the definition to the bit.
//!
//! One loop reads both sides, widens them and writes the errors; a second finds the counter of each error and counts.
//! Most blocks of two arrays that are near each other need no more: a further loop runs only where the first says
//! that it could find something (a new worst error, a missed rung, a zero, a value that is not finite). A block with
//! NaN or an infinity is first made finite: such pairs are classified one by one and replaced by 0 and 0, which count
//! for nothing. Where f64 would not give what the definition says (64-bit integers, numbers near the ends of f64), the
//! block goes to the definition.

#![expect(clippy::neg_cmp_op_on_partial_ord, reason = "predicates are written so that NaN falls on the failing side")]

use super::definition::{self, Indices};
use super::distribution::Distribution;
use super::lanes::Lanes;
use super::level::{Work, dispatch};
use super::misses::{locate, misses};
use super::operand::Operand;
use super::totals::{BLOCK, LANES, Rules, SUMS, Totals};
use super::worst::{outdone, worst};
use crate::num::Dtype;
use crate::simd::Level;

/// Memory for one worker. Its arrays begin with a cache line, so that no register spans two.
#[repr(C, align(64))]
pub(super) struct Scratch {
    actual: [f64; BLOCK],
    expected: [f64; BLOCK],
    err: [f64; BLOCK],
    missed: [u8; BLOCK],
    distribution: Distribution,
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        let zero = [0.0; BLOCK];
        Box::new(Self {
            actual: zero,
            expected: zero,
            err: zero,
            missed: [0; BLOCK],
            distribution: Distribution::new(),
        })
    }

    /// Adds what is still counted here to the totals.
    pub(super) fn flush(&mut self, totals: &mut Totals) {
        self.distribution.flush(&mut totals.bins);
    }
}

/// Adds elements `start..start + count`, at most a block.
pub(super) fn add_block(
    level: Level,
    scratch: &mut Scratch,
    totals: &mut Totals,
    (actual, expected): (&Operand, &Operand),
    (start, count): (usize, usize),
    rules: &Rules,
) {
    let define = |totals: &mut Totals| {
        definition::add_block(totals, actual, expected, Indices::Run(start..start + count), rules);
    };
    if level == Level::Definition {
        return define(totals);
    }
    // Whole lanes; the pairs of 0 and 0 at the end are taken out of the counts again.
    let padded = count.next_multiple_of(LANES);
    let mut values = match (actual.elements.singles(start, count), expected.elements.singles(start, count)) {
        (Some(actual), Some(expected)) if padded == count => Values::Singles(actual, expected),
        _ => Values::Loaded,
    };
    let mut not_finite = None;
    loop {
        if matches!(values, Values::Loaded) && not_finite.is_none() {
            let exact = actual.elements.load(level, start, &mut scratch.actual[..count])
                & expected.elements.load(level, start, &mut scratch.expected[..count]);
            if !exact {
                return define(totals);
            }
            scratch.actual[count..padded].fill(0.0);
            scratch.expected[count..padded].fill(0.0);
        }
        let ahead = [actual, expected].map(|side| side.elements.ahead(start + count, BLOCK));
        let operands = (actual, expected);
        let block = Block { scratch, totals, operands, values, start, count, padded, rules, not_finite, ahead };
        match dispatch(level, block) {
            Done::All => return,
            Done::NothingForDefinition => return define(totals),
            Done::NothingForSums if matches!(values, Values::Singles(..)) => values = Values::Loaded,
            Done::NothingForSums => not_finite = Some(make_finite(scratch, count)),
        }
    }
}

/// Where the values of a block are.
#[derive(Clone, Copy)]
enum Values<'x> {
    /// In the scratch memory.
    Loaded,
    /// Where they are stored, f32 on both sides; in the scratch memory only once they are widened.
    Singles(&'x [f32], &'x [f32]),
}

/// What came of a block.
enum Done {
    /// It is added.
    All,
    /// Nothing is added: it has to go to the definition.
    NothingForDefinition,
    /// Nothing is added: its sums are not finite, and it has to be looked at element by element.
    NothingForSums,
}

/// Marks the pairs that are not finite, and puts 0 and 0 in their place; how many there are.
fn make_finite(scratch: &mut Scratch, count: usize) -> usize {
    let mut not_finite = 0;
    scratch.missed.fill(0);
    for place in 0..count {
        let (a, e) = (&mut scratch.actual[place], &mut scratch.expected[place]);
        if !(a.is_finite() && e.is_finite()) {
            scratch.missed[place] = NOT_FINITE;
            (*a, *e) = (0.0, 0.0);
            not_finite += 1;
        }
    }
    not_finite
}

/// Stands in `Scratch::missed` for a pair that was not finite, until it is known whether it is a miss.
const NOT_FINITE: u8 = 2;

/// A block of values.
struct Block<'x, 'o> {
    scratch: &'x mut Scratch,
    totals: &'x mut Totals,
    operands: (&'x Operand<'o>, &'x Operand<'o>),
    values: Values<'x>,
    start: usize,
    /// Elements, and the same filled up to whole lanes.
    count: usize,
    padded: usize,
    rules: &'x Rules<'x>,
    /// Pairs that were not finite and stand as 0 and 0 now, as `scratch.missed` says; `None` before they were looked for.
    not_finite: Option<usize>,
    /// The bytes of the next block.
    ahead: [&'x [u8]; 2],
}

/// What the first loop finds.
pub(super) struct Extremes {
    pub(super) err: f64,
    expected: f64,
    /// Whether a value of either side is 0.
    zero: bool,
    /// Whether an error is large enough to be looked at as the worst relative one, or the worst in ulps.
    outdoing: bool,
}

impl Work for Block<'_, '_> {
    type Output = Done;
    #[inline(always)]
    fn run<V: Lanes>(self) -> Done {
        let Self { scratch, totals, operands, values, start, count, padded, rules, not_finite, ahead } = self;
        let Scratch { actual, expected, err, missed, distribution } = scratch;
        let (a, e, err) = (&mut actual[..padded], &mut expected[..padded], &mut err[..padded]);

        let mut lanes = [[0.0; LANES]; SUMS];
        let outdone = outdone(totals, rules);
        let extremes = match values {
            Values::Loaded => errors(chunks(a), chunks(e), V::load, err, outdone, &mut lanes),
            Values::Singles(a, e) => errors(chunks(a), chunks(e), V::widen, err, outdone, &mut lanes),
        };
        // A value that is not finite leaves a sum of squares that is not: nothing else has to be asked of most blocks.
        let squares = lanes[1].iter().chain(&lanes[2]).sum::<f64>();
        if not_finite.is_none() && !(squares <= f64::MAX) {
            return Done::NothingForSums;
        }
        let not_finite = not_finite.unwrap_or(0);
        let whole_f64 = operands.0.format == Some(Dtype::F64) || operands.1.format == Some(Dtype::F64);
        if whole_f64 && near_the_ends(&extremes, err) {
            return Done::NothingForDefinition;
        }

        let new_worst =
            extremes.err > 0.0 && (extremes.outdoing || totals.worst_abs.is_none_or(|worst| extremes.err > worst.err));
        let missed_rung = rules.rungs.iter().any(|rung| !(extremes.err <= rung.atol));
        if let Values::Singles(stored_a, stored_e) = values
            && (extremes.zero || new_worst || missed_rung)
        {
            widen(a, stored_a);
            widen(e, stored_e);
        }

        let fillers = (padded - count + not_finite) as u64;
        totals.compared += count as u64;
        totals.finite += (count - not_finite) as u64;
        if extremes.expected > totals.scale {
            totals.scale = extremes.expected;
        }
        totals.add_lanes(&lanes);
        if extremes.zero {
            for (census, values) in [(&mut totals.actual, &*a), (&mut totals.expected, &*e)] {
                census.zero += (self::count(values, values, |x, _| x == 0.0) - fillers) as usize;
                census.negative_zero += negative_zeros(values) as usize;
            }
        }
        let equal = if extremes.err > 0.0 {
            distribution.add::<V>(&mut totals.bins, err, extremes.err, ahead)
        } else {
            padded as u64
        };
        totals.bins.equal += equal - fillers;
        if new_worst {
            worst::<V>(totals, e, err, &extremes, start, rules);
        }

        if not_finite > 0 {
            for (place, missed) in missed[..count].iter_mut().enumerate().filter(|(_, missed)| **missed == NOT_FINITE) {
                let value = |side: &Operand| side.elements.value(start + place).to_f64();
                let same = totals.add_non_finite(start + place, value(operands.0), value(operands.1));
                *missed = u8::from(!same);
            }
        }
        if !missed_rung && not_finite == 0 {
            return Done::All;
        }
        if not_finite == 0 {
            missed[..padded].fill(0);
        }
        let located = misses(totals, e, err, &extremes, missed, rules);
        if located || (not_finite > 0 && rules.located < rules.rungs.len() && missed[..count].contains(&1)) {
            locate(totals, err, &missed[..count], start, rules);
        }
        Done::All
    }
}

/// A slice of whole lanes.
#[inline(always)]
fn chunks<T>(values: &[T]) -> &[[T; LANES]] {
    values.as_chunks::<LANES>().0
}

#[inline(always)]
fn widen(values: &mut [f64], stored: &[f32]) {
    for (value, &stored) in values.iter_mut().zip(stored) {
        *value = f64::from(stored);
    }
}

/// Errors, their sums and extremes.
#[inline(always)]
fn errors<V: Lanes, T>(
    a: &[[T; LANES]],
    e: &[[T; LANES]],
    load: impl Fn(&[T; LANES]) -> V,
    err: &mut [f64],
    outdone: f64,
    lanes: &mut [[f64; LANES]; SUMS],
) -> Extremes {
    let mut sums = [V::zero(); SUMS];
    let (mut max_err, mut max_expected, mut smallest) = (V::zero(), V::zero(), V::splat(f64::MAX));
    let (outdone, mut outdoing) = (V::splat(outdone), 0);
    for ((a, e), err) in a.iter().zip(e).zip(err.as_chunks_mut::<LANES>().0) {
        let (a, e) = (load(a), load(e));
        let difference = a.sub(e);
        let size = difference.abs();
        size.store(err);
        let terms = [difference.mul(difference), e.mul(e), a.mul(a), a.mul(e), difference];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum = sum.add(term);
        }
        let expected = e.abs();
        max_err = max_err.max(size);
        max_expected = max_expected.max(expected);
        smallest = smallest.min(expected.min(a.abs()));
        outdoing |= outdone.mul(expected).less(size);
    }
    for (lanes, sum) in lanes.iter_mut().zip(sums) {
        sum.store(lanes);
    }
    Extremes {
        err: largest_lane(max_err),
        expected: largest_lane(max_expected),
        zero: smallest.array().contains(&0.0),
        outdoing: outdoing != 0,
    }
}

#[inline(always)]
pub(super) fn largest_lane<V: Lanes>(lanes: V) -> f64 {
    largest_of(lanes.array())
}

/// The largest of numbers that are not NaN and have no minus sign.
#[inline(always)]
pub(super) fn largest_of(numbers: [f64; LANES]) -> f64 {
    let mut largest = 0.0;
    for x in numbers {
        largest = if x > largest { x } else { largest };
    }
    largest
}

/// Whether products by powers of two could leave the range of f64: only for numbers that f32 cannot hold.
#[inline(always)]
fn near_the_ends(extremes: &Extremes, err: &[f64]) -> bool {
    // 2^400 and 2^-400: far inside the range of f64, far outside of that of f32.
    let (high, low) = (f64::from_bits(1423 << 52), f64::from_bits(623 << 52));
    let mut tiny = false;
    for &err in err {
        tiny |= (err > 0.0) & (err < low);
    }
    tiny || extremes.expected > high || extremes.err > high
}

#[inline(always)]
fn negative_zeros(values: &[f64]) -> u64 {
    let mut count = 0;
    for value in values {
        count += u64::from(value.to_bits() == 1 << 63);
    }
    count
}

/// How many of the pairs are chosen.
#[inline(always)]
pub(super) fn count(err: &[f64], e: &[f64], chosen: impl Fn(f64, f64) -> bool) -> u64 {
    let mut count = 0;
    for (&err, &e) in err.iter().zip(e) {
        count += u64::from(chosen(err, e));
    }
    count
}
