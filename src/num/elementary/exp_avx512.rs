//! `eˣ` in registers of AVX-512.
//!
//! ```text
//! x = n L + r,  L = ln 2 / 16,  n whole,  |r| ≤ L/2        eˣ = 2^(n/16) eʳ
//! ```
//! The sixteen powers `2^(j/16)` are held in two registers, where an instruction chooses from them by the lowest bits
//! of n; the polynomial is short then. The low end of each interval comes first: the powers are a little too small.

use super::exp::SHIFT;
use super::exp_table::{corrections, powers};
use std::arch::x86_64::*;

/// 16 / ln 2.
const PER_POWER: f64 = 23.083120654223414;

/// `n + SHIFT` of each lane, and n.
#[inline]
#[target_feature(enable = "avx512f")]
fn nearest(x: __m512d) -> (__m512d, __m512d) {
    let shifted = _mm512_fmadd_pd(x, _mm512_set1_pd(PER_POWER), _mm512_set1_pd(SHIFT));
    (shifted, _mm512_sub_pd(shifted, _mm512_set1_pd(SHIFT)))
}

/// Sixteen numbers to choose from.
#[derive(Clone, Copy)]
struct Table(__m512d, __m512d);

impl Table {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(table: &[f64; 16]) -> Self {
        // SAFETY: each reads eight of the sixteen.
        unsafe { Self(_mm512_loadu_pd(table.as_ptr()), _mm512_loadu_pd(table[8..].as_ptr())) }
    }

    /// Entry n mod 16, where n is in the lowest bits.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn entry(self, shifted: __m512d) -> __m512d {
        _mm512_permutex2var_pd(self.0, _mm512_castpd_si512(shifted), self.1)
    }
}

/// `2^(n/16)` from an entry of a table of [`powers`].
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled(entry: __m512d, shifted: __m512d) -> __m512d {
    let exponent = _mm512_slli_epi64::<48>(_mm512_castpd_si512(shifted));
    _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(entry), exponent))
}

/// Both ends for eight x of f32 in [-104, 89].
///
/// n is of 12 bits, L as one f64 is off by 2^-59.2, and so r by 2^-47.9. The polynomial is off by 2^-38.5 of eʳ as fitted, and
/// all roundings are below 2^-50: together less than 2^-38.4 of eˣ. The powers are too small by 2^-38, and the high end is
/// 2^-37 above the low one.
#[inline]
#[target_feature(enable = "avx512f")]
fn ends_f32(x: __m512d, table: Table) -> (__m256, __m256) {
    let (shifted, n) = nearest(x);
    let r = _mm512_fnmadd_pd(n, _mm512_set1_pd(0.04332169878499658), x);
    let power = scaled(table.entry(shifted), shifted);
    let q = _mm512_fmadd_pd(_mm512_set1_pd(0.04166748124362569), r, _mm512_set1_pd(0.16667155414207058));
    let q = _mm512_fmadd_pd(q, r, _mm512_set1_pd(0.4999999999044515));
    let q = _mm512_fmadd_pd(q, r, _mm512_set1_pd(0.9999999994267068));
    let low = _mm512_fmadd_pd(_mm512_mul_pd(power, r), q, power);
    let high = _mm512_fmadd_pd(low, _mm512_set1_pd(7.275957614183426e-12), low);
    (_mm512_cvtpd_ps(low), _mm512_cvtpd_ps(high))
}

/// Sixteen values, and where they are in doubt.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn values_f32(x: __m512, table: Table) -> (__m512, __mmask16) {
    // Beyond, f32 has 0 and ∞ only, which the conversion gives. The bound is first, so that NaN stays NaN.
    let x = _mm512_min_ps(_mm512_set1_ps(89.0), _mm512_max_ps(_mm512_set1_ps(-104.0), x));
    let (first, second) = (_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
    let (first_low, first_high) = ends_f32(_mm512_cvtps_pd(first), table);
    let (second_low, second_high) = ends_f32(_mm512_cvtps_pd(second), table);
    let low = _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first_low), second_low);
    let high = _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first_high), second_high);
    (low, _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(low, high))
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp_f32(values: &mut [f32], mut correct: impl FnMut(f32) -> f32) {
    const TABLE: [f64; 16] = powers(1.0 - 3.637978807091713e-12);
    let table = Table::new(&TABLE);
    let (whole, rest) = values.as_chunks_mut::<16>();
    for chunk in whole {
        // SAFETY: the chunk has sixteen.
        let x = unsafe { _mm512_loadu_ps(chunk.as_ptr()) };
        let (y, doubt) = values_f32(x, table);
        if doubt != 0 {
            correct_lanes(chunk, doubt, &mut correct);
        }
        // SAFETY: the mask leaves at most the sixteen of the chunk.
        unsafe { _mm512_mask_storeu_ps(chunk.as_mut_ptr(), !doubt, y) };
    }
    if !rest.is_empty() {
        let lanes = !(!0 << rest.len());
        // SAFETY: the masks leave the lanes that there are.
        unsafe {
            let (y, doubt) = values_f32(_mm512_maskz_loadu_ps(lanes, rest.as_ptr()), table);
            correct_lanes(rest, doubt & lanes, &mut correct);
            _mm512_mask_storeu_ps(rest.as_mut_ptr(), lanes & !doubt, y);
        }
    }
}

/// The scalar function where the mask has a bit.
#[cold]
#[inline(never)]
fn correct_lanes<T: Copy>(values: &mut [T], mask: u16, correct: &mut impl FnMut(T) -> T) {
    for (lane, x) in values.iter_mut().enumerate() {
        if mask >> lane & 1 == 1 {
            *x = correct(*x);
        }
    }
}

