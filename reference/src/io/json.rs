//! JSON as text, by one serializer.
//!
//! serde compiles the code of a type anew for each serializer that it is given to, and serde_json has one for each layout.

use crate::harmless::steers;
use serde::Serialize;
use serde::ser::Error;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{Result, Write};

/// The data on lines of their own, indented by two spaces.
///
/// # Errors
/// Data with keys that are no strings.
pub fn pretty(data: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    text(data, Layout::Pretty(PrettyFormatter::new()))
}

/// The data on one line, without spaces.
///
/// # Errors
/// As [`pretty`].
pub fn line(data: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    text(data, Layout::Line)
}

fn text(data: &(impl Serialize + ?Sized), layout: Layout) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(128);
    data.serialize(&mut Serializer::with_formatter(&mut bytes, layout))?;
    String::from_utf8(bytes).map_err(Error::custom)
}

/// Where serde_json puts spaces and ends of lines.
enum Layout {
    Pretty(PrettyFormatter<'static>),
    Line,
}

/// Methods that ask the formatter of the layout.
macro_rules! as_the_layout_does {
    ($($method:ident($($argument:ident: $type:ty)?)),+ $(,)?) => {
        $(fn $method<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)?) -> Result<()> {
            match self {
                Self::Pretty(formatter) => formatter.$method(writer $(, $argument)?),
                Self::Line => CompactFormatter.$method(writer $(, $argument)?),
            }
        })+
    };
}

impl Formatter for Layout {
    /// What JSON allows in a string and would steer whoever shows it is escaped: the same text, said harmlessly.
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| steers(c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    as_the_layout_does!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_steer_nobody_and_read_back() {
        let text = "a\u{9b}\u{202e}b\u{feff}\u{e0041}c\u{7f}é\n";
        let json = line(&text).unwrap();
        assert_eq!(json, r#""a\u009b\u202eb\ufeff\udb40\udc41c\u007fé\n""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn both_layouts_are_those_of_serde_json() {
        let data = json!({"a": [], "b": {}, "c": [1, 2.5, null, {"d": "e\n\u{1}é"}], "f": {"g": [[true]], "h": 1e300}});
        assert_eq!(pretty(&data).unwrap(), serde_json::to_string_pretty(&data).unwrap());
        assert_eq!(line(&data).unwrap(), serde_json::to_string(&data).unwrap());
        assert!(line(&std::collections::BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
