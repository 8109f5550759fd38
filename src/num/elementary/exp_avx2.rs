//! `eˣ` in registers of AVX2.
//!
//! In f32 by a polynomial alone, as in `exp`. In f64
//!
//! ```text
//! x = n L + r,  L = ln 2 / 64,  n whole,  |r| ≤ L/2        eˣ = 2^(n/64) eʳ
//! ```
//! with the powers `2^(j/64)` and their corrections from a table in memory, two loads for each four lanes and table.
//! The low end of each interval comes first, and the high one is a little above.

use super::exp::SHIFT;
use super::exp_table::{corrections, powers};
use std::arch::x86_64::*;
use std::f64::consts::{LN_2, LOG2_E};

/// Both ends for four x of f32 in [-104, 89].
///
/// n is below 2^7.3, ln 2 as one f64 is off by 2^-55.2, and so r by 2^-47.9. The polynomial is `(1 - 2^-39) eʳ`, off by 2^-40.1
/// as fitted where eʳ ≥ 0.7, and all roundings are below 2^-50: together less than 2^-39.6 of eˣ. The high end is 2^-38 above
/// the low one.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn ends_f32(x: __m256d) -> (__m128, __m128) {
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
    let shifted = _mm256_fmadd_pd(x, _mm256_set1_pd(LOG2_E), _mm256_set1_pd(SHIFT));
    let n = _mm256_sub_pd(shifted, _mm256_set1_pd(SHIFT));
    let r = _mm256_fnmadd_pd(n, _mm256_set1_pd(LN_2), x);
    let mut sum = _mm256_set1_pd(POLYNOMIAL[8]);
    for k in (0..8).rev() {
        sum = _mm256_fmadd_pd(sum, r, _mm256_set1_pd(POLYNOMIAL[k]));
    }
    let exponent = _mm256_slli_epi64::<52>(_mm256_castpd_si256(shifted));
    let low = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(sum), exponent));
    let high = _mm256_fmadd_pd(low, _mm256_set1_pd(3.637978807091713e-12), low);
    (_mm256_cvtpd_ps(low), _mm256_cvtpd_ps(high))
}

/// Eight values, and a bit for each that is in doubt.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn values_f32(x: __m256) -> (__m256, i32) {
    // Beyond, f32 has 0 and ∞ only, which the conversion gives. The bound is first, so that NaN stays NaN.
    let x = _mm256_min_ps(_mm256_set1_ps(89.0), _mm256_max_ps(_mm256_set1_ps(-104.0), x));
    let (first_low, first_high) = ends_f32(_mm256_cvtps_pd(_mm256_castps256_ps128(x)));
    let (second_low, second_high) = ends_f32(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x)));
    let (low, high) = (_mm256_set_m128(second_low, first_low), _mm256_set_m128(second_high, first_high));
    (low, _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(low, high)))
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp_f32(values: &mut [f32], mut correct: impl FnMut(f32) -> f32) {
    let (whole, rest) = values.as_chunks_mut::<8>();
    for chunk in whole {
        block_f32(chunk, &mut correct);
    }
    if !rest.is_empty() {
        let mut chunk = [0.0; 8];
        chunk[..rest.len()].copy_from_slice(rest);
        block_f32(&mut chunk, &mut correct);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn block_f32(chunk: &mut [f32; 8], correct: &mut impl FnMut(f32) -> f32) {
    // SAFETY: the chunk has the eight that are read and written.
    let (y, doubt) = values_f32(unsafe { _mm256_loadu_ps(chunk.as_ptr()) });
    let x = *chunk;
    // SAFETY: as above.
    unsafe { _mm256_storeu_ps(chunk.as_mut_ptr(), y) };
    if doubt != 0 {
        correct_lanes(chunk, &x, doubt, correct);
    }
}

/// The scalar function of x where the mask has a bit.
#[cold]
#[inline(never)]
fn correct_lanes<T: Copy>(values: &mut [T], x: &[T], mask: i32, correct: &mut impl FnMut(T) -> T) {
    for (lane, (y, &x)) in values.iter_mut().zip(x).enumerate() {
        if mask >> lane & 1 == 1 {
            *y = correct(x);
        }
    }
}

/// `2^-66`: by so much the low end is below the value, but for errors.
const ERROR: f64 = 1.3552527156068805e-20;

/// A power, prepared as by [`powers`], and its correction.
const TABLE: [[f64; 2]; 64] = {
    let (powers, corrections) = (powers::<64>(), corrections::<64>(ERROR));
    let mut table = [[0.0; 2]; 64];
    let mut j = 0;
    while j < 64 {
        table[j] = [powers[j], corrections[j]];
        j += 1;
    }
    table
};

/// The entries n mod 64 for the four n in the lowest bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn entries(shifted: __m256d) -> (__m256d, __m256d) {
    let mut n = [0u64; 4];
    // SAFETY: the array has room for four.
    unsafe { _mm256_storeu_pd(n.as_mut_ptr().cast(), shifted) };
    // SAFETY: an entry has two.
    let entry = |n: u64| unsafe { _mm_loadu_pd(TABLE[n as usize % 64].as_ptr()) };
    let even = _mm256_set_m128d(entry(n[2]), entry(n[0]));
    let odd = _mm256_set_m128d(entry(n[3]), entry(n[1]));
    (_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd))
}

