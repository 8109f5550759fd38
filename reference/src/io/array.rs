//! One array of any element type a file can hold, and its conversions.
//!
//! The common coin of `io`: readers return it, writers take it. It knows no file format.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::linalg::arrays::for_each_place;

/// An array as it was stored: shape, element type and values, nothing rounded.
///
/// The layout in memory is that of ndarray's standard (C) order for every array a reader returns.
/// Two arrays are equal when element type, shape and values are; NaN equals nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// IEEE 754 binary64.
    F64(ArrayD<f64>),
    /// IEEE 754 binary32.
    F32(ArrayD<f32>),
    /// IEEE 754 binary16.
    F16(ArrayD<f16>),
    /// bfloat16. NumPy files hold it as 16-bit words: see [`Array::reinterpret`].
    Bf16(ArrayD<bf16>),
    /// OCP 8-bit E4M3, each element its bits. NumPy files hold it as bytes: see [`Array::reinterpret`].
    F8E4M3(ArrayD<u8>),
    /// Signed 64-bit integers.
    I64(ArrayD<i64>),
    /// Signed 32-bit integers.
    I32(ArrayD<i32>),
    /// Signed 16-bit integers.
    I16(ArrayD<i16>),
    /// Signed bytes.
    I8(ArrayD<i8>),
    /// Unsigned 64-bit integers.
    U64(ArrayD<u64>),
    /// Unsigned 32-bit integers.
    U32(ArrayD<u32>),
    /// Unsigned 16-bit integers.
    U16(ArrayD<u16>),
    /// Unsigned bytes.
    U8(ArrayD<u8>),
    /// Booleans.
    Bool(ArrayD<bool>),
}

/// Counts of what is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NonFinite {
    /// NaNs of any sign and payload.
    pub nan: usize,
    /// `+∞`.
    pub positive_infinity: usize,
    /// `−∞`.
    pub negative_infinity: usize,
}

impl NonFinite {
    /// Whether every element was finite.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut count = Self::default();
        for value in values {
            if value.is_nan() {
                count.nan += 1;
            } else if value == f64::INFINITY {
                count.positive_infinity += 1;
            } else if value == f64::NEG_INFINITY {
                count.negative_infinity += 1;
            }
        }
        count
    }
}

/// The same expression over the array inside, whatever its element type.
macro_rules! each {
    ($array:expr, $inner:ident => $body:expr) => {
        match $array {
            Array::F64($inner) => $body,
            Array::F32($inner) => $body,
            Array::F16($inner) => $body,
            Array::Bf16($inner) => $body,
            Array::F8E4M3($inner) => $body,
            Array::I64($inner) => $body,
            Array::I32($inner) => $body,
            Array::I16($inner) => $body,
            Array::I8($inner) => $body,
            Array::U64($inner) => $body,
            Array::U32($inner) => $body,
            Array::U16($inner) => $body,
            Array::U8($inner) => $body,
            Array::Bool($inner) => $body,
        }
    };
}
pub(crate) use each;

