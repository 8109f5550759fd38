//! An assignment: what is asked, what it is worth, and under which limits. Plain data, read from an `assignment.toml` that people write.

mod bounds;
mod fields;
mod file;
mod limits;
mod part;
mod toml_value;

pub use limits::Limits;
pub use part::{Answers, CaseSet, Kind, Part, Question, Rung, Scoring, SpeedUp, Worked};

use super::points::Points;
use crate::candidate::Lifetime;
use crate::error::Result;
use crate::num::Dtype;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What students learn of a hidden case that costs them points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hints {
    /// That there is one.
    None,
    /// The kind of reason: the verdict, a pattern, a fault by its name.
    #[default]
    Category,
    /// Everything: the case, the error, where it is.
    Full,
}

/// How a submission is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The program and its arguments, with `{submission}`, `{assignment}` and `{build}` for those folders.
    pub command: Vec<String>,
    /// Whether a process answers all questions or one.
    pub lifetime: Lifetime,
    /// The format that it is judged as.
    pub stored: Dtype,
    /// Files that a submission must have.
    pub files: Vec<PathBuf>,
    /// Variables, with the same placeholders.
    pub environment: BTreeMap<String, String>,
    /// What it may read besides the system and its own folder, absolute.
    pub read: Vec<PathBuf>,
    /// A command that is run once before, and writes to `{build}`.
    pub build: Vec<String>,
}

/// An assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Its title.
    pub title: String,
    /// Its folder, absolute and without links.
    pub folder: PathBuf,
    /// Its file, absolute and without links.
    pub file: PathBuf,
    /// The bytes of its file.
    pub source: Vec<u8>,
    /// What students learn of hidden cases.
    pub hints: Hints,
    /// How submissions are asked.
    pub asked: Asked,
    /// How much they may use.
    pub limits: Limits,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

impl Assignment {
    /// Reads an `assignment.toml`, or that of a folder.
    ///
    /// # Errors
    /// A file that cannot be read; what it says wrongly, with the line.
    pub fn open(path: &Path) -> Result<Self> {
        file::open(path)
    }

    /// All points.
    pub fn points(&self) -> Points {
        self.parts.iter().map(|part| &part.points).sum()
    }
}
