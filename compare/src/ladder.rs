//! The tolerances an answer is held against, loosest last.

use crate::num::{Dtype, ulp_distance};
use serde::{Deserialize, Serialize};

/// One tolerance. An element agrees when `|actual - expected| ≤ atol + rtol · |expected|`, or when it lies
/// within `max_ulps` last places of the expected array's format.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Absolute tolerance.
    #[serde(default)]
    pub atol: f64,
    /// Relative tolerance.
    #[serde(default)]
    pub rtol: f64,
    /// Last places; `None`: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ulps: Option<f64>,
}

impl Rung {
    /// An absolute tolerance alone.
    pub const fn absolute(atol: f64) -> Self {
        Self { atol, rtol: 0.0, max_ulps: None }
    }

    /// Whether two finite values agree.
    pub fn accepts(&self, actual: f64, expected: f64, dtype: Dtype) -> bool {
        let within = (actual - expected).abs() <= self.atol + self.rtol * expected.abs();
        within || self.max_ulps.is_some_and(|max_ulps| ulp_distance(actual, expected, dtype) <= max_ulps)
    }

    /// As a column's head: `1e-5`, `1e-7 + 1e-3·|x|`, `2 ulps`.
    pub fn label(&self) -> String {
        let mut parts = Vec::new();
        if self.atol != 0.0 || (self.rtol == 0.0 && self.max_ulps.is_none()) {
            parts.push(format!("{:e}", self.atol));
        }
        if self.rtol != 0.0 {
            parts.push(format!("{:e}·|x|", self.rtol));
        }
        let mut label = parts.join(" + ");
        if let Some(max_ulps) = self.max_ulps {
            let separator = if label.is_empty() { "" } else { " or " };
            label = format!("{label}{separator}{max_ulps} ulps");
        }
        label
    }
}

/// Tolerances in the order they are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder(pub Vec<Rung>);

impl Default for Ladder {
    /// 1e-5, 1e-4, 1e-3 absolute.
    fn default() -> Self {
        Self(vec![Rung::absolute(1e-5), Rung::absolute(1e-4), Rung::absolute(1e-3)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_never_agrees() {
        let rung = Rung { atol: f64::INFINITY, rtol: 1.0, max_ulps: Some(f64::INFINITY) };
        assert!(!rung.accepts(f64::NAN, 1.0, Dtype::F64));
        assert!(!rung.accepts(1.0, f64::NAN, Dtype::F64));
    }

    #[test]
    fn an_rtol_of_zero_is_zero() {
        // A real checker replaces rtol = 0 by a default because 0 is falsy.
        assert!(!Rung { atol: 0.0, rtol: 0.0, max_ulps: None }.accepts(1.0 + 1e-15, 1.0, Dtype::F64));
        assert!(Rung::absolute(0.0).accepts(1.0, 1.0, Dtype::F64));
    }

    #[test]
    fn nothing_but_itself_is_within_ulps_of_zero() {
        let rung = Rung { atol: 0.0, rtol: 0.0, max_ulps: Some(4.0) };
        assert!(!rung.accepts(1e-30, 0.0, Dtype::F32));
        assert!(rung.accepts(1e-45, 0.0, Dtype::F32));
    }

    #[test]
    fn labels_say_what_is_asked() {
        assert_eq!(Rung::absolute(1e-5).label(), "1e-5");
        assert_eq!(Rung { atol: 1e-7, rtol: 1e-3, max_ulps: None }.label(), "1e-7 + 1e-3·|x|");
        assert_eq!(Rung { atol: 0.0, rtol: 0.0, max_ulps: Some(2.0) }.label(), "2 ulps");
        assert_eq!(Rung::absolute(0.0).label(), "0e0");
    }
}
