//! `eˣ` in registers of AVX2.
//!
//! In f32 by a polynomial alone, in f64, as in `exp`. In f64 as in `exp_avx512`, with N = 64 powers and their corrections in
//! memory, side by side. The low end of each interval comes first, and the high one is a little above.

use super::exp::SHIFT;
use super::exp_table::{corrections, powers};
use super::settle;
use std::arch::x86_64::*;
use std::f64::consts::{LN_2, LOG2_E};

/// Registers that are worked on side by side, as each operation waits for the one before.
const SIDE: usize = 2;

#[derive(Clone, Copy)]
struct Doubles([__m256d; SIDE]);

impl Doubles {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn splat(x: f64) -> Self {
        Self([_mm256_set1_pd(x); SIDE])
    }
    /// `self · a + b`
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_add(mut self, a: Self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_fmadd_pd(self.0[i], a.0[i], b.0[i]);
        }
        self
    }
    /// `b - self · a`
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_from(mut self, a: Self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_fnmadd_pd(self.0[i], a.0[i], b.0[i]);
        }
        self
    }
    /// `self · a - b`
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul_sub(mut self, a: Self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_fmsub_pd(self.0[i], a.0[i], b.0[i]);
        }
        self
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add(mut self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_add_pd(self.0[i], b.0[i]);
        }
        self
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sub(mut self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_sub_pd(self.0[i], b.0[i]);
        }
        self
    }
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn mul(mut self, b: Self) -> Self {
        for i in 0..SIDE {
            self.0[i] = _mm256_mul_pd(self.0[i], b.0[i]);
        }
        self
    }
    /// With `n · 2^bits` added to its bits, where n is in the lowest bits of `shifted`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_exponent<const BITS: i32>(mut self, shifted: Self) -> Self {
        for i in 0..SIDE {
            let exponent = _mm256_slli_epi64::<BITS>(_mm256_castpd_si256(shifted.0[i]));
            self.0[i] = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(self.0[i]), exponent));
        }
        self
    }
}

/// `c[k] + c[k + 1] · r`
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pair(c: &[f64; 9], k: usize, r: Doubles) -> Doubles {
    r.mul_add(Doubles::splat(c[k + 1]), Doubles::splat(c[k]))
}

/// Values of one block.
const SINGLES: usize = 8;
const DOUBLES: usize = 8;

