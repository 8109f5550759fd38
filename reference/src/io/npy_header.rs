//! The header of an npy file: magic, version, and a Python dictionary of three keys.
//!
//! A reader of its own and not `npyz`'s: that one takes up to 4 GiB for a header that is not there, and
//! multiplies the lengths of a shape without looking for overflow, so that `(2^32, 2^32)` is empty to it.
//! The grammar here is only what NumPy writes.
//!
//! Refusals are predicates ("is a pickled object array; …") that the caller puts behind the array's name.

use std::io::Read;

use super::elements::{Kind, fill, tuple};
use super::limits;
use super::wording::{self, io_reason, size};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The refusal of `dtype=object`: such data is a Python program and not numbers.
pub(crate) const PICKLED: &str = "is a pickled object array";

/// What the data behind a header is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) big_endian: bool,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
    /// Bytes from the magic to the first element.
    pub(crate) bytes: u64,
}

impl Header {
    /// Reads the header and not a byte more.
    pub(crate) fn read(reader: &mut dyn Read) -> Result<Self, String> {
        let mut start = [0; 8];
        exactly(reader, &mut start)?;
        let [magic @ .., major, minor] = &start;
        if magic != MAGIC {
            return Err("does not begin as a NumPy array file does".into());
        }
        let mut length = [0; 4];
        let (length_bytes, utf8) = match (major, minor) {
            (1, 0) => (2, false),
            (2, 0) => (4, false),
            (3, 0) => (4, true),
            _ => {
                return Err(format!("has version {major}.{minor} of the npy format; versions 1.0 to 3.0 exist"));
            }
        };
        exactly(reader, &mut length[..length_bytes])?;
        let length = u64::from(u32::from_le_bytes(length));
        if length > limits::NPY_HEADER_BYTES {
            let limit = size(limits::NPY_HEADER_BYTES);
            return Err(format!("has a header of {length} bytes, more than {limit}"));
        }
        let mut text = vec![0; length as usize];
        exactly(reader, &mut text)?;
        if utf8 && std::str::from_utf8(&text).is_err() {
            return Err("has a header that is not UTF-8".into());
        }
        let mut header = Parser { text: &text, at: 0 }.header()?;
        header.bytes = 8 + length_bytes as u64 + length;
        Ok(header)
    }
}

/// The header that NumPy writes for this element type and shape: version 1.0, padded to 64 bytes.
pub(crate) fn written(descr: &str, shape: &[usize]) -> std::io::Result<Vec<u8>> {
    let shape = tuple(shape);
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let length =
        u16::try_from(text.len()).map_err(|_| std::io::Error::other("an array of so many axes has no npy header"))?;
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&[1, 0]);
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    Ok(header)
}

fn exactly(reader: &mut dyn Read, bytes: &mut [u8]) -> Result<(), String> {
    match fill(reader, bytes) {
        Ok(filled) if filled == bytes.len() => Ok(()),
        Ok(_) => Err("ends within its header".into()),
        Err(e) => Err(format!("cannot be read: {}", io_reason(&e))),
    }
}

