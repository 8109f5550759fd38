//! What a pass over elements accumulates, and how two parts of an array add up.

use super::{Census, Pair, classify};
use crate::histogram::Bins;
use crate::ladder::Rung;
use crate::locate::Locator;
use crate::num::{Dtype, ulp};

/// The sums over pairs that are finite on both sides: err², expected², actual², actual·expected, err.
pub(super) const SUMS: usize = 5;
/// Running sums of each kind in a block: element `i` goes to the sum `i mod LANES`, and at the end of the block they
/// are added in ascending order. Fixed, so that every instruction set gives the same bits.
pub(super) const LANES: usize = 8;
/// Elements of a block. Its f64 values and errors stay in the first cache.
pub(super) const BLOCK: usize = 1024;

/// What is asked of each pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) rungs: &'a [Rung],
    /// The format whose last places are counted; `None`: whole numbers, 1 apart.
    pub(super) places: Option<Dtype>,
    /// The rung whose misses are located.
    pub(super) located: usize,
    /// How many indices of misses are kept.
    pub(super) show: usize,
    /// Lengths of the axes.
    pub(super) shape: &'a [usize],
}

impl Rules<'_> {
    /// The gap between neighbours at `expected`.
    pub(super) fn gap(&self, expected: f64) -> f64 {
        self.places.map_or(1.0, |dtype| ulp(expected, dtype))
    }

    /// Whether an error is within a rung, by the words of [`Rung`].
    pub(super) fn accepts(&self, rung: &Rung, err: f64, expected: f64) -> bool {
        err <= rung.atol + rung.rtol * expected.abs()
            || rung.max_ulps.is_some_and(|max_ulps| err / self.gap(expected) <= max_ulps)
    }
}

/// The largest of a measure so far, and where it was met first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Worst {
    pub(super) err: f64,
    pub(super) at: usize,
}

/// Keeps the first of the largest, in whatever order they come. `err` is never NaN: non-finite pairs come as ∞.
pub(super) fn keep_worst(worst: &mut Option<Worst>, err: f64, at: usize) {
    if worst.is_none_or(|worst| err > worst.err || (err == worst.err && at < worst.at)) {
        *worst = Some(Worst { err, at });
    }
}

/// The largest so far, 0 if nothing was met.
pub(super) fn largest(worst: Option<Worst>) -> f64 {
    worst.map_or(0.0, |worst| worst.err)
}

/// Everything accumulated over some elements, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Totals {
    pub(super) compared: u64,
    /// Pairs that are finite on both sides.
    pub(super) finite: u64,
    pub(super) misses: Vec<u64>,
    pub(super) non_finite: u64,
    pub(super) worst_abs: Option<Worst>,
    pub(super) worst_rel: Option<Worst>,
    pub(super) worst_ulps: Option<Worst>,
    pub(super) scale: f64,
    pub(super) sums: [f64; SUMS],
    pub(super) actual: Census,
    pub(super) expected: Census,
    pub(super) bins: Bins,
    /// Where the misses of the located rung are; made when the first is met.
    pub(super) locator: Option<Locator>,
    /// Flat indices of the first misses of the located rung.
    pub(super) shown: Vec<usize>,
}

impl Totals {
    pub(super) fn new(rungs: usize) -> Self {
        Self {
            compared: 0,
            finite: 0,
            misses: vec![0; rungs],
            non_finite: 0,
            worst_abs: None,
            worst_rel: None,
            worst_ulps: None,
            scale: 0.0,
            sums: [0.0; SUMS],
            actual: Census::default(),
            expected: Census::default(),
            bins: Bins::new(),
            locator: None,
            shown: Vec::new(),
        }
    }

    /// Adds what was accumulated over the elements that follow these.
    pub(super) fn append(&mut self, next: Self) {
        self.compared += next.compared;
        self.finite += next.finite;
        self.misses.iter_mut().zip(next.misses).for_each(|(sum, more)| *sum += more);
        self.non_finite += next.non_finite;
        for (worst, other) in [
            (&mut self.worst_abs, next.worst_abs),
            (&mut self.worst_rel, next.worst_rel),
            (&mut self.worst_ulps, next.worst_ulps),
        ] {
            if let Some(Worst { err, at }) = other {
                keep_worst(worst, err, at);
            }
        }
        if next.scale > self.scale {
            self.scale = next.scale;
        }
        self.sums.iter_mut().zip(next.sums).for_each(|(sum, more)| *sum += more);
        self.actual += next.actual;
        self.expected += next.expected;
        self.bins.append(&next.bins);
        self.locator = match (self.locator.take(), next.locator) {
            (Some(mut here), Some(more)) => {
                here.append(&more);
                Some(here)
            }
            (here, more) => here.or(more),
        };
        self.shown.extend(next.shown);
    }

    /// Adds the running sums of one block.
    pub(super) fn add_lanes(&mut self, lanes: &[[f64; LANES]; SUMS]) {
        for (sum, lanes) in self.sums.iter_mut().zip(lanes) {
            *sum += lanes.iter().fold(0.0, |sum, lane| sum + lane);
        }
    }

    /// The collector of misses, made when the first is met.
    pub(super) fn locator(&mut self, rules: &Rules) -> &mut Locator {
        self.locator.get_or_insert_with(|| Locator::new(rules.shape))
    }

    /// Takes a pair of which one side at least is not finite, and says whether the two are the same. Nothing is
    /// subtracted here.
    pub(super) fn add_non_finite(&mut self, at: usize, actual: f64, expected: f64) -> bool {
        self.actual.count(actual);
        self.expected.count(expected);
        if expected.is_finite() && expected.abs() > self.scale {
            self.scale = expected.abs();
        }
        if matches!(classify(actual, expected), Pair::Equal) {
            self.bins.equal += 1;
            return true;
        }
        self.non_finite += 1;
        self.misses.iter_mut().for_each(|count| *count += 1);
        for worst in [&mut self.worst_abs, &mut self.worst_rel, &mut self.worst_ulps] {
            keep_worst(worst, f64::INFINITY, at);
        }
        self.bins.non_finite += 1;
        false
    }
}
