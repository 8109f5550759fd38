//! Named tensors in a safetensors file.
//!
//! Knows the format alone, and not which tensors a model needs. The crate `safetensors` reads the header;
//! two things are checked before: that each tensor lies in the file (the crate adds the offsets up, and an
//! overflow panics in a build that checks arithmetic), and that no name stands there twice (the crate takes
//! the last).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::array::{Array, values};
use super::disk;
use super::elements::{self, Kind, Lying, Stored, data_bytes};
use super::limits;
use super::wording::{quoted, reason};
use crate::error::{Error, Result};
use crate::num::sort::sort_by;

/// A safetensors file, read whole.
#[derive(Debug)]
pub struct SafeTensors {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the first tensor begins in `bytes`.
    data_start: usize,
    metadata: Metadata,
}

/// Writes tensors in f32 as a safetensors file, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: impl AsRef<Path>, tensors: &BTreeMap<String, ArrayD<f32>>) -> Result<()> {
    let path = path.as_ref();
    let mut bytes = Vec::with_capacity(tensors.len());
    for tensor in tensors.values() {
        let mut of_tensor = Vec::with_capacity(size_of::<f32>() * tensor.len());
        for x in values(tensor).iter() {
            of_tensor.extend_from_slice(&x.to_le_bytes());
        }
        bytes.push(of_tensor);
    }
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, tensor), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape().to_vec(), bytes);
        views.push((name.as_str(), view.map_err(|e| Error::write(path, reason(e)))?));
    }
    disk::write_bytes(path, &safetensors::serialize(views, None).map_err(|e| Error::write(path, reason(e)))?)
}

impl SafeTensors {
    /// Reads a file and checks its header against its bytes.
    ///
    /// # Errors
    ///
    /// When the file is not in the safetensors format: a header that is cut off, malformed, names a tensor
    /// twice, or places one outside the file, over another one or apart from it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, disk::read_whole(path, limits::SAFETENSORS_BYTES)?)
    }

    /// Reads as [`open`](Self::open) does, from bytes that may come from anywhere; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        Self::parse(path.as_ref(), bytes)
    }

    /// The file at `path`, whose bytes have been read.
    pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let (data_start, metadata) = header(path, &bytes)?;
        Ok(Self { path: path.to_path_buf(), bytes, data_start, metadata })
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// One tensor as an array.
    ///
    /// # Errors
    ///
    /// When there is no tensor of this name, and for element types that have no [`Array`]:
    /// 4-bit and 6-bit floats, the other 8-bit floats, complex numbers.
    pub fn get(&self, name: &str) -> Result<Array> {
        let placed = place_one(&self.path, &self.bytes, self.data_start, &self.metadata, name)?;
        let mut bytes = &self.bytes[placed.range];
        let (kind, shape) = (placed.kind, &placed.shape);
        let stored = Stored { kind, shape, fortran_order: false, big_endian: false, present: true };
        elements::read(&stored, &mut bytes)
            .map_err(|failure| Error::read(&self.path, format!("tensor {} {failure}", quoted(name))))
    }
}

/// Where the data begins, and what the header says.
fn header(path: &Path, bytes: &[u8]) -> Result<(usize, Metadata)> {
    check_header(bytes).map_err(|reason| Error::read(path, reason))?;
    let (header_bytes, metadata) = safetensors::SafeTensors::read_metadata(bytes)
        .map_err(|e| Error::read(path, format!("its header is not consistent: {}", reason(e))))?;
    Ok((LENGTH_BYTES + header_bytes, metadata))
}

fn place_one(path: &Path, bytes: &[u8], data_start: usize, metadata: &Metadata, name: &str) -> Result<Lying> {
    let refuse = |reason: &str| Error::read(path, format!("tensor {} {reason}", quoted(name)));
    let info = metadata.info(name).ok_or_else(|| Error::read(path, format!("there is no tensor {}", quoted(name))))?;
    let kind = kind(info.dtype)
        .ok_or_else(|| refuse(&format!("has the element type {:?}, which is not supported", info.dtype)))?;
    data_bytes(&info.shape, kind, limits::SAFETENSORS_BYTES).map_err(|e| refuse(&e))?;
    let (start, end) = (data_start + info.data_offsets.0, data_start + info.data_offsets.1);
    if bytes.get(start..end).is_none() {
        return Err(refuse("lies outside the file"));
    }
    Ok(Lying { kind, shape: info.shape.clone(), range: start..end })
}

