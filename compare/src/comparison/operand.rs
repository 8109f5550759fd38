//! One side of a comparison: an array of any element type, in memory or in the bytes of a mapped file.
//!
//! It gives values as f64 in blocks, and single elements exactly and as their stored bits. It knows nothing of
//! tolerances.

use super::lanes::Lanes;
use super::level::{Work, dispatch};
use crate::num::Dtype;
use crate::simd::Level;
use half::{bf16, f16};
use ndarray::{ArrayView, Dimension, IxDyn};
use std::any::TypeId;
use std::borrow::Cow;
use std::marker::PhantomData;

/// What an element of an array is.
pub trait Element: Copy + Send + Sync + sealed::Stored {}

pub(super) use sealed::Value;

mod sealed {
    use crate::num::Dtype;

    /// A number as stored, before any rounding to f64.
    #[derive(Debug, Clone, Copy)]
    pub enum Value {
        /// A floating-point number.
        Float(f64),
        /// An integer of 64 bits at most.
        Whole(i128),
    }

    impl Value {
        pub fn to_f64(self) -> f64 {
            match self {
                Self::Float(x) => x,
                Self::Whole(x) => x as f64,
            }
        }
    }

    /// How an element type is stored and read; only the types of this file are.
    #[expect(unnameable_types, reason = "a sealed trait is named by its public face, Element")]
    pub trait Stored: Sized + Copy + Send + Sync + 'static {
        const NAME: &'static str;
        /// The format whose last places are counted; integers have none, their neighbours are 1 apart.
        const FORMAT: Option<Dtype>;
        const SIZE: usize = size_of::<Self>();
        fn from_le(bytes: &[u8]) -> Self;
        fn put_le(self, bytes: &mut Vec<u8>);
        fn to_f64(self) -> f64;
        fn value(self) -> Value {
            Value::Float(self.to_f64())
        }
        /// False where f64 may not hold the element or its difference to another exactly.
        fn is_exact(self) -> bool {
            true
        }
        fn bits(self) -> String;
    }
}
use sealed::Stored;

macro_rules! float {
    ($type:ty, $name:literal, $format:expr, $digits:literal, $to_f64:expr) => {
        impl Stored for $type {
            const NAME: &'static str = $name;
            const FORMAT: Option<Dtype> = Some($format);
            #[inline(always)]
            fn from_le(bytes: &[u8]) -> Self {
                let mut exact = [0; size_of::<$type>()];
                exact.copy_from_slice(bytes);
                <$type>::from_le_bytes(exact)
            }
            fn put_le(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                $to_f64(self)
            }
            fn bits(self) -> String {
                format!(concat!("0x{:0", $digits, "x}"), self.to_bits())
            }
        }
        impl Element for $type {}
    };
}
float!(f64, "f64", Dtype::F64, "16", |x| x);
float!(f32, "f32", Dtype::F32, "8", f64::from);
float!(f16, "f16", Dtype::F16, "4", |x: f16| f64::from(widened(x)));
float!(bf16, "bf16", Dtype::Bf16, "4", |x: bf16| f64::from(f32::from_bits(u32::from(x.to_bits()) << 16)));

/// A half as f32 without a branch, so that loops over it become vectors: the bits moved to f32's places make a
/// number 2^112 too small, subnormals included, and a product by a power of two is exact.
#[inline(always)]
fn widened(x: f16) -> f32 {
    let bits = u32::from(x.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    // From 2^16 upward stand infinity and NaN.
    let special = if (bits & 0x7c00) == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | special | ((bits & 0x8000) << 16))
}

