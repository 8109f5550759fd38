//! The readers, one file each: how to call them, what they may cost, how to change their files from within.

mod npy;
mod npz;
mod run_report;
mod safetensors;
mod suite;

pub(crate) use npy::Npy;
pub(crate) use npz::Npz;
pub(crate) use run_report::RunReport;
pub(crate) use safetensors::SafeTensors;
pub(crate) use suite::Suite;

use goldref::io::{Array, npy as files};

/// The bits of an array: its header as npy spells it, and its elements in C order.
fn bits(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    files::write_to(&mut bytes, array).unwrap();
    bytes
}

/// The elements alone: little-endian, in C order.
fn elements(array: &Array) -> Vec<u8> {
    let bytes = bits(array);
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].to_vec()
}

/// The number of elements is the product of the shape, and no axis is so long that a loop over it would not end, even
/// where another one is empty: as many elements would not have more than `limit` bytes.
fn check_shape(array: &Array, limit: u64) {
    let shape = array.shape();
    assert_eq!(array.len(), shape.iter().product::<usize>(), "{shape:?}");
    let loops = shape.iter().try_fold(1u64, |product, &length| product.checked_mul((length as u64).max(1)));
    assert!(loops.is_some_and(|loops| loops <= limit), "{shape:?}");
}
