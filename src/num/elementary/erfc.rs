//! `erfc x = 1 - erf x`.
//!
//! ```text
//! erfc a = e^(-a²) G(t),   t = (a - 4)/(a + 4),   a ≥ 0          erfc(-a) = 2 - erfc a
//! ```
//! G is smooth from t = -1 (a = 0) on, and so one polynomial serves.

use super::Function;
use super::exp::{ends_in_f32, exp_for_f32, polynomial};

/// The complementary error function.
pub(in crate::num) struct Erfc;

impl Function<f32> for Erfc {
    /// G is off by 2^-50.3 as fitted, relatively, and by roundings of some 2^-51; a² is exact in f64.
    #[inline(always)]
    fn interval(x: f32) -> (f32, f32) {
        // erfc 10.25 rounds to 0 in f32.
        let a = f64::from(x.abs().min(10.25));
        let g = polynomial(
            &[
                0.13699945762506138,
                -0.25906804876017187,
                0.21871967891826533,
                -0.16425781669727096,
                0.10896317739890968,
                -0.06310781564144624,
                0.03129905651668403,
                -0.012843945998356908,
                0.00406026369171696,
                -0.0007991271087172399,
                -2.176265716037842e-05,
                7.89840794765481e-05,
                -2.254995164986978e-05,
                -1.8997422024369792e-06,
                2.928200700192531e-06,
                -4.375899307164886e-07,
                -2.846200356572184e-07,
                1.4162067551990626e-07,
                7.96225637024857e-08,
                1.0582999697858773e-08,
            ],
            (a - 4.0) / (a + 4.0),
        );
        let y = exp_for_f32(-(a * a)) * g;
        let y = if x < 0.0 { 2.0 - y } else { y };
        let (low, high) = ends_in_f32(y);
        // `min` drops a NaN.
        (if x.is_nan() { x } else { low }, high)
    }

    #[inline]
    fn correct(x: f32) -> f32 {
        core_math::erfcf(x)
    }
}

impl Function<f64> for Erfc {
    /// Nothing quick yet.
    #[inline(always)]
    fn interval(_: f64) -> (f64, f64) {
        (f64::NAN, f64::NAN)
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::erfc(x)
    }
}
