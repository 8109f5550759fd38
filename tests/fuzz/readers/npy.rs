//! Single arrays: `goldref::io::npy`.

use std::path::Path;

use goldref::error::Result;
use goldref::io::Array;
use goldref::io::limits::ARRAY_BYTES;
use goldref::io::npy::{self, Room, Source};

use super::{bits, check_shape, elements};
use crate::campaign::Reader;
use crate::mutation;
use crate::random::Random;

pub(crate) struct Npy;

impl Reader for Npy {
    type Value = Array;
    const NAME: &'static str = "npy";
    const DICTIONARY: &'static [&'static [u8]] = &[
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x02\x00",
        b"\x93NUMPY\x03\x00",
        b"{'descr': '<f8', ",
        b"'fortran_order': True, ",
        b"'fortran_order': False, ",
        b"'shape': (2, 3), ",
        b"(0,)",
        b"()",
        b"(1, 1, 1, 1, 1, 1, 1, 1, ",
        b"4294967296, ",
        b"18446744073709551615, ",
        b"3L",
        b"'<f4'",
        b"'>f8'",
        b"'<f2'",
        b"'<u2'",
        b"'|b1'",
        b"'?'",
        b"'|u1'",
        b"'>i8'",
        b"'|O'",
        b"'|V2'",
        b"'<U8'",
        b"[('a', '<f8')]",
        b"\\'",
        b"}",
        b"}\n",
        b"((((((((",
    ];

    fn read(bytes: &[u8]) -> Result<Array> {
        // The length decides which of the two ways of reading is taken, so that both are.
        let room = match bytes.len() % 2 {
            0 => Room::Exactly(bytes.len() as u64),
            _ => Room::AtMost(1 << 40),
        };
        npy::read_from(bytes, Source { path: Path::new("x"), name: None, room })
    }

    fn most_memory(length: usize) -> usize {
        // The header's text and a block of the data, both at most 64 KiB; an axis takes two bytes of text and eight
        // of memory, which double; the data doubles while it arrives, and once more when its axes change order.
        (192 << 10) + 16 * length
    }

    fn check(array: &Array, bytes: &[u8]) {
        check_shape(array, ARRAY_BYTES);
        assert_eq!(elements(array), decoded(array, bytes));
        let written = bits(array);
        let again = Self::read(&written).unwrap();
        assert_eq!((again.dtype_name(), again.shape()), (array.dtype_name(), array.shape()));
        assert_eq!(bits(&again), written);
    }

    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        if random.one_in(4) {
            return Some(invented(random));
        }
        if random.one_in(256) {
            // More than a block of data, and a shape that asks for far more.
            let length = 1usize << (14 + random.below(18));
            let bytes = 70_000 + random.below(100_000);
            return Some(zeros(random, length, bytes));
        }
        let (mut text, mut data) = parts(bytes)?;
        match random.below(3) {
            0 => mutation::change(random, &mut data, other, Self::DICTIONARY),
            _ => mutation::change(random, &mut text, other, Self::DICTIONARY),
        }
        Some(file(random, &text, &data))
    }
}

/// The elements in the file, decoded once more: the last bytes of it, turned around where the header's one string says
/// big-endian, and put into C order where its one truth value says Fortran.
fn decoded(array: &Array, bytes: &[u8]) -> Vec<u8> {
    let size = elements(array).len() / array.len().max(1);
    let (header, data) = bytes.split_at(bytes.len() - size * array.len());
    // Behind the magic and the low bytes of the header's length, which may be any.
    let text = &header[10..];
    let big_endian = text.contains(&b'>');
    let fortran = text.windows(4).any(|word| word == b"True");
    let mut out = Vec::new();
    for index in 0..array.len() {
        // The place of the element with this index in C order.
        let (mut rest, mut stride, mut place) = (index, array.len(), 0);
        if fortran {
            let mut step = 1;
            for &length in array.shape() {
                stride /= length;
                place += rest / stride * step;
                rest %= stride;
                step *= length;
            }
        } else {
            place = index;
        }
        let element = &data[place * size..][..size];
        match big_endian {
            true => out.extend(element.iter().rev()),
            false => out.extend(element),
        }
    }
    out
}

/// The text of the header and the data behind it.
fn parts(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (start, length) = match bytes.get(6)? {
        1 => (10, u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?).into()),
        _ => (12, u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize),
    };
    let data = start + length;
    Some((bytes.get(start..data)?.to_vec(), bytes.get(data..)?.to_vec()))
}

/// A file with this header, whose length is right.
fn file(random: &mut Random, text: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    match u16::try_from(text.len()) {
        Ok(length) if !random.one_in(4) => {
            file.extend([1, 0]);
            file.extend(length.to_le_bytes());
        }
        _ => {
            file.extend([2 + random.below(2) as u8, 0]);
            file.extend((text.len() as u32).to_le_bytes());
        }
    }
    file.extend(text);
    file.extend(data);
    file
}

/// `length` elements of f32, by its word, and `bytes` bytes of data, all 0.
pub(super) fn zeros(random: &mut Random, length: usize, bytes: usize) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({length},), }}\n");
    file(random, text.as_bytes(), &vec![0; bytes])
}

/// A file from nothing: any element type and shape, and data of about the length that they ask for.
pub(super) fn invented(random: &mut Random) -> Vec<u8> {
    const DESCR: [(&str, usize); 20] = [
        ("<f8", 8),
        (">f8", 8),
        ("<f4", 4),
        (">f4", 4),
        ("<f2", 2),
        (">f2", 2),
        ("<i8", 8),
        (">i4", 4),
        ("<i2", 2),
        ("|i1", 1),
        ("<u8", 8),
        ("<u4", 4),
        (">u2", 2),
        ("|u1", 1),
        ("u1", 1),
        ("|b1", 1),
        ("?", 1),
        ("<c8", 8),
        ("=f8", 8),
        ("|V2", 2),
    ];
    let (descr, size) = DESCR[random.below(DESCR.len())];
    let axes = if random.one_in(16) { random.below(70) } else { random.below(5) };
    let mut shape: Vec<usize> = (0..axes).map(|_| if axes > 5 { 1 } else { random.below(6) }).collect();
    if axes > 1 && random.one_in(16) {
        // Nothing in all, but an axis without end.
        shape[0] = 0;
        shape[1] = mutation::NUMBERS[random.below(mutation::NUMBERS.len())] as usize;
    }
    let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let order = if random.one_in(2) { "True" } else { "False" };
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({lengths}), }}\n");
    let mut length = shape.iter().product::<usize>() * size;
    match random.below(8) {
        0 => length += 1,
        1 => length = length.saturating_sub(1),
        _ => {}
    }
    let boolean = matches!(descr, "|b1" | "?");
    let data: Vec<u8> =
        (0..length).map(|_| if boolean { random.below(2) as u8 } else { random.next() as u8 }).collect();
    file(random, text.as_bytes(), &data)
}
