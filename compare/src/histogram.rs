//! How the errors are distributed: exact counts by decade, and quantiles from finer bins.

use crate::num::json_number;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Fine bins an octave, as bits of the significand.
pub(super) const STEPS: u32 = 4;
/// The lowest bits of f64 that a fine bin does not look at.
pub(super) const DROPPED: u32 = 52 - STEPS;
/// The widest bin is one that begins in one octave, shifted, and ends in the next: `2^e / 32 + 2^e / 16` wide.
const RESOLUTION: f64 = 3.0 / 32.0;

/// The decade of everything below 10^-307, where f64 goes over to subnormal numbers.
const LOWEST: i32 = -308;
/// Powers of ten from 10^-307 to 10^308: the lower edges of the decades above the lowest.
static POWERS: LazyLock<Vec<f64>> =
    LazyLock::new(|| (LOWEST + 1..=308).map(|k| format!("1e{k}").parse().unwrap_or(f64::INFINITY)).collect());

/// By the exponent field of an error, what is added to its bits before the lowest are dropped. An octave has at most
/// one power of ten, and is shifted so that this is the lower edge of a bin: then a fine bin lies in one decade, and
/// one count serves both. Bins at the end of a shifted octave go on into the next.
pub(super) static SHIFTS: LazyLock<[u64; 2048]> = LazyLock::new(|| {
    let mut shifts = [0; 2048];
    for power in POWERS.iter() {
        let above = power.to_bits() % (1 << DROPPED);
        shifts[(power.to_bits() >> 52) as usize] = ((1 << DROPPED) - above) % (1 << DROPPED);
    }
    shifts
});

/// The distribution of |actual − expected|.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Elements that are exactly equal (NaN and NaN, 0 and −0 among them).
    pub equal: usize,
    /// Elements where one side is not finite and the other is not the same: their error is ∞.
    pub non_finite: usize,
    /// The other elements by decade, ascending; decades without elements are left out.
    pub decades: Vec<Decade>,
    /// `None` where nothing was compared.
    pub quantiles: Option<Quantiles>,
}

/// How many errors are at least 10^exponent and below 10^(exponent + 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decade {
    /// Of the lower edge, which is the double nearest to that power of ten; -308 takes all that is smaller too.
    pub exponent: i32,
    /// Exact.
    pub count: usize,
}

/// Errors that so many of all elements do not exceed. Each is the upper edge of a bin (or the largest error, if that
/// is less): the true quantile is lower, by [`resolution`](Quantiles::resolution) of it at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// Half of the elements.
    #[serde(with = "json_number")]
    pub p50: f64,
    /// 90 %.
    #[serde(with = "json_number")]
    pub p90: f64,
    /// 99 %.
    #[serde(with = "json_number")]
    pub p99: f64,
    /// 99.9 %.
    #[serde(with = "json_number")]
    pub p99_9: f64,
    /// All of them; exact.
    #[serde(with = "json_number")]
    pub max: f64,
    /// Relative width of the widest bin.
    #[serde(with = "json_number")]
    pub resolution: f64,
}

/// Counts while they grow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    pub(super) equal: u64,
    pub(super) non_finite: u64,
    /// The number of the lowest bin that is kept, and the counts from there on: few of all bins are ever met.
    first: usize,
    counts: Vec<u64>,
}

/// The fine bin of an error.
fn bin(err: f64) -> usize {
    let bits = err.to_bits();
    ((bits + SHIFTS[(bits >> 52) as usize % SHIFTS.len()]) >> DROPPED) as usize
}

/// The smallest error of a bin.
fn lower_edge(bin: usize) -> f64 {
    let octave = bin.saturating_sub(1) >> STEPS;
    f64::from_bits(((bin as u64) << DROPPED) - SHIFTS[octave % SHIFTS.len()])
}

/// The decade of an error that is not 0.
fn decade_of(err: f64) -> i32 {
    LOWEST + POWERS.partition_point(|&power| power <= err) as i32
}

impl Bins {
    pub(super) fn new() -> Self {
        Self { equal: 0, non_finite: 0, first: 0, counts: Vec::new() }
    }

    /// Counts one error that is not 0.
    pub(super) fn add(&mut self, err: f64) {
        self.add_count(bin(err), 1);
    }

