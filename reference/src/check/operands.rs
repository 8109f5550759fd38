//! Arrays of files as sides of a comparison.

use super::{Memory, Operand};
use crate::io::Array;
use crate::io::array::each;
use crate::io::mapped::{Contents, MappedArray};
use std::borrow::Cow;

impl<'a> From<&'a Array> for Operand<'a> {
    /// An array that was read.
    fn from(array: &'a Array) -> Self {
        match array {
            Array::F8E4M3(a) => Self::from_f8_e4m3(a.view()),
            array => each!(array, a => Self::from_view(a.view())),
        }
    }
}

impl<'a> From<&'a MappedArray> for Operand<'a> {
    /// An array of a file.
    fn from(array: &'a MappedArray) -> Self {
        match array.contents() {
            Contents::Read(array) => Self::from(array),
            Contents::Bytes(bytes) => {
                let bytes = Cow::Borrowed(bytes);
                Self::from_le_bytes(array.dtype_name(), array.shape(), bytes, Memory::Mapped)
                    .expect("a mapped array has a known type and as many bytes as its shape says")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_e4m3_byte_has_the_value_of_its_array() {
        let bytes: Vec<u8> = (0..=255).collect();
        let array = Array::F8E4M3(ndarray::arr1(&bytes).into_dyn());
        let mut values = [0.0; 256];
        Operand::from(&array).values(0, &mut values);
        for (byte, &expected) in array.to_f64().iter().enumerate() {
            let value = values[byte];
            assert!(value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan()), "{byte}");
        }
    }
}
