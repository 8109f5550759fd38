//! The hashes of a run for people, and for `diff` against those of another.

use super::words::name;
use crate::suite::BitsReport;
use std::fmt::Write;

/// A line for each suite and variant: both names and the first 16 digits of the hash, one space between them.
pub fn bits_text(report: &BitsReport) -> String {
    let mut out = String::new();
    for bits in &report.hashes {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} {} {}", name(&bits.suite), bits.variant, bits.sha256.short());
    }
    out
}