    /// Counts errors of one fine bin.
    pub(super) fn add_count(&mut self, bin: usize, count: u64) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - bin));
            self.first = bin;
        }
        let place = bin - self.first;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += count;
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.equal += other.equal;
        self.non_finite += other.non_finite;
        for (bin, count) in other.counted() {
            self.add_count(bin, count);
        }
    }

    /// The bins with errors, ascending, and how many.
    fn counted(&self) -> impl Iterator<Item = (usize, u64)> {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The finished histogram; `max` is the largest error.
    pub(super) fn finish(&self, max: f64) -> Histogram {
        let mut decades: Vec<Decade> = Vec::new();
        for (bin, count) in self.counted() {
            let exponent = decade_of(lower_edge(bin));
            match decades.last_mut() {
                Some(decade) if decade.exponent == exponent => decade.count += count as usize,
                _ => decades.push(Decade { exponent, count: count as usize }),
            }
        }
        let all = self.equal + self.non_finite + self.counts.iter().sum::<u64>();
        let quantile = |share: f64| {
            let wanted = (share * all as f64).ceil() as u64;
            if wanted <= self.equal {
                return 0.0;
            }
            let mut counted = self.equal;
            for (bin, count) in self.counted() {
                counted += count;
                if counted >= wanted {
                    // No error exceeds the largest, which is met before the upper edge of its bin.
                    let edge = lower_edge(bin + 1);
                    return if edge < max { edge } else { max };
                }
            }
            f64::INFINITY
        };
        let quantiles = (all > 0).then(|| Quantiles {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max,
            resolution: RESOLUTION,
        });
        Histogram { equal: self.equal as usize, non_finite: self.non_finite as usize, decades, quantiles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(errors: &[f64]) -> Histogram {
        let mut bins = Bins::new();
        let mut max = 0.0;
        for &err in errors {
            if err == 0.0 {
                bins.equal += 1
            } else {
                bins.add(err)
            }
            max = if err > max { err } else { max };
        }
        bins.finish(max)
    }

    #[test]
    fn decades_include_their_lower_edge_and_not_their_upper() {
        let below = 1e-5f64.next_down();
        let found = histogram(&[1e-5, below, 9.99e-5, 1e-4, 3.0, 5e-324, f64::MAX]).decades;
        let pairs: Vec<(i32, usize)> = found.iter().map(|decade| (decade.exponent, decade.count)).collect();
        assert_eq!(pairs, [(-308, 1), (-6, 1), (-5, 2), (-4, 1), (0, 1), (308, 1)]);
    }

    #[test]
    fn quantiles_are_upper_edges_of_narrow_bins() {
        // 1..=1000: the median is 500, whose bin [496, 512) ends at 512; the octave of 1000 is shifted by 8, so that
        // 900 lies in [872, 904) and 990 in [968, 1000).
        let errors: Vec<f64> = (1..=1000).map(f64::from).collect();
        let found = histogram(&errors).quantiles.unwrap();
        assert_eq!((found.p50, found.p90, found.p99, found.max), (512.0, 904.0, 1000.0, 1000.0));
        // Nothing exceeds the largest error.
        assert_eq!(histogram(&errors[..990]).quantiles.unwrap().p99_9, 990.0);
    }

    #[test]
    fn equal_elements_are_errors_of_zero() {
        let found = histogram(&[0.0, 0.0, 0.0, 2.0]);
        assert_eq!(found.equal, 3);
        let quantiles = found.quantiles.unwrap();
        assert_eq!((quantiles.p50, quantiles.p90), (0.0, 2.0));
        assert_eq!(histogram(&[]).quantiles, None);
    }

    #[test]
    fn what_is_not_finite_is_the_largest() {
        let mut bins = Bins::new();
        bins.equal = 98;
        bins.non_finite = 2;
        let quantiles = bins.finish(f64::INFINITY).quantiles.unwrap();
        assert_eq!((quantiles.p90, quantiles.p99, quantiles.max), (0.0, f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn every_power_of_ten_begins_a_bin() {
        for (&power, k) in POWERS.iter().zip(LOWEST + 1..) {
            assert_eq!(lower_edge(bin(power)), power, "1e{k}");
            assert_eq!(bin(power.next_down()) + 1, bin(power), "1e{k}");
            assert_eq!((decade_of(power), decade_of(power.next_down())), (k, k - 1));
        }
    }

    #[test]
    fn bins_ascend_without_gaps_and_are_no_wider_than_is_said() {
        for exponent in 1..2046u64 {
            for step in 0..1 << STEPS {
                let x = f64::from_bits(exponent << 52 | step << DROPPED | 12345);
                let (low, high) = (lower_edge(bin(x)), lower_edge(bin(x) + 1));
                assert!(low <= x && x < high, "{x:e} is not in [{low:e}, {high:e})");
                assert_eq!((bin(low), bin(high.next_down())), (bin(x), bin(x)), "{x:e}");
                assert!(high - low <= RESOLUTION * high, "[{low:e}, {high:e})");
            }
        }
    }

    #[test]
    fn bins_may_come_in_any_order() {
        let (mut up, mut down) = (Bins::new(), Bins::new());
        let errors = [1e-7, 2e-7, 1e-6, 1e-3, 0.5, 1e-3f64.next_down()];
        errors.iter().for_each(|&err| up.add(err));
        errors.iter().rev().for_each(|&err| down.add(err));
        assert_eq!(up, down);
        assert_eq!(up.counts.iter().sum::<u64>(), 6);
    }
}
