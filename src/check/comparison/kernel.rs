//! The facts of a block at once: loops over f64 values that become vector code, equal to the definition to the bit.
//!
//! A block is first made finite: pairs with NaN or an infinity are classified one by one and replaced by 0 and 0,
//! which count for nothing. Then a few plain loops run over it. Where f64 would not give what the definition says
//! (64-bit integers, numbers near the ends of f64), the block goes to the definition.

#![expect(clippy::neg_cmp_op_on_partial_ord, reason = "predicates are written so that NaN falls on the failing side")]

use super::definition::{self, Indices};
use super::lanes::Lanes;
use super::level::{Level, Work, dispatch};
use super::operand::Operand;
use super::totals::{BLOCK, LANES, Rules, SUMS, Totals, Worst, keep_worst, largest};
use crate::check::Rung;
use crate::check::histogram::{BINS, bin};
use crate::check::locate::finite_square;
use crate::num::Dtype;

/// Histograms that neighbouring elements go to in turn, so that equal errors do not wait for one another.
const TURNS: usize = 2;
/// Blocks after which the counts of 32 bits are added up.
const BLOCKS_A_FLUSH: usize = u32::MAX as usize / BLOCK - 1;

/// Memory for one worker.
pub(super) struct Scratch {
    actual: [f64; BLOCK],
    expected: [f64; BLOCK],
    err: [f64; BLOCK],
    bins: [u16; BLOCK],
    missed: [u8; BLOCK],
    counts: Box<[[u32; BINS]; TURNS]>,
    blocks: usize,
}

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        let zero = [0.0; BLOCK];
        Box::new(Self {
            actual: zero,
            expected: zero,
            err: zero,
            bins: [0; BLOCK],
            missed: [0; BLOCK],
            counts: Box::new([[0; BINS]; TURNS]),
            blocks: 0,
        })
    }

    /// Adds the counts of 32 bits to the totals.
    pub(super) fn flush(&mut self, totals: &mut Totals) {
        if self.blocks == 0 {
            return;
        }
        for counts in self.counts.iter_mut() {
            for (sum, count) in totals.bins.fine.iter_mut().zip(counts.iter_mut()) {
                *sum += u64::from(*count);
                *count = 0;
            }
        }
        self.blocks = 0;
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
    let exact = actual.elements.load(level, start, &mut scratch.actual[..count])
        & expected.elements.load(level, start, &mut scratch.expected[..count]);
    if !exact {
        return define(totals);
    }
    // Whole lanes; the pairs of 0 and 0 at the end are taken out of the counts again.
    let padded = count.next_multiple_of(LANES);
    scratch.actual[count..padded].fill(0.0);
    scratch.expected[count..padded].fill(0.0);
    let mut not_finite = None;
    loop {
        let ahead = [actual, expected].map(|side| side.elements.ahead(start + count, BLOCK));
        let operands = (actual, expected);
        let block = Block { scratch, totals, operands, start, count, padded, rules, not_finite, ahead };
        match dispatch(level, block) {
            Done::All => break,
            Done::NothingForDefinition => return define(totals),
            Done::NothingForSums => not_finite = Some(make_finite(scratch, count)),
        }
    }
    if scratch.blocks == BLOCKS_A_FLUSH {
        scratch.flush(totals);
    }
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

/// Parts of the next block that are fetched between the loops over this one: memory works while the loops compute, and
/// its queue is not overrun.
const FETCHES: usize = 4;

/// Asks for one part of the bytes to come; changes nothing but when they come.
#[inline(always)]
fn fetch(ahead: [&[u8]; 2], part: usize) {
    const LINE: usize = 64;
    for bytes in ahead {
        let (start, end) = (part * bytes.len() / FETCHES, (part + 1) * bytes.len() / FETCHES);
        for line in bytes[start..end].chunks(LINE) {
            // SAFETY: a hint about an address, which here is that of a byte of the slice.
            #[cfg(target_arch = "x86_64")]
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast());
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = line;
        }
    }
}

