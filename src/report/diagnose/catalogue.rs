//! The catalogue for people.

use crate::fault::{self, Group, Kind};
use std::fmt::Write;

/// Group by group: name, what to look at, when it is invisible.
pub fn catalogue_text() -> String {
    let mut out = String::new();
    let mut group: Option<Group> = None;
    for fault in fault::all() {
        // Writing to a String cannot fail.
        if group != Some(fault.group) {
            let _ = writeln!(out, "{}{}", if group.is_some() { "\n" } else { "" }, fault.group.title());
            group = Some(fault.group);
        }
        let kind = match fault.kind {
            Kind::Wrong => "",
            Kind::Precision => " (precision)",
            Kind::Equivalent => " (equivalent)",
        };
        let reported = if fault.reported.is_empty() { String::new() } else { format!(" · {}", fault.reported) };
        let _ = writeln!(out, "  {}{kind}{reported}", fault.name);
        let _ = writeln!(out, "      {}", fault.look_at);
        let _ = writeln!(out, "      {} · invisible: {}", fault.formula, fault.invisible);
    }
    out
}
