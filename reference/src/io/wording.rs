//! What a message may take from outside: names, sizes, and the words of libraries and systems.
//!
//! A stranger's text can be long and can steer a terminal, so none goes into a message but through here.

use crate::harmless::steers;
use std::fmt::Display;

/// A stranger's name in quotes, escaped, and cut where it is long.
pub fn quoted(name: &str) -> String {
    const SHOWN: usize = 80;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// A library's reason, which may repeat a stranger's text: as one line without characters that steer, cut
/// in the middle where it is long, because line and column stand at its end.
pub fn reason(error: impl Display) -> String {
    one_line(&error.to_string())
}

fn one_line(text: &str) -> String {
    const SHOWN: usize = 200;
    let line: Vec<char> = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    let text = match line.len() {
        0..=SHOWN => line.iter().collect(),
        length => {
            let (start, end) = (&line[..SHOWN / 2], &line[length - SHOWN / 2..]);
            format!("{}…{}", String::from_iter(start), String::from_iter(end))
        }
    };
    // Messages do not begin like sentences: "No such file" becomes lower case, "I/O error" stays.
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text,
    }
}

/// The reason of an input/output error, without the number of the system.
pub fn io_reason(error: &std::io::Error) -> String {
    let text = reason(error);
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A number of bytes: whole GiB, MiB or KiB where it is a whole number of them.
pub fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(feature = "reference")]
/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(size(4 << 30), "4 GiB");
        assert_eq!(size(64 << 10), "64 KiB");
        assert_eq!(size(1025), "1025 bytes");
        assert_eq!(size(0), "0 bytes");
    }

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(quoted("out"), "\"out\"");
        assert_eq!(quoted("\u{1b}[2J\n"), "\"\\u{1b}[2J\\n\"");
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}\"…", "ä".repeat(80)));
    }

    #[test]
    fn reasons_are_one_line_that_keeps_its_end() {
        assert_eq!(reason("Invalid checksum"), "invalid checksum");
        assert_eq!(reason("I/O error"), "I/O error");
        assert_eq!(reason("bad `\u{1b}[2J`\nat line 1"), "bad ` [2J` at line 1");
        let long = reason(format!("bad {} at line 7", "é".repeat(1000)));
        assert_eq!(long.chars().count(), 201);
        assert!(long.starts_with("bad é") && long.ends_with("é at line 7"));
        assert_eq!(reason(""), "");
    }

    #[test]
    fn system_errors_lose_their_number() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(io_reason(&error), "no such file or directory");
    }
}
