//! [`round_stochastic`] and [`perturb`] over slices, in vectors: the same bits, sooner.
//!
//! The definitions divide by the gap and choose between neighbours by branches. Here the gap and its reciprocal, both
//! powers of two, are put together from their exponents, so that the products are exact as the quotients are, and each
//! choice is made without a branch. Elements for which that does not hold (beyond the largest number of the format,
//! near the ends of f64's exponents) are left to the definitions.

use super::{RandomStream, perturb, round_stochastic};
use crate::num::{Dtype, Float};
use crate::simd::{Isa, Level, Work, dispatch};

/// The sign of an f64.
const SIGN: u64 = 1 << 63;
/// Bits of its significand that are stored.
const SIGNIFICAND: u32 = 52;
/// What is added to an exponent before it is stored, and twice that.
const BIAS: i64 = 1023;
const TWO_BIASES: i64 = 2 * BIAS;

/// Elements between two looks at what is left to the definition.
const BLOCK: usize = 64;

/// Each value becomes [`round_stochastic`] of it with the chance of its place: that of element `first` of the stream for
/// the first one. A format at least as wide as the scalar changes nothing.
pub(in crate::num) fn round_stochastic_each<T: Float>(
    values: &mut [T],
    dtype: Dtype,
    stream: RandomStream,
    first: u64,
) {
    round_stochastic_at(Level::chosen(), values, dtype, stream, first);
}

/// Each value becomes [`perturb`] of it in its own format, with the chance of its place.
pub(in crate::num) fn perturb_each<T: Float>(values: &mut [T], stream: RandomStream, first: u64) {
    perturb_at(Level::chosen(), values, stream, first);
}

fn round_stochastic_at<T: Float>(level: Level, values: &mut [T], dtype: Dtype, stream: RandomStream, first: u64) {
    if dtype.precision() >= T::DTYPE.precision() {
        return;
    }
    let largest_odd = if dtype == Dtype::F8E4M3 { f64::INFINITY } else { f64::MAX };
    by_chance(level, values, Stochastic { format: Format::of(dtype), largest_odd }, stream, first);
}

fn perturb_at<T: Float>(level: Level, values: &mut [T], stream: RandomStream, first: u64) {
    let rule = Perturbation { format: Format::of(T::DTYPE), known: [64, TWO_BIASES - 64] };
    by_chance(level, values, rule, stream, first);
}

fn by_chance<T: Float>(level: Level, values: &mut [T], rule: impl Rule, stream: RandomStream, first: u64) {
    match level {
        Level::Definition => {
            for (x, index) in values.iter_mut().zip(first..) {
                *x = T::from_f64(rule.definition(x.to_f64(), stream.uniform(index)));
            }
        }
        _ => dispatch(level, Each { values, rule, stream, first }),
    }
}

/// How one value is rounded.
trait Rule: Copy {
    fn definition(self, x: f64, chance: f64) -> f64;
    /// The same without a branch, for numbers that [`Self::is_odd`] does not name.
    fn quick(self, x: f64, chance: f64) -> f64;
    fn is_odd(self, x: f64) -> bool;
}

/// `2^exponent` from the exponent as it is stored.
#[inline(always)]
fn power(stored_exponent: i64) -> f64 {
    f64::from_bits((stored_exponent as u64) << SIGNIFICAND)
}

/// The exponent as it is stored.
#[inline(always)]
fn exponent_of(x: f64) -> i64 {
    ((x.to_bits() & !SIGN) >> SIGNIFICAND) as i64
}

/// What a loop needs to know of a format, found once before it.
#[derive(Clone, Copy)]
struct Format {
    dtype: Dtype,
    max: f64,
    /// Stored exponent of the smallest normal number: below it the gap stays the same.
    smallest: i64,
    /// What is taken from a stored exponent for that of the gap, `2^(e - p + 1)`.
    to_gap: i64,
}

impl Format {
    fn of(dtype: Dtype) -> Self {
        let (smallest, to_gap) = (i64::from(dtype.min_exponent()) + BIAS, i64::from(dtype.precision()) - 1);
        Self { dtype, max: dtype.max(), smallest, to_gap }
    }