impl Array {
    /// The length of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        each!(self, a => a.shape())
    }

    /// The number of elements: the product of the shape, 1 for a scalar.
    pub fn len(&self) -> usize {
        each!(self, a => a.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type as suites write it: `"f64"`, `"bf16"`, `"i64"`, `"bool"` ….
    pub fn dtype_name(&self) -> &'static str {
        match self {
            Self::F64(_) => "f64",
            Self::F32(_) => "f32",
            Self::F16(_) => "f16",
            Self::Bf16(_) => "bf16",
            Self::F8E4M3(_) => "f8_e4m3",
            Self::I64(_) => "i64",
            Self::I32(_) => "i32",
            Self::I16(_) => "i16",
            Self::I8(_) => "i8",
            Self::U64(_) => "u64",
            Self::U32(_) => "u32",
            Self::U16(_) => "u16",
            Self::U8(_) => "u8",
            Self::Bool(_) => "bool",
        }
    }

    /// Whether the elements are floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::F64(_) | Self::F32(_) | Self::F16(_) | Self::Bf16(_) | Self::F8E4M3(_))
    }

    /// Every element as f64. Exact, but for 64-bit integers beyond 2⁵³, which are rounded to nearest;
    /// a boolean is 0 or 1.
    pub fn to_f64(&self) -> ArrayD<f64> {
        match self {
            Self::F64(a) => a.clone(),
            Self::F32(a) => converted(a, f64::from),
            Self::F16(a) => converted(a, f64::from),
            Self::Bf16(a) => converted(a, f64::from),
            Self::F8E4M3(a) => converted(a, f8_e4m3_value),
            Self::I64(a) => converted(a, |x| x as f64),
            Self::U64(a) => converted(a, |x| x as f64),
            _ => converted(&self.narrow_integers(), |x| x as f64),
        }
    }

    /// Every element as f32, rounded once to nearest even where f32 cannot hold it (f64 beyond its
    /// range gives ±∞); a boolean is 0 or 1.
    pub fn to_f32(&self) -> ArrayD<f32> {
        match self {
            Self::F64(a) => converted(a, |x| x as f32),
            Self::F32(a) => a.clone(),
            Self::F16(a) => converted(a, f32::from),
            Self::Bf16(a) => converted(a, f32::from),
            Self::F8E4M3(a) => converted(a, |x| f8_e4m3_value(x) as f32),
            Self::I64(a) => converted(a, |x| x as f32),
            Self::U64(a) => converted(a, |x| x as f32),
            _ => converted(&self.narrow_integers(), |x| x as f32),
        }
    }

    /// Every element as i64; a boolean is 0 or 1.
    ///
    /// # Errors
    ///
    /// For floating-point elements, whatever their values, and for an unsigned integer beyond `i64::MAX`.
    pub fn to_i64(&self) -> Result<ArrayD<i64>> {
        match self {
            Self::I64(a) => Ok(a.clone()),
            Self::U64(a) => match values(a).iter().find(|&&x| i64::try_from(x).is_err()) {
                Some(x) => Err(Error::ask(format!("the integer {x} is beyond the range of i64"))),
                None => Ok(converted(a, |x| x as i64)),
            },
            _ if self.is_float() => Err(self.unfit("integers")),
            _ => Ok(self.narrow_integers()),
        }
    }

    /// Integers of a type that i64 holds, and booleans as 0 and 1. On the way to other types too: each pair of types would be a
    /// loop of its own.
    fn narrow_integers(&self) -> ArrayD<i64> {
        match self {
            Self::I32(a) => converted(a, i64::from),
            Self::I16(a) => converted(a, i64::from),
            Self::I8(a) => converted(a, i64::from),
            Self::U32(a) => converted(a, i64::from),
            Self::U16(a) => converted(a, i64::from),
            Self::U8(a) => converted(a, i64::from),
            Self::Bool(a) => converted(a, i64::from),
            Self::I64(_)
            | Self::U64(_)
            | Self::F64(_)
            | Self::F32(_)
            | Self::F16(_)
            | Self::Bf16(_)
            | Self::F8E4M3(_) => {
                unreachable!("wider integers and floating-point numbers go their own way")
            }
        }
    }

    /// Every element as a truth value: booleans, or integers that are all 0 or 1.
    ///
    /// # Errors
    ///
    /// For floating-point elements, and for an integer other than 0 and 1.
    pub fn to_bool(&self) -> Result<ArrayD<bool>> {
        if let Self::Bool(a) = self {
            return Ok(a.clone());
        }
        let integers = self.to_i64().map_err(|_| self.unfit("booleans, or integers 0 and 1"))?;
        match values(&integers).iter().find(|&&x| x != 0 && x != 1) {
            Some(x) => Err(Error::ask(format!("the integer {x} stands where only 0 and 1 may"))),
            None => Ok(converted(&integers, |x| x == 1)),
        }
    }

    /// The same bits as elements of `dtype`, for the formats NumPy has no type for: `"bf16"` of 16-bit
    /// words (u16) and `"f8_e4m3"` of bytes (u8). An array that has the element type already stays as it is.
    ///
    /// # Errors
    ///
    /// For any other pair of element types: a conversion of values is never made here.
    pub fn reinterpret(self, dtype: &str) -> Result<Self> {
        match (self, dtype) {
            (Self::U16(a), "bf16") => Ok(Self::Bf16(converted(&a, bf16::from_bits))),
            (Self::U8(a), "f8_e4m3") => Ok(Self::F8E4M3(a)),
            (same, _) if same.dtype_name() == dtype => Ok(same),
            (other, "bf16") => Err(other.unfit("bf16 as 16-bit words (uint16)")),
            (other, "f8_e4m3") => Err(other.unfit("f8_e4m3 as bytes (uint8)")),
            (other, _) => Err(Error::ask(format!(
                "an array of {} cannot be read as {dtype:?}; bf16 (stored as uint16) and f8_e4m3 \
                 (stored as uint8) are the types that can be named",
                other.dtype_name()
            ))),
        }
    }

    /// How many elements are NaN or infinite; none in an array of integers or booleans.
    pub fn non_finite(&self) -> NonFinite {
        match self {
            Self::F64(a) => NonFinite::of(values(a).iter().copied()),
            Self::F32(a) => NonFinite::of(values(a).iter().map(|&x| f64::from(x))),
            Self::F16(a) => NonFinite::of(values(a).iter().map(|&x| f64::from(x))),
            Self::Bf16(a) => NonFinite::of(values(a).iter().map(|&x| f64::from(x))),
            Self::F8E4M3(a) => NonFinite::of(values(a).iter().map(|&x| f8_e4m3_value(x))),
            _ => NonFinite::default(),
        }
    }

    fn unfit(&self, wanted: &str) -> Error {
        Error::ask(format!("the elements are {}, not {wanted}", self.dtype_name()))
    }
}