/// Where each tensor of the file in `bytes` lies, sorted by name; the same is refused as in reading them all.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Lying)>> {
    let (data_start, metadata) = header(path, bytes)?;
    let mut names = metadata.offset_keys();
    names.sort_unstable();
    let placed = names.into_iter().map(|name| {
        let placed = place_one(path, bytes, data_start, &metadata, &name)?;
        placed.check(bytes).map_err(|failure| Error::read(path, format!("tensor {} {failure}", quoted(&name))))?;
        Ok((name, placed))
    });
    placed.collect()
}

fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::F64,
        Dtype::F32 => Kind::F32,
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::Bf16,
        Dtype::F8_E4M3 => Kind::F8E4M3,
        Dtype::I64 => Kind::I64,
        Dtype::I32 => Kind::I32,
        Dtype::I16 => Kind::I16,
        Dtype::I8 => Kind::I8,
        Dtype::U64 => Kind::U64,
        Dtype::U32 => Kind::U32,
        Dtype::U16 => Kind::U16,
        Dtype::U8 => Kind::U8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

/// Bytes of the number that a file starts with: the length of its header.
const LENGTH_BYTES: usize = 8;

/// What can be said of a header in better words, or only here.
fn check_header(bytes: &[u8]) -> std::result::Result<(), String> {
    if bytes.starts_with(b"version https://git-lfs") {
        return Err("it is a Git LFS pointer and not the file; fetch it with git lfs pull".into());
    }
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        let found = bytes.len();
        return Err(format!("it ends after {found} bytes, within the length of its header"));
    };
    let length = u64::from_le_bytes(*length);
    let Some((header, data)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)) else {
        let found = rest.len();
        return Err(format!("its header is {length} bytes long, but {found} bytes follow"));
    };
    let tensors: Tensors =
        serde_json::from_slice(header).map_err(|e| format!("its header is malformed: {}", reason(e)))?;
    for (name, (start, end)) in &tensors.0 {
        if start > end || *end > data.len() as u64 {
            let found = data.len();
            return Err(format!(
                "tensor {} lies at bytes {start} to {end} of the data, which has {found} bytes",
                quoted(name)
            ));
        }
    }
    Ok(())
}

/// The one part of a tensor's entry that the crate does not check.
#[derive(Deserialize)]
struct Placed {
    data_offsets: (u64, u64),
}

