//! The table of faults, by group. A new fault is a row; `fixtures/README.md` has its name and meaning for authors of suites.

mod cache;
mod heads;
mod masks;
mod norms;
mod positions;
mod precision;
mod scores;

use super::{Edit, Fault, Group, Kind};
use std::sync::LazyLock;

/// Every fault, group by group.
static ALL: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    [scores::ROWS, masks::ROWS, positions::ROWS, heads::ROWS, norms::ROWS, cache::ROWS, precision::ROWS].concat()
});

/// A row, to be completed.
const fn row(group: Group, name: &'static str, edit: Edit) -> Fault {
    Fault { name, group, look_at: "", formula: "", invisible: "", reported: "", kind: Kind::Wrong, edit }
}

impl Fault {
    const fn looking_at(self, look_at: &'static str, formula: &'static str) -> Self {
        Self { look_at, formula, ..self }
    }

    const fn known(self, invisible: &'static str, reported: &'static str) -> Self {
        Self { invisible, reported, ..self }
    }

    const fn precision(self) -> Self {
        Self { kind: Kind::Precision, ..self }
    }

    const fn equivalent(self) -> Self {
        Self { kind: Kind::Equivalent, ..self }
    }
}

/// All faults in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    ALL.iter()
}

/// The fault of this name.
pub fn find(name: &str) -> Option<&'static Fault> {
    all().find(|fault| fault.name == name)
}