/// The block becomes eˣ, by `correct` where it is in doubt.
///
/// n is below 2^7.3, ln 2 as one f64 is off by 2^-55.2, and so r by 2^-47.9. The polynomial is `(1 - 2^-39) eʳ`, off by 2^-40.1
/// as fitted where eʳ ≥ 0.7, and all roundings are below 2^-50: together less than 2^-39.5 of eˣ. The high end is 2^-38 above
/// the low one.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn block_f32(values: &mut [f32; SINGLES], correct: &mut impl FnMut(f32) -> f32) {
    const POLYNOMIAL: [f64; 9] = [
        0.999999999998181,
        0.9999999999779662,
        0.49999999999706984,
        0.1666666689101546,
        0.04166666689088121,
        0.008333266097934205,
        0.001388882167760485,
        0.00019915866926885632,
        2.4876164022719818e-05,
    ];
    // SAFETY: the block has the eight that are read.
    let x = unsafe { _mm256_loadu_ps(values.as_ptr()) };
    // Beyond, f32 has 0 and ∞ only, which the conversion gives. The bound is first, so that NaN stays NaN.
    let x = _mm256_min_ps(_mm256_set1_ps(89.0), _mm256_max_ps(_mm256_set1_ps(-104.0), x));
    let x = Doubles([_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x))]);

    let shifted = x.mul_add(Doubles::splat(LOG2_E), Doubles::splat(SHIFT));
    let n = shifted.sub(Doubles::splat(SHIFT));
    let r = n.mul_from(Doubles::splat(LN_2), x);
    // By Estrin's rule, which waits less.
    let square = r.mul(r);
    let fourth = square.mul(square);
    let first = pair(&POLYNOMIAL, 2, r).mul_add(square, pair(&POLYNOMIAL, 0, r));
    let second = pair(&POLYNOMIAL, 6, r).mul_add(square, pair(&POLYNOMIAL, 4, r));
    let sum = fourth.mul_add(Doubles::splat(POLYNOMIAL[8]), second).mul_add(fourth, first);
    let low = sum.add_exponent::<52>(shifted);
    let high = low.mul_add(Doubles::splat(3.637978807091713e-12), low);

    let low = _mm256_set_m128(_mm256_cvtpd_ps(low.0[1]), _mm256_cvtpd_ps(low.0[0]));
    let high = _mm256_set_m128(_mm256_cvtpd_ps(high.0[1]), _mm256_cvtpd_ps(high.0[0]));
    let doubt = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(low, high));
    // SAFETY: the block has room for eight.
    let store = |to: &mut [f32; SINGLES]| unsafe { _mm256_storeu_ps(to.as_mut_ptr(), low) };
    if doubt == 0 {
        store(values);
    } else {
        let mut quick = [0.0; SINGLES];
        store(&mut quick);
        settle(values, &quick, !doubt as u32, correct);
    }
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp_f32(values: &mut [f32], mut correct: impl FnMut(f32) -> f32) {
    let (blocks, rest) = values.as_chunks_mut();
    for block in blocks {
        block_f32(block, &mut correct);
    }
    if !rest.is_empty() {
        let mut block = [0.0; SINGLES];
        block[..rest.len()].copy_from_slice(rest);
        block_f32(&mut block, &mut correct);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

/// By so much the low end is made smaller in f64: `2^-66`.
const ERROR: f64 = 1.3552527156068805e-20;

/// A power, prepared as by [`powers`], and its correction.
static TABLE: [[f64; 2]; 64] = {
    let (powers, corrections) = (powers::<64>(), corrections::<64>(ERROR));
    let mut table = [[0.0; 2]; 64];
    let mut j = 0;
    while j < 64 {
        table[j] = [powers[j], corrections[j]];
        j += 1;
    }
    table
};

/// The powers n mod 64 and their corrections, for n in the lowest bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn entries(shifted: Doubles) -> (Doubles, Doubles) {
    let (mut powers, mut corrections) = (shifted, shifted);
    for i in 0..SIDE {
        let n = _mm256_castpd_si256(shifted.0[i]);
        let (first, second) = (_mm256_castsi256_si128(n), _mm256_extracti128_si256::<1>(n));
        // SAFETY: an entry has the two that are read.
        let entry = |n: i64| unsafe { _mm_loadu_pd(TABLE[n as usize % 64].as_ptr()) };
        let even = _mm256_set_m128d(entry(_mm_cvtsi128_si64(second)), entry(_mm_cvtsi128_si64(first)));
        let odd = _mm256_set_m128d(entry(_mm_extract_epi64::<1>(second)), entry(_mm_extract_epi64::<1>(first)));
        powers.0[i] = _mm256_unpacklo_pd(even, odd);
        corrections.0[i] = _mm256_unpackhi_pd(even, odd);
    }
    (powers, corrections)
}

/// The block becomes eˣ, by `correct` where it is in doubt.
///
/// As in `exp_avx512`, in units of T: the upper part of L is of 36 bits and n of 16, |r| ≤ 2^-7.53, |d| ≤ 2^-52.9. Left out is
/// d r²/2, below 2^-68.9; H is off by 2^-69.0 of eʳ as fitted, and its roundings, the last two of 2^-54, come to 2^-68.0; that of
/// `inner` to 2^-69.5, of `rest` to 2^-70, of `low` to 2^-69.0, and once more in the high end. So each end is off by less than
/// 2^-66.1, which is less than the 2^-66 (times eʳ ≥ 0.994, and ≤ 1.006) that they are moved by.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn block_f64(values: &mut [f64; DOUBLES], correct: &mut impl FnMut(f64) -> f64) {
    // As in `exp_avx512`.
    const ZERO_BELOW: f64 = -746.0;
    const NORMAL_BELOW: f64 = 660.0;

    // SAFETY: the two read the eight of the block.
    let x: [__m256d; SIDE] = unsafe { [_mm256_loadu_pd(values.as_ptr()), _mm256_loadu_pd(values[4..].as_ptr())] };
    let (mut normal, mut inside) = (x, x);
    for i in 0..SIDE {
        let size = _mm256_andnot_pd(_mm256_set1_pd(-0.0), x[i]);
        normal[i] = _mm256_cmp_pd::<_CMP_LT_OQ>(size, _mm256_set1_pd(NORMAL_BELOW));
        inside[i] = _mm256_and_pd(normal[i], x[i]);
    }
    let zero = x.map(|x| _mm256_cmp_pd::<_CMP_LT_OQ>(x, _mm256_set1_pd(ZERO_BELOW)));
    let x = Doubles(inside);

    // 64 / ln 2
    let shifted = x.mul_add(Doubles::splat(92.33248261689366), Doubles::splat(SHIFT));
    let (entry, correction) = entries(shifted);
    let power = entry.add_exponent::<46>(shifted);
    let n = shifted.sub(Doubles::splat(SHIFT));
    let (high_part, low_part) = (Doubles::splat(0.010830424696223417), Doubles::splat(2.572804622327669e-14));
    let first = n.mul_from(high_part, x);
    let r = n.mul_from(low_part, first);
    let r_low = n.mul_from(low_part, first.sub(r));
    let d = r_low.add(correction);

    // d + r d + r² H
    let square = r.mul(r);
    let h = r.mul_add(Doubles::splat(0.008333340606283922), Doubles::splat(0.04166666666666));
    let h = square.mul_add(Doubles::splat(0.0013888897980076384), h);
    let h = h.mul_add(square, r.mul_add(Doubles::splat(0.16666666666661334), Doubles::splat(0.5)));
    let inner = h.mul_add(r, d);
    let rest = inner.mul_add(r, d);

    let sum = power.mul_add(r, power);
    let left = power.mul_sub(r, sum.sub(power));
    let low = power.mul_add(rest, left);
    let y = sum.add(low);
    let high = sum.add(power.mul_add(Doubles::splat(2.0 * ERROR), low));

    let (mut sure, mut result) = (0, y.0);
    for i in 0..SIDE {
        let equal = _mm256_and_pd(normal[i], _mm256_cmp_pd::<_CMP_EQ_OQ>(y.0[i], high.0[i]));
        sure |= _mm256_movemask_pd(_mm256_or_pd(equal, zero[i])) << (4 * i);
        result[i] = _mm256_and_pd(normal[i], y.0[i]);
    }
    let store = |to: &mut [f64; DOUBLES]| {
        // SAFETY: the two write the eight of the block.
        unsafe {
            _mm256_storeu_pd(to.as_mut_ptr(), result[0]);
            _mm256_storeu_pd(to[4..].as_mut_ptr(), result[1]);
        }
    };
    if sure == 0xff {
        store(values);
    } else {
        let mut quick = [0.0; DOUBLES];
        store(&mut quick);
        settle(values, &quick, sure as u32, correct);
    }
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp_f64(values: &mut [f64], mut correct: impl FnMut(f64) -> f64) {
    let (blocks, rest) = values.as_chunks_mut();
    for block in blocks {
        block_f64(block, &mut correct);
    }
    if !rest.is_empty() {
        let mut block = [0.0; DOUBLES];
        block[..rest.len()].copy_from_slice(rest);
        block_f64(&mut block, &mut correct);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}
