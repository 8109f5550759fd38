//! Lets goldref ask a Rust program of yours. Needs the standard library alone: lay it beside your program.
//!
//! ```text
//! mod goldref_candidate;
//! use goldref_candidate::{Array, Arrays, Question, Refusal, serve};
//!
//! fn attention(question: &Question) -> Result<Arrays, Refusal> {
//!     let q = question.array("q")?;
//!     ...
//!     Ok(Arrays::from([("out".to_string(), Array::float32(shape, &numbers))]))
//! }
//!
//! fn main() {
//!     serve(&[("attention", attention)]);
//! }
//! ```
//!
//! docs/candidates.md has the protocol. An operation without a function, and one that returns `Refusal::Unsupported`,
//! is unsupported; another refusal, and a panic, is an error. Standard output belongs to the answers: print with
//! `eprintln!`.
#![allow(dead_code)] // one program rarely needs all of it

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str;

/// Why there is no answer.
#[derive(Debug)]
pub enum Refusal {
    Unsupported(String),
    Error(String),
}

impl<S: Into<String>> From<S> for Refusal {
    fn from(why: S) -> Self {
        Refusal::Error(why.into())
    }
}

/// What is asked.
#[derive(Debug)]
pub struct Question {
    pub params: Json,
    pub arrays: Arrays,
    /// Folder of the checkpoint; empty where there is none.
    pub model: String,
}

impl Question {
    pub fn array(&self, name: &str) -> Result<&Array, String> {
        self.arrays.get(name).ok_or_else(|| format!("there is no array {name}"))
    }
}

pub type Function = fn(&Question) -> Result<Arrays, Refusal>;

// ------------------------------------------------------------------------------------------------------------ serving

/// Answers questions until standard input ends; each function stands behind the operation that it evaluates.
pub fn serve(functions: &[(&str, Function)]) {
    for line in io::stdin().lock().split(b'\n') {
        let (mut id, mut status, mut message) = ("null".to_string(), "ok", String::new());
        let answered = line.map_err(|e| e.to_string()).and_then(|line| read_json(&line)).map_err(Refusal::Error);
        match answered.and_then(|asked| {
            id = quoted(asked.text_or("id", "")?);
            answer(&asked, functions)
        }) {
            Ok(()) => {}
            Err(Refusal::Unsupported(why)) => (status, message) = ("unsupported", why),
            Err(Refusal::Error(why)) => (status, message) = ("error", why),
        }
        let mut answers = io::stdout();
        let reply = format!("{{\"id\": {id}, \"status\": \"{status}\", \"message\": {}}}\n", quoted(&message));
        if answers.write_all(reply.as_bytes()).and_then(|()| answers.flush()).is_err() {
            return; // nobody listens
        }
    }
}

fn answer(asked: &Json, functions: &[(&str, Function)]) -> Result<(), Refusal> {
    if asked.number_or("protocol", 0.0)? != 1.0 {
        return Err("this goldref_candidate.rs speaks protocol 1 alone".into());
    }
    let (op, inputs) = (asked.text_or("op", "")?, asked.text_or("inputs", "")?);
    let Some((_, function)) = functions.iter().find(|(name, _)| *name == op) else {
        return Err(Refusal::Unsupported(format!("no function for {op}")));
    };
    let arrays = if inputs.is_empty() { Arrays::new() } else { read_npz(inputs)? };
    let model = asked.text_or("model", "")?.to_string();
    let question = Question { params: asked.get("params").clone(), arrays, model };
    // What a function leaves half done is its own; the next question is asked all the same.
    let answered = catch_unwind(AssertUnwindSafe(|| function(&question))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("no message")).into())
    });
    write_npz(asked.text_or("outputs", "")?, &answered?).map_err(Refusal::Error)
}

/// As a JSON string; messages are cut, ids are short.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars().take(2000) {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1f' => json += &format!("\\u{:04x}", c as u32),
            _ => json.push(c),
        }
    }
    json + "\""
}

