//! Bytes to elements and back, in blocks, with memory taken only as bytes arrive.
//!
//! Shared by npy and safetensors; it knows element types and shapes, and no header.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use std::io::{ErrorKind, Read, Write};

use super::array::{self, Array, each};
use super::limits;
use super::wording::{io_reason, size};

/// How elements are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    F8E4M3,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Kind {
    /// The element type as suites write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8E4M3 => "f8_e4m3",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }

    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// Where elements come from and how they lie there.
pub(crate) struct Stored<'a> {
    pub(crate) kind: Kind,
    /// A shape that [`data_bytes`] has accepted.
    pub(crate) shape: &'a [usize],
    pub(crate) fortran_order: bool,
    pub(crate) big_endian: bool,
    /// Whether the bytes are known to be there, so that all memory may be taken at once.
    pub(crate) present: bool,
}

/// Why elements could not be read.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The bytes end after this many.
    Short(u64),
    /// There is no memory for this many bytes.
    Memory(usize),
    /// A byte that stands for a boolean is neither 0 nor 1.
    NotBool(u8),
    /// Reading failed, or the archive around the bytes is damaged.
    Io(std::io::Error),
}

impl std::fmt::Display for Failure {
    /// A predicate of the array: `ends after 9 bytes of data`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short(bytes) => write!(f, "ends after {bytes} bytes of data"),
            Self::Memory(bytes) => {
                write!(f, "asks for {bytes} bytes and there is no memory for them")
            }
            Self::NotBool(byte) => {
                write!(f, "holds the byte {byte} where a boolean must be 0 or 1")
            }
            Self::Io(e) => write!(f, "cannot be read: {}", io_reason(e)),
        }
    }
}

/// Elements that stay where they lie: little-endian, in C order, in the bytes of a file.
#[derive(Debug, Clone)]
pub(crate) struct Lying {
    pub(crate) kind: Kind,
    pub(crate) shape: Vec<usize>,
    /// Where in those bytes.
    pub(crate) range: std::ops::Range<usize>,
}

impl Lying {
    /// The one check of values that reading makes: booleans are 0 or 1.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Failure> {
        let wrong = || bytes[self.range.clone()].iter().copied().find(|&byte| byte > 1);
        match (self.kind == Kind::Bool).then(wrong).flatten() {
            Some(byte) => Err(Failure::NotBool(byte)),
            None => Ok(()),
        }
    }
}

/// Bytes that a shape asks for, or why it cannot be asked for.
///
/// Axes of length 0 do not excuse the others: a shape like `(2^60, 0)` holds nothing and is refused all
/// the same, because a loop over its first axis would not end.
pub(crate) fn data_bytes(shape: &[usize], kind: Kind, limit: u64) -> Result<u64, String> {
    if shape.len() > limits::AXES {
        let (found, limit) = (shape.len(), limits::AXES);
        return Err(format!("has {found} axes, more than the {limit} that NumPy allows"));
    }
    let extent = |length: usize| (length as u64).max(1);
    shape
        .iter()
        .try_fold(kind.size() as u64, |bytes, &length| bytes.checked_mul(extent(length)))
        .filter(|&bytes| bytes <= limit && isize::try_from(bytes).is_ok())
        .map(|bytes| if shape.contains(&0) { 0 } else { bytes })
        .ok_or_else(|| {
            let limit = size(limit);
            format!("has the shape {}, which asks for more than {limit}", tuple(shape))
        })
}

/// A shape as NumPy prints it: `()`, `(3,)`, `(2, 3)`.
pub(crate) fn tuple(shape: &[usize]) -> String {
    match shape {
        [length] => format!("({length},)"),
        _ => {
            let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("({})", lengths.join(", "))
        }
    }
}

/// Reads the elements of `stored` from `reader`, and not a byte more.
pub(crate) fn read(stored: &Stored<'_>, reader: &mut dyn Read) -> Result<Array, Failure> {
    Ok(match stored.kind {
        Kind::F64 => Array::F64(read_as(stored, reader)?),
        Kind::F32 => Array::F32(read_as(stored, reader)?),
        Kind::F16 => Array::F16(read_as(stored, reader)?),
        Kind::Bf16 => Array::Bf16(read_as(stored, reader)?),
        Kind::F8E4M3 => Array::F8E4M3(read_as(stored, reader)?),
        Kind::I64 => Array::I64(read_as(stored, reader)?),
        Kind::I32 => Array::I32(read_as(stored, reader)?),
        Kind::I16 => Array::I16(read_as(stored, reader)?),
        Kind::I8 => Array::I8(read_as(stored, reader)?),
        Kind::U64 => Array::U64(read_as(stored, reader)?),
        Kind::U32 => Array::U32(read_as(stored, reader)?),
        Kind::U16 => Array::U16(read_as(stored, reader)?),
        Kind::U8 => Array::U8(read_as(stored, reader)?),
        Kind::Bool => {
            let bytes: ArrayD<u8> = read_as(stored, reader)?;
            match array::values(&bytes).iter().find(|&&byte| byte > 1) {
                Some(&byte) => return Err(Failure::NotBool(byte)),
                None => Array::Bool(array::converted(&bytes, |byte| byte == 1)),
            }
        }
    })
}

