//! Rounding with chance, for evaluations that are repeated to see how far rounding alone moves an answer.
//!
//! Stochastic rounding takes one of the two neighbours `a ≤ x ≤ b`, with the probability that makes the mean exact:
//!
//! ```text
//! sr(x) = b with probability (x - a) / (b - a), else a        E[sr(x)] = x,  sr(x) = x where x is representable
//! ```
//! (Connolly, Higham & Mary, *Stochastic rounding and its probabilistic backward error analysis*, SIAM J. Sci. Comput.
//! 43(1), 2021.) A value that is already of the format shows no rounding any more, although each one was rounded when
//! it was computed; Monte Carlo arithmetic (Parker, *Monte Carlo Arithmetic*, UCLA CSD-970002, 1997) gives it a random
//! relative error as large: `x (1 + u ξ)`, ξ uniform in (-1, 1). The random numbers are counted, not drawn in turn:
//! each is a function of seed, site and element, so a run repeats to the bit. The definitions stand here; `each` does
//! the same over slices.

mod each;

pub(super) use each::{perturb_each, round_stochastic_each};

use super::dtype::{Dtype, power_of_two};
use super::rounding::{ilogb, round_f64};
use super::ulp::ulp;

/// 2⁶⁴ divided by the golden ratio: the step of splitmix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The random numbers of one site of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomStream {
    key: u64,
}

impl RandomStream {
    /// The numbers of the `site`-th site under `seed`.
    pub const fn new(seed: u64, site: u64) -> Self {
        Self { key: splitmix64(splitmix64(seed).wrapping_add(site)) }
    }

    /// The number of the `index`-th element: uniform in [0, 1), a multiple of 2⁻⁵³.
    #[inline]
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 * power_of_two(-53)
    }

    /// A number below `bound`, uniform but for at most `bound` parts in 2⁶⁴.
    pub fn below(self, index: u64, bound: usize) -> usize {
        ((u128::from(self.bits(index)) * bound as u128) >> 64) as usize
    }

    /// The 64 random bits of the `index`-th element.
    #[inline]
    pub const fn bits(self, index: u64) -> u64 {
        splitmix64(self.key.wrapping_add(index.wrapping_mul(GOLDEN)))
    }
}

/// One step of splitmix64 (Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).
#[inline]
const fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `x` rounded to a neighbour in `dtype`, upward if `chance`, uniform in [0, 1), is below its distance to the lower one.
///
/// ```
/// use goldref_kernels::num::{Dtype, round_stochastic};
/// // bf16 has 256 and 258 about 256.5: the upper one in a quarter of the draws.
/// assert_eq!(round_stochastic(256.5, Dtype::Bf16, 0.2), 258.0);
/// assert_eq!(round_stochastic(256.5, Dtype::Bf16, 0.3), 256.0);
/// ```
/// Beyond the largest finite number there is no upper neighbour; there, and for NaN and infinities, this is [`round_f64`].
/// A zero that comes of rounding keeps the sign of `x`.
pub fn round_stochastic(x: f64, dtype: Dtype, chance: f64) -> f64 {
    let within = x.abs() <= dtype.max();
    if !within || x == 0.0 || dtype == Dtype::F64 {
        return round_f64(x, dtype);
    }
    // Quotient, difference and product are exact: the gap is a power of two.
    let gap = ulp(x, dtype);
    let below = (x / gap).floor();
    let up = if chance < x / gap - below { 1.0 } else { 0.0 };
    ((below + up) * gap).copysign(x)
}

