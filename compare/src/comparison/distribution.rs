//! How many errors of a block each fine bin has.
//!
//! Counting is the one part that vectors do not help with, so it is kept to a load and an addition an element: vectors
//! find the counter, and the few octaves below the largest error have theirs in the first cache. Smaller errors are
//! rare, and counted one by one.

use super::lanes::Lanes;
use super::totals::{BLOCK, LANES};
use crate::histogram::{Bins, DROPPED, SHIFTS, STEPS};

/// Octaves of a window.
const OCTAVES: usize = 16;
/// Counters of one bin, that neighbouring elements go to in turn: equal errors do not wait for one another.
const TURNS: usize = 8;
/// One for what is below the window, one for each bin in it, one for the last bin, which goes on into the next octave;
/// and a power of two, so that no index has to be checked.
const COUNTERS: usize = (2 + (OCTAVES << STEPS)).next_power_of_two();
/// Blocks after which counts of 32 bits are added up.
const BLOCKS_A_FLUSH: usize = u32::MAX as usize / BLOCK - 1;
/// A block with more errors below the window than this moves it.
const MANY: u64 = BLOCK as u64 / 16;

/// The errors from `lowest` to 2^16 times that, by their octaves.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Window {
    /// The shift of each octave, at its exponent modulo 16.
    pub(super) shifts: [u64; OCTAVES],
    /// The exponent field of the highest octave.
    top: u64,
    pub(super) lowest: f64,
    /// The number of the last bin below.
    pub(super) before: u64,
}

impl Window {
    /// The window whose highest octave is that of `max`.
    fn of(max: f64) -> Self {
        // Zero lies below every window.
        let bottom = (max.to_bits() >> 52).saturating_sub(OCTAVES as u64 - 1).max(1);
        let mut shifts = [0; OCTAVES];
        for exponent in (bottom..).take(OCTAVES) {
            shifts[exponent as usize % OCTAVES] = SHIFTS[exponent as usize % SHIFTS.len()];
        }
        let before = (bottom << STEPS) - 1;
        Self { shifts, top: bottom + OCTAVES as u64 - 1, lowest: f64::from_bits(bottom << 52), before }
    }

    /// The counter of an error: 0 below the window, then one a bin.
    #[inline(always)]
    pub(super) fn counter(&self, err: f64) -> u64 {
        let bits = err.to_bits();
        let bin = (bits.wrapping_add(self.shifts[(bits >> 52) as usize % OCTAVES])) >> DROPPED;
        if err < self.lowest { 0 } else { bin.wrapping_sub(self.before) }
    }
}

/// Memory of one worker. Its arrays begin with a cache line, so that no register spans two.
#[repr(C, align(64))]
pub(super) struct Distribution {
    counters: [[u32; TURNS]; COUNTERS],
    window: Window,
    blocks: usize,
}

impl Distribution {
    pub(super) fn new() -> Self {
        Self { counters: [[0; TURNS]; COUNTERS], window: Window::of(0.0), blocks: 0 }
    }

    /// Counts the errors of a block, of which `max` is the largest; how many of them are 0. `ahead` are the bytes of
    /// the next block, which memory brings while the counting keeps the core busy.
    #[inline(always)]
    pub(super) fn add<V: Lanes>(&mut self, bins: &mut Bins, err: &[f64], max: f64, ahead: [&[u8]; 2]) -> u64 {
        if max.to_bits() >> 52 > self.window.top || self.blocks == BLOCKS_A_FLUSH {
            self.flush(bins);
            self.window = Window::of(max);
        }
        self.blocks += 1;
        let some_below = count::<V>(err, &self.window, &mut self.counters, ahead);
        let mut zeros = counted(&self.counters[0]);
        self.counters[0] = [0; TURNS];
        if some_below {
            let below = add_below::<V>(bins, err, self.window.lowest);
            zeros -= below;
            if below > MANY && max.to_bits() >> 52 < self.window.top {
                self.flush(bins);
                self.window = Window::of(max);
            }
        }
        zeros
    }

    /// Adds the counts to the bins.
    pub(super) fn flush(&mut self, bins: &mut Bins) {
        for (counter, counts) in self.counters.iter_mut().enumerate() {
            let count = counted(counts);
            if count > 0 {
                bins.add_count(self.window.before as usize + counter, count);
                *counts = [0; TURNS];
            }
        }
        self.blocks = 0;
    }
}

/// The sum of a counter's turns.
fn counted(turns: &[u32; TURNS]) -> u64 {
    turns.iter().map(|&count| u64::from(count)).sum()
}

/// Counts the errors below a window, eight looked at together; how many there are.
#[inline(always)]
fn add_below<V: Lanes>(bins: &mut Bins, err: &[f64], lowest: f64) -> u64 {
    let mut count = 0;
    for eight in err.as_chunks::<LANES>().0 {
        let lanes = V::load(eight);
        if V::zero().less(lanes) & lanes.less(V::splat(lowest)) != 0 {
            for &err in eight.iter().filter(|&&err| err > 0.0 && err < lowest) {
                bins.add(err);
                count += 1;
            }
        }
    }
    count
}

/// Counts the errors, and those below the window as 0; whether there are such.
///
/// Vectors find the counters of the next few while the last are counted.
#[inline(always)]
fn count<V: Lanes>(err: &[f64], window: &Window, counters: &mut [[u32; TURNS]; COUNTERS], ahead: [&[u8]; 2]) -> bool {
    /// Elements that are counted between two fetches: a cache line of f32.
    const STEP: usize = 2 * LANES;
    let (lowest, zero, window) = (V::splat(window.lowest), V::zero(), *window);
    let mut lines = ahead.map(<[u8]>::as_ptr);
    let strides = ahead.map(|bytes| bytes.len() / (err.len() / STEP).max(1));
    let mut below = 0;
    for step in err.chunks(STEP) {
        for (line, stride) in lines.iter_mut().zip(strides) {
            fetch(*line);
            *line = line.wrapping_add(stride);
        }
        for eight in step.as_chunks::<LANES>().0 {
            let (err, mut counter_of) = (V::load(eight), [0; LANES]);
            err.counters(&window, &mut counter_of);
            below |= zero.less(err) & err.less(lowest);
            for (lane, &counter) in counter_of.iter().enumerate() {
                counters[counter as usize % COUNTERS][lane % TURNS] += 1;
            }
        }
    }
    below != 0
}

/// Asks for the line of an address to come; changes nothing but when it comes.
#[inline(always)]
fn fetch(address: *const u8) {
    // SAFETY: a hint, which any address may be given to.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
