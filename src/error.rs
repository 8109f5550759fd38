//! "Could not ask": a file that cannot be read, a question that makes no sense.
//!
//! A disagreement between two answers is never an [`Error`]; it is data for a verdict.
//! Every message is one sentence that says what, where and what would be right,
//! because it is printed as it stands behind `goldref: ` with exit code 2.

use std::path::{Path, PathBuf};

/// The result of everything that reads, parses or asks.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a question could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a part of it could not be read or does not say what it must.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file, as the user named it.
        path: PathBuf,
        /// What is wrong and what would be right: a lowercase fragment without a period.
        reason: String,
    },
    /// A file could not be written; nothing half-written is left.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file, as the user named it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The question itself is wrong: an unknown name, a shape that does not fit, nothing selected.
    #[error("{0}")]
    Ask(String),
}

impl Error {
    /// A read error of `path`.
    pub fn read(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Self::Read { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }

    /// A write error of `path`.
    pub fn write(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Self::Write { path: path.as_ref().to_path_buf(), reason: reason.to_string() }
    }

    /// A question that cannot be asked.
    pub fn ask(reason: impl std::fmt::Display) -> Self {
        Self::Ask(reason.to_string())
    }

    /// The same error said of `path`: an [`Error::Ask`] that arose while reading a file becomes a read error of it.
    #[must_use]
    pub fn at(self, path: impl AsRef<Path>) -> Self {
        match self {
            Self::Ask(reason) => Self::read(path, reason),
            other => other,
        }
    }
}
