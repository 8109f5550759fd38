//! Named tensors in a safetensors file.
//!
//! ```text
//! 8 bytes     N, the length of the header, little-endian
//! N bytes     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {"format": "pt"}}, spaces behind it
//! the rest    the tensors one after the other, in C order, little-endian, without a gap
//! ```
//! (<https://github.com/huggingface/safetensors>.) Knows the format alone, and not which tensors a model needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Serialize};

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
    tensors: Vec<Tensor>,
}

/// Bytes of the number that a file starts with: the length of its header.
const LENGTH_BYTES: usize = 8;
/// A longer header is refused, as by the format's own library.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// The name in the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The element types of the format: name, bits of an element, and what goldref reads them as.
const ELEMENT_TYPES: [(&str, usize, Option<Kind>); 22] = [
    ("BOOL", 8, Some(Kind::Bool)),
    ("F4", 4, None),
    ("F6_E2M3", 6, None),
    ("F6_E3M2", 6, None),
    ("U8", 8, Some(Kind::U8)),
    ("I8", 8, Some(Kind::I8)),
    ("F8_E5M2", 8, None),
    ("F8_E4M3", 8, Some(Kind::F8E4M3)),
    ("F8_E8M0", 8, None),
    ("F8_E4M3FNUZ", 8, None),
    ("F8_E5M2FNUZ", 8, None),
    ("I16", 16, Some(Kind::I16)),
    ("U16", 16, Some(Kind::U16)),
    ("F16", 16, Some(Kind::F16)),
    ("BF16", 16, Some(Kind::Bf16)),
    ("I32", 32, Some(Kind::I32)),
    ("U32", 32, Some(Kind::U32)),
    ("F32", 32, Some(Kind::F32)),
    ("C64", 64, None),
    ("F64", 64, Some(Kind::F64)),
    ("I64", 64, Some(Kind::I64)),
    ("U64", 64, Some(Kind::U64)),
];

/// A tensor of a header that is consistent with its file.
#[derive(Debug)]
struct Tensor {
    name: String,
    dtype: &'static str,
    kind: Option<Kind>,
    shape: Vec<usize>,
    /// Its bytes in the file.
    range: Range<usize>,
}

/// What a header says of a tensor.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Writes tensors in f32 as a safetensors file, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: impl AsRef<Path>, tensors: &BTreeMap<String, ArrayD<f32>>) -> Result<()> {
    let path = path.as_ref();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in tensors {
        let start = data.len() as u64;
        for x in values(tensor).iter() {
            data.extend_from_slice(&x.to_le_bytes());
        }
        let data_offsets = (start, data.len() as u64);
        let entry = Entry { dtype: "F32".to_string(), shape: tensor.shape().to_vec(), data_offsets };
        header.insert(name.clone(), serde_json::to_value(entry).map_err(|e| Error::write(path, reason(e)))?);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // So that the data begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    disk::write_bytes(path, &bytes)
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
        let tensors = tensors(path, &bytes)?;
        Ok(Self { path: path.to_path_buf(), bytes, tensors })
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        self.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }

    /// One tensor as an array.
    ///
    /// # Errors
    ///
    /// When there is no tensor of this name, and for element types that have no [`Array`]:
    /// 4-bit and 6-bit floats, the other 8-bit floats, complex numbers.
    pub fn get(&self, name: &str) -> Result<Array> {
        let tensor = self
            .tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| Error::read(&self.path, format!("there is no tensor {}", quoted(name))))?;
        let placed = tensor.placed(&self.path)?;
        let mut bytes = &self.bytes[placed.range];
        let (kind, shape) = (placed.kind, &placed.shape);
        let stored = Stored { kind, shape, fortran_order: false, big_endian: false, present: true };
        elements::read(&stored, &mut bytes)
            .map_err(|failure| Error::read(&self.path, format!("tensor {} {failure}", quoted(name))))
    }
}

