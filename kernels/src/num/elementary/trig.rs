//! `sin x` and `cos x`.
//!
//! ```text
//! x = n π/2 + r,  n whole,  |r| ≤ π/4        sin x = ± sin r or ± cos r, by n mod 4;  cos x is the same with n + 1
//! sin r = r (1 + z (-1/6 + z (1/120 - …))),   cos r = 1 + z (-1/2 + z (1/24 - …)),   z = r²
//! ```
//! Both are `m + m z P(z)`, with m = r or 1, so that only coefficients are chosen, and one polynomial is evaluated.

use super::Function;
use super::exp::{SHIFT, ends_in_f32, polynomial};
use super::parts::Parts;
use crate::num::core_math;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// The sine.
pub(in crate::num) struct Sin;
/// The cosine.
pub(in crate::num) struct Cos;

/// Above, the scalar functions are asked. Rotary angles of ten million positions lie below.
const BOUND: f64 = 8_388_608.0;
/// So near to a multiple of π/2 other than 0 r would not be exact enough: 2^-28.
const NEAR: f64 = 3.725290298461914e-9;

/// `π/2 - FRAC_PI_2`, and what that lacks, off by 2^-163.
const PI_2_MIDDLE: f64 = 6.123233995736766e-17;
const PI_2_LOW: f64 = -1.4973849048591698e-33;

/// The cosine is the sine by so many quarters of a turn later, mod 4. Not 1, as compilers would subtract -1, which they make of
/// a register that still waits for the results before.
const QUARTERS: u64 = 5;

/// `a = n π/2 + r`, the remainder in two parts.
#[derive(Clone, Copy)]
struct Reduced {
    /// n, plus [`SHIFT`].
    shifted: f64,
    r: Parts,
}

/// For 0 ≤ a < [`BOUND`].
///
/// n is below 2^22.5, and |r| ≤ π/4 + 2^-30. `a - n FRAC_PI_2` is exact, as 0 for n = 0, and as a multiple of 2^-53 below 1 for
/// the others, where a ≥ 1/2. `n PI_2_MIDDLE` is below 2^-31.3, which is less than half of that where |r| ≥ [`NEAR`], so the
/// difference with r is exact too, and r with its low part is off by some 2^-106 of r, with what is left out of π/2
/// (below 2^-140).
#[inline(always)]
fn reduce(a: f64) -> Reduced {
    let shifted = a.mul_add(FRAC_2_PI, SHIFT);
    let n = shifted - SHIFT;
    let first = n.mul_add(-FRAC_PI_2, a);
    let r = n.mul_add(-PI_2_MIDDLE, first);
    let low = n.mul_add(-PI_2_MIDDLE, first - r);
    Reduced { shifted, r: Parts::new(r, n.mul_add(-PI_2_LOW, low)) }
}

impl Reduced {
    /// n, plus `quarters`, mod 4 in the lowest bits.
    #[inline(always)]
    fn quadrant(self, quarters: u64) -> u64 {
        self.shifted.to_bits().wrapping_add(quarters)
    }

    /// Whether r is known well: it is not so near to 0 as to be made of the error of π/2, nor, for n = 0, below `least`.
    #[inline(always)]
    fn is_known(self, a: f64, least: f64) -> bool {
        let least = if self.shifted == SHIFT { least } else { NEAR };
        (a < BOUND) & ((self.r.high.abs() > least) | (a == 0.0))
    }
}

/// `y` with the sign of that quadrant.
#[inline(always)]
fn with_sign(y: f64, quadrant: u64) -> f64 {
    f64::from_bits(y.to_bits() ^ ((quadrant & 2) << 62))
}

/// `sin(a + quarters π/2)` as an interval, for f32.
///
/// r without its low part is off by 2^-53, and y by no more for it. z P is off by 2^-52.1 as fitted and by 2^-53 for its roundings, in
/// units of m, and y ≥ 0.7 m; y is rounded once more. Together that is less than 2^-50.
#[inline(always)]
fn interval_f32(a: f64, quarters: u64) -> (f32, f32) {
    const SIN: [f64; 6] = [
        -0.16666666666666666,
        0.008333333333330948,
        -0.0001984126983675854,
        2.7557316102534617e-06,
        -2.505113184128889e-08,
        1.5918129027234826e-10,
    ];
    const COS: [f64; 6] = [
        -0.49999999999999967,
        0.04166666666663093,
        -0.00138888888821279,
        2.4801582623325245e-05,
        -2.7555855506363675e-07,
        2.0665504469130424e-09,
    ];
    let reduced = reduce(a);
    let quadrant = reduced.quadrant(quarters);
    let odd = quadrant & 1 == 1;
    let r = reduced.r.high;
    let m = if odd { 1.0 } else { r };
    let coefficients = std::array::from_fn::<f64, 6, _>(|k| if odd { COS[k] } else { SIN[k] });
    let z = r * r;
    let y = (m * z).mul_add(polynomial(&coefficients, z), m);
    let (low, high) = ends_in_f32(with_sign(y, quadrant));
    (if reduced.is_known(a, 0.0) { low } else { f32::NAN }, high)
}