/// The values of an array in C order, where they lie if they lie so.
pub fn values<T: Copy>(array: &ArrayD<T>) -> Cow<'_, [T]> {
    if let Some(values) = array.as_slice() {
        return Cow::Borrowed(values);
    }
    // Readers give C order, so this is rare; ndarray's own iterator would be compiled for each type of element.
    let mut values = Vec::with_capacity(array.len());
    for_each_place(array.shape(), &mut |index| values.push(array[index]));
    Cow::Owned(values)
}

/// The array of what `convert` makes of each value, in C order. One loop over a slice: ndarray's own maps are compiled for every
/// layout as well, for each pair of element types.
pub(crate) fn converted<T: Copy, U: Copy + Default>(array: &ArrayD<T>, convert: impl Fn(T) -> U) -> ArrayD<U> {
    let mut made = vec![U::default(); array.len()];
    for (place, &value) in made.iter_mut().zip(values(array).iter()) {
        *place = convert(value);
    }
    in_shape(array.shape(), made)
}

/// An array in C order of as many values as its shape says.
pub(crate) fn in_shape<T>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape).set_f(false), values).expect("there is a value for each place")
}

/// The value of an E4M3 byte: sign, 4 bits of exponent (bias 7), 3 bits of fraction.
///
/// `S.1111.111` is the only NaN of each sign and there is no infinity
/// (OCP 8-bit Floating Point Specification, revision 1.0, section 5.2).
fn f8_e4m3_value(bits: u8) -> f64 {
    let sign = if bits & 0x80 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 3 & 0xf);
    let fraction = f64::from(bits & 7);
    match (exponent, bits & 7) {
        (15, 7) => f64::NAN,
        (0, _) => sign * fraction * 2f64.powi(-9),
        _ => sign * (8.0 + fraction) * 2f64.powi(exponent - 10),
    }
}

