//! Valid files with a few bytes changed, cut, doubled or filled with telling numbers: the readers answer
//! with arrays or with an error, never with a panic, and never with more data than the file can hold.
//!
//! The changes come from a fixed seed, so a failure is found again by the number it names.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ndarray::{Array2, arr1, arr2};
use zip::CompressionMethod;

use super::limits::NpzLimits;
use super::npy::tests::written;
use super::npy::{self, Room, Source};
use super::npz::{self, tests::zip_of};
use super::safetensors::{SafeTensors, tests::file};
use super::{Array, array::each};
use crate::error::Result;

/// SplitMix64: a small generator with a fixed sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// What parsers trip over: ends of ranges, brackets, digits, commands to a
/// terminal, signatures of zip records.
const TELLING: [&[u8]; 17] = [
    &[0xff; 8],
    &[0xff; 4],
    &[0xff; 2],
    &[0; 8],
    &[0, 0, 0, 0x80],
    &[0xff, 0xff, 0xff, 0x7f],
    b"9999999999",
    b"4294967296",
    b"-1",
    b"((((",
    b"[[[[",
    b"'|O'",
    b">f8",
    b"True",
    b"\x1b[2J",
    b"PK\x05\x06",
    b"PK\x06\x06",
];

fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.next() as u8),
            _ => {
                let telling = TELLING[random.below(TELLING.len())];
                let end = bytes.len().min(at + telling.len());
                bytes[at..end].copy_from_slice(&telling[..end - at]);
            }
        }
    }
}

/// Changes `valid` `rounds` times and reads each; `read` gives the bytes of data it got.
///
/// Both outcomes must have been seen, or the test would prove nothing.
fn survives(valid: &[u8], rounds: u64, most: u64, read: impl Fn(&[u8]) -> Result<u64>) {
    let (mut good, mut refused) = (0, 0);
    assert!(read(valid).is_ok());
    for round in 0..rounds {
        let mut bytes = valid.to_vec();
        change(&mut Random(round), &mut bytes);
        match catch_unwind(AssertUnwindSafe(|| read(&bytes))) {
            Ok(Ok(data)) => {
                assert!(data <= most, "round {round}: {data} bytes of data");
                good += 1;
            }
            Ok(Err(error)) => {
                let text = error.to_string();
                assert!(text.starts_with("cannot read x: "), "round {round}: {text}");
                assert!(!text.chars().any(char::is_control), "round {round}: {text:?}");
                assert!(text.len() < 400, "round {round}: {text}");
                refused += 1;
            }
            Err(_) => panic!("round {round} panicked"),
        }
    }
    assert!(good > rounds / 100 && refused > rounds / 100, "{good} good, {refused} refused");
}

fn bytes_of(array: &Array) -> u64 {
    fn of<T>(array: &ndarray::ArrayD<T>) -> u64 {
        (array.len() * size_of::<T>()) as u64
    }
    each!(array, a => of(a))
}

fn all_bytes(arrays: &BTreeMap<String, Array>) -> u64 {
    arrays.values().map(bytes_of).sum()
}

#[test]
fn changed_npy_files_are_read_or_refused() {
    let valid = written(&Array::from(arr2(&[[1.5f32, 2.0, 3.0], [4.0, 5.0, 6.0]]).into_dyn()));
    let path = Path::new("x");
    survives(&valid, 6000, valid.len() as u64 + 8, |bytes| {
        let room = Room::Exactly(bytes.len() as u64);
        npy::read_from(bytes, Source { path, name: None, room }).map(|array| bytes_of(&array))
    });
    survives(&valid, 4000, valid.len() as u64 + 8, |bytes| {
        let room = Room::AtMost(1 << 40);
        npy::read_from(bytes, Source { path, name: None, room }).map(|array| bytes_of(&array))
    });
}

#[test]
fn changed_npz_files_are_read_or_refused() {
    let zeros = written(&Array::from(Array2::<f64>::zeros((8, 8)).into_dyn()));
    let ids = written(&Array::from(arr1(&[1i64, 2, 3]).into_dyn()));
    let limits = NpzLimits { free_bytes: 1 << 20, total_bytes: 1 << 20, ..NpzLimits::DEFAULT };
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let valid = zip_of(&[("out.npy", &zeros), ("ids.npy", &ids)], method);
        survives(&valid, 3000, 1 << 20, |bytes| {
            let length = bytes.len() as u64;
            npz::read_archive(Cursor::new(bytes), length, Path::new("x"), &limits).map(|arrays| all_bytes(&arrays))
        });
    }
}

#[test]
fn changed_safetensors_files_are_read_or_refused() {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}}"#;
    let valid = file(header, &[7; 22]);
    survives(&valid, 4000, valid.len() as u64 + 8, |bytes| {
        let file = SafeTensors::parse(Path::new("x"), bytes.to_vec())?;
        let arrays: Result<Vec<Array>> = file.names().iter().map(|name| file.get(name)).collect();
        Ok(arrays?.iter().map(bytes_of).sum())
    });
}
