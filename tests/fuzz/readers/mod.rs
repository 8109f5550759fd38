//! The readers, one file each: how to call them, what they may cost, how to change their files from within.

mod npy;
mod npz;
mod safetensors;
mod suite;

pub(crate) use npy::Npy;
pub(crate) use npz::Npz;
pub(crate) use safetensors::SafeTensors;
pub(crate) use suite::Suite;

use goldref::io::{Array, npy as files};

/// The bits of an array: its header as npy spells it, and its elements in C order.
fn bits(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    files::write_to(&mut bytes, array).unwrap();
    bytes
}

/// The number of elements is the product of the shape.
fn check_shape(array: &Array) {
    assert_eq!(array.len(), array.shape().iter().product::<usize>(), "{:?}", array.shape());
}
