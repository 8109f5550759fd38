//! `eˣ` in registers of AVX-512.
//!
//! ```text
//! x = n L + r,  L = ln 2 / N,  n whole,  |r| ≤ L/2        eˣ = 2^(n/N) eʳ
//! ```
//! The powers `2^(j/N)` are held in two registers (N = 16 in f64, 32 in f32), where an instruction chooses from them by the
//! lowest bits of n; so r is small and the polynomial short. With T a power rounded to its format, c what it lacks
//! (`2^(j/N) = T e^c`), d = c and the low part of r, and `e^(r + d) ≈ 1 + r + d + r d + r² H(r)`, where `H(r) = (eʳ - 1 - r)/r²`,
//! the result is
//!
//! ```text
//! (T + T r) + (what the rounding of that leaves + T (d + r d + r² H))
//! ```
//! The low end of each interval is made first: c is a little too small. The high end is a little above.

#![expect(clippy::needless_range_loop, reason = "loops over registers say what stands where; iterators become calls")]

use super::exp::SHIFT;
use super::exp_table::{corrections, corrections_f32, powers, powers_f32};
use super::settle;
use std::arch::x86_64::*;

/// Registers that are worked on side by side, as each operation waits for the one before.
const SIDE: usize = 2;

macro_rules! side_by_side {
    ($name:ident, $register:ty, $scalar:ty, $splat:ident, $fma:ident, $fnma:ident, $fms:ident, $add:ident, $sub:ident, $mul:ident) => {
        #[derive(Clone, Copy)]
        struct $name([$register; SIDE]);

        impl $name {
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn splat(x: $scalar) -> Self {
                Self([$splat(x); SIDE])
            }
            /// `self · a + b`
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn mul_add(mut self, a: Self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $fma(self.0[i], a.0[i], b.0[i]);
                }
                self
            }
            /// `b - self · a`
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn mul_from(mut self, a: Self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $fnma(self.0[i], a.0[i], b.0[i]);
                }
                self
            }
            /// `self · a - b`
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn mul_sub(mut self, a: Self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $fms(self.0[i], a.0[i], b.0[i]);
                }
                self
            }
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn add(mut self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $add(self.0[i], b.0[i]);
                }
                self
            }
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn sub(mut self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $sub(self.0[i], b.0[i]);
                }
                self
            }
            #[inline]
            #[target_feature(enable = "avx512f")]
            fn mul(mut self, b: Self) -> Self {
                for i in 0..SIDE {
                    self.0[i] = $mul(self.0[i], b.0[i]);
                }
                self
            }
        }
    };
}
side_by_side!(
    Doubles,
    __m512d,
    f64,
    _mm512_set1_pd,
    _mm512_fmadd_pd,
    _mm512_fnmadd_pd,
    _mm512_fmsub_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd
);
side_by_side!(
    Singles,
    __m512,
    f32,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_fnmadd_ps,
    _mm512_fmsub_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps
);

/// Values of one block.
const SINGLES: usize = 16 * SIDE;
const DOUBLES: usize = 8 * SIDE;

/// By so much, relatively, the low end is made smaller in f32: `2^-35`.
const ERROR_F32: f32 = 2.910383e-11;
/// And in f64: `2^-62`.
const ERROR: f64 = 2.168404344971009e-19;

/// Both tables of f32, in two registers each.
#[derive(Clone, Copy)]
struct TablesF32 {
    powers: [__m512; 2],
    corrections: [__m512; 2],
}

impl TablesF32 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        const POWERS: [f32; 32] = powers_f32();
        const CORRECTIONS: [f32; 32] = corrections_f32(ERROR_F32);
        // SAFETY: each reads sixteen of the thirty-two.
        let load =
            |table: &[f32; 32]| unsafe { [_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table[16..].as_ptr())] };
        Self { powers: load(&POWERS), corrections: load(&CORRECTIONS) }
    }
}

