//! The number formats and all their constants.
//!
//! `p` is the precision (bits of the significand, the hidden one included), `EPS = 2^(1-p)` the gap
//! above 1 and `UNIT_ROUNDOFF = EPS/2` the largest relative error of one rounding to nearest.
//! (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 2.1.)

use serde::{Deserialize, Serialize};

/// A floating-point format that a value can be stored in or rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dtype {
    /// IEEE 754 binary64.
    #[serde(rename = "f64")]
    F64,
    /// IEEE 754 binary32.
    #[serde(rename = "f32")]
    F32,
    /// NVIDIA's 19-bit TensorFloat-32: the range of f32, 11 bits of significand. A rounding of operands, never a storage format.
    #[serde(rename = "tf32")]
    Tf32,
    /// IEEE 754 binary16.
    #[serde(rename = "f16")]
    F16,
    /// bfloat16: the range of f32, 8 bits of significand.
    #[serde(rename = "bf16")]
    Bf16,
    /// OCP 8-bit E4M3 (the "fn" form: no infinity, one NaN, largest value 448).
    #[serde(rename = "f8_e4m3")]
    F8E4M3,
}

impl Dtype {
    /// Every format, widest first.
    pub const ALL: [Self; 6] = [Self::F64, Self::F32, Self::Tf32, Self::F16, Self::Bf16, Self::F8E4M3];

    /// The name used in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8E4M3 => "f8_e4m3",
        }
    }

    /// Bytes of a stored number. Those of tf32 are f32's: it is never stored.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::Tf32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F8E4M3 => 1,
        }
    }

    /// Precision `p`: bits of the significand, the hidden bit included.
    pub const fn precision(self) -> i32 {
        match self {
            Self::F64 => 53,
            Self::F32 => 24,
            Self::Tf32 | Self::F16 => 11,
            Self::Bf16 => 8,
            Self::F8E4M3 => 4,
        }
    }

    /// Exponent of the smallest normal number `2^min_exponent`.
    pub const fn min_exponent(self) -> i32 {
        match self {
            Self::F64 => -1022,
            Self::F32 | Self::Tf32 | Self::Bf16 => -126,
            Self::F16 => -14,
            Self::F8E4M3 => -6,
        }
    }

    /// The largest finite value.
    pub const fn max(self) -> f64 {
        match self {
            Self::F64 => f64::MAX,
            Self::F32 => f32::MAX as f64,
            // (2 - 2^-10) · 2^127
            Self::Tf32 => 3.401_162_134_214_653_5e38,
            Self::F16 => 65504.0,
            // (2 - 2^-7) · 2^127
            Self::Bf16 => 3.389_531_389_251_535_5e38,
            Self::F8E4M3 => 448.0,
        }
    }

    /// Whether every finite value of `other` is one of this format: of at most its precision, and within its range at both ends.
    pub fn holds(self, other: Self) -> bool {
        self.precision() >= other.precision()
            && self.max() >= other.max()
            && self.smallest_subnormal() <= other.smallest_subnormal()
    }

    /// `EPS = 2^(1-p)`: the gap between 1 and the next larger number.
    pub fn eps(self) -> f64 {
        power_of_two(1 - self.precision())
    }

    /// `UNIT_ROUNDOFF = EPS/2`: the largest relative error of one rounding to nearest.
    pub fn unit_roundoff(self) -> f64 {
        power_of_two(-self.precision())
    }

    /// The smallest positive normal number, `2^min_exponent`.
    pub fn smallest_normal(self) -> f64 {
        power_of_two(self.min_exponent())
    }

    /// The smallest positive (subnormal) number, `2^(min_exponent - p + 1)`; it is also the ulp of 0.
    pub fn smallest_subnormal(self) -> f64 {
        power_of_two(self.min_exponent() - self.precision() + 1)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// `2^exponent`, exact over the whole range of f64, subnormals included.
#[inline]
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    if exponent >= -1022 {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    } else {
        f64::from_bits(1u64 << (exponent + 1074))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_holds_another_if_rounding_changes_none_of_its_values() {
        let pairs = Dtype::ALL.into_iter().flat_map(|wide| Dtype::ALL.map(|narrow| (wide, narrow)));
        for (wide, narrow) in pairs {
            // The ends of the range, and 1 with the next number: a format without one of them cannot hold the other.
            let telling = [narrow.max(), narrow.smallest_subnormal(), 1.0 + narrow.eps()];
            let kept = telling.iter().all(|&x| crate::num::round_f64(x, wide) == x);
            assert_eq!(wide.holds(narrow), kept, "{wide} {narrow}");
        }
        assert!(!Dtype::F16.holds(Dtype::Bf16) && !Dtype::Bf16.holds(Dtype::F16));
        assert!(Dtype::Bf16.holds(Dtype::F8E4M3) && Dtype::F16.holds(Dtype::F8E4M3));
    }

    #[test]
    fn constants_are_those_of_the_standards() {
        assert_eq!(Dtype::F64.eps(), f64::EPSILON);
        assert_eq!(Dtype::F32.eps(), f64::from(f32::EPSILON));
        // NumPy's ml_dtypes.finfo(bfloat16).eps is 0.0078125; "0.079" stands in a real checker.
        assert_eq!(Dtype::Bf16.eps(), 0.0078125);
        assert_eq!(Dtype::F16.eps(), 0.0009765625);
        assert_eq!(Dtype::F8E4M3.eps(), 0.125);
        assert_eq!(Dtype::F64.smallest_subnormal(), f64::from_bits(1));
        assert_eq!(Dtype::F32.smallest_subnormal(), f64::from(f32::from_bits(1)));
        assert_eq!(Dtype::F16.smallest_subnormal(), half::f16::from_bits(1).to_f64());
        assert_eq!(Dtype::F8E4M3.smallest_subnormal(), 1.0 / 512.0);
        assert_eq!(Dtype::F32.smallest_normal(), f64::from(f32::MIN_POSITIVE));
        assert_eq!(Dtype::F16.smallest_normal(), half::f16::MIN_POSITIVE.to_f64());
        assert_eq!(Dtype::Bf16.max(), half::bf16::MAX.to_f64());
        assert_eq!(Dtype::F16.max(), half::f16::MAX.to_f64());
        assert_eq!(Dtype::Tf32.max(), (2.0 - 2f64.powi(-10)) * 2f64.powi(127));
    }
}
