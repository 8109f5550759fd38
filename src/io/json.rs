//! JSON as text, by one serializer.
//!
//! serde compiles the code of a type anew for each serializer that it is given to, and serde_json has one for each layout. This one has two
//! layouts, and little code for each type of a field: what does not depend on the type stands in functions of its own. Numbers and
//! texts are spelled by serde_json.

use serde::Serialize;
use serde::ser::{self, Error as _, Serializer};
use serde_json::{Error, Result};

/// The data on lines of their own, indented by two spaces.
///
/// # Errors
/// Data with keys that are no strings.
pub(crate) fn pretty(data: &(impl Serialize + ?Sized)) -> Result<String> {
    text(data, Layout::Pretty)
}

/// The data on one line, without spaces.
///
/// # Errors
/// As [`pretty`].
pub(crate) fn line(data: &(impl Serialize + ?Sized)) -> Result<String> {
    text(data, Layout::Line)
}

fn text(data: &(impl Serialize + ?Sized), layout: Layout) -> Result<String> {
    let mut text = Text { bytes: Vec::with_capacity(128), layout, depth: 0 };
    data.serialize(&mut text)?;
    String::from_utf8(text.bytes).map_err(Error::custom)
}

/// Where spaces and ends of lines stand: the layouts of serde_json.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Pretty,
    Line,
}

/// The text so far.
struct Text {
    bytes: Vec<u8>,
    layout: Layout,
    /// Lists and objects that are open.
    depth: usize,
}

impl Text {
    fn end_line(&mut self) {
        if self.layout == Layout::Pretty {
            self.bytes.push(b'\n');
            self.bytes.resize(self.bytes.len() + 2 * self.depth, b' ');
        }
    }

    fn open(&mut self, bracket: u8, close: &'static [u8]) -> Entries<'_> {
        self.bytes.push(bracket);
        self.depth += 1;
        Entries { text: self, close, empty: true }
    }

    /// Behind a key.
    fn colon(&mut self) {
        self.bytes.extend_from_slice(if self.layout == Layout::Pretty { b": " } else { b":" });
    }

    /// The beginning of an object of one entry, as a variant with data is spelled.
    fn open_variant(&mut self, variant: &str) -> Result<()> {
        self.open(b'{', b"}").key(variant)
    }

    fn close_variant(&mut self) {
        self.depth -= 1;
        self.end_line();
        self.bytes.push(b'}');
    }

    /// What was written from `start` on becomes a key: a text as it is, a number or a truth value in quotes.
    fn as_key(&mut self, start: usize) -> Result<()> {
        match self.bytes.get(start) {
            Some(b'"') => {}
            Some(b'0'..=b'9' | b'-' | b't' | b'f') => {
                self.bytes.insert(start, b'"');
                self.bytes.push(b'"');
            }
            _ => return Err(Error::custom("key must be a string")),
        }
        self.colon();
        Ok(())
    }
}

/// The entries of a list or an object that is open.
struct Entries<'t> {
    text: &'t mut Text,
    /// The bracket at its end; for a variant, also that of the object around it.
    close: &'static [u8],
    empty: bool,
}

impl Entries<'_> {
    /// Before an entry.
    fn next(&mut self) {
        if !self.empty {
            self.text.bytes.push(b',');
        }
        self.empty = false;
        self.text.end_line();
    }

    fn key(&mut self, key: &str) -> Result<()> {
        self.next();
        self.text.serialize_str(key)?;
        self.text.colon();
        Ok(())
    }

    fn closed(self) -> Result<()> {
        let Self { text, close, mut empty } = self;
        for &bracket in close {
            text.depth -= 1;
            if !empty {
                text.end_line();
            }
            text.bytes.push(bracket);
            empty = false;
        }
        Ok(())
    }
}

/// Values that serde_json spells.
macro_rules! spelled {
    ($($method:ident: $type:ty),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<()> {
            serde_json::to_writer(&mut self.bytes, &value)
        })+
    };
}

impl<'t> Serializer for &'t mut Text {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Entries<'t>;
    type SerializeTuple = Entries<'t>;
    type SerializeTupleStruct = Entries<'t>;
    type SerializeTupleVariant = Entries<'t>;
    type SerializeMap = Entries<'t>;
    type SerializeStruct = Entries<'t>;
    type SerializeStructVariant = Entries<'t>;