macro_rules! from_array {
    ($($element:ty => $variant:ident),+ $(,)?) => {
        $(impl From<ArrayD<$element>> for Array {
            fn from(array: ArrayD<$element>) -> Self {
                Self::$variant(array)
            }
        })+
    };
}
// Bytes become `U8`; `F8E4M3` is asked for by name.
from_array!(
    f64 => F64, f32 => F32, f16 => F16, bf16 => Bf16, i64 => I64, i32 => I32, i16 => I16, i8 => I8,
    u64 => U64, u32 => U32, u16 => U16, u8 => U8, bool => Bool,
);

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    fn array<T: Clone>(values: &[T]) -> Array
    where
        Array: From<ArrayD<T>>,
    {
        Array::from(arr1(values).into_dyn())
    }

    #[test]
    fn every_e4m3_byte_has_the_value_of_the_standard() {
        // 448 = 1.75 · 2^8, the smallest normal 2^-6, the smallest subnormal 2^-9.
        assert_eq!(f8_e4m3_value(0x7e), 448.0);
        assert_eq!(f8_e4m3_value(0x08), 1.0 / 64.0);
        assert_eq!(f8_e4m3_value(0x01), 1.0 / 512.0);
        assert_eq!(f8_e4m3_value(0x38), 1.0);
        assert_eq!(f8_e4m3_value(0x80).to_bits(), (-0.0f64).to_bits());
        assert_eq!((0..=255).filter(|&b| f8_e4m3_value(b).is_nan()).count(), 2);
        // Positive values ascend with their bits, and each negative byte is the mirror.
        for bits in 0..0x7e {
            assert!(f8_e4m3_value(bits) < f8_e4m3_value(bits + 1));
            assert_eq!(f8_e4m3_value(bits | 0x80), -f8_e4m3_value(bits));
        }
    }

    #[test]
    fn conversions_keep_values() {
        assert_eq!(array(&[true, false]).to_f64(), arr1(&[1.0, 0.0]).into_dyn());
        assert_eq!(array(&[i64::MIN, 7]).to_f64(), arr1(&[-(2f64.powi(63)), 7.0]).into_dyn());
        assert_eq!(array(&[0.1f64]).to_f32(), arr1(&[0.1f32]).into_dyn());
        assert_eq!(array(&[1e300f64]).to_f32(), arr1(&[f32::INFINITY]).into_dyn());
        let halves = array(&[f16::from_f32(65504.0), f16::from_bits(1)]);
        assert_eq!(halves.to_f64(), arr1(&[65504.0, 2f64.powi(-24)]).into_dyn());
    }

    #[test]
    fn floats_are_no_integers_and_no_truth_values() {
        let error = array(&[1.0f32]).to_i64().unwrap_err().to_string();
        assert_eq!(error, "the elements are f32, not integers");
        assert!(array(&[1.0f32]).to_bool().is_err());
        assert!(array(&[2u8, 1]).to_bool().unwrap_err().to_string().contains("the integer 2"));
        assert_eq!(array(&[0i8, 1]).to_bool().unwrap(), arr1(&[false, true]).into_dyn());
        assert!(array(&[u64::MAX]).to_i64().is_err());
        assert_eq!(array(&[i64::MAX as u64]).to_i64().unwrap()[0], i64::MAX);
    }

    #[test]
    fn words_become_bf16_and_nothing_else_does() {
        let read = array(&[0x3f80u16, 0xc000]).reinterpret("bf16").unwrap();
        assert_eq!(read.dtype_name(), "bf16");
        assert_eq!(read.to_f64(), arr1(&[1.0, -2.0]).into_dyn());
        assert_eq!(read.clone().reinterpret("bf16").unwrap(), read);
        let read = array(&[0x7eu8]).reinterpret("f8_e4m3").unwrap();
        assert_eq!(read.to_f32()[0], 448.0);
        let error = array(&[1.0f32]).reinterpret("bf16").unwrap_err().to_string();
        assert_eq!(error, "the elements are f32, not bf16 as 16-bit words (uint16)");
        assert!(array(&[1u16]).reinterpret("f16").is_err());
        assert!(array(&[1.0f32]).reinterpret("f32").is_ok());
    }

    #[test]
    fn what_is_not_finite_is_counted_by_kind() {
        let census = array(&[f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0]).non_finite();
        let expected = NonFinite { nan: 2, positive_infinity: 1, negative_infinity: 1 };
        assert_eq!(census, expected);
        assert!(!census.is_empty());
        assert!(array(&[f64::MAX, 0.0]).non_finite().is_empty());
        assert_eq!(Array::F8E4M3(arr1(&[0x7fu8, 0xff, 0x7e]).into_dyn()).non_finite().nan, 2);
        assert!(array(&[-1i32]).non_finite().is_empty());
    }
}
