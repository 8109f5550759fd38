//! Arrays where they lie: files mapped into memory and read by nobody before their elements are asked for.
//!
//! The headers pass the checks of the readers of each format. Compressed members of an archive, big-endian data and
//! data in Fortran order are read instead. Folders are walked here too; what the arrays mean is known elsewhere.

use super::array::Array;
use super::disk;
use super::elements::{self, Kind, Lying, Stored};
use super::limits::NpzLimits;
use super::npz::{self, Member, Taken};
#[cfg(feature = "reference")]
use super::numbers::{Number, Numbers};
use super::wording::{io_reason, quoted};
use super::{npy, safetensors};
use crate::error::{Error, Result};
use crate::num::sort::sort_by;
#[cfg(feature = "reference")]
use half::{bf16, f16};
use memmap2::Mmap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A named array of a file.
#[derive(Debug)]
pub struct MappedArray {
    name: String,
    shape: Vec<usize>,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// Little-endian in C order, at these bytes of the file.
    Mapped {
        file: Arc<Mmap>,
        range: Range<usize>,
        kind: Kind,
    },
    Read(Array),
}

/// The elements of a [`MappedArray`].
#[derive(Debug, Clone, Copy)]
pub enum Contents<'a> {
    /// Little-endian, in C order, not aligned.
    Bytes(&'a [u8]),
    /// An array that could not stay where it was.
    Read(&'a Array),
}

#[cfg(feature = "reference")]
/// The elements of a [`MappedArray`] of floating-point numbers.
pub(crate) enum Floats {
    F64(Numbers<f64>),
    F32(Numbers<f32>),
    F16(Numbers<f16>),
    Bf16(Numbers<bf16>),
}

impl MappedArray {
    /// The name: of the tensor, of the member of the archive, of the npy file without its extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type as suites write it.
    pub fn dtype_name(&self) -> &'static str {
        match &self.held {
            Held::Mapped { kind, .. } => kind.name(),
            Held::Read(array) => array.dtype_name(),
        }
    }

    /// The elements.
    pub fn contents(&self) -> Contents<'_> {
        match &self.held {
            Held::Mapped { file, range, .. } => Contents::Bytes(&file[range.clone()]),
            Held::Read(array) => Contents::Read(array),
        }
    }

    /// All elements, read into memory.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn to_array(&self) -> Result<Array> {
        match &self.held {
            Held::Read(array) => Ok(array.clone()),
            Held::Mapped { file, range, kind } => {
                let (kind, shape) = (*kind, &self.shape);
                let stored = Stored { kind, shape, fortran_order: false, big_endian: false, present: true };
                elements::read(&stored, &mut &file[range.clone()])
                    .map_err(|failure| Error::ask(format!("array {} {failure}", quoted(&self.name))))
            }
        }
    }

    #[cfg(feature = "reference")]
    /// The elements if they are floating-point numbers of 16 bits or more, where they lie if that is possible.
    pub(crate) fn floats(&self) -> Option<Floats> {
        fn owned<E: Copy>(array: &ndarray::ArrayD<E>) -> Numbers<E> {
            Numbers::from(super::array::values(array).into_owned())
        }
        fn lying<E: Number>(file: &Arc<Mmap>, range: &Range<usize>) -> Numbers<E> {
            Numbers::mapped(file, range.clone())
        }
        Some(match &self.held {
            Held::Mapped { file, range, kind } => match kind {
                Kind::F64 => Floats::F64(lying(file, range)),
                Kind::F32 => Floats::F32(lying(file, range)),
                Kind::F16 => Floats::F16(lying(file, range)),
                Kind::Bf16 => Floats::Bf16(lying(file, range)),
                _ => return None,
            },
            Held::Read(array) => match array {
                Array::F64(array) => Floats::F64(owned(array)),
                Array::F32(array) => Floats::F32(owned(array)),
                Array::F16(array) => Floats::F16(owned(array)),
                Array::Bf16(array) => Floats::Bf16(owned(array)),
                _ => return None,
            },
        })
    }

    /// Gives the array another name.
    pub fn rename(&mut self, name: String) {
        self.name = name;
    }

    /// The same bits as `"bf16"` or `"f8_e4m3"`, as [`Array::reinterpret`] does.
    ///
    /// # Errors
    /// For any other pair of element types than 16-bit words as bf16 and bytes as f8_e4m3.
    pub fn reinterpret(self, dtype: &str) -> Result<Self> {
        let Self { name, shape, held } = self;
        let held = match held {
            Held::Read(array) => Held::Read(array.reinterpret(dtype)?),
            Held::Mapped { file, range, kind } => {
                let kind = match (kind, dtype) {
                    (Kind::U16, "bf16") => Kind::Bf16,
                    (Kind::U8, "f8_e4m3") => Kind::F8E4M3,
                    (same, asked) if same.name() == asked => same,
                    (other, "bf16" | "f8_e4m3") => {
                        let wanted =
                            if dtype == "bf16" { "bf16 as 16-bit words (uint16)" } else { "f8_e4m3 as bytes (uint8)" };
                        return Err(Error::ask(format!("the elements are {}, not {wanted}", other.name())));
                    }
                    (other, asked) => {
                        return Err(Error::ask(format!(
                            "an array of {} cannot be read as {asked:?}; bf16 (stored as uint16) and f8_e4m3 \
                             (stored as uint8) are the types that can be named",
                            other.name()
                        )));
                    }
                };
                Held::Mapped { file, range, kind }
            }
        };
        Ok(Self { name, shape, held })
    }

    fn read(name: String, array: Array) -> Self {
        Self { name, shape: array.shape().to_vec(), held: Held::Read(array) }
    }

    fn placed(name: String, placed: Lying, offset: usize, file: &Arc<Mmap>) -> Self {
        let range = offset + placed.range.start..offset + placed.range.end;
        let held = Held::Mapped { file: Arc::clone(file), range, kind: placed.kind };
        Self { name, shape: placed.shape, held }
    }
}