/// Reads the header's text from left to right, without recursion.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn header(mut self) -> Result<Header, String> {
        let (mut element, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.take(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key {
                b"descr" => element.replace(self.descr()?).is_some(),
                b"fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                b"shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(format!("has the unknown key {} in its header", quoted(key))),
            };
            if repeated {
                return Err(format!("has the key {} twice in its header", quoted(key)));
            }
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        if self.peek().is_some() {
            return Err(self.malformed());
        }
        let missing = |key| format!("has a header without {key:?}");
        let (kind, big_endian) = element.ok_or_else(|| missing("descr"))?;
        Ok(Header {
            kind,
            big_endian,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            bytes: 0,
        })
    }

    fn descr(&mut self) -> Result<(Kind, bool), String> {
        match self.peek() {
            Some(b'[' | b'(') => Err("has a structured dtype; save each field as an array of its own".into()),
            _ => element(self.string()?),
        }
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.skip_blanks();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            if self.peek() == Some(b'-') {
                return Err("has a negative length in its shape".into());
            }
            shape.push(self.integer()?);
            if !self.take(b',') {
                self.expect(b')')?;
                // `(3)` is a number in Python and not a shape.
                if shape.len() == 1 {
                    return Err(self.malformed());
                }
                break;
            }
        }
        Ok(shape)
    }

    fn integer(&mut self) -> Result<usize, String> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.malformed());
        }
        self.at += digits;
        // Python 2 wrote long integers as `3L`.
        self.take(b'L');
        rest[..digits]
            .iter()
            .try_fold(0usize, |number, digit| number.checked_mul(10)?.checked_add(usize::from(digit - b'0')))
            .ok_or_else(|| "has a length in its shape that no memory can hold".into())
    }

    fn string(&mut self) -> Result<&'a [u8], String> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            return Err(self.malformed());
        };
        let text: &'a [u8] = self.text;
        let rest = &text[self.at + 1..];
        match rest.iter().position(|&byte| byte == quote) {
            Some(length) if !rest[..length].contains(&b'\\') => {
                self.at += length + 2;
                Ok(&rest[..length])
            }
            _ => Err(self.malformed()),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { Err(self.malformed()) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        let blanks = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += blanks.count();
    }

    fn malformed(&self) -> String {
        format!("has a malformed header (at byte {} of its dictionary)", self.at)
    }
}

/// The element type that a dtype string such as `<f4` names, and whether it is big-endian.
fn element(descr: &[u8]) -> Result<(Kind, bool), String> {
    let name = quoted(descr);
    let (order, code, size) = match descr {
        [order @ (b'<' | b'>' | b'|' | b'='), code, size @ ..] => (*order, *code, size),
        [code, size @ ..] => (b'=', *code, size),
        [] => return Err("has an empty dtype".into()),
    };
    let kind = match (code, size) {
        (b'f', b"8") => Kind::F64,
        (b'f', b"4") => Kind::F32,
        (b'f', b"2") => Kind::F16,
        (b'i', b"8") => Kind::I64,
        (b'i', b"4") => Kind::I32,
        (b'i', b"2") => Kind::I16,
        (b'i', b"1") => Kind::I8,
        (b'u', b"8") => Kind::U64,
        (b'u', b"4") => Kind::U32,
        (b'u', b"2") => Kind::U16,
        (b'u', b"1") => Kind::U8,
        (b'b', b"1") | (b'?', b"") => Kind::Bool,
        (b'O', _) => return Err(PICKLED.into()),
        (b'V', b"2") => {
            return Err(format!(
                "holds raw 2-byte records (dtype {name}, as ml_dtypes.bfloat16 is saved); \
                 save the words with .view(numpy.uint16) and name the dtype bf16"
            ));
        }
        (b'V', b"1") => {
            return Err(format!(
                "holds raw 1-byte records (dtype {name}, as ml_dtypes.float8_e4m3fn is saved); \
                 save the bytes with .view(numpy.uint8) and name the dtype f8_e4m3"
            ));
        }
        (b'V', _) => {
            return Err(format!("holds raw records (dtype {name}); save plain numbers"));
        }
        (b'U' | b'S' | b'a' | b'T', _) => {
            return Err(format!("holds text (dtype {name}); save plain numbers"));
        }
        (b'M' | b'm', _) => {
            return Err(format!("holds dates or durations (dtype {name}); save plain numbers"));
        }
        (b'c', _) => {
            return Err(format!("holds complex numbers (dtype {name}); save .real and .imag as arrays of their own"));
        }
        (b'f', b"16" | b"12" | b"10") => {
            return Err(format!(
                "holds long doubles (dtype {name}), which differ between machines; \
                 save with .astype(numpy.float64)"
            ));
        }
        _ => return Err(format!("has the unknown dtype {name}")),
    };
    match order {
        b'<' => Ok((kind, false)),
        b'>' => Ok((kind, true)),
        _ if kind.size() == 1 => Ok((kind, false)),
        _ => Err(format!("has the dtype {name}, which does not say its byte order; '<' or '>' goes before it")),
    }
}

/// A piece of the header in a message.
fn quoted(text: &[u8]) -> String {
    wording::quoted(&String::from_utf8_lossy(text))
}
