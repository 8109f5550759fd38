//! Numbers with units, as people write them: `128 KiB`, `1.499e14 FLOP`, `59`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Nothing: a batch, a number of tokens.
    None,
    /// Bytes.
    Bytes,
    /// Floating-point operations.
    Flop,
    /// FLOPs a byte.
    FlopPerByte,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Its names, each with what it stands for; the first one is how results are shown.
    const fn names(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::None => &[("", 1.0)],
            Self::Bytes => &[
                ("bytes", 1.0),
                ("byte", 1.0),
                ("B", 1.0),
                ("kB", 1e3),
                ("KB", 1e3),
                ("MB", 1e6),
                ("GB", 1e9),
                ("TB", 1e12),
                ("KiB", 1024.0),
                ("MiB", 1048576.0),
                ("GiB", 1073741824.0),
                ("TiB", 1099511627776.0),
            ],
            Self::Flop => &[
                ("FLOP", 1.0),
                ("FLOPs", 1.0),
                ("kFLOP", 1e3),
                ("MFLOP", 1e6),
                ("GFLOP", 1e9),
                ("TFLOP", 1e12),
                ("PFLOP", 1e15),
                ("MFLOPs", 1e6),
                ("GFLOPs", 1e9),
                ("TFLOPs", 1e12),
                ("PFLOPs", 1e15),
            ],
            Self::FlopPerByte => {
                &[("FLOP/byte", 1.0), ("FLOPs/byte", 1.0), ("FLOP/B", 1.0), ("FLOPs/B", 1.0), ("FLOP/bytes", 1.0)]
            }
            Self::Seconds => &[("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9)],
        }
    }

    /// The number in its basic unit; one without a unit is taken to be in it.
    ///
    /// # Errors
    /// No number, one that is not finite, another unit.
    pub fn read(self, text: &str) -> Result<f64> {
        let text = text.trim();
        let shown: String = text.chars().take(40).collect();
        if text.is_empty() {
            return Err(Error::ask("there is no answer"));
        }
        // `1e14 FLOP`: the exponent belongs to the number, other letters to the unit.
        let is_number = |at: usize, byte: u8| {
            let exponent = matches!(byte, b'e' | b'E')
                && text.as_bytes().get(at + 1).is_some_and(|next| next.is_ascii_digit() || matches!(next, b'-' | b'+'));
            byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'_') || exponent
        };
        let end = text.bytes().enumerate().position(|(at, byte)| !is_number(at, byte)).unwrap_or(text.len());
        let (number, unit) = (text[..end].replace('_', ""), text[end..].trim());
        let number: f64 = number
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| Error::ask(format!("\"{shown}\" is no number with its unit")))?;
        let factor = self.names().iter().find(|(name, _)| *name == unit || unit.is_empty()).map(|(_, factor)| factor);
        let factor = factor.ok_or_else(|| {
            let name = self.names()[0].0;
            let asked = if name.is_empty() { "a plain number".to_string() } else { name.to_string() };
            Error::ask(format!("\"{shown}\" is in another unit; {asked} was asked"))
        })?;
        Ok(number * factor)
    }

    /// The number with this unit.
    pub fn show(self, number: f64) -> String {
        let digits =
            if number == number.trunc() && number.abs() < 1e12 { format!("{number}") } else { format!("{number:.4e}") };
        format!("{digits} {}", self.names()[0].0).trim_end().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_units() {
        for (unit, text, number) in [
            (Unit::Bytes, "128 KiB", 131072.0),
            (Unit::Bytes, "1 GiB", 1073741824.0),
            (Unit::Bytes, "16.06GB", 16.06e9),
            (Unit::Bytes, "131_072", 131072.0),
            (Unit::Flop, "1.499e14 FLOP", 1.499e14),
            (Unit::Flop, "149.9 TFLOP", 149.9e12),
            (Unit::FlopPerByte, "1.197 FLOP/byte", 1.197),
            (Unit::Seconds, "12 ms", 0.012),
            (Unit::None, "59", 59.0),
        ] {
            let read = unit.read(text).unwrap();
            assert!((read - number).abs() <= 1e-12 * number, "{text}: {read}");
        }
        for (unit, text) in [
            (Unit::Bytes, "128 Kib"),
            (Unit::Flop, "3 GB"),
            (Unit::None, "59 requests"),
            (Unit::Bytes, "inf"),
            (Unit::Bytes, "nan GB"),
            (Unit::Bytes, ""),
            (Unit::None, "e5"),
            (Unit::Seconds, "1e999 s"),
        ] {
            assert!(unit.read(text).is_err(), "{text}");
        }
        assert_eq!(Unit::Bytes.show(131072.0), "131072 bytes");
        assert_eq!(Unit::None.show(59.0), "59");
        assert_eq!(Unit::FlopPerByte.show(1.19697), "1.1970e0 FLOP/byte");
    }
}
