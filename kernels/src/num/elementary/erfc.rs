//! `erfc x = 1 - erf x`.
//!
//! ```text
//! erfc a = e^(-a²) G(t),   t = (a - 4)/(a + 4),   a ≥ 0          erfc(-a) = 2 - erfc a
//! ```
//! G is smooth from t = -1 (a = 0) on, and so one polynomial serves. In f64, where its first terms are in two parts,
//!
//! ```text
//! erfc a = e^(-a²) F(s) / (1 + 2a),   s = (a - 3/2)/(a + 3)
//! ```
//! F lies between 1 and 1.29, and so its first term is well above the others (Shepherd and Laframboise, Math. Comp. 36, 1981).

use super::Function;
use super::exp::{ends_in_f32, exp_for_f32, polynomial, quotient, reduce};
use super::parts::Parts;
use crate::num::core_math;

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

/// The first terms of F.
const F: [Parts; 7] = [
    Parts::new(1.28634166581727, 6.803537286772283e-17),
    Parts::new(-0.05094377109722368, -2.5063686114895422e-18),
    Parts::new(-0.5094377109722368, -4.290974361481215e-17),
    Parts::new(0.9072803811229234, -1.4352610795269568e-17),
    Parts::new(-0.8660647053478682, -3.6459720003987334e-17),
    Parts::new(0.4922087838105834, 1.5830365862487043e-17),
    Parts::new(-0.12282339783774454, 2.782544078248521e-18),
];
/// The others, from s⁷ on.
const F_TAIL: [f64; 17] = [
    -0.0352752279848382,
    0.030592368670029048,
    0.0019127288929924006,
    -0.006365586462325421,
    -0.0003451101690268592,
    0.00141468142698542,
    0.0002280281105885587,
    -0.0003100043310570423,
    -0.00011845385810493792,
    5.261644897912903e-05,
    4.613668879673375e-05,
    -3.994895093341384e-07,
    -1.3147332593525811e-05,
    -4.2836721230370415e-06,
    2.198112334780895e-06,
    1.5024925490332213e-06,
    -1.9427204452394124e-08,
];

impl Function<f64> for Erfc {
    /// For a ≤ 6, and so |s| ≤ 1/2, relatively: F is off by 2^-66.3 as fitted, by roundings of its tail below 2^-63.2, as
    /// that is up to 2^-11.2 of F, and by less than 2^-66.3 as the tail is taken at the high part of s. `e^(-a²)` is off by less than
    /// 2^-64.5 (see `quotient`), and all else by some u². So erfc a is off by less than 2^-62.5, and 2 - erfc a by no more.
    #[inline(always)]
    fn interval(x: f64) -> (f64, f64) {
        // 2^-62, relative.
        const ERROR: f64 = 2.168404344971009e-19;
        // 2 - erfc 6 is 2, with its error too. Between, the scalar function is asked; above the second, the result is +0.
        const LARGEST: f64 = 6.0;
        const ZERO_ABOVE: f64 = 27.3;

        let a = x.abs().min(LARGEST);
        // s; what is subtracted from a is exact each time, and so are the low parts.
        let above = a - 1.5;
        let below = a + 3.0;
        let s = Parts::new(above, a - (above + 1.5)).over(Parts::new(below, a - (below - 3.0)));
        let mut f = F[6].plus_small_product(s, polynomial(&F_TAIL, s.high));
        // The larger term is not always the first for s² and s.
        f = F[5].plus_smaller(s.times(f));
        f = F[4].plus_smaller(s.times(f));
        f = F[3].plus_smaller(s.times(f));
        f = F[2].plus(s.times(f));
        f = F[1].plus(s.times(f));
        f = F[0].plus_smaller(s.times(f));
        // e^(-a²), with the low part of the square, which is exact.
        let square = a * a;
        let reduced = reduce(-square);
        let r_low = reduced.r_low - a.mul_add(a, -square);
        let (e, e_low) = quotient(reduced.r);
        let product = reduced.r * e;
        let product_low = reduced.r.mul_add(e_low, reduced.r.mul_add(e, -product));
        let power = 1.0 + product;
        let power = Parts::new(power, ((1.0 - power) + product) + r_low.mul_add(power, product_low));
        // 1 + 2a, exact too.
        let divisor = 1.0 + (a + a);
        let divisor = Parts::new(divisor, (a + a) - (divisor - 1.0));
        let y = power.times(f).over(divisor);
        let y = Parts::new(reduced.scale(y.high), reduced.scale(1.0) * y.low);

        let y = if x < 0.0 { Parts::new(2.0, 0.0).plus_smaller(Parts::new(-y.high, -y.low)) } else { y };
        let (low, high) = y.ends(ERROR);
        // `min` drops a NaN.
        let low = if x <= LARGEST { low } else { f64::NAN };
        if x > ZERO_ABOVE { (0.0, 0.0) } else { (low, high) }
    }

    #[inline]
    fn correct(x: f64) -> f64 {
        core_math::erfc(x)
    }
}