/// The block becomes eˣ, by `correct` where it is in doubt.
///
/// In units of T: L is split in three, so that n (12 bits) times the first (12) and the second (6) is exact, and so are both
/// differences, multiples of 2^-30 below 2^-6. |r| ≤ 2^-6.53; the third is -2^-34.0, so |d| ≤ 2^-21.9, and s = r + d takes the
/// place of r in H and its square. H is off by 2^-41.5 of eʳ as fitted; its roundings, below 2^-24.9, come to 2^-38.0 times r²;
/// that of s (2^-31) to 2^-37.5, that of `inner` (below 2^-7.5) to 2^-38.5, of `rest` (below 2^-14) to 2^-39, of `low` to 2^-37.9,
/// and once more in the high end. So each end is off by less than 2^-35.4, which is less than the 2^-35 (times eʳ ≥ 0.989, and
/// ≤ 1.011) that they are moved by.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn block_f32(values: &mut [f32; SINGLES], tables: TablesF32, correct: &mut impl FnMut(f32) -> f32) {
    // Below the first, the result is +0. Beyond the second it is subnormal or near ∞, and left to the scalar function.
    const ZERO_BELOW: f32 = -104.0;
    const NORMAL_BELOW: f32 = 87.25;
    /// 1.5 · 2^23
    const SHIFT: f32 = 12_582_912.0;

    // SAFETY: the two read the 32 of the block.
    let x: [__m512; SIDE] = unsafe { [_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values[16..].as_ptr())] };
    let (mut zero, mut normal, mut inside) = ([0; SIDE], [0; SIDE], x);
    for i in 0..SIDE {
        zero[i] = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x[i], _mm512_set1_ps(ZERO_BELOW));
        normal[i] = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(x[i]), _mm512_set1_ps(NORMAL_BELOW));
        inside[i] = _mm512_maskz_mov_ps(normal[i], x[i]);
    }
    let x = Singles(inside);

    // 32 / ln 2
    let shifted = x.mul_add(Singles::splat(46.16624), Singles::splat(SHIFT));
    let n = shifted.sub(Singles::splat(SHIFT));
    let r = n.mul_from(Singles::splat(0.021659851), x);
    let r = n.mul_from(Singles::splat(9.983778e-7), r);
    let (mut power, mut correction, mut exponent) = (r, r, [_mm512_setzero_si512(); SIDE]);
    for i in 0..SIDE {
        let n = _mm512_castps_si512(shifted.0[i]);
        power.0[i] = _mm512_permutex2var_ps(tables.powers[0], n, tables.powers[1]);
        correction.0[i] = _mm512_permutex2var_ps(tables.corrections[0], n, tables.corrections[1]);
        exponent[i] = _mm512_slli_epi32::<18>(_mm512_andnot_si512(_mm512_set1_epi32(31), n));
    }
    let d = n.mul_from(Singles::splat(-5.9520444e-11), correction);

    // d + s² H
    let s = r.add(d);
    let h = s.mul_add(Singles::splat(0.04166679), Singles::splat(0.1666674)).mul_add(s, Singles::splat(0.5));
    let inner = s.mul(h);
    let rest = inner.mul_add(s, d);

    let sum = power.mul_add(r, power);
    let left = power.mul_sub(r, sum.sub(power));
    let low = power.mul_add(rest, left);
    let y = sum.add(low);
    let high = sum.add(power.mul_add(Singles::splat(2.0 * ERROR_F32), low));

    let (mut sure, mut scaled) = (zero, y.0);
    for i in 0..SIDE {
        sure[i] |= _mm512_mask_cmp_ps_mask::<_CMP_EQ_OQ>(normal[i], y.0[i], high.0[i]);
        let bits = _mm512_maskz_add_epi32(normal[i], _mm512_castps_si512(y.0[i]), exponent[i]);
        scaled[i] = _mm512_castsi512_ps(bits);
    }
    let store = |to: &mut [f32; SINGLES]| {
        // SAFETY: the two write the 32 of the block.
        unsafe {
            _mm512_storeu_ps(to.as_mut_ptr(), scaled[0]);
            _mm512_storeu_ps(to[16..].as_mut_ptr(), scaled[1]);
        }
    };
    if sure[0] & sure[1] == !0 {
        store(values);
    } else {
        let mut quick = [0.0; SINGLES];
        store(&mut quick);
        settle(values, &quick, u32::from(sure[0]) | u32::from(sure[1]) << 16, correct);
    }
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp_f32(values: &mut [f32], mut correct: impl FnMut(f32) -> f32) {
    let tables = TablesF32::new();
    let (blocks, rest) = values.as_chunks_mut();
    for block in blocks {
        block_f32(block, tables, &mut correct);
    }
    if !rest.is_empty() {
        let mut block = [0.0; SINGLES];
        block[..rest.len()].copy_from_slice(rest);
        block_f32(&mut block, tables, &mut correct);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

/// Both tables of f64, in two registers each.
#[derive(Clone, Copy)]
struct Tables {
    powers: [__m512d; 2],
    corrections: [__m512d; 2],
}

impl Tables {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        const POWERS: [f64; 16] = powers();
        const CORRECTIONS: [f64; 16] = corrections(ERROR);
        // SAFETY: each reads eight of the sixteen.
        let load =
            |table: &[f64; 16]| unsafe { [_mm512_loadu_pd(table.as_ptr()), _mm512_loadu_pd(table[8..].as_ptr())] };
        Self { powers: load(&POWERS), corrections: load(&CORRECTIONS) }
    }
}

/// The block becomes eˣ, by `correct` where it is in doubt.
///
/// In units of T: L is split so that n times its upper part, of 14 bits and 38, is exact, and so is the first difference;
/// |r| ≤ 2^-5.53, r + its low part is off by 2^-82, and |d| ≤ 2^-52.9. Left out is d r²/2, below 2^-65.0. H is off by 2^-64.0 of
/// eʳ as fitted; its roundings, below 2^-53.9, come to 2^-65.0 times r²; that of `inner` (below 2^-6.5) to 2^-65.5, of `rest`
/// (below 2^-12) to 2^-66, of `low` to 2^-65.0, and once more in the high end. So the low end is off by less than 2^-62.3 and the high one
/// by less than 2^-62.1. c is smaller by 2^-62, which lowers the result by between 0.978 and 1.022 times that; the high end is 2^-61 above.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn block_f64(values: &mut [f64; DOUBLES], tables: Tables, correct: &mut impl FnMut(f64) -> f64) {
    // Below the first, the result is +0. Beyond the second, it or its low part is subnormal, or it is near ∞: left to the
    // scalar function.
    const ZERO_BELOW: f64 = -746.0;
    const NORMAL_BELOW: f64 = 660.0;

    // SAFETY: the two read the 16 of the block.
    let x: [__m512d; SIDE] = unsafe { [_mm512_loadu_pd(values.as_ptr()), _mm512_loadu_pd(values[8..].as_ptr())] };
    let (mut zero, mut normal, mut inside) = ([0; SIDE], [0; SIDE], x);
    for i in 0..SIDE {
        zero[i] = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(x[i], _mm512_set1_pd(ZERO_BELOW));
        normal[i] = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(_mm512_abs_pd(x[i]), _mm512_set1_pd(NORMAL_BELOW));
        inside[i] = _mm512_maskz_mov_pd(normal[i], x[i]);
    }
    let x = Doubles(inside);

    // 16 / ln 2
    let shifted = x.mul_add(Doubles::splat(23.083120654223414), Doubles::splat(SHIFT));
    let n = shifted.sub(Doubles::splat(SHIFT));
    let (high_part, low_part) = (Doubles::splat(0.04332169878489367), Doubles::splat(1.0291218489310676e-13));
    let first = n.mul_from(high_part, x);
    let r = n.mul_from(low_part, first);
    let r_low = n.mul_from(low_part, first.sub(r));
    let (mut power, mut correction) = (r, r);
    for i in 0..SIDE {
        let n = _mm512_castpd_si512(shifted.0[i]);
        let entry = _mm512_castpd_si512(_mm512_permutex2var_pd(tables.powers[0], n, tables.powers[1]));
        power.0[i] = _mm512_castsi512_pd(_mm512_add_epi64(entry, _mm512_slli_epi64::<48>(n)));
        correction.0[i] = _mm512_permutex2var_pd(tables.corrections[0], n, tables.corrections[1]);
    }
    let d = r_low.add(correction);

    // d + r d + r² H, H by Estrin's rule.
    let square = r.mul(r);
    let h = r.mul_add(Doubles::splat(0.0001984146378747054), Doubles::splat(0.0013889063440655652));
    let h_middle = r.mul_add(Doubles::splat(0.00833333333299209), Doubles::splat(0.041666666663595475));
    let h = h.mul_add(square, h_middle);
    let h = h.mul_add(r, Doubles::splat(0.16666666666666669)).mul_add(r, Doubles::splat(0.5000000000000001));
    let inner = h.mul_add(r, d);
    let rest = inner.mul_add(r, d);

    let sum = power.mul_add(r, power);
    let left = power.mul_sub(r, sum.sub(power));
    let low = power.mul_add(rest, left);
    let y = sum.add(low);
    let high = sum.add(power.mul_add(Doubles::splat(2.0 * ERROR), low));

    let (mut sure, mut result) = (zero, y.0);
    for i in 0..SIDE {
        sure[i] |= _mm512_mask_cmp_pd_mask::<_CMP_EQ_OQ>(normal[i], y.0[i], high.0[i]);
        result[i] = _mm512_maskz_mov_pd(normal[i], y.0[i]);
    }
    let store = |to: &mut [f64; DOUBLES]| {
        // SAFETY: the two write the 16 of the block.
        unsafe {
            _mm512_storeu_pd(to.as_mut_ptr(), result[0]);
            _mm512_storeu_pd(to[8..].as_mut_ptr(), result[1]);
        }
    };
    if sure[0] & sure[1] == !0 {
        store(values);
    } else {
        let mut quick = [0.0; DOUBLES];
        store(&mut quick);
        settle(values, &quick, u32::from(sure[0]) | u32::from(sure[1]) << 8, correct);
    }
}

/// Each value becomes eˣ, by `correct` where it is in doubt.
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn exp_f64(values: &mut [f64], mut correct: impl FnMut(f64) -> f64) {
    let tables = Tables::new();
    let (blocks, rest) = values.as_chunks_mut();
    for block in blocks {
        block_f64(block, tables, &mut correct);
    }
    if !rest.is_empty() {
        let mut block = [0.0; DOUBLES];
        block[..rest.len()].copy_from_slice(rest);
        block_f64(&mut block, tables, &mut correct);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}