macro_rules! whole {
    ($($type:ty, $name:literal, $digits:literal, $exact:expr);+ $(;)?) => {
        $(impl Stored for $type {
            const NAME: &'static str = $name;
            const FORMAT: Option<Dtype> = None;
            #[inline(always)]
            fn from_le(bytes: &[u8]) -> Self {
                let mut exact = [0; size_of::<$type>()];
                exact.copy_from_slice(bytes);
                <$type>::from_le_bytes(exact)
            }
            fn put_le(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn value(self) -> Value {
                Value::Whole(i128::from(self))
            }
            #[inline(always)]
            fn is_exact(self) -> bool {
                $exact(self)
            }
            fn bits(self) -> String {
                format!(concat!("0x{:0", $digits, "x}"), self)
            }
        }
        impl Element for $type {})+
    };
}
// Two integers within ±2^51 and their difference are exact in f64.
whole!(
    i64, "i64", "16", |x: i64| (x.wrapping_add(1 << 51) as u64) < (1 << 52);
    u64, "u64", "16", |x: u64| x < (1 << 51);
    i32, "i32", "8", |_| true;
    u32, "u32", "8", |_| true;
    i16, "i16", "4", |_| true;
    u16, "u16", "4", |_| true;
    i8, "i8", "2", |_| true;
    u8, "u8", "2", |_| true;
);

impl Stored for bool {
    const NAME: &'static str = "bool";
    const FORMAT: Option<Dtype> = None;
    #[inline(always)]
    fn from_le(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
    fn put_le(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn value(self) -> Value {
        Value::Whole(i128::from(self))
    }
    fn bits(self) -> String {
        format!("0x{:02x}", u8::from(self))
    }
}
impl Element for bool {}

/// An E4M3 byte.
#[derive(Clone, Copy)]
struct F8(u8);

impl Stored for F8 {
    const NAME: &'static str = "f8_e4m3";
    const FORMAT: Option<Dtype> = Some(Dtype::F8E4M3);
    #[inline(always)]
    fn from_le(bytes: &[u8]) -> Self {
        Self(bytes[0])
    }
    fn put_le(self, bytes: &mut Vec<u8>) {
        bytes.push(self.0);
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        E4M3[usize::from(self.0)]
    }
    fn bits(self) -> String {
        format!("0x{:02x}", self.0)
    }
}

/// The values of the 256 bytes of E4M3 (OCP 8-bit Floating Point Specification, section 5.2).
static E4M3: [f64; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (exponent, fraction) = ((byte >> 3 & 15) as u64, (byte & 7) as f64);
        let magnitude = if byte & 0x7f == 0x7f {
            f64::NAN
        } else if exponent == 0 {
            fraction / 512.0
        } else {
            // 2^(exponent - 7), written as the bits of a double.
            (1.0 + fraction / 8.0) * f64::from_bits((exponent + 1016) << 52)
        };
        values[byte] = if byte & 0x80 == 0 { magnitude } else { -magnitude };
        byte += 1;
    }
    values
};

/// The elements of one side, whatever their type.
pub(super) trait Elements: Sync {
    /// The elements from `start` as f64; whether each of them, and each difference of two such, is exact.
    fn load(&self, level: Level, start: usize, out: &mut [f64]) -> bool;
    fn value(&self, index: usize) -> Value;
    fn bits(&self, index: usize) -> String;
    /// The elements themselves, if they are f32 and lie in memory as this machine stores them.
    fn singles(&self, start: usize, count: usize) -> Option<&[f32]>;
    /// The bytes of elements that will be loaded soon; none where they are not worth fetching ahead.
    fn ahead(&self, _start: usize, _count: usize) -> &[u8] {
        &[]
    }
}

/// Converts one block, compiled for each instruction set.
struct Convert<'x, T> {
    from: &'x [u8],
    out: &'x mut [f64],
    element: PhantomData<T>,
}

impl<T: Stored> Work for Convert<'_, T> {
    type Output = bool;
    #[inline(always)]
    fn run<V: Lanes>(self) -> bool {
        let mut exact = true;
        for (out, bytes) in self.out.iter_mut().zip(self.from.chunks_exact(T::SIZE)) {
            let x = T::from_le(bytes);
            *out = x.to_f64();
            exact &= x.is_exact();
        }
        exact
    }
}

/// Elements as little-endian bytes, which need not be aligned. Arrays in memory lie so too: one loop for each type and instruction
/// set serves both.
struct InBytes<'a, T> {
    bytes: Cow<'a, [u8]>,
    element: PhantomData<T>,
    memory: Memory,
}