impl Tensor {
    /// Where it lies, if it is of a type and a size that can be read.
    fn placed(&self, path: &Path) -> Result<Lying> {
        let refuse = |reason: &str| Error::read(path, format!("tensor {} {reason}", quoted(&self.name)));
        let kind =
            self.kind.ok_or_else(|| refuse(&format!("has the element type {}, which is not supported", self.dtype)))?;
        data_bytes(&self.shape, kind, limits::SAFETENSORS_BYTES).map_err(|e| refuse(&e))?;
        Ok(Lying { kind, shape: self.shape.clone(), range: self.range.clone() })
    }
}

/// Where each tensor of the file in `bytes` lies, sorted by name; the same is refused as in reading them all.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Lying)>> {
    let mut all = Vec::new();
    for tensor in tensors(path, bytes)? {
        let placed = tensor.placed(path)?;
        placed
            .check(bytes)
            .map_err(|failure| Error::read(path, format!("tensor {} {failure}", quoted(&tensor.name))))?;
        all.push((tensor.name, placed));
    }
    Ok(all)
}

/// The tensors of a file, sorted by name.
fn tensors(path: &Path, bytes: &[u8]) -> Result<Vec<Tensor>> {
    let (entries, data_start) = read_header(bytes).map_err(|reason| Error::read(path, reason))?;
    let data = bytes.len() - data_start;
    consistent(entries, data_start, data)
        .map_err(|reason| Error::read(path, format!("its header is not consistent: {reason}")))
}

/// The entries of the header, sorted by name, and where the data begin.
fn read_header(bytes: &[u8]) -> std::result::Result<(Vec<(String, Entry)>, usize), String> {
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
    if length > MOST_HEADER_BYTES {
        return Err(format!("its header is {length} bytes long, more than {MOST_HEADER_BYTES}"));
    }
    let entries: Entries =
        serde_json::from_slice(header).map_err(|e| format!("its header is malformed: {}", reason(e)))?;
    for (name, entry) in &entries.0 {
        let (start, end) = entry.data_offsets;
        if start > end || end > data.len() as u64 {
            let found = data.len();
            return Err(format!(
                "tensor {} lies at bytes {start} to {end} of the data, which has {found} bytes",
                quoted(name)
            ));
        }
    }
    Ok((entries.0, LENGTH_BYTES + header.len()))
}

/// The tensors, if each has as many bytes as its shape and type ask for and they fill the data without gap or overlap.
fn consistent(
    entries: Vec<(String, Entry)>,
    data_start: usize,
    data: usize,
) -> std::result::Result<Vec<Tensor>, String> {
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, Entry { dtype, shape, data_offsets }) in entries {
        let known = ELEMENT_TYPES.into_iter().find(|(known, _, _)| *known == dtype);
        let Some((dtype, bits, kind)) = known else {
            return Err(format!("tensor {} has the element type {}, which no file has", quoted(&name), quoted(&dtype)));
        };
        let elements = shape.iter().try_fold(1usize, |product, &len| product.checked_mul(len));
        let Some(bits) = elements.and_then(|elements| elements.checked_mul(bits)) else {
            return Err(format!("tensor {} has a shape whose size no machine can address", quoted(&name)));
        };
        // Both lie within the data, as `read_header` has seen.
        let (start, end) = (data_offsets.0 as usize, data_offsets.1 as usize);
        if (end - start).checked_mul(8) != Some(bits) {
            return Err(format!(
                "tensor {} has {} bytes of data, where its shape and type ask for {bits} bits",
                quoted(&name),
                end - start
            ));
        }
        tensors.push(Tensor { name, dtype, kind, shape, range: data_start + start..data_start + end });
    }
    let mut in_order: Vec<(&Range<usize>, &str)> =
        tensors.iter().map(|tensor| (&tensor.range, tensor.name.as_str())).collect();
    sort_by(&mut in_order, &|a, b| (a.0.start, a.0.end).cmp(&(b.0.start, b.0.end)));
    let mut end = data_start;
    for (range, name) in in_order {
        if range.start != end {
            return Err(format!("tensor {} does not begin where the one before ends", quoted(name)));
        }
        end = range.end;
    }
    if end != data_start + data {
        return Err(format!("{} bytes behind the last tensor belong to none", data_start + data - end));
    }
    Ok(tensors)
}

