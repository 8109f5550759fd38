//! Points and shares: exact fractions, so that ten tenths are one.

use crate::error::{Error, Result};
use num_bigint::BigInt;
use num_rational::BigRational;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Sub};

/// A number of points, or a share of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Points(BigRational);

/// Digits of a number that is read: nobody gives more, and a file may be hostile.
const DIGITS: usize = 12;

impl Points {
    /// What a file may have in place of them.
    pub(super) const EXPECTED: &str = "a whole number, or a text like \"7.5\" or \"15/2\"";

    /// None.
    pub fn zero() -> Self {
        Self::whole(0)
    }

    /// All of something.
    pub fn one() -> Self {
        Self::whole(1)
    }

    /// A whole number of them.
    pub fn whole(number: u64) -> Self {
        Self(BigRational::from_integer(BigInt::from(number)))
    }

    /// Reads `20`, `7.5` or `15/2`, not negative.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::ask(format!("\"{}\" is no number of points; write 20, 7.5 or 15/2", short(text)));
        let digits = |text: &str| -> Option<BigInt> {
            let fine = !text.is_empty() && text.len() <= DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
            fine.then(|| text.parse().ok()).flatten()
        };
        let read = || {
            if let Some((numerator, denominator)) = text.split_once('/') {
                let denominator = digits(denominator.trim()).filter(|number| *number != BigInt::from(0))?;
                return Some(BigRational::new(digits(numerator.trim())?, denominator));
            }
            let Some((whole, decimals)) = text.split_once('.') else {
                return digits(text).map(BigRational::from_integer);
            };
            let tenths = digits(decimals)?;
            let power = BigInt::from(10).pow(u32::try_from(decimals.len()).ok()?);
            Some(BigRational::new(digits(whole)? * &power + tenths, power))
        };
        read().map(Self).ok_or_else(wrong)
    }

    /// The part `of` a whole: 1/3 of 24 is 8.
    #[must_use]
    pub fn over(&self, count: usize) -> Self {
        Self(&self.0 / BigRational::from_integer(BigInt::from(count.max(1))))
    }

    /// One over it; 0 of 0.
    #[must_use]
    pub(super) fn inverse(&self) -> Self {
        if *self == Self::zero() { Self::zero() } else { Self(self.0.recip()) }
    }

    /// The nearest number, for files that know no fractions.
    pub fn to_f64(&self) -> f64 {
        // Numerator and denominator of points are far below 2^53, where this is rounded once.
        let (numerator, denominator) = (self.0.numer().to_string(), self.0.denom().to_string());
        numerator.parse::<f64>().unwrap_or(0.0) / denominator.parse::<f64>().unwrap_or(1.0)
    }

    /// `15/2`, exactly.
    pub fn exact(&self) -> String {
        self.0.to_string()
    }
}

/// A whole number, decimals where they end after at most three, or a fraction: `8`, `7.5`, `20/3`.
impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = &self.0 * BigRational::from_integer(BigInt::from(1000));
        let text = if self.0.is_integer() || !thousandths.is_integer() {
            self.0.to_string()
        } else {
            let (digits, negative) = (thousandths.to_integer().magnitude().to_string(), self.0 < Self::zero().0);
            let digits = format!("{digits:0>4}");
            let (whole, decimals) = digits.split_at(digits.len() - 3);
            format!("{}{whole}.{}", if negative { "-" } else { "" }, decimals.trim_end_matches('0'))
        };
        f.pad(&text)
    }
}

impl Add for &Points {
    type Output = Points;

    fn add(self, other: &Points) -> Points {
        Points(&self.0 + &other.0)
    }
}

impl Sub for &Points {
    type Output = Points;

    fn sub(self, other: &Points) -> Points {
        Points(&self.0 - &other.0)
    }
}

impl Mul for &Points {
    type Output = Points;

    fn mul(self, other: &Points) -> Points {
        Points(&self.0 * &other.0)
    }
}

impl<'p> Sum<&'p Points> for Points {
    fn sum<I: Iterator<Item = &'p Points>>(points: I) -> Self {
        points.fold(Self::zero(), |sum, more| &sum + more)
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.exact())
    }
}

/// From a whole number, or a text as [`Points::parse`] reads it. Not from `7.5`: a file of numbers has rounded it already.
impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(Points::EXPECTED)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> std::result::Result<Points, E> {
                u64::try_from(number).map(Points::whole).map_err(|_| E::custom("points are not negative"))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<Points, E> {
                Ok(Points::whole(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Points, E> {
                Points::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn short(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Points {
        Points::parse(text).unwrap()
    }

    #[test]
    fn ten_tenths_are_one_and_three_thirds_too() {
        let tenths = vec![points("0.1"); 10];
        assert_eq!(tenths.iter().sum::<Points>(), Points::one());
        let third = Points::one().over(3);
        assert_eq!(&(&third + &third) + &third, Points::one());
        assert_eq!(&points("20") * &points("3/4"), points("15"));
        assert_eq!(points("30").over(7).to_f64(), 30.0 / 7.0);
    }

    #[test]
    fn they_read_as_people_write_them() {
        for (text, shown, exact) in [
            ("20", "20", "20"),
            ("15/2", "7.5", "15/2"),
            ("20/3", "20/3", "20/3"),
            ("0.125", "0.125", "1/8"),
            ("6/3", "2", "2"),
        ] {
            assert_eq!((points(text).to_string(), points(text).exact()), (shown.to_string(), exact.to_string()));
        }
        assert_eq!((&points("1") - &points("3/2")).to_string(), "-0.5");
        for wrong in ["", "-1", "1/0", "1e3", "1.", ".5", "a", "1/2/3", "9999999999999", " "] {
            assert!(Points::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_gives_them_exactly_or_not_at_all() {
        let read = |json: &str| serde_json::from_str::<Points>(json);
        assert_eq!(read("3").unwrap(), Points::whole(3));
        assert_eq!(read("\"7.5\"").unwrap(), points("15/2"));
        assert!(read("7.5").is_err() && read("-3").is_err());
        assert_eq!(serde_json::to_string(&points("7.5")).unwrap(), "\"15/2\"");
    }
}
