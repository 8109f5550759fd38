//! Arrays of files as operands.

use super::{F8, Operand};
use crate::io::Array;
use crate::io::mapped::{Contents, MappedArray};
use half::{bf16, f16};
use std::borrow::Cow;

impl<'a> Operand<'a> {
    /// An array that was read.
    pub fn from_array(array: &'a Array) -> Self {
        match array {
            Array::F64(a) => Self::of_view(a.view()),
            Array::F32(a) => Self::of_view(a.view()),
            Array::F16(a) => Self::of_view(a.view()),
            Array::Bf16(a) => Self::of_view(a.view()),
            Array::F8E4M3(a) => Self::from_f8_e4m3(a.view()),
            Array::I64(a) => Self::of_view(a.view()),
            Array::I32(a) => Self::of_view(a.view()),
            Array::I16(a) => Self::of_view(a.view()),
            Array::I8(a) => Self::of_view(a.view()),
            Array::U64(a) => Self::of_view(a.view()),
            Array::U32(a) => Self::of_view(a.view()),
            Array::U16(a) => Self::of_view(a.view()),
            Array::U8(a) => Self::of_view(a.view()),
            Array::Bool(a) => Self::of_view(a.view()),
        }
    }

    /// An array of a file.
    pub fn from_mapped(array: &'a MappedArray) -> Self {
        let bytes = match array.contents() {
            Contents::Read(array) => return Self::from_array(array),
            Contents::Bytes(bytes) => Cow::Borrowed(bytes),
        };
        let shape = array.shape();
        match array.dtype_name() {
            "f64" => Self::of_bytes::<f64>(shape, bytes, true),
            "f32" => Self::of_bytes::<f32>(shape, bytes, true),
            "f16" => Self::of_bytes::<f16>(shape, bytes, true),
            "bf16" => Self::of_bytes::<bf16>(shape, bytes, true),
            "f8_e4m3" => Self::of_bytes::<F8>(shape, bytes, true),
            "i64" => Self::of_bytes::<i64>(shape, bytes, true),
            "i32" => Self::of_bytes::<i32>(shape, bytes, true),
            "i16" => Self::of_bytes::<i16>(shape, bytes, true),
            "i8" => Self::of_bytes::<i8>(shape, bytes, true),
            "u64" => Self::of_bytes::<u64>(shape, bytes, true),
            "u32" => Self::of_bytes::<u32>(shape, bytes, true),
            "u16" => Self::of_bytes::<u16>(shape, bytes, true),
            "u8" => Self::of_bytes::<u8>(shape, bytes, true),
            _ => Self::of_bytes::<bool>(shape, bytes, true),
        }
    }
}