    spelled!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
    );

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.bytes.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.open_variant(variant)?;
        value.serialize(&mut *self)?;
        self.close_variant();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Entries<'t>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Entries<'t>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Entries<'t>> {
        Ok(self.open(b'[', b"]"))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Entries<'t>> {
        self.open_variant(variant)?;
        Ok(self.open(b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'t>> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'t>> {
        Ok(self.open(b'{', b"}"))
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Entries<'t>> {
        self.open_variant(variant)?;
        Ok(self.open(b'{', b"}}"))
    }

    fn collect_seq<I: IntoIterator<Item: Serialize>>(self, items: I) -> Result<()> {
        let mut entries = self.open(b'[', b"]");
        for item in items {
            entries.next();
            item.serialize(&mut *entries.text)?;
        }
        entries.closed()
    }
}

/// Entries of a list.
macro_rules! items {
    ($($trait:ident::$method:ident),+ $(,)?) => {
        $(impl ser::$trait for Entries<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.next();
                value.serialize(&mut *self.text)
            }

            fn end(self) -> Result<()> {
                self.closed()
            }
        })+
    };
}
items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

/// Entries of an object whose keys are known.
macro_rules! fields {
    ($($trait:ident),+ $(,)?) => {
        $(impl ser::$trait for Entries<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.key(key)?;
                value.serialize(&mut *self.text)
            }

            fn end(self) -> Result<()> {
                self.closed()
            }
        })+
    };
}
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.next();
        let start = self.text.bytes.len();
        key.serialize(&mut *self.text)?;
        self.text.as_key(start)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.text)
    }

    fn end(self) -> Result<()> {
        self.closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn check(data: &impl Serialize) {
        assert_eq!(pretty(data).unwrap(), serde_json::to_string_pretty(data).unwrap());
        assert_eq!(line(data).unwrap(), serde_json::to_string(data).unwrap());
    }

    #[test]
    fn both_layouts_are_those_of_serde_json() {
        check(&json!({"a": [], "b": {}, "c": [1, 2.5, null, {"d": "e\n\u{1}é"}], "f": {"g": [[true]], "h": 1e300}}));
        assert!(line(&BTreeMap::from([((1, 2), 3)])).is_err());
        assert!(line(&BTreeMap::from([(None::<u8>, 3)])).is_err());
    }

    #[test]
    fn every_kind_of_data_is_spelled_as_serde_json_does() {
        #[derive(Serialize)]
        struct Empty {}
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct New(f32);
        #[derive(Serialize)]
        struct Pair(u8, Option<&'static str>);
        #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
        enum Any {
            Unit,
            New(Vec<u8>),
            Tuple(i64, bool),
            EmptyTuple(),
            Struct { a: u128, b: i128 },
            EmptyStruct {},
        }
        #[derive(Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        enum Tagged {
            Some { x: f64, list: Vec<Any> },
            Nothing,
        }
        #[derive(Serialize)]
        struct Flat {
            first: char,
            #[serde(flatten)]
            rest: BTreeMap<&'static str, Any>,
            #[serde(skip_serializing_if = "Option::is_none")]
            none: Option<u8>,
        }
        check(&(Empty {}, Unit, New(0.1), Pair(1, None), Pair(2, Some("\u{7f}\"\\/"))));
        let any = || {
            let (a, b) = (u128::MAX, i128::MIN);
            vec![
                Any::Unit,
                Any::New(vec![]),
                Any::New(vec![1]),
                Any::Tuple(i64::MIN, true),
                Any::EmptyTuple(),
                Any::Struct { a, b },
                Any::EmptyStruct {},
            ]
        };
        check(&any());
        check(&[Tagged::Some { x: f64::NAN, list: any() }, Tagged::Some { x: -0.0, list: vec![] }, Tagged::Nothing]);
        check(&Flat { first: 'é', rest: BTreeMap::from([("a", Any::Unit), ("b", Any::New(vec![2]))]), none: None });
        check(&(
            BTreeMap::from([(1, "a"), (-2, "b")]),
            BTreeMap::from([(true, ()), (false, ())]),
            BTreeMap::from([('c', 1e-7)]),
        ));
        check(&BTreeMap::from([(Any::Unit, f64::INFINITY)]));
        check(&(
            i8::MIN,
            i16::MIN,
            i32::MIN,
            u16::MAX,
            u32::MAX,
            u64::MAX,
            f32::MIN_POSITIVE,
            std::path::Path::new("a/b"),
        ));
    }
}