    /// The stored exponent that decides the gap at x.
    #[inline(always)]
    fn exponent(self, x: f64) -> i64 {
        let exponent = exponent_of(x);
        if exponent > self.smallest { exponent } else { self.smallest }
    }
}

/// To a neighbour in a narrower format.
#[derive(Clone, Copy)]
struct Stochastic {
    format: Format,
    /// The largest magnitude that is asked of the definition: an infinity stays itself, but in f8, which has none.
    largest_odd: f64,
}

impl Rule for Stochastic {
    fn definition(self, x: f64, chance: f64) -> f64 {
        round_stochastic(x, self.format.dtype, chance)
    }

    #[inline(always)]
    fn quick(self, x: f64, chance: f64) -> f64 {
        let gap = self.format.exponent(x) - self.format.to_gap;
        let gaps = x * power(TWO_BIASES - gap);
        let below = gaps.floor();
        let up = if chance < gaps - below { 1.0 } else { 0.0 };
        let rounded = ((below + up) * power(gap)).copysign(x);
        // NaN and infinities stay.
        if x.abs() <= self.format.max { rounded } else { x }
    }

    #[inline(always)]
    fn is_odd(self, x: f64) -> bool {
        (x.abs() > self.format.max) & (x.abs() <= self.largest_odd)
    }
}

/// Within the scalar's own format.
#[derive(Clone, Copy)]
struct Perturbation {
    format: Format,
    /// Stored exponents from the first to the last of these are not odd: there, gap and reciprocal are normal numbers.
    /// Those of all f32 are.
    known: [i64; 2],
}

impl Rule for Perturbation {
    fn definition(self, x: f64, chance: f64) -> f64 {
        perturb(x, self.format.dtype, chance)
    }

    #[inline(always)]
    fn quick(self, x: f64, chance: f64) -> f64 {
        let exponent = self.format.exponent(x);
        let outward = power(exponent - self.format.to_gap);
        // |x| u / 4 in gaps: u is 2^-p and the gap 2^(e - p + 1).
        let share_outward = x.abs() * power(TWO_BIASES - exponent - 3);
        let power_of_two = x.to_bits() << (64 - SIGNIFICAND) == 0;
        let closer = power_of_two & (exponent > self.format.smallest);
        let (inward, share_inward) = if closer { (0.5, 2.0) } else { (1.0, 1.0) };
        let (inward, share_inward) = (outward * inward, share_outward * share_inward);
        let step = if chance < share_outward {
            outward
        } else if chance >= 1.0 - share_inward {
            -inward
        } else {
            0.0
        };
        // A step outward has the sign of x.
        let moved = x + f64::from_bits(step.to_bits() ^ (x.to_bits() & SIGN));
        // Neither beyond the largest number nor away from an infinity or NaN.
        if moved.abs() <= self.format.max { moved } else { x }
    }

    #[inline(always)]
    fn is_odd(self, x: f64) -> bool {
        let exponent = exponent_of(x);
        ((exponent < self.known[0]) | (exponent > self.known[1])) & (x != 0.0) & (x.abs() <= self.format.max)
    }
}

struct Each<'a, T, R> {
    values: &'a mut [T],
    rule: R,
    stream: RandomStream,
    first: u64,
}

impl<T: Float, R: Rule> Work for Each<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { values, rule, stream, first } = self;
        for (block, first) in values.chunks_mut(BLOCK).zip((first..).step_by(BLOCK)) {
            let mut odd = false;
            let mut rounded = [T::ZERO; BLOCK];
            for ((&x, rounded), i) in block.iter().zip(&mut rounded).zip(0..) {
                let x = x.to_f64();
                odd |= rule.is_odd(x);
                *rounded = T::from_f64(rule.quick(x, stream.uniform(first + i)));
            }
            if odd {
                define_odd(block, &mut rounded, rule, stream, first);
            }
            block.copy_from_slice(&rounded[..block.len()]);
        }
    }
}

