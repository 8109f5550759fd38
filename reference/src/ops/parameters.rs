//! How the parameters of an operation are read from JSON: what serde's derived code would do, with its words of refusal, in a
//! twentieth of the code.

use serde::de::{Error as _, Unexpected};
use serde_json::{Error, Map, Result, Value};

/// The parameters of an operation.
pub(crate) trait Parameters: Sized {
    /// What a value that is no object is told to be.
    const EXPECTED: &'static str;

    /// Reads each key; one that is unknown or has a wrong value is refused, then one that is missing.
    fn read(given: &Map<String, Value>) -> Result<Self>;
}

/// One parameter.
pub(crate) trait Parameter: Sized {
    /// Reads it.
    fn of(value: &Value) -> Result<Self>;
}

macro_rules! plain_parameter {
    ($($type:ty),*) => {
        $(impl Parameter for $type {
            fn of(value: &Value) -> Result<Self> {
                serde_json::from_value(value.clone())
            }
        })*
    };
}
plain_parameter!(f64, i64, usize, bool);

impl<P: Parameter> Parameter for Option<P> {
    fn of(value: &Value) -> Result<Self> {
        if value.is_null() { Ok(None) } else { P::of(value).map(Some) }
    }
}

/// A struct of parameters. One that has a default may be left out.
macro_rules! parameters {
    ($(#[$attribute:meta])* struct $name:ident { $($field:ident: $type:ty $(= $default:expr)?),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug)]
        struct $name {
            $($field: $type,)*
        }

        impl $crate::ops::parameters::Parameters for $name {
            const EXPECTED: &'static str = concat!("struct ", stringify!($name));

            fn read(given: &serde_json::Map<String, serde_json::Value>) -> serde_json::Result<Self> {
                $(let mut $field: Option<$type> = None;)*
                for (name, value) in given {
                    $(if name == stringify!($field) {
                        $field = Some($crate::ops::parameters::Parameter::of(value)?);
                        continue;
                    })*
                    let _ = value;
                    return Err($crate::ops::parameters::unknown(name, &[$(stringify!($field)),*]));
                }
                Ok(Self {
                    $($field: match $field {
                        Some(given) => given,
                        None => $crate::ops::parameters::absent!($field $(, $default)?),
                    },)*
                })
            }
        }
    };
}
pub(crate) use parameters;

/// What stands for a parameter that is not given.
macro_rules! absent {
    ($field:ident, $default:expr) => {
        $default
    };
    ($field:ident) => {
        return Err($crate::ops::parameters::missing(stringify!($field)))
    };
}
pub(crate) use absent;

/// How the values of a parameter are spelled.
macro_rules! spelled {
    ($type:ty { $($name:literal => $value:expr),* $(,)? }) => {
        impl $crate::ops::parameters::Parameter for $type {
            fn of(value: &serde_json::Value) -> serde_json::Result<Self> {
                const NAMES: &[&str] = &[$($name),*];
                match $crate::ops::parameters::name(value, NAMES)? {
                    $($name => Ok($value),)*
                    other => Err($crate::ops::parameters::unknown_name(other, NAMES)),
                }
            }
        }
    };
}
pub(crate) use spelled;

/// The name that a value is.
pub(crate) fn name<'v>(value: &'v Value, names: &'static [&'static str]) -> Result<&'v str> {
    match value {
        Value::String(name) => Ok(name),
        Value::Object(_) => Err(unknown_name(&value.to_string(), names)),
        other => Err(wrong_type(other, "string or map")),
    }
}

pub(crate) fn unknown_name(name: &str, names: &'static [&'static str]) -> Error {
    Error::unknown_variant(name, names)
}

pub(crate) fn unknown(name: &str, fields: &'static [&'static str]) -> Error {
    Error::unknown_field(name, fields)
}

pub(crate) fn missing(field: &'static str) -> Error {
    Error::missing_field(field)
}

/// The refusal of a value that is no `expected`.
pub(crate) fn wrong_type(value: &Value, expected: &str) -> Error {
    let found = match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(truth) => Unexpected::Bool(*truth),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Unexpected::Unsigned(number),
            (None, Some(number)) => Unexpected::Signed(number),
            (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    };
    Error::invalid_type(found, &expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Clone, Copy, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Side {
        Left,
        FarRight,
    }

    spelled! {
        Side {
            "left" => Self::Left,
            "far_right" => Self::FarRight,
        }
    }

    parameters! {
        #[expect(dead_code, reason = "it is read and printed")]
        struct Params {
            eps: f64,
            heads: usize,
            axis: i64 = -1,
            flat: bool = false,
            side: Side = Side::Left,
            window: Option<i64> = None,
        }
    }

    /// The same struct as serde reads it.
    mod derived {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "it is read and printed")]
        pub(super) struct Params {
            eps: f64,
            heads: usize,
            #[serde(default = "last")]
            axis: i64,
            #[serde(default)]
            flat: bool,
            #[serde(default = "left")]
            side: super::Side,
            window: Option<i64>,
        }

        fn last() -> i64 {
            -1
        }

        fn left() -> super::Side {
            super::Side::Left
        }
    }

    #[test]
    fn parameters_are_read_and_refused_as_by_serde() {
        let values = json!([null, true, 1, -1, 2.5, 1e300, "left", "far_right", "up", [], [1], {}]);
        for name in ["eps", "heads", "axis", "flat", "side", "window", "other"] {
            for value in values.as_array().unwrap() {
                for mut given in [json!({}), json!({ "eps": 1 }), json!({ "eps": 1, "heads": 2, "window": 3 })] {
                    given[name] = value.clone();
                    let ours = Params::read(given.as_object().unwrap()).map(|p| format!("{p:?}"));
                    let serdes = serde_json::from_value::<derived::Params>(given.clone()).map(|p| format!("{p:?}"));
                    // An object in place of a name is refused in other words.
                    if !(name == "side" && value.is_object()) {
                        assert_eq!(ours.map_err(|e| e.to_string()), serdes.map_err(|e| e.to_string()), "{given}");
                    }
                }
            }
        }
    }
}