// --------------------------------------------------------------------------------------------------------------- JSON

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// The value of this name, or null.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Json::Object(fields) => fields.get(name).unwrap_or(&Json::Null),
            _ => &Json::Null,
        }
    }
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let fields = if let Json::Object(fields) = self { Some(fields) } else { None };
        fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str))
    }
    pub fn number_or(&self, name: &str, otherwise: f64) -> Result<f64, String> {
        match self.get(name) {
            Json::Number(number) => Ok(*number),
            Json::Null => Ok(otherwise),
            _ => Err(format!("{name} is not a number")),
        }
    }
    pub fn text_or<'a>(&'a self, name: &str, otherwise: &'a str) -> Result<&'a str, String> {
        match self.get(name) {
            Json::Text(text) => Ok(text),
            Json::Null => Ok(otherwise),
            _ => Err(format!("{name} is not a string")),
        }
    }
}

fn read_json(line: &[u8]) -> Result<Json, String> {
    let mut reader = JsonReader { line, at: 0 };
    let json = reader.value(0).filter(|_| reader.peek().is_none());
    json.ok_or_else(|| format!("the question is no JSON at byte {}", reader.at))
}

/// What it reads is `None` where the line is no JSON.
struct JsonReader<'a> {
    line: &'a [u8],
    at: usize,
}

impl JsonReader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.line.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
    /// The next byte that is no blank; it stays to be read.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.line.get(self.at) {
            self.at += 1;
        }
        self.line.get(self.at).copied()
    }
    fn take(&mut self, word: &str) -> bool {
        let found = self.line[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }
    /// The mark must come next, blanks aside.
    fn expect(&mut self, mark: &str) -> Option<()> {
        self.peek();
        self.take(mark).then_some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        // Deeper than any question, and less than the stack holds.
        if depth == 100 {
            return None;
        }
        Some(match self.peek()? {
            b'{' => {
                let mut fields = BTreeMap::new();
                self.items("}", |reader| {
                    let name = reader.string()?;
                    reader.expect(":")?;
                    fields.insert(name, reader.value(depth + 1)?).is_none().then_some(())
                })?;
                Json::Object(fields)
            }
            b'[' => {
                let mut items = Vec::new();
                self.items("]", |reader| reader.value(depth + 1).map(|item| items.push(item)))?;
                Json::List(items)
            }
            b'"' => Json::Text(self.string()?),
            _ if self.take("true") => Json::Bool(true),
            _ if self.take("false") => Json::Bool(false),
            _ if self.take("null") => Json::Null,
            _ => Json::Number(self.number()?),
        })
    }
    /// What stands between an opening bracket, commas, and the closing one.
    fn items(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.next();
        if self.expect(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            if self.expect(",").is_none() {
                return self.expect(close);
            }
        }
    }
    /// `parse` takes more than JSON has, so the grammar is looked at first.
    fn number(&mut self) -> Option<f64> {
        let begin = self.at;
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _sign = self.take("+") || self.take("-");
            self.digits()?;
        }
        str::from_utf8(&self.line[begin..self.at]).ok()?.parse().ok()
    }
    fn digits(&mut self) -> Option<()> {
        let digits = self.line[self.at..].iter().take_while(|c| c.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }
    fn string(&mut self) -> Option<String> {
        self.expect("\"")?;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => text.extend(self.escaped()?.to_string().bytes()),
                control if control < 0x20 => return None,
                byte => text.push(byte),
            }
        }
    }
    fn escaped(&mut self) -> Option<char> {
        match self.next()? {
            b'u' => {
                let first = self.unit()?;
                if first >> 10 != 0x36 {
                    return char::from_u32(first);
                }
                // The first half of a pair.
                let second = self.take("\\u").then(|| self.unit())?.filter(|second| second >> 10 == 0x37)?;
                char::from_u32(0x10000 + ((first & 1023) << 10) + (second & 1023))
            }
            b'b' => Some('\x08'),
            b'f' => Some('\x0c'),
            b'n' => Some('\n'),
            b'r' => Some('\r'),
            b't' => Some('\t'),
            c => Some(char::from(c)).filter(|c| "\"\\/".contains(*c)),
        }
    }
    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |code, _| Some(code * 16 + char::from(self.next()?).to_digit(16)?))
    }
}

