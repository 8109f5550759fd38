//! Archives of arrays: `goldref::io::npz`.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;

use goldref::error::Result;
use goldref::io::limits::NpzLimits;
use goldref::io::{Array, npz};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{invented, zeros};
use super::{Npy, bits, check_shape, elements};
use crate::campaign::Reader;
use crate::mutation;
use crate::random::Random;

pub(crate) struct Npz;

/// The limits of the reader, small enough for small files to reach them.
const LIMITS: NpzLimits =
    NpzLimits { entries: 16, directory_bytes: 2 << 10, total_bytes: 4 << 20, free_bytes: 256 << 10, ratio: 20 };

impl Reader for Npz {
    type Value = BTreeMap<String, Array>;
    const NAME: &'static str = "npz";
    const DICTIONARY: &'static [&'static [u8]] = &[
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"PK\x06\x07",
        b"PK\x07\x08",
        b"\x01\x00\x10\x00",
        b"\x75\x70",
        b"\xff\xff\xff\xff",
        b"\xff\xff",
        b"\x00\x00",
        b"\x08\x00",
        b"a.npy",
        b"../a.npy",
        b"/a.npy",
        b"a\\b.npy",
        b"\x93NUMPY\x01\x00",
        b"'<f8'",
        b"'shape': (4096, 4096), ",
    ];

    fn read(bytes: &[u8]) -> Result<Self::Value> {
        npz::read_archive(Cursor::new(bytes), bytes.len() as u64, Path::new("x"), &LIMITS)
    }

    fn most_memory(length: usize) -> usize {
        // The archive's directory and the window of the inflater; then arrays as large as the limits allow, the last
        // of which doubles while it arrives.
        (512 << 10) + 32 * length + 3 * most_inflated(length)
    }

    fn check(arrays: &Self::Value, bytes: &[u8]) {
        arrays.values().for_each(|array| check_shape(array, LIMITS.total_bytes));
        let inflated: usize = arrays.values().map(|array| elements(array).len()).sum();
        assert!(inflated <= most_inflated(bytes.len()), "{inflated} bytes of data in {} of file", bytes.len());
        assert!(arrays.len() <= LIMITS.entries);
        let mut written = Cursor::new(Vec::new());
        npz::write_archive(&mut written, arrays).unwrap();
        // Without compression nothing is too large by its ratio, but the limits of this test are small.
        let bytes = written.into_inner();
        let again = npz::read_archive(Cursor::new(&bytes), bytes.len() as u64, Path::new("x"), &NpzLimits::DEFAULT);
        let all = |arrays: &Self::Value| -> Vec<_> {
            arrays.iter().map(|(name, array)| (name.clone(), array.dtype_name(), bits(array))).collect()
        };
        assert_eq!(all(&again.unwrap()), all(arrays));
    }

    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
        if random.one_in(2) {
            // Any byte changed, and the checksums put right.
            let mut bytes = bytes.to_vec();
            mutation::change(random, &mut bytes, other, Self::DICTIONARY);
            mend(&mut bytes);
            return Some(bytes);
        }
        archive(random, &members(bytes), &members(other))
    }
}

/// The bytes that a file of `length` bytes may inflate to, worked out from the limits once more.
fn most_inflated(length: usize) -> usize {
    (20 * length).clamp(256 << 10, 4 << 20)
}

/// The members of an archive, as far as they can be read.
fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
        return Vec::new();
    };
    let mut members = Vec::new();
    for index in 0..archive.len().min(8) {
        let Ok(member) = archive.by_index(index) else { continue };
        let name = member.name().map(|name| name.into_owned()).unwrap_or_default();
        let mut content = Vec::new();
        // The zeros of a bomb would fill the memory of the test itself.
        if std::io::Read::read_to_end(&mut std::io::Read::take(member, 1 << 16), &mut content).is_ok() {
            members.push((name, content));
        }
    }
    members
}

/// An archive of `own` members, whose contents are changed or replaced before they are put in.
fn archive(random: &mut Random, own: &[(String, Vec<u8>)], others: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    const NAMES: [&str; 10] =
        ["a.npy", "b/c.npy", "..npy", "../a.npy", "/a.npy", "C:a.npy", ".npy", "a", "é.npy", "a\n.npy"];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in own {
        let mut content = if random.one_in(4) { invented(random) } else { content.clone() };
        if random.one_in(2) {
            content = Npy::change_inside(random, &content, &[])?;
        }
        if random.one_in(16) {
            // Shrinks a thousandfold; a few of these together are more than the limit.
            let length = 1 << random.below(17);
            content = zeros(random, length, 4 * length);
        }
        let name = if random.one_in(4) { NAMES[random.below(NAMES.len())] } else { name };
        let method = if random.one_in(3) { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        archive.start_file(name, SimpleFileOptions::default().compression_method(method)).ok()?;
        archive.write_all(&content).ok()?;
    }
    if let Some((name, content)) = others.first() {
        // Often one more, seldom more than the limit, and then all deflated.
        let copies = if random.one_in(32) { random.below(24) } else { random.below(2) };
        let content = if copies > 1 { &zeros(random, 1 << 6, 1 << 8) } else { content };
        let method = if copies > 1 { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        for copy in 0..copies {
            let options = SimpleFileOptions::default().compression_method(method);
            archive.start_file(format!("{copy}{name}"), options).ok()?;
            archive.write_all(content).ok()?;
        }
    }
    Some(archive.finish().ok()?.into_inner())
}

/// Puts the checksum of each stored member right, in its own header and in the directory.
fn mend(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| -> Option<usize> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
    };
    let half = |bytes: &[u8], at: usize| -> Option<usize> {
        Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
    };
    let entries: Vec<usize> =
        (0..bytes.len().saturating_sub(46)).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    for entry in entries {
        // APPNOTE.TXT 4.3.7 and 4.3.12: where the fields stand.
        let mended = (|| {
            let (method, size, local) = (half(bytes, entry + 10)?, word(bytes, entry + 20)?, word(bytes, entry + 42)?);
            let start = local.checked_add(30)?.checked_add(half(bytes, local.checked_add(26)?)?)?;
            let start = start + half(bytes, local + 28)?;
            let crc = crc32(bytes.get(start..start.checked_add(size)?)?);
            (method == 0).then_some((local, crc.to_le_bytes()))
        })();
        if let Some((local, crc)) = mended {
            bytes[entry + 16..entry + 20].copy_from_slice(&crc);
            bytes[local + 14..local + 18].copy_from_slice(&crc);
        }
    }
}

/// The CRC-32 of zip: polynomial 0xedb88320, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8)
}

#[test]
fn the_checksum_is_that_of_zip() {
    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn a_mended_archive_reads_although_its_array_was_changed() {
    let array = Array::from(ndarray::arr1(&[1u8, 2, 3]).into_dyn());
    let mut written = Cursor::new(Vec::new());
    npz::write_archive(&mut written, &BTreeMap::from([("a".to_owned(), array)])).unwrap();
    let mut bytes = written.into_inner();
    let at = bytes.windows(3).position(|three| three == [1, 2, 3]).unwrap();
    bytes[at] = 9;
    assert!(Npz::read(&bytes).is_err());
    mend(&mut bytes);
    assert_eq!(Npz::read(&bytes).unwrap()["a"].to_f64()[0], 9.0);
}
