//! Named tensors: `goldref::io::safetensors`.

use std::collections::BTreeMap;

use goldref::error::Result;
use goldref::io::limits::SAFETENSORS_BYTES;
use goldref::io::{self, Array};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{bits, check_shape, elements};
use crate::campaign::Reader;
use crate::random::Random;
use crate::{json, mutation};

pub(crate) struct SafeTensors;

impl Reader for SafeTensors {
    type Value = BTreeMap<String, Array>;
    const NAME: &'static str = "safetensors";
    const DICTIONARY: &'static [&'static [u8]] = &[
        b"__metadata__",
        b"\"__metadata__\":{\"format\":\"pt\"},",
        b"dtype",
        b"shape",
        b"data_offsets",
        b"\"dtype\":\"F32\"",
        b"\"shape\":[2,2]",
        b"\"data_offsets\":[0,16]",
        b"{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
        b"F64",
        b"F32",
        b"F16",
        b"BF16",
        b"F8_E4M3",
        b"F8_E5M2",
        b"F4",
        b"BOOL",
        b"I64",
        b"U8",
        b"18446744073709551615",
        b"9223372036854775808",
        b"weight",
        b"\\u0000",
        b"[[[[",
    ];

    fn read(bytes: &[u8]) -> Result<Self::Value> {
        let file = io::SafeTensors::from_bytes("x", bytes.to_vec())?;
        file.names().into_iter().map(|name| Ok((name.clone(), file.get(&name)?))).collect()
    }

    fn most_memory(length: usize) -> usize {
        // A block of the data; the bytes and the arrays; and the tensors of the header, which take about
        // 50 bytes of text and a few hundred of memory.
        (128 << 10) + 32 * length
    }

    fn check(tensors: &Self::Value, bytes: &[u8]) {
        tensors.values().for_each(|array| check_shape(array, SAFETENSORS_BYTES));
        // Decoded once more: the bytes between the offsets of a header of which only these are read.
        #[derive(serde::Deserialize)]
        struct Placed {
            data_offsets: Option<(usize, usize)>,
        }
        let (header, data) = parts(bytes).unwrap();
        let header: BTreeMap<String, Placed> = serde_json::from_slice(header).unwrap();
        for (name, array) in tensors {
            let (start, end) = header[name].data_offsets.unwrap();
            assert_eq!(elements(array), data[start..end], "{name:?}");
        }
        // Written by the library of the format itself.
        let owned: Vec<_> = tensors.iter().map(|(name, array)| (name, array, elements(array))).collect();
        let views = owned.iter().map(|(name, array, data)| {
            (name.as_str(), TensorView::new(dtype(array), array.shape().to_vec(), data).unwrap())
        });
        let written = safetensors::serialize(views, None).unwrap();
        let again = Self::read(&written).unwrap();
        assert_eq!(again.len(), tensors.len());
        for (name, array) in tensors {
            assert_eq!((again[name].dtype_name(), bits(&again[name])), (array.dtype_name(), bits(array)), "{name:?}");
        }
    }

    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        if random.one_in(4) {
            return Some(invented(random));
        }
        let (header, data) = parts(bytes)?;
        let (mut header, mut data) = (header.to_vec(), data.to_vec());
        let donor = parts(other).map_or(other, |(header, _)| header);
        match random.below(4) {
            0 => mutation::change(random, &mut data, other, Self::DICTIONARY),
            1 => mutation::change(random, &mut header, donor, Self::DICTIONARY),
            _ => header = json::change(random, &header, donor, Self::DICTIONARY)?,
        }
        Some(file(&header, &data))
    }
}

fn dtype(array: &Array) -> Dtype {
    match array {
        Array::F64(_) => Dtype::F64,
        Array::F32(_) => Dtype::F32,
        Array::F16(_) => Dtype::F16,
        Array::Bf16(_) => Dtype::BF16,
        Array::F8E4M3(_) => Dtype::F8_E4M3,
        Array::I64(_) => Dtype::I64,
        Array::I32(_) => Dtype::I32,
        Array::I16(_) => Dtype::I16,
        Array::I8(_) => Dtype::I8,
        Array::U64(_) => Dtype::U64,
        Array::U32(_) => Dtype::U32,
        Array::U16(_) => Dtype::U16,
        Array::U8(_) => Dtype::U8,
        Array::Bool(_) => Dtype::BOOL,
    }
}

/// The header's text and the data behind it.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// A file with this header, whose length is right.
fn file(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// A file from nothing: a few tensors that lie as they should, or nearly so.
fn invented(random: &mut Random) -> Vec<u8> {
    const TYPES: [(&str, usize); 18] = [
        ("F64", 8),
        ("F32", 4),
        ("F16", 2),
        ("BF16", 2),
        ("F8_E4M3", 1),
        ("I64", 8),
        ("I32", 4),
        ("I16", 2),
        ("I8", 1),
        ("U64", 8),
        ("U32", 4),
        ("U16", 2),
        ("U8", 1),
        ("BOOL", 1),
        ("F8_E5M2", 1),
        ("C64", 8),
        ("F32", 4),
        ("BF16", 2),
    ];
    let mut tensors = Vec::new();
    let mut data = Vec::new();
    for index in 0..random.below(5) {
        let (dtype, size) = TYPES[random.below(TYPES.len())];
        let shape: Vec<usize> = (0..random.below(4)).map(|_| random.below(5)).collect();
        let start = data.len();
        let length = shape.iter().product::<usize>() * size;
        data.extend((0..length).map(|_| if dtype == "BOOL" { random.below(2) as u8 } else { random.next() as u8 }));
        let mut offsets = [start as u64, data.len() as u64];
        if random.one_in(10) {
            offsets[random.below(2)] = mutation::NUMBERS[random.below(mutation::NUMBERS.len())];
        }
        // One name in sixteen stands there twice.
        let name = if random.one_in(16) { 0 } else { index };
        tensors.push(format!(
            r#""t{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{},{}]}}"#,
            offsets[0], offsets[1]
        ));
    }
    // The order of the names is not that of the data.
    if random.one_in(2) {
        tensors.reverse();
    }
    file(format!("{{{}}}", tensors.join(",")).as_bytes(), &data)
}
