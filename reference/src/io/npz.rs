//! Several named NumPy arrays in one file: `.npz`, a zip archive of npy files.
//!
//! Every number of the archive's directory is a claim: sizes are counted while inflating, names are
//! looked at before anything is read. Nothing is ever extracted to a path of the archive's choosing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use zip::read::ZipFile;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::array::Array;
use super::disk;
use super::limits::NpzLimits;
use super::npy::{self, Room, Source};
use super::wording::{io_reason, quoted, reason, size};
use crate::error::{Error, Result};

/// Reads every array of an npz archive, stored or deflated, by name (without the `.npy`).
///
/// # Errors
///
/// When the file is no zip archive or a damaged one; when it is encrypted or compressed otherwise; for a
/// name that is empty, absolute, has `..` or a backslash in it, stands there twice or does not end in
/// `.npy`; beyond the limits of [`NpzLimits::DEFAULT`]; and for each array that [`npy::read`] would refuse.
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>> {
    read_within(path, &NpzLimits::DEFAULT)
}

/// Reads as [`read`] does, within limits of one's own.
///
/// # Errors
///
/// As [`read`].
pub fn read_within(path: impl AsRef<Path>, limits: &NpzLimits) -> Result<BTreeMap<String, Array>> {
    let path = path.as_ref();
    let (file, length) = disk::open(path)?;
    read_everything(&mut BufReader::new(file), length, path, limits)
}

/// Reads as [`read_within`] does, from the `length` bytes of an archive that may come from anywhere; `path` is for
/// messages.
///
/// # Errors
///
/// As [`read`].
pub fn read_archive(
    mut bytes: impl Read + Seek,
    length: u64,
    path: &Path,
    limits: &NpzLimits,
) -> Result<BTreeMap<String, Array>> {
    read_everything(&mut bytes, length, path, limits)
}

/// Bytes of an archive. Readers are called through a reference: else the zip crate would be compiled for each of them.
pub(crate) trait ReadSeek: Read + Seek {}

impl<R: Read + Seek> ReadSeek for R {}

fn read_everything(
    bytes: &mut dyn ReadSeek,
    length: u64,
    path: &Path,
    limits: &NpzLimits,
) -> Result<BTreeMap<String, Array>> {
    let mut arrays = BTreeMap::new();
    read_members(bytes, length, path, limits, Taken::Everything, &mut |name, member| {
        if let Member::Read(array) = member {
            arrays.insert(name, array);
        }
        Ok(())
    })?;
    Ok(arrays)
}

/// Which members are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of them.
    Everything,
    /// Those whose bytes do not stand in the archive as they are.
    CompressedOnly,
}

/// A member of an archive.
pub(crate) enum Member {
    /// Its array.
    Read(Array),
    /// An npy file that stands in the archive at these bytes.
    Stored(std::ops::Range<u64>),
}

/// Gives the members of the archive in `bytes` one by one, in the archive's order.
pub(crate) fn read_members(
    bytes: &mut dyn ReadSeek,
    length: u64,
    path: &Path,
    limits: &NpzLimits,
    taken: Taken,
    give: &mut dyn FnMut(String, Member) -> Result<()>,
) -> Result<()> {
    let left = Rc::new(Cell::new(limits.directory_bytes));
    let metered = Metered { inner: bytes, left: Rc::clone(&left) };
    let mut archive = ZipArchive::new(metered).map_err(|e| {
        if left.get() == 0 {
            let limit = size(limits.directory_bytes);
            Error::read(path, format!("the directory of the archive is longer than {limit}"))
        } else {
            Error::read(path, format!("it is no npz archive: {}", zip_reason(&e)))
        }
    })?;
    left.set(u64::MAX);

    let names = names(&archive, path, limits)?;
    let most = limits.inflated_bytes(length);
    let too_much = || {
        let reason = format!(
            "its arrays inflate to more than the {} allowed for {}; \
             save large arrays with numpy.savez, uncompressed",
            size(most),
            size(length)
        );
        Error::read(path, reason)
    };
    let mut left = most;
    for (index, name) in names.into_iter().enumerate() {
        let mut member = archive
            .by_index(index)
            .map_err(|e| Error::read(path, format!("array {} {}", quoted(&name), zip_reason(&e))))?;
        if taken == Taken::CompressedOnly
            && member.compression() == CompressionMethod::Stored
            && let Some(start) = member.data_start()
        {
            let end = start.saturating_add(member.compressed_size());
            drop(member);
            give(name, Member::Stored(start..end))?;
            continue;
        }
        let mut counted = Counted { inner: &mut member, left: Some(left) };
        let room = Room::AtMost(limits.total_bytes);
        let source = Source { path, name: Some(&name), room };
        let array = npy::announce(&mut counted, source).and_then(|announced| {
            // What is too large by its own word need not be inflated to know it.
            if counted.left.is_some_and(|left| announced.data_bytes > left) {
                return Err(too_much());
            }
            npy::read_announced(announced, &mut counted, source)
        });
        left = counted.left.ok_or_else(too_much)?;
        give(name, Member::Read(array?))?;
    }
    Ok(())
}