/// The tensors of a header, sorted by name; a name that stands there twice is an error, where a map would keep the
/// last.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        map.next_value::<BTreeMap<String, String>>()?;
                        continue;
                    }
                    let entry: Entry = map.next_value()?;
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("tensor {} stands there twice", quoted(&name))));
                    }
                    entries.push((name, entry));
                }
                sort_by(&mut entries, &|a, b| a.0.cmp(&b.0));
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
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
        use safetensors::tensor::{Dtype, TensorView};
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

    #[test]
    fn what_is_written_an_independent_reader_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensors = BTreeMap::from([
            ("b \"quoted\"".to_string(), arr2(&[[1.0f32, -2.5], [f32::NAN, 4.0]]).into_dyn()),
            ("a".to_string(), arr1(&[7.0f32]).into_dyn()),
            ("empty".to_string(), ArrayD::zeros(vec![3, 0])),
        ]);
        write(&path, &tensors).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.len(), 3);
        for (name, tensor) in &tensors {
            let view = theirs.tensor(name).unwrap();
            let expected: Vec<u8> = tensor.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!((view.shape(), view.data()), (tensor.shape(), &expected[..]));
            assert_eq!(open(&bytes).unwrap().get(name).unwrap().shape(), tensor.shape());
        }
    }

    #[test]
    fn an_independent_reader_refuses_the_same_headers() {
        let one = |dtype: &str, shape: &str, start, end| format!(r#"{{"w":{}}}"#, entry(dtype, shape, start, end));
        let two = |a: (u64, u64), b: (u64, u64)| {
            format!(r#"{{"a":{},"b":{}}}"#, entry("U8", "[2]", a.0, a.1), entry("U8", "[2]", b.0, b.1))
        };
        let mut cases = vec![
            (one("U8", "[4]", 0, 4), 4),
            (one("F4", "[4]", 0, 2), 2),
            (one("F4", "[3]", 0, 2), 2),
            (one("F6_E2M3", "[4]", 0, 3), 3),
            (one("F32", "[]", 0, 4), 4),
            (one("F31", "[1]", 0, 4), 4),
            (one("BOOL", "[0,9]", 0, 0), 0),
            (two((0, 2), (2, 4)), 4),
            (two((2, 4), (0, 2)), 4),
            (two((0, 2), (1, 3)), 3),
            (two((0, 2), (3, 5)), 5),
            (two((0, 2), (0, 2)), 2),
            (r#"{"__metadata__":{"a":"b"}}"#.to_string(), 0),
            (r#"{"__metadata__":{"a":1}}"#.to_string(), 0),
            (r#"{"__metadata__":1}"#.to_string(), 0),
            ("{}".to_string(), 0),
            ("{}   ".to_string(), 0),
            (r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":2}}"#.to_string(), 1),
            (r#"{"w":{"dtype":"U8","shape":[1]}}"#.to_string(), 1),
            (r#"{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#.to_string(), 1),
            (one("U8", "[18446744073709551615,2]", 0, 0), 0),
        ];
        for (name, bits, _) in ELEMENT_TYPES {
            cases.push((one(name, "[8]", 0, bits as u64), bits));
        }
        let mut refused = 0;
        for (header, data) in &cases {
            let bytes = file(header, &vec![0; *data]);
            let (ours, theirs) = (open(&bytes).is_err(), safetensors::SafeTensors::deserialize(&bytes).is_err());
            assert_eq!(ours, theirs, "{header}");
            refused += usize::from(ours);
        }
        assert!(refused > 8 && refused < cases.len() - 20, "{refused} of {}", cases.len());
    }
}