/// `sin(a + quarters π/2)` as an interval.
///
/// From z³ on the series is a polynomial in f64, which for the cosine is off by 2^-65.9 as fitted and by roundings of
/// 1.1u of the 2^-11.5 that it is at most, for the sine by much less. What stands before is in two parts, off by some u²
/// (u = 2^-53). As cos r ≥ 0.7, y is off by less than 2^-63.5.
#[inline(always)]
fn interval_f64(a: f64, quarters: u64) -> (f64, f64) {
    // 2^-63, relative.
    const ERROR: f64 = 1.0842021724855044e-19;
    // Below, low parts are subnormal, and left to the scalar function; 0 is exact.
    const TINY: f64 = 1e-270;
    const SIN: [f64; 6] = [
        -0.0001984126984126984,
        2.7557319223985634e-06,
        -2.5052108384955626e-08,
        1.6059043500525835e-10,
        -7.647058545826979e-13,
        2.796286337762404e-15,
    ];
    const COS: [f64; 6] = [
        -0.001388888888888889,
        2.4801587301586814e-05,
        -2.7557319223062734e-07,
        2.087675634917923e-09,
        -1.1470545820977877e-11,
        4.7506609386415944e-14,
    ];
    let reduced = reduce(a);
    let quadrant = reduced.quadrant(quarters);
    let odd = quadrant & 1 == 1;
    let choose = |cos: f64, sin: f64| if odd { cos } else { sin };
    let r = reduced.r;
    let m = Parts::new(choose(1.0, r.high), choose(0.0, r.low));
    let z = r.times(r);
    // The largest coefficient alone at the end, for fewer roundings that matter.
    let tail = polynomial(&std::array::from_fn::<f64, 5, _>(|k| choose(COS[k + 1], SIN[k + 1])), z.high);
    let tail = tail.mul_add(z.high, choose(COS[0], SIN[0]));
    // 1/24 or 1/120, -1/2 or -1/6.
    let second = Parts::new(
        choose(0.041666666666666664, 0.008333333333333333),
        choose(2.3129646346357427e-18, 1.1564823173178714e-19),
    );
    let first = Parts::new(choose(-0.5, -0.16666666666666666), choose(0.0, -9.25185853854297e-18));
    let quotient = first.plus_smaller(z.times(second.plus_small_product(z, tail)));
    let y = m.plus_smaller(m.times(z.times(quotient)));
    let y = Parts::new(with_sign(y.high, quadrant), with_sign(y.low, quadrant));
    let (low, high) = y.ends(ERROR);
    (if reduced.is_known(a, TINY) { low } else { f64::NAN }, high)
}

impl Function<f32> for Sin {
    #[inline(always)]
    fn interval(x: f32) -> (f32, f32) {
        let (low, high) = interval_f32(f64::from(x.abs()), 0);
        // Odd in x.
        let sign = x.to_bits() & (1 << 31);
        (f32::from_bits(low.to_bits() ^ sign), f32::from_bits(high.to_bits() ^ sign))
    }

    #[inline]
    fn correct(x: f32) -> f32 {
        core_math::sinf(x)
    }
}

impl Function<f64> for Sin {
    #[inline(always)]
    fn interval(x: f64) -> (f64, f64) {
        let (low, high) = interval_f64(x.abs(), 0);
        // Odd in x.
        let sign = x.to_bits() & (1 << 63);
        (f64::from_bits(low.to_bits() ^ sign), f64::from_bits(high.to_bits() ^ sign))
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::sin(x)
    }
}

impl Function<f32> for Cos {
    #[inline(always)]
    fn interval(x: f32) -> (f32, f32) {
        interval_f32(f64::from(x.abs()), QUARTERS)
    }

    #[inline]
    fn correct(x: f32) -> f32 {
        core_math::cosf(x)
    }
}

impl Function<f64> for Cos {
    #[inline(always)]
    fn interval(x: f64) -> (f64, f64) {
        interval_f64(x.abs(), QUARTERS)
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::cos(x)
    }
}