/// What the first loop finds.
struct Extremes {
    err: f64,
    expected: f64,
    /// Pairs with an error.
    differing: u64,
    zeros: [u64; 2],
}

impl Work for Block<'_, '_> {
    type Output = Done;
    #[inline(always)]
    fn run<V: Lanes>(self) -> Done {
        let Self { scratch, totals, operands, start, count, padded, rules, not_finite, ahead } = self;
        let Scratch { actual, expected, err, bins, missed, counts, blocks } = scratch;
        let (a, e, err) = (&actual[..padded], &expected[..padded], &mut err[..padded]);

        let mut lanes = [[0.0; LANES]; SUMS];
        fetch(ahead, 0);
        let extremes = errors::<V>(a, e, err, &mut lanes);
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
        let fillers = (padded - count + not_finite) as u64;
        totals.compared += count as u64;
        totals.finite += (count - not_finite) as u64;
        totals.bins.equal += padded as u64 - extremes.differing - fillers;
        if extremes.expected > totals.scale {
            totals.scale = extremes.expected;
        }
        totals.add_lanes(&lanes);
        for (census, values, zeros) in
            [(&mut totals.actual, a, extremes.zeros[0]), (&mut totals.expected, e, extremes.zeros[1])]
        {
            if zeros > fillers {
                census.zero += (zeros - fillers) as usize;
                census.negative_zero += negative_zeros(values) as usize;
            }
        }
        fetch(ahead, 1);
        if extremes.differing > 0 {
            worst::<V>(totals, e, err, &extremes, start, rules);
            fetch(ahead, 2);
            distribution(totals, err, &extremes, (bins, counts, blocks));
        }
        fetch(ahead, 3);
        if not_finite > 0 {
            for (place, missed) in missed[..count].iter_mut().enumerate().filter(|(_, missed)| **missed == NOT_FINITE) {
                let value = |side: &Operand| side.elements.value(start + place).to_f64();
                let same = totals.add_non_finite(start + place, value(operands.0), value(operands.1));
                *missed = u8::from(!same);
            }
        }
        if not_finite == 0 {
            if extremes.differing == 0 {
                return Done::All;
            }
            missed[..padded].fill(0);
        }
        let located = misses(totals, e, err, &extremes, missed, rules);
        if located || (not_finite > 0 && rules.located < rules.rungs.len() && missed[..count].contains(&1)) {
            locate(totals, err, &missed[..count], start, rules);
        }
        Done::All
    }
}

/// Errors, their sums and extremes.
#[inline(always)]
fn errors<V: Lanes>(a: &[f64], e: &[f64], err: &mut [f64], lanes: &mut [[f64; LANES]; SUMS]) -> Extremes {
    let mut sums = [V::zero(); SUMS];
    let (mut max_err, mut max_expected) = (V::zero(), V::zero());
    let (mut min_actual, mut min_expected) = (V::splat(f64::MAX), V::splat(f64::MAX));
    let pairs = a.as_chunks::<LANES>().0.iter().zip(e.as_chunks::<LANES>().0);
    for ((a, e), err) in pairs.zip(err.as_chunks_mut::<LANES>().0) {
        let (a, e) = (V::load(a), V::load(e));
        let difference = a.sub(e);
        let size = difference.abs();
        size.store(err);
        let terms = [difference.mul(difference), e.mul(e), a.mul(a), a.mul(e), difference];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum = sum.add(term);
        }
        max_err = max_err.max(size);
        max_expected = max_expected.max(e.abs());
        min_actual = min_actual.min(a.abs());
        min_expected = min_expected.min(e.abs());
    }
    let zeros = |smallest: V, values: &[f64]| {
        let found = smallest.array().contains(&0.0);
        if found { count(values, values, |x, _| x == 0.0) } else { 0 }
    };
    for (lanes, sum) in lanes.iter_mut().zip(sums) {
        sum.store(lanes);
    }
    Extremes {
        err: largest_lane(max_err),
        expected: largest_lane(max_expected),
        differing: count(err, err, |err, _| err > 0.0),
        zeros: [zeros(min_actual, a), zeros(min_expected, e)],
    }
}