/// `x (1 + u ξ)` with ξ uniform in (-1, 1), stochastically rounded: a value of `dtype` gets the error of one rounding
/// that it does not show any more.
///
/// Both draws are one: of the mean of `|ξ|` on either side, 1/2, and of the halves for the sign, the neighbour at
/// distance `gap` is taken with probability `|x| u / (4 gap)`. So `E = x` and the standard deviation is between 0.5 and
/// 0.71 gaps; to nearest it would be none at a power of two. Zeros, infinities and NaN have no rounding error; nothing
/// grows beyond the largest finite number.
pub fn perturb(x: f64, dtype: Dtype, chance: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let outward = ulp(x, dtype);
    // Below a power of two, the numbers lie twice as close.
    let exponent = ilogb(x);
    let closer = x.abs() == power_of_two(exponent) && exponent > dtype.min_exponent();
    let inward = if closer { outward / 2.0 } else { outward };
    let share = x.abs() * dtype.unit_roundoff() / 4.0;
    let moved = if chance < share / outward {
        x + outward.copysign(x)
    } else if chance >= 1.0 - share / inward {
        x - inward.copysign(x)
    } else {
        x
    };
    if moved.abs() <= dtype.max() { moved } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::saturate_round_f64;
    use proptest::prelude::*;

    const DRAWS: u64 = 4096;

    fn mean(of: impl Fn(f64) -> f64) -> f64 {
        let stream = RandomStream::new(7, 0);
        (0..DRAWS).map(|i| of(stream.uniform(i))).sum::<f64>() / DRAWS as f64
    }

    #[test]
    fn the_mean_of_stochastic_rounding_is_the_value() {
        // One draw has a standard deviation of at most gap/2 (probability 1/2), the mean of 4096 one of gap/128. Five of
        // those are gap/25.6; to nearest, each of these values is off by a quarter gap at least.
        for (x, dtype) in [(256.5, Dtype::Bf16), (-257.4, Dtype::Bf16), (1.3, Dtype::F8E4M3), (1e-9, Dtype::F16)] {
            let (a, b) = (mean(|chance| round_stochastic(x, dtype, chance)), x);
            assert!((a - b).abs() <= ulp(x, dtype) / 25.6, "{dtype} {x}: {a}");
        }
    }

    #[test]
    fn a_perturbation_has_the_value_as_its_mean_and_about_half_a_gap_of_spread() {
        // Standard deviation √significand / 2 gaps: 0.5 at 1, 0.61 at 1.5, 0.71 at 1.99; the mean of 4096 draws within
        // five of its own, 0.71 / 64 gaps each.
        for (dtype, x, deviation) in
            [(Dtype::F32, 1.5, 0.6123), (Dtype::F64, -1.5, 0.6123), (Dtype::F32, 1.9921875, 0.7057)]
        {
            let gap = ulp(x, dtype);
            let offset = mean(|chance| (perturb(x, dtype, chance) - x) / gap);
            let square = mean(|chance| ((perturb(x, dtype, chance) - x) / gap).powi(2));
            assert!(offset.abs() <= 5.0 * 0.71 / 64.0, "{dtype} {x}: {offset}");
            // The squares are 0 or 1, so their mean is off by at most 5 · 0.5 / 64.
            assert!((square - deviation * deviation).abs() <= 5.0 * 0.5 / 64.0, "{dtype} {x}: {square}");
        }
        // At 1 the lower neighbour is half as far and twice as likely: 1/8 · gap up and 1/4 · gap/2 down.
        let at_one = |chance| perturb(1.0, Dtype::F32, chance);
        assert_eq!((at_one(0.124), at_one(0.126)), (1.0 + 2f64.powi(-23), 1.0));
        assert_eq!((at_one(0.749), at_one(0.751)), (1.0, 1.0 - 2f64.powi(-24)));
    }

    #[test]
    fn what_has_no_rounding_error_stays() {
        for dtype in Dtype::ALL {
            for chance in [0.0, 0.5, 1.0 - 2f64.powi(-53)] {
                for x in [0.0, -0.0, 1.0, -1.75, 448.0, dtype.smallest_subnormal(), dtype.max()] {
                    assert_eq!(round_stochastic(x, dtype, chance).to_bits(), x.to_bits(), "{dtype} {x:e}");
                }
                for x in [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY] {
                    assert_eq!(perturb(x, dtype, chance).to_bits(), x.to_bits(), "{dtype} {x:e}");
                }
                assert!(
                    perturb(f64::NAN, dtype, chance).is_nan() && round_stochastic(f64::NAN, dtype, chance).is_nan()
                );
                assert!(perturb(dtype.max(), dtype, chance).is_finite());
            }
        }
        assert_eq!(round_stochastic(f64::NEG_INFINITY, Dtype::Bf16, 0.0), f64::NEG_INFINITY);
        // 65519 is nearer to 65504 than to 65536, which f16 does not have.
        assert_eq!(round_stochastic(65519.0, Dtype::F16, 0.0), 65504.0);
        assert_eq!(round_stochastic(-1e-9, Dtype::F16, 0.9).to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn numbers_are_those_of_splitmix64_and_depend_on_seed_site_and_element() {
        // The first two outputs of the reference implementation from state 0.
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(splitmix64(GOLDEN), 0x6e78_9e6a_a1b9_65f4);
        let of = |seed, site, index| RandomStream::new(seed, site).uniform(index);
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        assert!(of(1, 2, 3) != of(2, 2, 3) && of(1, 2, 3) != of(1, 3, 3) && of(1, 2, 3) != of(1, 2, 4));
        let counts = (0..6000).fold([0; 6], |mut counts, i| {
            counts[RandomStream::new(5, 0).below(i, 6)] += 1;
            counts
        });
        // Binomial(6000, 1/6): 1000 ± 5 · 28.9.
        assert!(counts.iter().all(|n| (856..=1144).contains(n)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn only_neighbours_come_out(x in -1e5f64..1e5, chance in 0.0f64..1.0) {
            for dtype in [Dtype::F32, Dtype::Tf32, Dtype::F16, Dtype::Bf16, Dtype::F8E4M3] {
                let x = x.clamp(-dtype.max(), dtype.max());
                let y = round_stochastic(x, dtype, chance);
                prop_assert_eq!(round_f64(y, dtype), y);
                prop_assert!((y - x).abs() < ulp(x, dtype), "{dtype} {x:e} {y:e}");
                let stored = saturate_round_f64(x, dtype);
                let moved = perturb(stored, dtype, chance);
                prop_assert_eq!(round_f64(moved, dtype), moved);
                prop_assert!((moved - stored).abs() <= ulp(stored, dtype));
            }
        }
    }
}
