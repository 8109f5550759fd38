//! Values of a TOML file: each is read as one type, or refused with its place. Messages are those of serde.
//!
//! The assignment is read by hand: derived, the same reading would be compiled for each type with each of the four deserializers of `toml`.

use crate::grade::points::Points;
use serde::de::{self, Unexpected};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

/// A value with its place.
pub(super) type Placed<'t> = Spanned<DeValue<'t>>;
/// A value, or why it is none.
pub(super) type Read<T> = Result<T, Wrong>;

/// What is wrong, and where in the text.
#[derive(Debug)]
pub(super) struct Wrong {
    message: String,
    place: Option<Range<usize>>,
}

impl Wrong {
    /// With its place, where it has none yet.
    pub(super) fn at(mut self, place: Range<usize>) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// With this place, whichever it has.
    pub(super) fn moved_to(self, place: Range<usize>) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The message with its line in `text`, on one line.
    pub(super) fn on_one_line(&self, text: &str) -> String {
        let message = self.message.replace('\n', ", ");
        match &self.place {
            None => message,
            Some(place) => {
                let line = text[..place.start.min(text.len())].matches('\n').count() + 1;
                format!("line {line}: {message}")
            }
        }
    }
}

impl From<toml::de::Error> for Wrong {
    fn from(error: toml::de::Error) -> Self {
        Self { message: error.message().to_string(), place: error.span() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None }
    }
}

/// A table, which goes by the order of its keys.
pub(super) fn table<'v, 't>(value: &'v Placed<'t>, expected: &str) -> Read<&'v DeTable<'t>> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => Err(wrong_type(value, expected)),
    }
}

/// A field that must be there.
pub(super) fn required<T>(field: Option<T>, name: &'static str, place: &Range<usize>) -> Read<T> {
    field.ok_or_else(|| <Wrong as de::Error>::missing_field(name).at(place.clone()))
}

/// That a table has no field of this name.
pub(super) fn unknown(key: &Spanned<DeString>, fields: &'static [&'static str]) -> Wrong {
    <Wrong as de::Error>::unknown_field(key.get_ref(), fields).at(key.span())
}

pub(super) fn string(value: &Placed) -> Read<String> {
    match value.get_ref() {
        DeValue::String(text) => whole_text(text).map(str::to_string).map_err(|e| e.at(value.span())),
        _ => Err(wrong_type(value, "a string")),
    }
}

/// A text that a system call takes to its end: no path, no word of a command and no variable holds a NUL.
fn whole_text(text: &str) -> Read<&str> {
    if text.contains('\0') {
        return Err(de::Error::custom("a text holds a NUL, which no name and no word of a command may; leave it out"));
    }
    Ok(text)
}

pub(super) fn path(value: &Placed) -> Read<PathBuf> {
    match value.get_ref() {
        DeValue::String(text) => whole_text(text).map(PathBuf::from).map_err(|e| e.at(value.span())),
        _ => Err(wrong_type(value, "path string")),
    }
}

pub(super) fn f64(value: &Placed) -> Read<f64> {
    match value.get_ref() {
        DeValue::Float(_) => float(value),
        DeValue::Integer(number) => {
            let number = signed(number).map(|n| n as f64).or_else(|| unsigned(number).map(|n| n as f64));
            number.ok_or_else(|| wrong_type(value, "f64"))
        }
        _ => Err(wrong_type(value, "f64")),
    }
}

pub(super) fn u64(value: &Placed) -> Read<u64> {
    whole(value, "u64")
}

pub(super) fn usize(value: &Placed) -> Read<usize> {
    let number = whole(value, "usize")?;
    usize::try_from(number).map_err(|_| invalid(value, Unexpected::Unsigned(number), "usize"))
}

fn whole(value: &Placed, expected: &str) -> Read<u64> {
    let DeValue::Integer(number) = value.get_ref() else { return Err(wrong_type(value, expected)) };
    match (unsigned(number), signed(number)) {
        (Some(number), _) => Ok(number),
        (None, Some(negative)) => Err(invalid(value, Unexpected::Signed(negative), expected)),
        (None, None) => Err(wrong_type(value, expected)),
    }
}