/// Asks the definition for the elements that the vectors cannot do.
#[cold]
fn define_odd<T: Float, R: Rule>(values: &[T], rounded: &mut [T], rule: R, stream: RandomStream, first: u64) {
    for ((x, rounded), index) in values.iter().zip(rounded).zip(first..) {
        if rule.is_odd(x.to_f64()) {
            *rounded = T::from_f64(rule.definition(x.to_f64(), stream.uniform(index)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bits of each value under every level, against the definition's.
    fn assert_like_the_definition<T: Float>(values: &[T], seed: u64, first: u64) {
        let stream = RandomStream::new(seed, 5);
        let formats = Dtype::ALL.into_iter().filter(|dtype| dtype.precision() < T::DTYPE.precision());
        for dtype in formats.map(Some).chain([None]) {
            for level in Level::all() {
                let mut rounded = values.to_vec();
                match dtype {
                    Some(dtype) => round_stochastic_at(level, &mut rounded, dtype, stream, first),
                    None => perturb_at(level, &mut rounded, stream, first),
                }
                for ((x, y), index) in values.iter().zip(&rounded).zip(first..) {
                    let (x, y, chance) = (x.to_f64(), y.to_f64(), stream.uniform(index));
                    let expected = match dtype {
                        Some(dtype) => round_stochastic(x, dtype, chance),
                        None => perturb(x, T::DTYPE, chance),
                    };
                    assert!(
                        y.to_bits() == expected.to_bits() || (y.is_nan() && expected.is_nan()),
                        "{x:e} to {dtype:?} with {chance} by {level:?}: {y:e}, not {expected:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_exponent_and_every_special_value_is_rounded_as_by_the_definition() {
        let mut single: Vec<f32> = Vec::new();
        for exponent in 0..=255u32 {
            for significand in [0, 1, 2, 0x400000, 0x7fffff, 0x7fffff << 13, 0x123456, 0x00f000, 0x010000, 0x008000] {
                let bits = exponent << 23 | (significand & 0x7fffff);
                single.extend([f32::from_bits(bits), f32::from_bits(bits | 1 << 31)]);
            }
        }
        for dtype in Dtype::ALL {
            let largest = dtype.max() as f32;
            single.extend([largest, -largest, largest * 1.0625, -largest.next_up(), largest.next_down()]);
        }
        let mut double: Vec<f64> = single.iter().map(|&x| f64::from(x)).collect();
        for exponent in 0..=2047u64 {
            for significand in [0, 1, 0x8_0000_0000_0000, 0xf_ffff_ffff_ffff, 0x3_1415_9265_3589] {
                let bits = exponent << 52 | significand;
                double.extend([f64::from_bits(bits), f64::from_bits(bits | SIGN)]);
            }
        }
        for seed in 0..24 {
            assert_like_the_definition(&single, seed, seed * 1000);
            assert_like_the_definition(&double, seed, seed * 1000);
        }
    }

    #[test]
    fn a_format_as_wide_as_the_scalar_changes_nothing() {
        let mut values = [1.5f32, -0.0, f32::MIN_POSITIVE / 4.0, f32::INFINITY];
        round_stochastic_each(&mut values, Dtype::F32, RandomStream::new(0, 0), 0);
        round_stochastic_each(&mut values, Dtype::F64, RandomStream::new(0, 0), 0);
        assert_eq!(values.map(f32::to_bits), [1.5f32, -0.0, f32::MIN_POSITIVE / 4.0, f32::INFINITY].map(f32::to_bits));
    }

    proptest! {
        #[test]
        fn any_bits_are_rounded_as_by_the_definition(
            double in prop::collection::vec(any::<u64>(), 0..200),
            ordinary in prop::collection::vec(-4.0f64..4.0, 0..200),
            seed in any::<u64>(),
            first in 0u64..1 << 40,
        ) {
            let single: Vec<f32> = double.iter().map(|&bits| f32::from_bits(bits as u32)).collect();
            assert_like_the_definition(&single, seed, first);
            assert_like_the_definition(&double.into_iter().map(f64::from_bits).collect::<Vec<_>>(), seed, first);
            assert_like_the_definition(&ordinary.iter().map(|&x| x as f32).collect::<Vec<_>>(), seed, first);
            assert_like_the_definition(&ordinary, seed, first);
        }
    }
}
