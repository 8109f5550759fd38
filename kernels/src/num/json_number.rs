//! An f64 in JSON, which has no NaN and no infinity: those are the strings `"NaN"`, `"inf"`, `"-inf"`.
//!
//! For `#[serde(with = "goldref_kernels::num::json_number")]`, so that what was saved reads back equal;
//! [`optional`] is the same for an `Option<f64>`.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An f64 as JSON has it. Read without keeping a copy of what stands there: that may be a stranger's long list.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() {
            serializer.serialize_str("NaN")
        } else if self.0.is_infinite() {
            serializer.serialize_str(if self.0 > 0.0 { "inf" } else { "-inf" })
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"inf\" or \"-inf\"")
            }

            fn visit_f64<E: de::Error>(self, x: f64) -> Result<Number, E> {
                Ok(Number(x))
            }

            fn visit_u64<E: de::Error>(self, x: u64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }

            fn visit_i64<E: de::Error>(self, x: i64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Number, E> {
                match name {
                    "NaN" => Ok(Number(f64::NAN)),
                    "inf" => Ok(Number(f64::INFINITY)),
                    "-inf" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// Writes a number or its name.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*x).serialize(serializer)
}

/// Reads a number or its name.
///
/// # Errors
/// Anything else.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Number::deserialize(deserializer).map(|number| number.0)
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
        x.map(Number).serialize(serializer)
    }

    /// Reads a number, its name, or null.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
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
        for wrong in [r#"["infinite",null]"#, "[null,null]", "[[0,0],null]", "[true,null]", "[{},null]"] {
            assert!(serde_json::from_str::<Row>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<Row>("[-3,7]").unwrap().1, Some(7.0));
    }
}
