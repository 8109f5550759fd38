//! "Could not ask": a file that cannot be read, a question that makes no sense.
//!
//! A disagreement between two answers is never an [`Error`]; it is data for a verdict.
//! Every message is one sentence that says what, where and what would be right,
//! because it is printed as it stands behind `goldref: ` with exit code 2.

use crate::harmless;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that reads, parses or asks.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a question could not be asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file or a part of it could not be read or does not say what it must.
    Read {
        /// The file, as the user named it.
        path: PathBuf,
        /// What is wrong and what would be right: a lowercase fragment without a period.
        reason: String,
    },
    /// A file could not be written; nothing half-written is left.
    Write {
        /// The file, as the user named it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The question itself is wrong: an unknown name, a shape that does not fit, nothing selected.
    Ask(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths, names and values in it may come from a hostile file: they must not steer the terminal nor break the line.
        f.write_str(&harmless::line(&match self {
            Self::Read { path, reason } => format!("cannot read {}: {reason}", path.display()),
            Self::Write { path, reason } => format!("cannot write {}: {reason}", path.display()),
            Self::Ask(reason) => reason.clone(),
        }))
    }
}

impl std::error::Error for Error {}

impl Error {
    /// A read error of `path`.
    pub fn read(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        read(path.as_ref(), &reason)
    }

    /// A write error of `path`.
    pub fn write(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        write(path.as_ref(), &reason)
    }

    /// A question that cannot be asked.
    pub fn ask(reason: impl std::fmt::Display) -> Self {
        Self::Ask(reason.to_string())
    }

    /// The same error said of `path`: an [`Error::Ask`] that arose while reading a file becomes a read error of it.
    #[must_use]
    pub fn at(self, path: impl AsRef<Path>) -> Self {
        match self {
            Self::Ask(reason) => read(path.as_ref(), &reason),
            other => other,
        }
    }
}

// Paths and reasons come in many types; what is done with them is compiled once.
fn read(path: &Path, reason: &dyn fmt::Display) -> Error {
    Error::Read { path: path.to_path_buf(), reason: reason.to_string() }
}

fn write(path: &Path, reason: &dyn fmt::Display) -> Error {
    Error::Write { path: path.to_path_buf(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_file_or_of_one_cannot_steer_the_terminal() {
        let error = Error::ask("no op is called \u{1b}[2J\nfake").to_string();
        assert_eq!(error, "no op is called \\u{1b}[2J\\nfake");
        let error = Error::read("a\u{202e}b\n", "hidden_act is \"\u{200b}\"").to_string();
        assert_eq!(error, "cannot read a\\u{202e}b\\n: hidden_act is \"\\u{200b}\"");
    }
}
