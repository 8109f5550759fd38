//! JSON as text, by one serializer.
//!
//! serde compiles the code of a type anew for each serializer that it is given to, and serde_json has one for each layout.

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
    fn both_layouts_are_those_of_serde_json() {
        let data = json!({"a": [], "b": {}, "c": [1, 2.5, null, {"d": "e\n\u{1}é"}], "f": {"g": [[true]], "h": 1e300}});
        assert_eq!(pretty(&data).unwrap(), serde_json::to_string_pretty(&data).unwrap());
        assert_eq!(line(&data).unwrap(), serde_json::to_string(&data).unwrap());
        assert!(line(&std::collections::BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
