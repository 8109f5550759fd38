//! A value that is one of a few, as every command takes it.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, ValueEnum};
use std::ffi::OsStr;

/// The parser of `T`. Names are looked up in one place: clap's own parser of an enum is compiled anew for each, with all that it
/// says of errors.
#[derive(Clone)]
pub(super) struct Choice<T: 'static> {
    names: Names,
    values: &'static [T],
}

/// One of the values of `T`, by its name.
pub(super) fn choice<T: ValueEnum>() -> Choice<T> {
    let values = T::value_variants();
    let names = values.iter().filter_map(|value| value.to_possible_value());
    Choice { names: Names(names.collect()), values }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Choice<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        self.names.place(command, arg, value).map(|place| self.values[place].clone())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(self.names.all())
    }
}

/// The names of all values, in their order.
#[derive(Clone)]
struct Names(Vec<PossibleValue>);

impl Names {
    fn all(&self) -> Box<dyn Iterator<Item = PossibleValue> + '_> {
        Box::new(self.0.iter().cloned())
    }

    fn place(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<usize, clap::Error> {
        let value = value.to_string_lossy();
        match self.0.iter().position(|name| name.matches(&value, false)) {
            Some(place) => Ok(place),
            // None of them, and clap says so; what is not Unicode is a wrong name like any other.
            None => Err(PossibleValuesParser::new(self.0.iter().cloned())
                .parse(command, arg, value.into_owned().into())
                .expect_err("it is none of the names")),
        }
    }
}