/// The place of each tensor of a header, sorted by name; a name that stands there twice is an error, where a map would keep the
/// last.
struct Tensors(Vec<(String, (u64, u64))>);

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tensors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Tensors, A::Error> {
                let (mut tensors, mut seen) = (Vec::new(), BTreeSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let placed: Placed = map.next_value()?;
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("tensor {} stands there twice", quoted(&name))));
                    }
                    tensors.push((name, placed.data_offsets));
                }
                sort_by(&mut tensors, &|a, b| a.0.cmp(&b.0));
                Ok(Tensors(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ndarray::{arr0, arr1, arr2};

    /// A safetensors file with this header.
    pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<SafeTensors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        SafeTensors::open(path)
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = open(bytes).unwrap_err().to_string();
        error.split_once("x.safetensors: ").unwrap().1.to_owned()
    }

    fn entry(dtype: &str, shape: &str, start: u64, end: u64) -> String {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    }

    #[test]
    fn what_an_independent_writer_wrote_is_read() {
        use safetensors::tensor::TensorView;
        let weight: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let ids: Vec<u8> = [7i64, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensors = [
            ("weight", TensorView::new(Dtype::F32, vec![2, 2], &weight).unwrap()),
            ("ids", TensorView::new(Dtype::I64, vec![2], &ids).unwrap()),
            ("scale", TensorView::new(Dtype::BF16, vec![], &[0xc0, 0x3f]).unwrap()),
            ("f8", TensorView::new(Dtype::F8_E4M3, vec![1], &[0x7e]).unwrap()),
            ("mask", TensorView::new(Dtype::BOOL, vec![2, 0], &[]).unwrap()),
        ];
        let file = open(&safetensors::serialize(tensors, None).unwrap()).unwrap();
        assert_eq!(file.names(), ["f8", "ids", "mask", "scale", "weight"]);
        let weight = arr2(&[[1.0f32, 2.0], [3.0, 4.0]]).into_dyn();
        assert_eq!(file.get("weight").unwrap(), Array::from(weight));
        assert_eq!(file.get("ids").unwrap(), Array::from(arr1(&[7i64, -1]).into_dyn()));
        assert_eq!(file.get("scale").unwrap().to_f64(), arr0(1.5).into_dyn());
        assert_eq!(file.get("f8").unwrap().to_f64()[0], 448.0);
        assert_eq!(file.get("mask").unwrap().shape(), [2, 0]);
        let error = file.get("bias").unwrap_err().to_string();
        assert!(error.ends_with("x.safetensors: there is no tensor \"bias\""), "{error}");
    }

    #[test]
    fn element_types_without_an_array_are_refused_by_name() {
        let header = format!(r#"{{"w":{}}}"#, entry("F8_E5M2", "[1]", 0, 1));
        let error = open(&file(&header, &[0])).unwrap().get("w").unwrap_err().to_string();
        let expected = "tensor \"w\" has the element type F8_E5M2, which is not supported";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn headers_that_do_not_fit_their_bytes_are_refused() {
        let tensor = |start, end| format!(r#"{{"w":{}}}"#, entry("U8", "[4]", start, end));
        assert!(open(&file(&tensor(0, 4), &[0; 4])).is_ok());
        for (bytes, reason) in [
            (vec![], "it ends after 0 bytes, within the length of its header"),
            (vec![0; 7], "it ends after 7 bytes"),
            (vec![0xff; 8], "its header is 18446744073709551615 bytes long, but 0 bytes follow"),
            (file("{", &[]), "its header is malformed: EOF while parsing an object at line 1 column 1"),
            (file("[]", &[]), "its header is malformed"),
            (file(r#"{"w":1}"#, &[]), "its header is malformed"),
            (file(&tensor(0, 4), &[0; 3]), "tensor \"w\" lies at bytes 0 to 4 of the data, which has 3"),
            (file(&tensor(4, 0), &[0; 4]), "tensor \"w\" lies at bytes 4 to 0"),
            (file(&tensor(0, 4), &[0; 5]), "its header is not consistent"),
            (file(&tensor(0, 3), &[0; 3]), "its header is not consistent"),
            (file(&tensor(1, 5), &[0; 5]), "its header is not consistent"),
            (b"version https://git-lfs.github.com/spec/v1\noid".to_vec(), "it is a Git LFS pointer"),
        ] {
            let found = refusal(&bytes);
            assert!(found.starts_with(reason), "{found:?} for {reason:?}");
        }
    }

    #[test]
    fn offsets_that_wrap_around_are_refused() {
        // Eight tensors whose lengths add up to 2^64 + 8: added without care, they end at byte 8.
        let eighth = (1u64 << 61) - 1;
        let mut entries: Vec<String> = (0..8)
            .map(|i| {
                let shape = format!("[{eighth}]");
                format!(r#""t{i}":{}"#, entry("U8", &shape, i * eighth, (i + 1) * eighth))
            })
            .collect();
        entries.push(format!(r#""t8":{}"#, entry("U8", "[7]", 8 * eighth, u64::MAX)));
        let found = refusal(&file(&format!("{{{}}}", entries.join(",")), &[]));
        assert!(found.starts_with("tensor \"t0\" lies at bytes 0 to 2305843009213693951"), "{found}");
    }

    #[test]
    fn a_shape_whose_product_overflows_is_refused() {
        for shape in ["[4294967296,4294967296]", "[9223372036854775807,2]"] {
            let header = format!(r#"{{"w":{}}}"#, entry("F64", shape, 0, 0));
            assert!(refusal(&file(&header, &[])).starts_with("its header is not consistent"));
        }
        // Zero bytes, and a loop over the first axis that would not end.
        let header = format!(r#"{{"w":{}}}"#, entry("U8", "[4611686018427387904,0]", 0, 0));
        let error = open(&file(&header, &[])).unwrap().get("w").unwrap_err().to_string();
        assert!(error.ends_with("which asks for more than 64 GiB"), "{error}");
    }

    #[test]
    fn a_tensor_that_stands_there_twice_is_refused() {
        let entry = entry("U8", "[1]", 0, 1);
        let found = refusal(&file(&format!(r#"{{"w":{entry},"w":{entry}}}"#), &[0]));
        assert!(found.contains("tensor \"w\" stands there twice"), "{found}");
        let metadata = format!(r#"{{"__metadata__":{{"format":"pt"}},"w":{entry}}}"#);
        assert_eq!(open(&file(&metadata, &[0])).unwrap().names(), ["w"]);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let header = format!(r#"{{"w":{}}}"#, entry("U8", "[4]", 0, 4));
        let bytes = file(&header, &[1, 2, 3, 4]);
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length]).is_err(), "{length}");
        }
    }
}