#[inline(always)]
fn largest_lane<V: Lanes>(lanes: V) -> f64 {
    lanes.array().into_iter().fold(0.0, |m, x| if x > m { x } else { m })
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

/// `err / gap` up to the constant factor of [`gap_factor`]: err by the power of two at `expected`.
#[inline(always)]
fn scaled(err: f64, expected: f64, smallest: f64) -> f64 {
    let power = f64::from_bits(expected.to_bits() & (0x7ff << 52));
    let power = if power > smallest { power } else { smallest };
    err * f64::from_bits((2046u64 << 52).wrapping_sub(power.to_bits()))
}

/// `2^min_exponent` and `2^(p - 1)`: the gap at x is the power of two at x, but at least the former, over the latter.
fn gap_factor(dtype: Dtype) -> (f64, f64) {
    (crate::num::ulp(0.0, dtype) / dtype.eps(), 1.0 / dtype.eps())
}

#[inline(always)]
fn worst<V: Lanes>(totals: &mut Totals, e: &[f64], err: &[f64], extremes: &Extremes, start: usize, rules: &Rules) {
    let first = |found: Option<usize>| start + found.unwrap_or(0);
    if totals.worst_abs.is_none_or(|worst| extremes.err > worst.err) {
        let at = first(err.iter().position(|&err| err == extremes.err));
        totals.worst_abs = Some(Worst { err: extremes.err, at });
    }

    // A larger quotient needs err ≥ best · |expected|; a little less is asked for, because the product is rounded.
    let best = largest(totals.worst_rel);
    let nearly = best * (1.0 - 4.0 * f64::EPSILON);
    let mut may_be_larger = false;
    for (&err, &e) in err.iter().zip(e) {
        may_be_larger |= (err > 0.0) & (err >= nearly * e.abs());
    }
    if may_be_larger && best < f64::INFINITY {
        let quotient = |err: f64, e: f64| if err > 0.0 { err / e.abs() } else { 0.0 };
        let largest = maximum(err, e, quotient);
        if totals.worst_rel.is_none_or(|worst| largest > worst.err) {
            let at = first(err.iter().zip(e).position(|(&err, &e)| quotient(err, e) == largest));
            totals.worst_rel = Some(Worst { err: largest, at });
        }
    }

    match rules.places {
        None => {
            if totals.worst_ulps.is_none_or(|worst| extremes.err > worst.err) {
                let at = first(err.iter().position(|&err| err == extremes.err));
                totals.worst_ulps = Some(Worst { err: extremes.err, at });
            }
        }
        Some(dtype) => {
            let (smallest, factor) = gap_factor(dtype);
            // The product by a power of two is exact or ∞, in f64 against 0.
            let largest = maximum_scaled::<V>(err, e, smallest) * factor;
            if totals.worst_ulps.is_none_or(|worst| largest > worst.err) {
                let at = first(err.iter().zip(e).position(|(&err, &e)| scaled(err, e, smallest) * factor == largest));
                keep_worst(&mut totals.worst_ulps, largest, at);
            }
        }
    }
}

/// The largest of a measure that is never NaN.
#[inline(always)]
fn maximum(err: &[f64], e: &[f64], measure: impl Fn(f64, f64) -> f64) -> f64 {
    let mut max = [0.0f64; LANES];
    for (err, e) in err.as_chunks::<LANES>().0.iter().zip(e.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let value = measure(err[lane], e[lane]);
            max[lane] = if value > max[lane] { value } else { max[lane] };
        }
    }
    max.into_iter().fold(0.0, |m: f64, x| if x > m { x } else { m })
}

/// The largest of [`scaled`].
#[inline(always)]
fn maximum_scaled<V: Lanes>(err: &[f64], e: &[f64], smallest: f64) -> f64 {
    let (mut max, smallest) = (V::zero(), V::splat(smallest));
    for (err, e) in err.as_chunks::<LANES>().0.iter().zip(e.as_chunks::<LANES>().0) {
        max = max.max(V::load(err).mul(V::load(e).power().max(smallest).reciprocal()));
    }
    largest_lane(max)
}