/// The kinds of file that hold arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    SafeTensors,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(OsStr::to_str) {
            Some("npy") => Some(Self::Npy),
            Some("npz") => Some(Self::Npz),
            Some("safetensors") => Some(Self::SafeTensors),
            _ => None,
        }
    }
}

/// Every array of one npy, npz or safetensors file, sorted by name.
///
/// # Errors
/// For a file that is none of these by its extension, is not a regular file, or that its reader would refuse.
pub fn open(path: impl AsRef<Path>) -> Result<Vec<MappedArray>> {
    open_path(path.as_ref())
}

fn open_path(path: &Path) -> Result<Vec<MappedArray>> {
    let (file, length) = disk::open(path)?;
    let format = Format::of(path)
        .ok_or_else(|| Error::read(path, "it ends in none of .npy, .npz and .safetensors, which hold arrays"))?;
    // SAFETY: the map is read-only and private to this process, and `u8` has no invalid values. It must not shrink
    // while it is mapped: reading beyond its new end would end the process (SIGBUS), as it would for any program that
    // maps a file; the command line answers that signal with a sentence. Bytes that somebody changes meanwhile may give other numbers and nothing worse, because lengths and
    // offsets are checked once and kept outside of the map.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, io_reason(&e)))?;
    let map = Arc::new(map);
    let mut arrays = match format {
        Format::Npy => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            vec![in_npy(&map, 0..map.len(), path, None, stem)?]
        }
        Format::Npz => in_npz(&map, length, path)?,
        Format::SafeTensors => {
            let placed = safetensors::place(path, &map)?;
            let mut arrays = Vec::with_capacity(placed.len());
            for (name, placed) in placed {
                arrays.push(MappedArray::placed(name, placed, 0, &map));
            }
            arrays
        }
    };
    sort_by(&mut arrays, &|a, b| a.name.cmp(&b.name));
    Ok(arrays)
}

fn in_npy(
    map: &Arc<Mmap>,
    range: Range<usize>,
    path: &Path,
    member: Option<&str>,
    name: String,
) -> Result<MappedArray> {
    Ok(match npy::place(&map[range.clone()], path, member)? {
        npy::Found::Placed(placed) => MappedArray::placed(name, placed, range.start, map),
        npy::Found::Read(array) => MappedArray::read(name, array),
    })
}

