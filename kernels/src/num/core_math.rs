//! CORE-MATH's correctly rounded functions, by the instructions of this processor.
//!
//! Source: <https://core-math.gitlabpages.inria.fr/>, Sibidanov, Zimmermann and Glondu, *The CORE-MATH Project*, ARITH 2022.

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($($x:ident),+): $scalar:ty, $baseline:literal, $fma:literal;)+) => {
        /// For every processor of the architecture.
        mod baseline {
            unsafe extern "C" {
                $(#[link_name = $baseline] pub(super) fn $name($($x: $scalar),+) -> $scalar;)+
            }
        }

        /// With fused multiply-add.
        #[cfg(target_arch = "x86_64")]
        mod fma {
            unsafe extern "C" {
                $(#[link_name = $fma] pub(super) fn $name($($x: $scalar),+) -> $scalar;)+
            }
        }

        $(
            $(#[$doc])*
            #[inline]
            pub fn $name($($x: $scalar),+) -> $scalar {
                #[cfg(target_arch = "x86_64")]
                if std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: a function of its arguments alone, compiled for instructions that are there.
                    return unsafe { fma::$name($($x),+) };
                }
                // SAFETY: a function of its arguments alone.
                unsafe { baseline::$name($($x),+) }
            }
        )+
    };
}

functions! {
    /// `cos x`, correctly rounded.
    cos(x): f64, "goldref_baseline_cos", "goldref_fma_cos";
    /// `erf x`, correctly rounded.
    erf(x): f64, "goldref_baseline_erf", "goldref_fma_erf";
    /// `1 - erf x`, correctly rounded.
    erfc(x): f64, "goldref_baseline_erfc", "goldref_fma_erfc";
    /// `eˣ`, correctly rounded.
    exp(x): f64, "goldref_baseline_exp", "goldref_fma_exp";
    /// `2ˣ`, correctly rounded.
    exp2(x): f64, "goldref_baseline_exp2", "goldref_fma_exp2";
    /// The natural logarithm, correctly rounded.
    log(x): f64, "goldref_baseline_log", "goldref_fma_log";
    /// `xʸ`, correctly rounded.
    pow(x, y): f64, "goldref_baseline_pow", "goldref_fma_pow";
    /// `1/√x`, correctly rounded.
    rsqrt(x): f64, "goldref_baseline_rsqrt", "goldref_fma_rsqrt";
    /// `sin x`, correctly rounded.
    sin(x): f64, "goldref_baseline_sin", "goldref_fma_sin";
    /// `tanh x`, correctly rounded.
    tanh(x): f64, "goldref_baseline_tanh", "goldref_fma_tanh";
    /// `cos x`, correctly rounded.
    cosf(x): f32, "goldref_baseline_cosf", "goldref_fma_cosf";
    /// `1 - erf x`, correctly rounded.
    erfcf(x): f32, "goldref_baseline_erfcf", "goldref_fma_erfcf";
    /// `eˣ`, correctly rounded.
    expf(x): f32, "goldref_baseline_expf", "goldref_fma_expf";
    /// The natural logarithm, correctly rounded.
    logf(x): f32, "goldref_baseline_logf", "goldref_fma_logf";
    /// `xʸ`, correctly rounded.
    powf(x, y): f32, "goldref_baseline_powf", "goldref_fma_powf";
    /// `1/√x`, correctly rounded.
    rsqrtf(x): f32, "goldref_baseline_rsqrtf", "goldref_fma_rsqrtf";
    /// `sin x`, correctly rounded.
    sinf(x): f32, "goldref_baseline_sinf", "goldref_fma_sinf";
    /// `tanh x`, correctly rounded.
    tanhf(x): f32, "goldref_baseline_tanhf", "goldref_fma_tanhf";
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::{baseline, fma};
    use crate::num::RandomStream;

    /// Arguments over many magnitudes, of both signs, with the special ones.
    fn arguments() -> Vec<f64> {
        let stream = RandomStream::new(17, 0);
        let mut all: Vec<f64> = (0..20_000)
            .map(|i| {
                let (sign, scale) = (if i % 2 == 0 { 1.0 } else { -1.0 }, (stream.uniform(2 * i) * 80.0 - 60.0) as i32);
                sign * (1.0 + stream.uniform(2 * i + 1)) * 2f64.powi(scale)
            })
            .collect();
        all.extend([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, 5e-324, 1e308, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
        all
    }

    #[test]
    fn with_and_without_fused_multiply_add_the_bits_are_the_same() {
        if !(std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2")) {
            return;
        }
        macro_rules! one {
            ($($name:ident: $scalar:ty),+) => {$(
                for x in arguments() {
                    let x = x as $scalar;
                    // SAFETY: the instructions are there.
                    let (a, b) = unsafe { (baseline::$name(x), fma::$name(x)) };
                    assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), concat!(stringify!($name), " {:e}: {:e} {:e}"), x, a, b);
                }
            )+};
        }
        one!(cos: f64, erf: f64, erfc: f64, exp: f64, exp2: f64, log: f64, rsqrt: f64, sin: f64, tanh: f64);
        one!(cosf: f32, erfcf: f32, expf: f32, logf: f32, rsqrtf: f32, sinf: f32, tanhf: f32);
        let all = arguments();
        for (x, y) in all.iter().zip(all.iter().skip(1)) {
            for y in [*y, 0.5, -2.0, 3.0] {
                // SAFETY: the instructions are there.
                let (a, b) = unsafe { (baseline::pow(x.abs(), y), fma::pow(x.abs(), y)) };
                assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "pow {x:e} {y:e}: {a:e} {b:e}");
                let (x, y) = (x.abs() as f32, y as f32);
                // SAFETY: the instructions are there.
                let (a, b) = unsafe { (baseline::powf(x, y), fma::powf(x, y)) };
                assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "powf {x:e} {y:e}: {a:e} {b:e}");
            }
        }
    }
}