// ------------------------------------------------------------------------------------------------------------- arrays

/// Numbers in C order: the last index runs fastest. Integers beyond 2^53 are rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
    /// As NumPy calls it; an answer's is float64, float32 or int64.
    pub dtype: String,
}

impl Array {
    pub fn float32(shape: Vec<usize>, data: &[f32]) -> Self {
        Self { shape, data: data.iter().copied().map(f64::from).collect(), dtype: "float32".to_string() }
    }
}

pub type Arrays = BTreeMap<String, Array>;

fn need(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

/// What a file says of itself may be wrong: all access to its bytes goes through here.
fn slice(bytes: &[u8], at: usize, size: usize) -> Result<&[u8], String> {
    let slice = at.checked_add(size).and_then(|end| bytes.get(at..end));
    slice.ok_or_else(|| "ends too early".to_string())
}

/// A number of at most four bytes that says where something is.
fn word(bytes: &[u8], at: usize, size: usize) -> Result<usize, String> {
    slice(bytes, at, size).map(|bytes| little_endian(bytes) as usize)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn number(kind: u8, bytes: &[u8]) -> f64 {
    let bits = little_endian(bytes);
    match (kind, bytes.len()) {
        (b'f', 8) => f64::from_bits(bits),
        (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
        (b'f', _) => {
            let (exponent, fraction) = ((bits >> 10 & 31) as i32, (bits & 1023) as f64);
            let size = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
            };
            if bits >> 15 == 1 { -size } else { size }
        }
        (b'i', size) => {
            let unused = 64 - 8 * size;
            ((bits << unused) as i64 >> unused) as f64
        }
        _ => bits as f64,
    }
}

/// The product of the lengths. Beside a 0 as well, none is so large that sums of some overflow.
fn count(shape: &[usize]) -> Result<usize, String> {
    let product = shape
        .iter()
        .try_fold(1usize, |product, &length| product.checked_mul(length).filter(|_| length <= usize::MAX / 8));
    product.ok_or_else(|| "has a shape that no memory holds".to_string())
}

fn read_npy(file: &[u8]) -> Result<Array, String> {
    need(slice(file, 0, 6)? == b"\x93NUMPY", "is no npy file")?;
    let start = if word(file, 6, 1)? == 1 { 10 } else { 12 };
    let length = word(file, 8, start - 8)?;
    let header = String::from_utf8_lossy(slice(file, start, length)?);
    // NumPy and goldref write all headers alike, so no parser is needed.
    let between = |open: &str, close: &str| {
        let found = header.split_once(open).and_then(|(_, rest)| rest.split_once(close));
        found.map(|(found, _)| found).ok_or_else(|| format!("has a header without {open}"))
    };
    let descr = between("'descr': '", "'")?;
    let known = "<f8 <f4 <f2 <i8 <i4 <i2 |i1 <u8 <u4 <u2 |u1 |b1".split(' ').any(|known| known == descr);
    need(known, &format!("has the dtype {descr}, which is not read here"))?;
    need(between("'fortran_order': ", ",")? == "False", "is in Fortran order, which is not read here")?;
    let lengths = between("'shape': (", ")")?.split(',').map(str::trim).filter(|length| !length.is_empty());
    let shape = lengths.map(|length| length.parse().map_err(|_| "has a malformed shape".to_string()));
    let shape = shape.collect::<Result<Vec<usize>, String>>()?;

    let (kind, size) = (descr.as_bytes()[1], usize::from(descr.as_bytes()[2] - b'0'));
    let data = &file[start + length..];
    // By division: a product of numbers of a file may overflow.
    let whole = data.len() / size == count(&shape)? && data.len() % size == 0;
    need(whole, "has more or less data than its shape says")?;
    let dtype = match kind {
        b'f' => format!("float{}", 8 * size),
        b'i' => format!("int{}", 8 * size),
        b'u' => format!("uint{}", 8 * size),
        _ => "bool".to_string(),
    };
    Ok(Array { shape, data: data.chunks(size).map(|bytes| number(kind, bytes)).collect(), dtype })
}

fn npy(array: &Array) -> Result<Vec<u8>, String> {
    need(count(&array.shape)? == array.data.len(), "has more or less data than its shape says")?;
    let descr = match array.dtype.as_str() {
        "float64" => "<f8",
        "float32" => "<f4",
        "int64" => "<i8",
        other => return Err(format!("is {other:?}, which is not written here")),
    };
    let shape: String = array.shape.iter().map(|length| format!("{length}, ")).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    for &x in &array.data {
        match descr {
            "<f8" => file.extend(x.to_le_bytes()),
            "<f4" => file.extend((x as f32).to_le_bytes()),
            _ if x.trunc() == x && x.abs() <= 2f64.powi(53) => file.extend((x as i64).to_le_bytes()),
            _ => return Err(format!("has {x}, which is no int64")),
        }
    }
    Ok(file)
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// An npz file is a zip archive of npy files, with a directory at its end.
fn read_npz(path: &str) -> Result<Arrays, String> {
    let file = &fs::read(path).map_err(|e| format!("{path} cannot be read: {e}"))?;
    let end = file.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let end = end.ok_or_else(|| format!("{path} is no npz file, or not all of one"))?;
    let last = slice(file, end, 22)?;
    let mut arrays = Arrays::new();
    let mut at = word(last, 16, 4)?;
    for _ in 0..word(last, 10, 2)? {
        need(slice(file, at, 4)? == b"PK\x01\x02", &format!("{path} has a damaged directory"))?;
        let member = String::from_utf8_lossy(slice(file, at + 46, word(file, at + 28, 2)?)?);
        let name = member.strip_suffix(".npy").unwrap_or(&member);
        let array = stored(file, at).and_then(read_npy).map_err(|why| format!("the array {name} {why}"))?;
        need(arrays.insert(name.to_string(), array).is_none(), &format!("the array {name} is there twice"))?;
        at += 46 + word(file, at + 28, 2)? + word(file, at + 30, 2)? + word(file, at + 32, 2)?;
    }
    Ok(arrays)
}

/// The file that the entry of the directory at `at` speaks of.
fn stored(file: &[u8], at: usize) -> Result<&[u8], String> {
    let (crc, size, local) = (word(file, at + 16, 4)?, word(file, at + 20, 4)?, word(file, at + 42, 4)?);
    need(word(file, at + 10, 2)? == 0, "is compressed; write it with numpy.savez")?;
    need(slice(file, local, 4)? == b"PK\x03\x04", "is not where the directory says")?;
    let data = slice(file, local + 30 + word(file, local + 26, 2)? + word(file, local + 28, 2)?, size)?;
    need(crc32(data) as usize == crc, "is damaged")?;
    Ok(data)
}

fn write_npz(path: &str, arrays: &Arrays) -> Result<(), String> {
    let four = |number: usize| (number as u32).to_le_bytes();
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, array) in arrays {
        let data = npy(array).map_err(|why| format!("the array {name} {why}"))?;
        let member = format!("{name}.npy");
        // For version 2.0 of zip, no flags, stored, dated 1980-01-01; behind the length of the name, nothing extra.
        let (crc, size, name_length) = (crc32(&data).to_le_bytes(), four(data.len()), four(member.len()));
        let entry = [&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0], &crc[..], &size, &size, &name_length].concat();
        directory.extend([b"PK\x01\x02\x14\x00", &entry[..], &[0; 10], &four(file.len()), member.as_bytes()].concat());
        file.extend([b"PK\x03\x04", &entry[..], member.as_bytes(), &data].concat());
    }
    need(file.len() < 0xffff_ffff, "answers of 4 GiB are not written here")?;
    let entries = [&four(arrays.len())[..2], &four(arrays.len())[..2]].concat();
    let end = [b"PK\x05\x06\0\0\0\0", &entries[..], &four(directory.len()), &four(file.len()), &[0; 2]].concat();
    // goldref never sees half a file.
    let part = format!("{path}.part");
    let written = fs::write(&part, [file, directory, end].concat()).and_then(|()| fs::rename(&part, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&part);
        format!("{path} cannot be written: {e}")
    })
}
