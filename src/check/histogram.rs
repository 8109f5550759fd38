//! How the errors are distributed: exact counts by decade, and quantiles from finer bins.

use crate::num::json_number;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Fine bins an octave, as bits of the significand.
const STEPS: u32 = 3;
/// The lowest bits of f64 that a fine bin does not look at.
const DROPPED: u32 = 52 - STEPS;
/// Fine bins cover [2^-128, 2^128), the range of f32 and of all narrower formats; what lies below or above goes to
/// the first and the last.
pub(super) const BINS: usize = 256 << STEPS;
const FIRST: u64 = ((1023 - 128) as u64) << STEPS;

/// Powers of ten from 10^-324, which stands for the smallest number of all, to 10^308.
static POWERS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut powers: Vec<f64> = (LOWEST..=308).map(|k| format!("1e{k}").parse().unwrap_or(f64::INFINITY)).collect();
    powers[0] = f64::from_bits(1);
    powers
});
const LOWEST: i32 = -324;

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
    /// Of the lower edge, which is the double nearest to that power of ten.
    pub exponent: i32,
    /// Exact.
    pub count: usize,
}

/// Errors that so many of all elements do not exceed. Each is the upper edge of a bin (or the largest error, if that
/// is less): the true quantile is lower, by [`resolution`](Quantiles::resolution) of it at most. Errors below 2^-128
/// all read as that, errors above 2^128 as the largest.
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
    pub(super) fine: Box<[u64; BINS]>,
    /// From the decade of [`LOWEST`] upward; as long as is needed.
    decades: Vec<u64>,
}

/// The fine bin of an error that is not 0.
#[inline(always)]
pub(super) fn bin(err: f64) -> u16 {
    let step = (err.to_bits() >> DROPPED) as i64 - FIRST as i64;
    step.clamp(0, BINS as i64 - 1) as u16
}

impl Bins {
    pub(super) fn new() -> Self {
        let fine = vec![0; BINS].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; BINS]));
        Self { equal: 0, non_finite: 0, fine, decades: Vec::new() }
    }

    /// Counts one error that is not 0.
    pub(super) fn add(&mut self, err: f64) {
        self.fine[usize::from(bin(err))] += 1;
        self.add_decade(decade_of(err), 1);
    }

    fn add_decade(&mut self, decade: usize, count: u64) {
        if self.decades.len() <= decade {
            self.decades.resize(decade + 1, 0);
        }
        self.decades[decade] += count;
    }

    /// Counts the decades of a block whose largest error is `max` and of whose errors `non_zero` are not 0.
    /// `at_least` says how many are not below an edge. Goes down from the largest until all are counted.
    #[inline(always)]
    pub(super) fn add_decades(&mut self, max: f64, non_zero: u64, mut at_least: impl FnMut(f64) -> u64) {
        let mut decade = decade_of(max);
        let mut counted = 0;
        while counted < non_zero {
            let here = if decade == 0 { non_zero } else { at_least(POWERS[decade]) };
            if here > counted {
                self.add_decade(decade, here - counted);
                counted = here;
            }
            decade = decade.saturating_sub(1);
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.equal += other.equal;
        self.non_finite += other.non_finite;
        self.fine.iter_mut().zip(other.fine.iter()).for_each(|(sum, more)| *sum += more);
        for (decade, &count) in other.decades.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add_decade(decade, count);
        }
    }

    /// The finished histogram; `max` is the largest error.
    pub(super) fn finish(&self, max: f64) -> Histogram {
        let decades: Vec<Decade> = (LOWEST..)
            .zip(&self.decades)
            .filter(|(_, count)| **count > 0)
            .map(|(exponent, &count)| Decade { exponent, count: count as usize })
            .collect();
        let all = self.equal + self.non_finite + self.fine.iter().sum::<u64>();
        let quantile = |share: f64| {
            let wanted = (share * all as f64).ceil() as u64;
            if wanted <= self.equal {
                return 0.0;
            }
            let mut counted = self.equal;
            for (bin, count) in self.fine.iter().enumerate() {
                counted += count;
                if counted >= wanted {
                    // The last bin has no upper edge but the largest error.
                    let edge = f64::from_bits((FIRST + bin as u64 + 1) << DROPPED);
                    return if bin + 1 < BINS && edge < max { edge } else { max };
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
            resolution: 1.0 / f64::from(1 << STEPS),
        });
        Histogram { equal: self.equal as usize, non_finite: self.non_finite as usize, decades, quantiles }
    }
}

/// The number of the decade, from [`LOWEST`], of an error that is not 0.
fn decade_of(err: f64) -> usize {
    POWERS.partition_point(|&power| power <= err).saturating_sub(1)
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
        assert_eq!(pairs, [(-324, 1), (-6, 1), (-5, 2), (-4, 1), (0, 1), (308, 1)]);
    }

    #[test]
    fn quantiles_are_upper_edges_within_an_eighth() {
        // 1..=1000: the median is 500, whose bin [480, 512) ends at 512; 90 % is 900 in [896, 960).
        let errors: Vec<f64> = (1..=1000).map(f64::from).collect();
        let found = histogram(&errors).quantiles.unwrap();
        assert_eq!((found.p50, found.p90, found.max), (512.0, 960.0, 1000.0));
        // 999 lies in [960, 1024), and nothing exceeds the largest error.
        assert_eq!((found.p99_9, found.resolution), (1000.0, 0.125));
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
    fn counting_from_the_top_gives_the_same_decades() {
        let errors = [1e-7, 2e-7, 1e-6, 1e-3, 0.5, 1e-3f64.next_down()];
        let (mut one_by_one, mut at_once) = (Bins::new(), Bins::new());
        errors.iter().for_each(|&err| one_by_one.add(err));
        at_once.add_decades(0.5, 6, |edge| errors.iter().filter(|&&err| err >= edge).count() as u64);
        assert_eq!(one_by_one.decades, at_once.decades);
    }
}