impl<T: Stored> Elements for InBytes<'_, T> {
    fn load(&self, level: Level, start: usize, out: &mut [f64]) -> bool {
        let from = &self.bytes[start * T::SIZE..(start + out.len()) * T::SIZE];
        dispatch(level, Convert::<T> { from, out, element: PhantomData })
    }
    fn singles(&self, start: usize, count: usize) -> Option<&[f32]> {
        if TypeId::of::<T>() != TypeId::of::<f32>() || cfg!(target_endian = "big") {
            return None;
        }
        // SAFETY: any four bytes are an f32.
        let (before, singles, after) = unsafe { self.bytes[start * T::SIZE..(start + count) * T::SIZE].align_to() };
        (before.is_empty() && after.is_empty()).then_some(singles)
    }
    fn ahead(&self, start: usize, count: usize) -> &[u8] {
        let (start, end) = (start * T::SIZE, (start + count) * T::SIZE);
        if self.memory == Memory::Mapped {
            self.bytes.get(start..end.min(self.bytes.len())).unwrap_or(&[])
        } else {
            &[]
        }
    }
    fn value(&self, index: usize) -> Value {
        self.one(index).value()
    }
    fn bits(&self, index: usize) -> String {
        self.one(index).bits()
    }
}

impl<T: Stored> InBytes<'_, T> {
    fn one(&self, index: usize) -> T {
        T::from_le(&self.bytes[index * T::SIZE..(index + 1) * T::SIZE])
    }
}

/// The elements of a slice as little-endian bytes.
fn bytes_of<T: Stored>(slice: &[T]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "big") {
        let mut bytes = Vec::with_capacity(size_of_val(slice));
        slice.iter().for_each(|x| x.put_le(&mut bytes));
        return Cow::Owned(bytes);
    }
    // SAFETY: the types of this file have no padding, and bytes may lie anywhere; they are borrowed as long as the elements are.
    Cow::Borrowed(unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), size_of_val(slice)) })
}

/// Where the bytes of an array lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// In the memory of this process.
    Own,
    /// In a mapped file, whose pages are worth fetching ahead.
    Mapped,
}

/// One side of a comparison.
pub struct Operand<'a> {
    pub(super) shape: Vec<usize>,
    pub(super) elements: Box<dyn Elements + 'a>,
    pub(super) format: Option<Dtype>,
    pub(super) dtype_name: &'static str,
}

impl<'a> Operand<'a> {
    /// A view; copied only if it is not in C order.
    pub fn from_view<T: Element + 'a, D: Dimension>(view: ArrayView<'a, T, D>) -> Self {
        Self::of_view(view.into_dyn())
    }

    fn of_view<T: Stored + 'a>(view: ArrayView<'a, T, IxDyn>) -> Self {
        let bytes = match view.to_slice() {
            Some(slice) => bytes_of(slice),
            None => {
                let mut bytes = Vec::with_capacity(view.len() * T::SIZE);
                for x in &view {
                    x.put_le(&mut bytes);
                }
                Cow::Owned(bytes)
            }
        };
        Self::of_bytes::<T>(view.shape(), bytes, Memory::Own)
    }

    /// Little-endian elements of the type that suites write as `dtype_name`, in C order; they need not be aligned. `None` for an unknown name, and where
    /// `shape` has not as many elements.
    pub fn from_le_bytes(dtype_name: &str, shape: &[usize], bytes: Cow<'a, [u8]>, memory: Memory) -> Option<Self> {
        let of_type = match dtype_name {
            "f64" => Self::of_as_many::<f64>,
            "f32" => Self::of_as_many::<f32>,
            "f16" => Self::of_as_many::<f16>,
            "bf16" => Self::of_as_many::<bf16>,
            "f8_e4m3" => Self::of_as_many::<F8>,
            "i64" => Self::of_as_many::<i64>,
            "i32" => Self::of_as_many::<i32>,
            "i16" => Self::of_as_many::<i16>,
            "i8" => Self::of_as_many::<i8>,
            "u64" => Self::of_as_many::<u64>,
            "u32" => Self::of_as_many::<u32>,
            "u16" => Self::of_as_many::<u16>,
            "u8" => Self::of_as_many::<u8>,
            "bool" => Self::of_as_many::<bool>,
            _ => return None,
        };
        of_type(shape, bytes, memory)
    }

    /// The bytes, if they are as many as the shape says.
    fn of_as_many<T: Stored + 'a>(shape: &[usize], bytes: Cow<'a, [u8]>, memory: Memory) -> Option<Self> {
        let wanted = shape.iter().try_fold(T::SIZE, |wanted, &length| wanted.checked_mul(length))?;
        (wanted == bytes.len()).then(|| Self::of_bytes::<T>(shape, bytes, memory))
    }

    fn of_bytes<T: Stored + 'a>(shape: &[usize], bytes: Cow<'a, [u8]>, memory: Memory) -> Self {
        let elements = InBytes::<T> { bytes, element: PhantomData, memory };
        Self { shape: shape.to_vec(), elements: Box::new(elements), format: T::FORMAT, dtype_name: T::NAME }
    }

    /// A slice, as an array of one axis.
    pub fn from_slice<T: Element + 'a>(slice: &'a [T]) -> Self {
        Self::of_bytes::<T>(&[slice.len()], bytes_of(slice), Memory::Own)
    }

    /// Bytes that are f8 e4m3.
    pub fn from_f8_e4m3<D: Dimension>(view: ArrayView<'a, u8, D>) -> Self {
        let bytes = match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        };
        Self::of_bytes::<F8>(view.shape(), bytes, Memory::Own)
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type as suites write it.
    pub fn dtype_name(&self) -> &'static str {
        self.dtype_name
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements from `start` as f64, rounded to nearest where f64 cannot hold an integer.
    pub fn values(&self, start: usize, out: &mut [f64]) {
        self.elements.load(Level::chosen(), start, out);
    }
}

