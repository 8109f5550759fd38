//! The report of two files or folders held against each other: its data, and one file a format.

mod json;
mod text;

pub use json::json as compare_json;
pub use text::text as compare_text;

use crate::check::SetComparison;
use serde::{Deserialize, Serialize};

/// Everything that is known of a comparison of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareReport {
    /// Version of goldref.
    pub goldref: String,
    /// The answer, as the user named it.
    pub actual: String,
    /// What is right, as the user named it.
    pub expected: String,
    /// Files of the two folders that hold no arrays; 0 for files.
    pub ignored_files: [usize; 2],
    /// Whether every array agrees.
    pub agrees: bool,
    /// Array by array.
    pub set: SetComparison,
}