fn read_as<T: Element>(stored: &Stored<'_>, reader: &mut dyn Read) -> Result<ArrayD<T>, Failure> {
    let count = stored.shape.iter().product();
    let no_memory = || Failure::Memory(count * T::SIZE);
    let mut values: Vec<T> = Vec::new();
    if stored.present {
        values.try_reserve_exact(count).map_err(|_| no_memory())?;
    }
    read_blocks(count, T::SIZE, stored.big_endian, reader, &mut |bytes| {
        // Doubles at most, so memory stays below twice what has really arrived.
        values.try_reserve(bytes.len() / T::SIZE).map_err(|_| no_memory())?;
        values.extend(bytes.chunks_exact(T::SIZE).map(T::from_le));
        Ok(())
    })?;
    let shape = IxDyn(stored.shape).set_f(stored.fortran_order);
    let array = ArrayD::from_shape_vec(shape, values).map_err(|e| Failure::Io(std::io::Error::other(e)))?;
    if array.is_standard_layout() {
        return Ok(array);
    }
    Ok(array::in_shape(stored.shape, array::values(&array).into_owned()))
}

/// Reads `count` elements of `size` bytes and gives them to `take` block by block, little-endian.
fn read_blocks(
    count: usize,
    size: usize,
    big_endian: bool,
    reader: &mut dyn Read,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // A multiple of every element size.
    const BLOCK: usize = 1 << 16;
    let mut block = vec![0; BLOCK.min(count * size)];
    let mut there = 0;
    while there < count {
        let wanted = (count - there).min(BLOCK / size);
        let bytes = &mut block[..wanted * size];
        let filled = fill(reader, bytes).map_err(Failure::Io)?;
        if filled < bytes.len() {
            return Err(Failure::Short((there * size + filled) as u64));
        }
        if big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        take(bytes)?;
        there += wanted;
    }
    Ok(())
}

/// Reads until `buffer` is full or the bytes end; how many came.
pub(crate) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Writes every element in C order, little-endian.
pub(crate) fn write(array: &Array, writer: &mut dyn Write) -> std::io::Result<()> {
    each!(array, a => write_as(a, writer))
}

fn write_as<T: Element>(array: &ArrayD<T>, writer: &mut dyn Write) -> std::io::Result<()> {
    const BLOCK: usize = 1 << 16;
    let mut block = Vec::with_capacity(BLOCK.min(array.len() * T::SIZE));
    for &value in array::values(array).iter() {
        value.put_le(&mut block);
        if block.len() >= BLOCK {
            writer.write_all(&block)?;
            block.clear();
        }
    }
    writer.write_all(&block)
}

/// A fixed number of little-endian bytes.
pub(crate) trait Element: Copy {
    const SIZE: usize;
    /// The value of exactly `SIZE` bytes.
    fn from_le(bytes: &[u8]) -> Self;
    fn put_le(self, bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($($type:ty),+) => {
        $(impl Element for $type {
            const SIZE: usize = size_of::<$type>();
            fn from_le(bytes: &[u8]) -> Self {
                let mut exact = [0; size_of::<$type>()];
                exact.copy_from_slice(bytes);
                <$type>::from_le_bytes(exact)
            }
            fn put_le(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        })+
    };
}
element!(f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8);

impl Element for bool {
    const SIZE: usize = 1;
    fn from_le(bytes: &[u8]) -> Self {
        bytes == [1]
    }
    fn put_le(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(kind: Kind, shape: &[usize]) -> Stored<'_> {
        Stored { kind, shape, fortran_order: false, big_endian: false, present: false }
    }

    #[test]
    fn bytes_of_a_shape_are_counted_without_overflow() {
        assert_eq!(data_bytes(&[], Kind::F64, 8), Ok(8));
        assert_eq!(data_bytes(&[3, 0, 5], Kind::F32, 100), Ok(0));
        assert_eq!(data_bytes(&[5, 5], Kind::F32, 100), Ok(100));
        let error = data_bytes(&[5, 6], Kind::F32, 100).unwrap_err();
        assert_eq!(error, "has the shape (5, 6), which asks for more than 100 bytes");
        assert!(data_bytes(&[1 << 60], Kind::F64, u64::MAX).is_err());
        assert!(data_bytes(&[1 << 32, 1 << 32], Kind::U8, u64::MAX).is_err());
        assert!(data_bytes(&[1 << 40, 0], Kind::U8, 1 << 32).is_err());
        assert!(data_bytes(&[1; 65], Kind::U8, 1 << 32).is_err());
    }

    #[test]
    fn shapes_read_as_numpy_prints_them() {
        assert_eq!(tuple(&[]), "()");
        assert_eq!(tuple(&[3]), "(3,)");
        assert_eq!(tuple(&[2, 3]), "(2, 3)");
    }

    #[test]
    fn missing_bytes_are_counted_and_no_memory_is_taken_for_them() {
        // Asks for 2 GiB and holds 9 bytes.
        match read(&stored(Kind::F64, &[1 << 28]), &mut &[0u8; 9][..]) {
            Err(Failure::Short(9)) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fortran_order_becomes_c_order() {
        let bytes = [1u8, 4, 2, 5, 3, 6];
        let stored = Stored { fortran_order: true, ..stored(Kind::U8, &[2, 3]) };
        let Array::U8(array) = read(&stored, &mut &bytes[..]).unwrap() else { panic!() };
        assert!(array.is_standard_layout());
        assert_eq!(array.as_slice().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_boolean_is_0_or_1() {
        assert!(read(&stored(Kind::Bool, &[2]), &mut &[0u8, 1][..]).is_ok());
        let error = read(&stored(Kind::Bool, &[2]), &mut &[0u8, 2][..]);
        assert!(matches!(error, Err(Failure::NotBool(2))));
    }
}