fn in_npz(map: &Arc<Mmap>, length: u64, path: &Path) -> Result<Vec<MappedArray>> {
    let mut arrays = Vec::new();
    let mut bytes = Cursor::new(&map[..]);
    npz::read_members(&mut bytes, length, path, &NpzLimits::DEFAULT, Taken::CompressedOnly, &mut |name, member| {
        arrays.push(match member {
            Member::Read(array) => MappedArray::read(name, array),
            Member::Stored(range) => {
                let outside = || Error::read(path, format!("array {} lies outside the file", quoted(&name)));
                let start = usize::try_from(range.start).map_err(|_| outside())?;
                let end = usize::try_from(range.end).map_err(|_| outside())?;
                map.get(start..end).ok_or_else(outside)?;
                in_npy(map, start..end, path, Some(&name), name.clone())?
            }
        });
        Ok(())
    })?;
    Ok(arrays)
}

/// Entries of a folder and those below it: links can lead to the same folder by more ways than can be walked.
const ENTRIES: usize = 1 << 20;

/// The arrays of a folder, and what else was there.
#[derive(Debug)]
pub struct Folder {
    /// Every array of every file below, sorted by name.
    pub arrays: Vec<MappedArray>,
    /// Files that hold no arrays by their extension.
    pub ignored: usize,
}

/// Folders within folders; deeper ones are refused, because only a loop of links goes on so.
const DEPTH: usize = 64;

/// Every array of every npy, npz and safetensors file below `path`. A name is the path from there without its extension,
/// followed by a slash and the name in the file where a file holds several.
///
/// # Errors
/// For an entry that cannot be read, whatever it is: nothing is skipped but files of other kinds, which are counted. For
/// two arrays of the same name.
pub fn open_folder(path: impl AsRef<Path>) -> Result<Folder> {
    open_folder_path(path.as_ref())
}

fn open_folder_path(path: &Path) -> Result<Folder> {
    let mut files = Vec::new();
    let mut ignored = 0;
    walk(path, &mut vec![identity(path)?], &mut files, &mut ignored)?;
    sort_by(&mut files, &PathBuf::cmp);
    let mut arrays = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        let stem = file.with_extension("");
        let relative = stem.strip_prefix(path).unwrap_or(&stem);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let base = parts.join("/");
        for mut array in open_path(&file)? {
            let name =
                if Format::of(&file) == Some(Format::Npy) { base.clone() } else { format!("{base}/{}", array.name) };
            if !names.insert(name.clone()) {
                let reason = format!("two arrays of the folder are called {}; rename one of the files", quoted(&name));
                return Err(Error::read(&file, reason));
            }
            array.rename(name);
            arrays.push(array);
        }
    }
    sort_by(&mut arrays, &|a, b| a.name.cmp(&b.name));
    Ok(Folder { arrays, ignored })
}

/// What tells a folder from every other one, whatever the way to it.
fn identity(folder: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(folder).map_err(|e| Error::read(folder, io_reason(&e)))
}

/// Collects the files below `folder`; `above` are the folders on the way to it, itself included.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>, ignored: &mut usize) -> Result<()> {
    let unreadable = |e: std::io::Error| Error::read(folder, io_reason(&e));
    if above.len() > DEPTH {
        return Err(Error::read(folder, format!("it lies more than {DEPTH} folders deep")));
    }
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        if files.len() + *ignored >= ENTRIES {
            return Err(Error::read(folder, format!("there are more than {ENTRIES} files here and above")));
        }
        let metadata = std::fs::metadata(&entry).map_err(|e| Error::read(&entry, io_reason(&e)))?;
        if metadata.is_dir() {
            let own = identity(&entry)?;
            if above.contains(&own) {
                return Err(Error::read(&entry, "it is a link to a folder that it lies in"));
            }
            above.push(own);
            walk(&entry, above, files, ignored)?;
            above.pop();
        } else if Format::of(&entry).is_some() {
            files.push(entry);
        } else {
            *ignored += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