/// `2^-62`: by so much the low end is below the value, but for errors.
const ERROR: f64 = 2.168404344971009e-19;

/// Eight values, and where they are in doubt.
///
/// In units of T = 2^(n/16), with u = 2^-53: L is split so that n times its upper part, of 14 bits and 38, is exact, and so
/// is the first difference; r + r_low is off by 2^-82. With d = r_low + the correction of T, below 2^-52.9,
///
/// ```text
/// e^(r + d) = 1 + r + d + r d + r² H(r) + …,    H(r) = (eʳ - 1 - r)/r²
/// ```
/// what is left out is d r²/2, below 2^-65.0. H is off by 2^-64.0 of eʳ as fitted; its roundings, below 2^-53.9, come to
/// 2^-65.0 times r²; those of `inner` (below 2^-6.5) to 2^-65.5, of `rest` (2^-12.06) to 2^-66, of `low` to 2^-65.0. What the
/// rounding of `sum` leaves is exact to 2^-106. So the ends are off by 2^-62.4, the high end by 2^-65 more for its `low`: 2^-62.1.
/// That is less than the 2^-62 by which d is made smaller, times eʳ ≥ 0.978, and less than what the high end is then
/// above the value: 2^-61 less 2^-62 eʳ, where eʳ ≤ 1.022.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn values_f64(x: __m512d, table: Table, corrections: Table) -> (__m512d, __mmask8) {
    // Below the first, the result is +0. Beyond the second, it or its low part is subnormal, or it is infinite: left to the
    // scalar function.
    const ZERO_BELOW: f64 = -746.0;
    const NORMAL_BELOW: f64 = 660.0;
    // L to 38 bits and the rest, off by 2^-97.
    const HIGH: f64 = 0.04332169878489367;
    const LOW: f64 = 1.0291218489310676e-13;

    let zero = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(x, _mm512_set1_pd(ZERO_BELOW));
    let normal = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(_mm512_abs_pd(x), _mm512_set1_pd(NORMAL_BELOW));
    // The others become 0, as arithmetic with subnormal numbers is slow.
    let x = _mm512_maskz_mov_pd(normal, x);

    let (shifted, n) = nearest(x);
    let first = _mm512_fnmadd_pd(n, _mm512_set1_pd(HIGH), x);
    let r = _mm512_fnmadd_pd(n, _mm512_set1_pd(LOW), first);
    let r_low = _mm512_fnmadd_pd(n, _mm512_set1_pd(LOW), _mm512_sub_pd(first, r));
    let d = _mm512_add_pd(r_low, corrections.entry(shifted));
    let power = scaled(table.entry(shifted), shifted);

    let h = _mm512_fmadd_pd(_mm512_set1_pd(0.0001984146378747054), r, _mm512_set1_pd(0.0013889063440655652));
    let h = _mm512_fmadd_pd(h, r, _mm512_set1_pd(0.00833333333299209));
    let h = _mm512_fmadd_pd(h, r, _mm512_set1_pd(0.041666666663595475));
    let h = _mm512_fmadd_pd(h, r, _mm512_set1_pd(0.16666666666666669));
    let h = _mm512_fmadd_pd(h, r, _mm512_set1_pd(0.5000000000000001));
    // d + r d + r² H
    let inner = _mm512_fmadd_pd(h, r, d);
    let rest = _mm512_fmadd_pd(inner, r, d);

    // T + T r, what its rounding leaves, and T times the rest.
    let sum = _mm512_fmadd_pd(power, r, power);
    let left = _mm512_fmsub_pd(power, r, _mm512_sub_pd(sum, power));
    let low = _mm512_fmadd_pd(power, rest, left);
    let y = _mm512_maskz_add_pd(normal, sum, low);
    let high = _mm512_add_pd(sum, _mm512_fmadd_pd(power, _mm512_set1_pd(2.0 * ERROR), low));
    let sure = _mm512_mask_cmp_pd_mask::<_CMP_EQ_OQ>(normal, y, high);
    (y, !(sure | zero))
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp_f64(values: &mut [f64], mut correct: impl FnMut(f64) -> f64) {
    const POWERS: [f64; 16] = powers(1.0);
    const CORRECTIONS: [f64; 16] = corrections(-ERROR);
    let (table, corrections) = (Table::new(&POWERS), Table::new(&CORRECTIONS));
    let (whole, rest) = values.as_chunks_mut::<8>();
    for chunk in whole {
        // SAFETY: the chunk has eight.
        let x = unsafe { _mm512_loadu_pd(chunk.as_ptr()) };
        let (y, doubt) = values_f64(x, table, corrections);
        if doubt != 0 {
            correct_lanes(chunk, doubt.into(), &mut correct);
        }
        // SAFETY: the mask leaves at most the eight of the chunk.
        unsafe { _mm512_mask_storeu_pd(chunk.as_mut_ptr(), !doubt, y) };
    }
    if !rest.is_empty() {
        let lanes = !(!0 << rest.len());
        // SAFETY: the masks leave the lanes that there are.
        unsafe {
            let (y, doubt) = values_f64(_mm512_maskz_loadu_pd(lanes, rest.as_ptr()), table, corrections);
            correct_lanes(rest, (doubt & lanes).into(), &mut correct);
            _mm512_mask_storeu_pd(rest.as_mut_ptr(), lanes & !doubt, y);
        }
    }
}
