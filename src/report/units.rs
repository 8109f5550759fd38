//! Numbers with units, and tables of them, as people read them.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table without lines.
pub(super) fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut cells = Vec::with_capacity(header.len());
    for cell in header {
        cells.push(cell.to_string());
    }
    table.set_header(cells);
    table
}

/// The table with all columns from `first` on to the right.
pub(super) fn shown(mut table: Table, first: usize) -> String {
    let columns = table.column_iter().count();
    for column in first..columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    lines_of(&table)
}

/// The lines of a table, without spaces at their ends.
pub(super) fn lines_of(table: &Table) -> String {
    let mut lines = Vec::new();
    for line in table.lines() {
        lines.push(line.trim_end().to_string());
    }
    lines.join("\n")
}

/// `1 234 567`.
pub(super) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `16.06 GB (14.96 GiB)`.
pub(super) fn both(bytes: u128) -> String {
    format!("{} ({})", scaled(bytes as f64, "B"), binary(bytes))
}

/// In powers of 1024.
pub(super) fn binary(bytes: u128) -> String {
    const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 || size.fract() == 0.0 {
        format!("{size} {}", UNITS[unit])
    } else {
        format!("{size:.2} {}", UNITS[unit])
    }
}

/// In powers of 1000, three digits.
pub(super) fn scaled(number: f64, unit: &str) -> String {
    const PREFIXES: [&str; 8] = ["", "k", "M", "G", "T", "P", "E", "Z"];
    let (mut size, mut prefix) = (number, 0);
    while size >= 1000.0 && prefix + 1 < PREFIXES.len() {
        size /= 1000.0;
        prefix += 1;
    }
    format!("{} {}{unit}", significant(size), PREFIXES[prefix]).trim_end().to_string()
}

/// In the unit that suits.
pub(super) fn seconds(time: f64) -> String {
    match time {
        t if t >= 1.0 => format!("{} s", significant(t)),
        t if t >= 1e-3 => format!("{} ms", significant(t * 1e3)),
        t => format!("{} µs", significant(t * 1e6)),
    }
}

/// Three or four digits that say something.
pub(super) fn significant(value: f64) -> String {
    match value {
        0.0 => "0".to_string(),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v if v.abs() >= 0.01 => format!("{v:.2}"),
        v => format!("{v:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_read_them() {
        assert_eq!(
            (grouped(0), grouped(1000), grouped(8_030_261_248)),
            ("0".into(), "1 000".into(), "8 030 261 248".into())
        );
        assert_eq!(
            (binary(131_072), binary(1 << 30), binary(1000)),
            ("128 KiB".into(), "1 GiB".into(), "1000 bytes".into())
        );
        assert_eq!(both(16_060_522_496), "16.1 GB (14.96 GiB)");
        assert_eq!(
            (seconds(0.0123), seconds(5.0), seconds(2e-7)),
            ("12.3 ms".into(), "5.00 s".into(), "0.20 µs".into())
        );
    }
}