impl std::fmt::Debug for Operand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operand").field("shape", &self.shape).field("dtype", &self.dtype_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_has_the_value_that_its_crate_gives() {
        for bits in 0..=u16::MAX {
            let (x, expected) = (f16::from_bits(bits), f16::from_bits(bits).to_f64());
            assert!(x.to_f64().to_bits() == expected.to_bits() || (widened(x).is_nan() && expected.is_nan()), "{x}");
            assert!(Stored::to_f64(x).to_bits() == expected.to_bits() || expected.is_nan(), "{x}");
        }
    }

    #[test]
    fn integers_are_exact_up_to_2_to_the_51() {
        assert!(((1i64 << 51) - 1).is_exact() && (-(1i64 << 51)).is_exact());
        assert!(!(1i64 << 51).is_exact() && !i64::MAX.is_exact() && !i64::MIN.is_exact());
        assert!(((1u64 << 51) - 1).is_exact() && !(1u64 << 51).is_exact());
    }

    #[test]
    fn bits_are_those_that_are_stored() {
        assert_eq!((-6.0f32).bits(), "0xc0c00000");
        assert_eq!(bf16::from_f32(1.0).bits(), "0x3f80");
        assert_eq!((-1i8).bits(), "0xff");
        assert_eq!(F8(0x7e).bits(), "0x7e");
        assert_eq!(true.bits(), "0x01");
    }

    #[test]
    fn bytes_of_a_named_type_are_read_where_they_are_as_many_as_the_shape_says() {
        let sizes = [("f64", 8), ("f32", 4), ("f16", 2), ("bf16", 2), ("f8_e4m3", 1), ("i64", 8), ("i32", 4)];
        let sizes = sizes.into_iter().chain([
            ("i16", 2),
            ("i8", 1),
            ("u64", 8),
            ("u32", 4),
            ("u16", 2),
            ("u8", 1),
            ("bool", 1),
        ]);
        for (name, size) in sizes {
            let read = |shape: &[usize], length: usize| {
                Operand::from_le_bytes(name, shape, Cow::Owned(vec![0; length]), Memory::Own)
            };
            let operand = read(&[2, 3], 6 * size).unwrap();
            assert_eq!((operand.shape(), operand.dtype_name()), (&[2, 3][..], name));
            let mut values = [1.0; 6];
            operand.values(0, &mut values);
            assert_eq!(values, [0.0; 6], "{name}");
            assert!(read(&[2, 3], 6 * size - 1).is_none() && read(&[2, 3], 7 * size).is_none(), "{name}");
            assert!(read(&[], size).is_some() && read(&[0, 5], 0).is_some(), "{name}");
            // A product of lengths that wraps around to 0.
            assert!(read(&[1 << 32, 1 << 32], 0).is_none(), "{name}");
        }
        assert!(Operand::from_le_bytes("f4", &[1], Cow::Borrowed(&[0]), Memory::Own).is_none());
    }

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let array = ndarray::arr2(&[[1.0f32, 2.0], [3.0, 4.0]]);
        let operand = Operand::from_view(array.t());
        let mut out = [0.0; 4];
        operand.values(0, &mut out);
        assert_eq!(out, [1.0, 3.0, 2.0, 4.0]);
    }
}
