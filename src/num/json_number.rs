//! An f64 in JSON, which has no NaN and no infinity: those are the strings `"NaN"`, `"inf"`, `"-inf"`.
//!
//! For `#[serde(with = "crate::num::json_number")]`, so that what was saved reads back equal;
//! [`optional`] is the same for an `Option<f64>`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Named(Named),
}

#[derive(Serialize, Deserialize)]
enum Named {
    #[serde(rename = "NaN")]
    Nan,
    #[serde(rename = "inf")]
    Infinity,
    #[serde(rename = "-inf")]
    NegativeInfinity,
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        if x.is_nan() {
            Self::Named(Named::Nan)
        } else if x == f64::INFINITY {
            Self::Named(Named::Infinity)
        } else if x == f64::NEG_INFINITY {
            Self::Named(Named::NegativeInfinity)
        } else {
            Self::Finite(x)
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        match number {
            Number::Finite(x) => x,
            Number::Named(Named::Nan) => f64::NAN,
            Number::Named(Named::Infinity) => f64::INFINITY,
            Number::Named(Named::NegativeInfinity) => f64::NEG_INFINITY,
        }
    }
}

/// Writes a number or its name.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number::from(*x).serialize(serializer)
}

/// Reads a number or its name.
///
/// # Errors
/// Anything else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Number::deserialize(deserializer).map(f64::from)
}

/// The same for a number that may be absent (`null`).
pub mod optional {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes a number, its name, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(x: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        x.map(Number::from).serialize(serializer)
    }

    /// Reads a number, its name, or null.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(f64::from))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row(#[serde(with = "super")] f64, #[serde(with = "super::optional")] Option<f64>);

    #[test]
    fn every_number_reads_back() {
        let row = |x: f64, y: Option<f64>| serde_json::to_string(&Row(x, y)).unwrap();
        assert_eq!(row(f64::NAN, None), r#"["NaN",null]"#);
        assert_eq!(row(f64::INFINITY, Some(f64::NEG_INFINITY)), r#"["inf","-inf"]"#);
        for x in [0.1, -0.0, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            let back: Row = serde_json::from_str(&row(x, Some(x))).unwrap();
            assert_eq!((back.0.to_bits(), back.1.map(f64::to_bits)), (x.to_bits(), Some(x.to_bits())));
        }
        assert!(serde_json::from_str::<Row>(&row(f64::NAN, None)).unwrap().0.is_nan());
        assert!(serde_json::from_str::<Row>(r#"["infinite",null]"#).is_err());
    }
}
