//! One NumPy array in a file: `.npy`, versions 1.0 to 3.0.
//!
//! Reads both byte orders and both axis orders, and writes what `numpy.save` writes. It knows nothing
//! of archives, but [`read_from`] reads the member of one.

use std::io::{BufReader, Read, Write};
use std::path::Path;

use super::array::Array;
use super::disk;
use super::elements::{self, Failure, Lying, Stored, data_bytes, tuple};
use super::limits;
use super::npy_header::{self, Header};
use super::wording::{io_reason, quoted};
use crate::error::{Error, Result};

/// The bytes that an array is read from: where they stand, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file, for messages.
    pub path: &'a Path,
    /// The array's name in its archive, for messages.
    pub name: Option<&'a str>,
    /// How many bytes, header included, there are or may be.
    pub room: Room,
}

/// What is known of the number of bytes before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Exactly so many are there: the length of a file.
    Exactly(u64),
    /// Exactly so many are there and none is copied: memory does not bound them.
    Mapped(u64),
    /// More than so many are refused; how many there are turns out in reading.
    AtMost(u64),
}

/// Reads the array of an npy file, in C order and in this machine's byte order.
///
/// # Errors
///
/// When the file is not one plain array of numbers or booleans: pickled objects, structured dtypes, text,
/// dates, complex numbers; bytes missing or left over; a header or a shape beyond [`limits`].
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let (file, length) = disk::open(path)?;
    let source = Source { path, name: None, room: Room::Exactly(length) };
    read_from(BufReader::new(file), source)
}

/// Reads an array as [`read`] does, from bytes that may come from anywhere.
///
/// Never takes more memory than about twice the bytes that really arrive. Reads to the end of `reader`,
/// so that a checksum behind the data is checked too.
///
/// # Errors
///
/// As [`read`].
pub fn read_from(mut reader: impl Read, source: Source<'_>) -> Result<Array> {
    let announced = announce(&mut reader, source)?;
    read_announced(announced, &mut reader, source)
}

/// A header that has been read, and the bytes of data that it asks for.
pub(crate) struct Announced {
    header: Header,
    pub(crate) data_bytes: u64,
}

/// Reads the header alone and checks what it asks for.
pub(crate) fn announce(reader: &mut dyn Read, source: Source<'_>) -> Result<Announced> {
    let refuse = |predicate: String| source.refuse(&predicate);
    let header = Header::read(reader).map_err(refuse)?;
    let limit = match source.room {
        Room::Exactly(_) => limits::ARRAY_BYTES,
        Room::Mapped(_) => limits::MAPPED_BYTES,
        Room::AtMost(bytes) => bytes.min(limits::ARRAY_BYTES),
    };
    let data_bytes = data_bytes(&header.shape, header.kind, limit).map_err(refuse)?;
    Ok(Announced { header, data_bytes })
}

/// Reads the data behind a header, to the end of `reader`.
pub(crate) fn read_announced(announced: Announced, reader: &mut dyn Read, source: Source<'_>) -> Result<Array> {
    let Announced { header, data_bytes: wanted } = announced;
    if let Room::Exactly(length) | Room::Mapped(length) = source.room {
        let found = length.saturating_sub(header.bytes);
        if found < wanted {
            return Err(source.short(&header, found, wanted));
        }
    }
    let stored = Stored {
        kind: header.kind,
        shape: &header.shape,
        fortran_order: header.fortran_order,
        big_endian: header.big_endian,
        present: !matches!(source.room, Room::AtMost(_)),
    };
    let array = elements::read(&stored, reader).map_err(|failure| match failure {
        Failure::Short(found) => source.short(&header, found, wanted),
        other => source.refuse(&other.to_string()),
    })?;
    match elements::fill(reader, &mut [0]) {
        Ok(0) => Ok(array),
        Ok(_) => Err(source.long(&header, wanted)),
        Err(e) => Err(source.refuse(&format!("cannot be read: {}", io_reason(&e)))),
    }
}