/// The names of all members without `.npy`, in the archive's order, after every check that needs no data.
fn names(archive: &ZipArchive<Metered>, path: &Path, limits: &NpzLimits) -> Result<Vec<String>> {
    if archive.len() > limits.entries {
        let (found, limit) = (archive.len(), limits.entries);
        return Err(Error::read(path, format!("it holds {found} arrays, more than {limit}")));
    }
    let twice = |name: &str| Error::read(path, format!("the name {} stands there twice", quoted(name)));
    let metadata = archive.metadata();
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for index in 0..archive.len() {
        let broken = |e| Error::read(path, zip_reason(&e));
        let member = metadata.entry(index).map_err(broken)?;
        let member_name = member.name().map_err(broken)?;
        let refuse = |reason: &str| Error::read(path, format!("member {} {reason}", quoted(&member_name)));
        let name = array_name(&member_name).map_err(|reason| refuse(&reason))?;
        if member.encrypted() {
            return Err(refuse("is encrypted; save without a password"));
        }
        match member.compression() {
            CompressionMethod::Stored | CompressionMethod::Deflated => {}
            other => {
                return Err(refuse(&format!(
                    "is compressed by {other}; save with numpy.savez or numpy.savez_compressed"
                )));
            }
        }
        if !seen.insert(name.to_owned()) {
            return Err(twice(name));
        }
        names.push(name.to_owned());
    }
    // The zip crate keeps the last of equal raw names and only says that there were more.
    if archive.has_duplicate_names() {
        return Err(Error::read(path, "a name stands there twice"));
    }
    Ok(names)
}

/// The array's name in the name of its member, or why the member cannot be one.
fn array_name(member: &str) -> std::result::Result<&str, String> {
    let Some(name) = member.strip_suffix(".npy") else {
        return Err("does not end in .npy; an npz archive holds arrays and nothing else".into());
    };
    check_name(name)?;
    Ok(name)
}

/// Names are never used as paths here, but others do so, and no honest writer makes these.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let drive = name.as_bytes().get(1) == Some(&b':');
    if name.is_empty() {
        Err("has an empty name".into())
    } else if name.starts_with('/') || drive {
        Err("has an absolute path for a name".into())
    } else if name.contains('\\') {
        Err("has a backslash in its name".into())
    } else if name.split('/').any(|part| part == "..") {
        Err("has \"..\" in its name".into())
    } else if name.chars().any(char::is_control) {
        Err("has a control character in its name".into())
    } else {
        Ok(())
    }
}

/// Writes the arrays to an npz archive, whole or not at all; `numpy.load` reads it.
///
/// The same arrays give the same bytes on each machine and at any time: members are sorted by name, stored
/// without compression and dated 1980-01-01. bf16 and f8_e4m3 are written as [`npy::write`] does.
///
/// # Errors
///
/// For a name that [`read`] would refuse, and when the file cannot be written.
pub fn write(path: impl AsRef<Path>, arrays: &BTreeMap<String, Array>) -> Result<()> {
    disk::write_atomically(path.as_ref(), &|writer| write_archive(writer, arrays)?.flush())
}

/// Writes the arrays as [`write()`] does, to anything, and gives it back.
///
/// # Errors
///
/// As [`write()`].
pub fn write_archive<W: Write + Seek>(writer: W, arrays: &BTreeMap<String, Array>) -> std::io::Result<W> {
    for name in arrays.keys() {
        check_name(name).map_err(|reason| std::io::Error::other(format!("array {} {reason}", quoted(name))))?;
    }
    let mut archive = ZipWriter::new(writer);
    for (name, array) in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .system(zip::System::Unix)
            .unix_permissions(0o644)
            // Eight bytes an element at most; the rest is room for the header.
            .large_file(array.len() as u64 >= (u64::from(u32::MAX) >> 3) - (1 << 16));
        archive.start_file(format!("{name}.npy"), options).map_err(std::io::Error::other)?;
        npy::write_to(&mut archive, array)?;
    }
    archive.finish().map_err(std::io::Error::other)
}

/// The reason of the zip crate without its outermost words.
fn zip_reason(error: &ZipError) -> String {
    match error {
        ZipError::Io(e) => io_reason(e),
        ZipError::InvalidArchive(text) => reason(text),
        ZipError::UnsupportedArchive(text) => reason(text),
        other => reason(other),
    }
}

/// A reader that ends in an error when its budget is used up.
struct Metered<'r> {
    inner: &'r mut dyn ReadSeek,
    left: Rc<Cell<u64>>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.get() == 0 && !buffer.is_empty() {
            return Err(std::io::Error::other("the budget for reading is used up"));
        }
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if self.left.get() != u64::MAX {
            self.left.set(self.left.get() - count as u64);
        }
        Ok(count)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(position)
    }
}

/// Counts inflated bytes down and ends in an error at the first byte too many.
struct Counted<'m, 'a, 'r> {
    // Not any reader: every method that a reader may have would be compiled for each type that the zip crate reads through.
    inner: &'m mut ZipFile<'a, Metered<'r>>,
    /// `None` when more came than was left.
    left: Option<u64>,
}

impl Read for Counted<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.and_then(|left| left.checked_sub(count as u64));
        match self.left {
            Some(_) => Ok(count),
            None => Err(std::io::Error::other("the archive inflates beyond its limit")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
