//! The submissions of a class: the folders in a folder. Whatever else is there is named, with the reason why it is not graded.

use super::super::submission::{Source, Submission};
use crate::error::{Error, Result};
use crate::num::sort::sort_by;
use std::fs;
use std::path::Path;

/// What lies among the submissions and is not graded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name, as far as it is text.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What a folder of a class holds, each by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who is graded.
    pub submissions: Vec<Submission>,
    /// What is not.
    pub skipped: Vec<Skipped>,
}

/// Bytes that a file's name may have, and what is put behind a submission's name.
const NAME_BYTES: usize = 255;
const LONGEST_ENDING: usize = ".json".len();

/// The submissions in a folder: its folders.
///
/// # Errors
/// A folder that cannot be read; one without any submission.
pub fn submissions_in(folder: &Path, source: &Source) -> Result<Listed> {
    let (mut submissions, mut skipped) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        match submission(&path, source) {
            Ok(found) => submissions.extend(found),
            Err(why) => {
                let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                skipped.push(Skipped { name, why });
            }
        }
    }
    sort_by(&mut submissions, &|a: &Submission, b| a.name.cmp(&b.name));
    sort_by(&mut skipped, &|a: &Skipped, b| (&a.name, &a.why).cmp(&(&b.name, &b.why)));
    if submissions.is_empty() {
        let why = match skipped.first() {
            None => "there is no folder in it".to_string(),
            Some(Skipped { name, why }) => {
                format!("none of the {} things in it can be graded, such as {name}: {why}", skipped.len())
            }
        };
        return Err(Error::read(folder, format!("{why}; each submission is a folder of its own")));
    }
    Ok(Listed { submissions, skipped })
}

/// The submission in this folder; `Ok(None)`: a hidden file, which is of no concern; `Err`: why it is none.
fn submission(path: &Path, source: &Source) -> std::result::Result<Option<Submission>, String> {
    let metadata = fs::symlink_metadata(path).map_err(|e| format!("it cannot be read: {e}"))?;
    let name = path.file_name().unwrap_or_default();
    let hidden = name.as_encoded_bytes().starts_with(b".");
    if !metadata.is_dir() {
        return match hidden && metadata.is_file() {
            true => Ok(None),
            false if metadata.is_symlink() => Err("it is a link, and a submission is a folder".to_string()),
            false => Err("it is not a folder".to_string()),
        };
    }
    if hidden {
        return Err("its name begins with a dot".to_string());
    }
    // Results are named after it.
    let Some(text) = name.to_str() else {
        return Err("its name is not text in UTF-8; rename it".to_string());
    };
    if text.chars().any(char::is_control) {
        return Err("its name has control characters; rename it".to_string());
    }
    if text.len() + LONGEST_ENDING > NAME_BYTES {
        return Err(format!("its name is longer than {} bytes; rename it", NAME_BYTES - LONGEST_ENDING));
    }
    Submission::folder(path, source.clone()).map(Some).map_err(|e| e.to_string())
}