pub(super) fn points(value: &Placed) -> Read<Points> {
    let read = match value.get_ref() {
        DeValue::String(text) => Points::parse(text).map_err(de::Error::custom),
        DeValue::Integer(number) => match (unsigned(number), signed(number)) {
            (Some(number), _) => Ok(Points::whole(number)),
            (None, Some(_)) => Err(de::Error::custom("points are not negative")),
            (None, None) => Err(wrong_type(value, Points::EXPECTED)),
        },
        _ => Err(wrong_type(value, Points::EXPECTED)),
    };
    read.map_err(|e: Wrong| e.at(value.span()))
}

/// One of some words, and what it means; `others` says what is wrong with a value that is no word.
pub(super) fn word<T: Copy>(
    value: &Placed,
    words: &'static [&'static str],
    meant: &[T],
    others: &dyn Fn(&Placed) -> Wrong,
) -> Read<T> {
    let DeValue::String(text) = value.get_ref() else { return Err(others(value).at(value.span())) };
    let found = words.iter().position(|word| word == text);
    found.map(|at| meant[at]).ok_or_else(|| <Wrong as de::Error>::unknown_variant(text, words).at(value.span()))
}

/// For [`word`]: that a value is none.
pub(super) fn no_word(_: &Placed) -> Wrong {
    de::Error::custom("wanted string or table")
}

/// A list of values that `one` reads.
pub(super) fn list<T>(value: &Placed, one: &dyn Fn(&Placed) -> Read<T>) -> Read<Vec<T>> {
    let DeValue::Array(array) = value.get_ref() else { return Err(wrong_type(value, "a sequence")) };
    let mut read = Vec::with_capacity(array.len());
    for value in array.iter() {
        read.push(one(value)?);
    }
    Ok(read)
}

/// Names and strings.
pub(super) fn strings(value: &Placed) -> Read<BTreeMap<String, String>> {
    let mut read = BTreeMap::new();
    for (name, value) in table(value, "a map")? {
        let named = whole_text(name.get_ref()).map_err(|e| e.at(name.span()))?;
        read.insert(named.to_string(), string(value)?);
    }
    Ok(read)
}

/// Names and points, in the order of the names.
pub(super) fn named_points(value: &Placed) -> Read<Vec<(String, Points)>> {
    let mut read = Vec::new();
    for (name, value) in table(value, "a map")? {
        read.push((name.get_ref().to_string(), points(value)?));
    }
    Ok(read)
}

fn signed(number: &DeInteger) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn unsigned(number: &DeInteger) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A floating-point number; infinity is one only where it is written so.
fn float(value: &Placed) -> Read<f64> {
    let DeValue::Float(number) = value.get_ref() else { return Err(wrong_type(value, "f64")) };
    let read = number.as_str().parse::<f64>().ok();
    let read = read.filter(|read| !read.is_infinite() || number.as_str().contains("inf"));
    read.ok_or_else(|| <Wrong as de::Error>::custom("floating-point number overflowed").at(value.span()))
}

/// That a value is of another type than expected.
pub(super) fn wrong_type(value: &Placed, expected: &str) -> Wrong {
    let number;
    let unexpected = match value.get_ref() {
        DeValue::String(text) => Unexpected::Str(text),
        DeValue::Integer(integer) => match (signed(integer), unsigned(integer)) {
            (Some(number), _) => Unexpected::Signed(number),
            (None, Some(number)) => Unexpected::Unsigned(number),
            (None, None) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(long) => {
                    number = format!("integer `{long}` as i128");
                    Unexpected::Other(&number)
                }
                Err(_) => return <Wrong as de::Error>::custom("integer number overflowed").at(value.span()),
            },
        },
        DeValue::Float(_) => match float(value) {
            Ok(number) => Unexpected::Float(number),
            Err(overflowed) => return overflowed,
        },
        DeValue::Boolean(truth) => Unexpected::Bool(*truth),
        DeValue::Datetime(_) | DeValue::Table(_) => Unexpected::Map,
        DeValue::Array(_) => Unexpected::Seq,
    };
    <Wrong as de::Error>::invalid_type(unexpected, &expected).at(value.span())
}

fn invalid(value: &Placed, unexpected: Unexpected, expected: &str) -> Wrong {
    <Wrong as de::Error>::invalid_value(unexpected, &expected).at(value.span())
}
