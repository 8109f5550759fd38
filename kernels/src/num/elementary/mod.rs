//! Elementary functions over slices, in vectors, correctly rounded as the scalar ones are: the same bits, sooner.
//!
//! **How.** A function is first computed quickly as an interval that surely holds its value (Ziv, ACM TOMS 17(3),
//! 1991). Where both ends of the interval round to the same number, that is the correct rounding, by construction.
//! Elsewhere (the value lies close to the middle of two numbers, or the argument is special) CORE-MATH is asked for
//! that one element. The quick part has no tables and no branches, so compilers make vector code of it; it uses the four
//! operations and fused multiply-add only, so each CPU computes the same interval. `exp`, which attention needs for
//! each score, has its own by hand on x86-64 (`exp_avx2`, `exp_avx512`), with other intervals: the result is the same.
//!
//! The coefficients come from `tools/fit_elementary.py`. Each function's file derives its bound; `docs/elementary.md` says
//! how it was tested and what it costs.

mod erfc;
mod exp;
#[cfg(target_arch = "x86_64")]
mod exp_avx2;
#[cfg(target_arch = "x86_64")]
mod exp_avx512;
#[cfg(target_arch = "x86_64")]
mod exp_table;
mod parts;
mod tanh;
#[cfg(test)]
mod tests;
mod trig;

pub(super) use erfc::Erfc;
pub(super) use exp::Exp;
pub(super) use tanh::Tanh;
pub(super) use trig::{Cos, Sin};

use super::Float;
use crate::simd::{Isa, Level, Work, dispatch_fma};
use std::marker::PhantomData;

/// A function of one argument.
pub(super) trait Function<T: Float>: Sized {
    /// Two numbers, the roundings of the ends of an interval that holds the value; NaN in one where nothing is known.
    /// Their zeros have the sign of the value.
    fn interval(x: T) -> (T, T);
    /// The value, correctly rounded.
    fn correct(x: T) -> T;

    /// Each value becomes the function of it, by the instructions of `level`; `correct` is asked where that is in doubt.
    fn each(level: Level, values: &mut [T], correct: impl FnMut(T) -> T) {
        each_by_interval::<Self, T>(level, values, correct);
    }
}

/// Elements that are worked on at a time: many registers, little memory, and a doubtful one spoils few others.
const BLOCK: usize = 64;

/// Each value becomes the function of it, by the instructions of `level`.
pub(super) fn each<F: Function<T>, T: Float>(level: Level, values: &mut [T]) {
    F::each(level, values, F::correct);
}

fn each_by_interval<F: Function<T>, T: Float>(level: Level, values: &mut [T], mut correct: impl FnMut(T) -> T) {
    match level {
        _ if level.has_fma() => dispatch_fma(level, Each { values, correct, function: PhantomData::<F> }),
        // Without it the scalar functions are faster; the bits are the same.
        _ => values.iter_mut().for_each(|x| *x = correct(*x)),
    }
}

/// Results of a block; registers of 64 bytes are stored within lines of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block<T>([T; BLOCK]);

/// The interval, the test and what it leaves over, block by block.
struct Each<'a, F, T, C> {
    values: &'a mut [T],
    correct: C,
    function: PhantomData<F>,
}

impl<F: Function<T>, T: Float, C: FnMut(T) -> T> Work for Each<'_, F, T, C> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let (mut low, mut high) = (Block([T::ZERO; BLOCK]), Block([T::ZERO; BLOCK]));
        for values in self.values.chunks_mut(BLOCK) {
            let (low, high) = (&mut low.0[..values.len()], &mut high.0[..values.len()]);
            for ((&x, low), high) in values.iter().zip(low.iter_mut()).zip(high.iter_mut()) {
                (*low, *high) = F::interval(x);
            }
            // Not `all`, which stops early and so is no vector code.
            let sure = low.iter().zip(high.iter()).fold(true, |sure, (low, high)| sure & (low == high));
            if !sure {
                correct_doubtful(values, low, high, &mut self.correct);
            }
            values.copy_from_slice(low);
        }
    }
}

/// Asks for the correct rounding where the ends of the interval disagree.
#[inline(never)]
fn correct_doubtful<T: Float>(values: &[T], low: &mut [T], high: &[T], correct: &mut impl FnMut(T) -> T) {
    for ((&x, low), high) in values.iter().zip(low).zip(high) {
        // NaN is unequal to itself, and so doubtful.
        if *low != *high {
            *low = correct(x);
        }
    }
}

/// A block of quick values, where the mask has a bit, and of scalar ones where it has none.
#[cfg(target_arch = "x86_64")]
#[cold]
#[inline(never)]
fn settle<T: Float>(values: &mut [T], quick: &[T], sure: u32, correct: &mut impl FnMut(T) -> T) {
    for (lane, (x, &y)) in values.iter_mut().zip(quick).enumerate() {
        *x = if sure >> lane & 1 == 1 { y } else { correct(*x) };
    }
}