/// How many of the pairs are chosen.
#[inline(always)]
fn count(err: &[f64], e: &[f64], chosen: impl Fn(f64, f64) -> bool) -> u64 {
    let mut count = 0;
    for (&err, &e) in err.iter().zip(e) {
        count += u64::from(chosen(err, e));
    }
    count
}

type Counts<'x> = (&'x mut [u16; BLOCK], &'x mut [[u32; BINS]; TURNS], &'x mut usize);

#[inline(always)]
fn distribution(totals: &mut Totals, err: &[f64], extremes: &Extremes, (bins, counts, blocks): Counts) {
    for (bin_of, &err) in bins.iter_mut().zip(err.iter()) {
        *bin_of = bin(err);
    }
    for turns in bins[..err.len()].as_chunks::<TURNS>().0 {
        for turn in 0..TURNS {
            counts[turn][usize::from(turns[turn]) % BINS] += 1;
        }
    }
    // Errors of 0 went to the first bin.
    let mut equal = err.len() as u64 - extremes.differing;
    for turn in counts.iter_mut() {
        let here = equal.min(u64::from(turn[0]));
        turn[0] -= here as u32;
        equal -= here;
    }
    *blocks += 1;
    totals.bins.add_decades(extremes.err, extremes.differing, |edge| count(err, err, |err, _| err >= edge));
}

/// Counts the misses of each rung and marks those of the located one; whether there are any of these.
#[inline(always)]
fn misses(
    totals: &mut Totals,
    e: &[f64],
    err: &[f64],
    extremes: &Extremes,
    missed: &mut [u8; BLOCK],
    rules: &Rules,
) -> bool {
    let mut located = false;
    for (number, rung) in rules.rungs.iter().enumerate() {
        let absolute = rung.rtol == 0.0 && rung.max_ulps.is_none();
        if absolute && extremes.err <= rung.atol {
            continue;
        }
        let mark = number == rules.located;
        let found = if absolute {
            let atol = rung.atol;
            misses_of(e, err, missed, mark, |err, _| err > 0.0 && !(err <= atol))
        } else {
            let Rung { atol, rtol, max_ulps } = *rung;
            match (max_ulps, rules.places) {
                (None, _) => misses_of(e, err, missed, mark, |err, e| err > 0.0 && !(err <= atol + rtol * e.abs())),
                (Some(max), None) => misses_of(e, err, missed, mark, |err, e| {
                    err > 0.0 && !(err <= atol + rtol * e.abs()) && !(err <= max)
                }),
                (Some(max), Some(dtype)) => {
                    let (smallest, factor) = gap_factor(dtype);
                    misses_of(e, err, missed, mark, |err, e| {
                        err > 0.0 && !(err <= atol + rtol * e.abs()) && !(scaled(err, e, smallest) * factor <= max)
                    })
                }
            }
        };
        totals.misses[number] += found;
        located |= mark && found > 0;
    }
    located
}

#[inline(always)]
fn misses_of(
    e: &[f64],
    err: &[f64],
    missed: &mut [u8; BLOCK],
    mark: bool,
    is_miss: impl Fn(f64, f64) -> bool + Copy,
) -> u64 {
    let found = count(err, e, is_miss);
    if mark && found > 0 {
        for ((missed, &err), &e) in missed.iter_mut().zip(err).zip(e) {
            *missed |= u8::from(is_miss(err, e));
        }
    }
    found
}

/// Hands the marked misses over. The errors become squares of those that are marked.
#[inline(always)]
fn locate(totals: &mut Totals, err: &mut [f64], missed: &[u8], start: usize, rules: &Rules) {
    for (err, &missed) in err.iter_mut().zip(missed) {
        *err = if missed != 0 { finite_square(*err) } else { 0.0 };
    }
    totals.locator(rules).add_run(start, missed, &err[..missed.len()]);
    if totals.shown.len() < rules.show {
        let places = missed.iter().enumerate().filter(|(_, missed)| **missed != 0);
        let room = rules.show - totals.shown.len();
        totals.shown.extend(places.map(|(place, _)| start + place).take(room));
    }
}