/// Four values, and a bit for each that is in doubt.
///
/// As in `exp_avx512`, with L = ln 2 / 64: n is of 16 bits and the upper part of L of 36, d is below 2^-52.9. In units of
/// T = 2^(n/64): left out is d r²/2, below 2^-69.0; H is off by 2^-69.0 of eʳ as fitted, and its roundings come to 2^-69.0; those of
/// `inner` to 2^-69.5, of `rest` to 2^-70, of `low` to 2^-69.0, and once more in the high end. So each end is off by less than
/// 2^-66.4, and the 2^-66 times eʳ (between 0.994 and 1.006) that they are moved by are enough.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn values_f64(x: __m256d) -> (__m256d, i32) {
    // As in `exp_avx512`.
    const ZERO_BELOW: f64 = -746.0;
    const NORMAL_BELOW: f64 = 660.0;
    // 64 / ln 2; L to 36 bits and the rest, off by 2^-99.
    const PER_POWER: f64 = 92.33248261689366;
    const HIGH: f64 = 0.010830424696223417;
    const LOW: f64 = 2.572804622327669e-14;

    let zero = _mm256_cmp_pd::<_CMP_LT_OQ>(x, _mm256_set1_pd(ZERO_BELOW));
    let size = _mm256_andnot_pd(_mm256_set1_pd(-0.0), x);
    let normal = _mm256_cmp_pd::<_CMP_LT_OQ>(size, _mm256_set1_pd(NORMAL_BELOW));
    let x = _mm256_and_pd(normal, x);

    let shifted = _mm256_fmadd_pd(x, _mm256_set1_pd(PER_POWER), _mm256_set1_pd(SHIFT));
    let (entry, correction) = entries(shifted);
    let exponent = _mm256_slli_epi64::<46>(_mm256_castpd_si256(shifted));
    let power = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(entry), exponent));

    let n = _mm256_sub_pd(shifted, _mm256_set1_pd(SHIFT));
    let first = _mm256_fnmadd_pd(n, _mm256_set1_pd(HIGH), x);
    let r = _mm256_fnmadd_pd(n, _mm256_set1_pd(LOW), first);
    let r_low = _mm256_fnmadd_pd(n, _mm256_set1_pd(LOW), _mm256_sub_pd(first, r));
    let d = _mm256_add_pd(r_low, correction);

    let h = _mm256_fmadd_pd(_mm256_set1_pd(0.0013888897980076384), r, _mm256_set1_pd(0.008333340606283922));
    let h = _mm256_fmadd_pd(h, r, _mm256_set1_pd(0.04166666666666));
    let h = _mm256_fmadd_pd(h, r, _mm256_set1_pd(0.16666666666661334));
    let h = _mm256_fmadd_pd(h, r, _mm256_set1_pd(0.5));
    // d + r d + r² H
    let inner = _mm256_fmadd_pd(h, r, d);
    let rest = _mm256_fmadd_pd(inner, r, d);

    // T + T r, what its rounding leaves, and T times the rest.
    let sum = _mm256_fmadd_pd(power, r, power);
    let left = _mm256_fmsub_pd(power, r, _mm256_sub_pd(sum, power));
    let low = _mm256_fmadd_pd(power, rest, left);
    let y = _mm256_add_pd(sum, low);
    let high = _mm256_add_pd(sum, _mm256_fmadd_pd(power, _mm256_set1_pd(2.0 * ERROR), low));
    let sure = _mm256_and_pd(normal, _mm256_cmp_pd::<_CMP_EQ_OQ>(y, high));
    let doubt = 15 & !_mm256_movemask_pd(_mm256_or_pd(sure, zero));
    (_mm256_and_pd(normal, y), doubt)
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx2,fma")]
pub(super) fn exp_f64(values: &mut [f64], mut correct: impl FnMut(f64) -> f64) {
    let (whole, rest) = values.as_chunks_mut::<4>();
    for chunk in whole {
        block_f64(chunk, &mut correct);
    }
    if !rest.is_empty() {
        let mut chunk = [0.0; 4];
        chunk[..rest.len()].copy_from_slice(rest);
        block_f64(&mut chunk, &mut correct);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn block_f64(chunk: &mut [f64; 4], correct: &mut impl FnMut(f64) -> f64) {
    // SAFETY: the chunk has the four that are read and written.
    let (y, doubt) = values_f64(unsafe { _mm256_loadu_pd(chunk.as_ptr()) });
    let x = *chunk;
    // SAFETY: as above.
    unsafe { _mm256_storeu_pd(chunk.as_mut_ptr(), y) };
    if doubt != 0 {
        correct_lanes(chunk, &x, doubt, correct);
    }
}
