//! Changes of bytes that know no format.

use crate::random::Random;

/// Longer inputs are cut: what they could show, shorter ones show too, and sooner.
const LONGEST: usize = 1 << 16;

/// Ends of ranges, and neighbours of ends.
pub(crate) const NUMBERS: [u64; 30] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
    16,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    1 << 60,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// One to four changes of `bytes`; `other` gives parts to splice in, `dictionary` the words of the format.
pub(crate) fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], dictionary: &[&[u8]]) {
    for _ in 0..=random.below(4) {
        once(random, bytes, other, dictionary);
    }
    bytes.truncate(LONGEST);
}

fn once(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], dictionary: &[&[u8]]) {
    let length = bytes.len();
    if length == 0 {
        bytes.extend_from_slice(other);
        return;
    }
    let at = random.below(length);
    match random.below(16) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes[at] = bytes[at].wrapping_add([1, 255, 128, 16][random.below(4)]),
        3 | 4 => overwrite_number(random, bytes, at),
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..at + part(random, length - at))),
        7 => {
            let doubled = bytes[at..at + part(random, length - at)].to_vec();
            let times = if random.one_in(8) { 50 } else { 1 };
            insert(bytes, at, &doubled.repeat(times));
        }
        8 if !other.is_empty() => {
            let from = random.below(other.len());
            insert(bytes, at, &other[from..from + part(random, other.len() - from)]);
        }
        9 if !other.is_empty() => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len())..]);
        }
        10 | 11 => insert(bytes, at, random.pick(dictionary)),
        12 => overwrite(bytes, at, random.pick(dictionary)),
        13 | 14 => replace_digits(random, bytes, at),
        _ => insert(bytes, at, &[random.next() as u8]),
    }
}

/// A length of at least 1 and at most `most`, mostly short.
fn part(random: &mut Random, most: usize) -> usize {
    let bound = if random.one_in(4) { most } else { most.min(16) };
    1 + random.below(bound)
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn overwrite(bytes: &mut [u8], at: usize, piece: &[u8]) {
    let end = bytes.len().min(at + piece.len());
    bytes[at..end].copy_from_slice(&piece[..end - at]);
}

/// A telling number, or the one that is there and a little more or less, in 1 to 8 bytes of either order.
fn overwrite_number(random: &mut Random, bytes: &mut [u8], at: usize) {
    let size = 1 << random.below(4);
    if at + size > bytes.len() {
        return;
    }
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    let found = u64::from_le_bytes(word);
    let number = match random.below(3) {
        0 => NUMBERS[random.below(NUMBERS.len())],
        1 => found.wrapping_add(1 + random.below(16) as u64),
        _ => found.wrapping_sub(1 + random.below(16) as u64),
    };
    let mut word = number.to_le_bytes();
    if random.one_in(4) {
        word[..size].reverse();
    }
    bytes[at..at + size].copy_from_slice(&word[..size]);
}

/// The next number in decimal digits becomes another one: lengths of shapes, offsets of tensors.
fn replace_digits(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else {
        return;
    };
    let end = start + bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let found: u64 = std::str::from_utf8(&bytes[start..end]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let text = match random.below(6) {
        0 => found.wrapping_add(1).to_string(),
        1 => found.wrapping_sub(1).to_string(),
        2 => found.wrapping_mul(2).to_string(),
        3 => format!("-{found}"),
        4 => "9".repeat(25),
        _ => NUMBERS[random.below(NUMBERS.len())].to_string(),
    };
    bytes.splice(start..end, text.into_bytes());
}

#[test]
fn a_number_in_digits_is_replaced_whole() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut bytes = b"shape (128,)".to_vec();
        replace_digits(&mut Random::new(seed), &mut bytes, 0);
        assert!(bytes.starts_with(b"shape (") && bytes.ends_with(b",)"));
        seen.insert(bytes);
    }
    for found in [&b"shape (129,)"[..], b"shape (127,)", b"shape (256,)", b"shape (-128,)"] {
        assert!(seen.contains(found));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let changed = |seed| {
        let mut bytes = b"one two three".to_vec();
        change(&mut Random::new(seed), &mut bytes, b"four", &[b"five"]);
        bytes
    };
    assert_eq!(changed(3), changed(3));
    assert!((0..100).filter(|&seed| changed(seed) != b"one two three").count() > 90);
}