/// An array in bytes that are at hand: where its elements lie, or the array itself where they are not little-endian
/// in C order.
pub(crate) enum Found {
    Placed(Lying),
    Read(Array),
}

/// Finds the array in `bytes`, which are all that is there; the same is refused as in reading.
pub(crate) fn place(bytes: &[u8], path: &Path, name: Option<&str>) -> Result<Found> {
    let source = Source { path, name, room: Room::Mapped(bytes.len() as u64) };
    let mut reader = bytes;
    let announced = announce(&mut reader, source)?;
    let Announced { header, data_bytes: wanted } = &announced;
    if header.big_endian || (header.fortran_order && header.shape.len() > 1) {
        let source = Source { room: Room::Exactly(bytes.len() as u64), ..source };
        return read_announced(announced, &mut reader, source).map(Found::Read);
    }
    let found = reader.len() as u64;
    if found < *wanted {
        return Err(source.short(header, found, *wanted));
    }
    if found > *wanted {
        return Err(source.long(header, *wanted));
    }
    let range = bytes.len() - reader.len()..bytes.len();
    let placed = Lying { kind: header.kind, shape: header.shape.clone(), range };
    placed.check(bytes).map_err(|failure| source.refuse(&failure.to_string()))?;
    Ok(Found::Placed(placed))
}

impl Source<'_> {
    /// The error that says `predicate` of this array.
    fn refuse(&self, predicate: &str) -> Error {
        let subject = match self.name {
            Some(name) => format!("array {}", quoted(name)),
            None => "it".to_owned(),
        };
        let advice = if predicate == npy_header::PICKLED { self.advice() } else { String::new() };
        Error::read(self.path, format!("{subject} {predicate}{advice}"))
    }

    /// How to save what was pickled, spelled with the array's own name.
    fn advice(&self) -> String {
        let call = match self.name {
            Some(name) if is_python_name(name) => {
                format!("savez(..., {name}=numpy.asarray({name}))")
            }
            Some(_) => "savez(..., array=numpy.asarray(array))".to_owned(),
            None => "save(..., numpy.asarray(array))".to_owned(),
        };
        format!("; save plain numbers with numpy.{call}")
    }

    fn long(&self, header: &Header, wanted: u64) -> Error {
        let shape = tuple(&header.shape);
        self.refuse(&format!("goes on after the {wanted} bytes of data that its shape {shape} asks for"))
    }

    fn short(&self, header: &Header, found: u64, wanted: u64) -> Error {
        let shape = tuple(&header.shape);
        self.refuse(&format!("holds {found} of the {wanted} bytes of data that its shape {shape} asks for"))
    }
}

fn is_python_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Writes `array` to a file, whole or not at all; `numpy.load` reads it.
///
/// bf16 is written as 16-bit words (`uint16`) and f8_e4m3 as bytes (`uint8`), for NumPy has no such types:
/// [`Array::reinterpret`] is the way back.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: impl AsRef<Path>, array: &Array) -> Result<()> {
    disk::write_atomically(path.as_ref(), &|writer| write_to(writer, array))
}

/// Writes `array` as [`write()`] does, to anything.
///
/// # Errors
///
/// When writing fails.
pub fn write_to(writer: &mut dyn Write, array: &Array) -> std::io::Result<()> {
    let descr = match array {
        Array::F64(_) => "<f8",
        Array::F32(_) => "<f4",
        Array::F16(_) => "<f2",
        Array::Bf16(_) | Array::U16(_) => "<u2",
        Array::F8E4M3(_) | Array::U8(_) => "|u1",
        Array::I64(_) => "<i8",
        Array::I32(_) => "<i4",
        Array::I16(_) => "<i2",
        Array::I8(_) => "|i1",
        Array::U64(_) => "<u8",
        Array::U32(_) => "<u4",
        Array::Bool(_) => "|b1",
    };
    writer.write_all(&npy_header::written(descr, array.shape())?)?;
    elements::write(array, writer)
}

#[cfg(test)]
pub(crate) mod tests;
