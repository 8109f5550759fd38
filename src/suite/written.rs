//! A suite written from Rust: questions with goldref's own answers.

use super::files::as_arrays;
use crate::error::{Error, Result};
use crate::io::{self, Array, npz};
use ndarray::ArrayD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of the checkpoint in such a suite.
const MODEL: &str = "model";

/// A case to write.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCase {
    /// `[a-z0-9_]+`.
    pub id: String,
    /// An operation, or `model`.
    pub op: String,
    /// Its parameters; `model` is set by the suite.
    pub params: Value,
    /// Its arrays.
    pub inputs: BTreeMap<String, Array>,
    /// What goldref answers in f64.
    pub expected: BTreeMap<String, ArrayD<f64>>,
    /// The input that says which leading indices are compared.
    pub compare_where: Option<String>,
}

/// Writes a suite as the new folder `folder`, with a copy of `checkpoint` if its cases ask a model; the name of the folder is the suite's.
///
/// # Errors
/// A folder that is there already; files that cannot be written.
pub fn write_suite(folder: &Path, about: &str, cases: Vec<NewCase>, checkpoint: Option<&Path>) -> Result<()> {
    if folder.exists() {
        return Err(Error::write(folder, "it is there already; name another folder"));
    }
    let made = |path: &Path| std::fs::create_dir_all(path).map_err(|e| Error::write(path, e));
    made(folder)?;
    if let Some(checkpoint) = checkpoint {
        copy_files(checkpoint, &folder.join(MODEL))?;
    }
    let mut rows = Vec::new();
    for NewCase { id, op, mut params, inputs, expected, compare_where } in cases {
        let case = folder.join(&id);
        made(&case)?;
        npz::write(case.join("inputs.npz"), &inputs)?;
        npz::write(case.join("expected.npz"), &as_arrays(expected))?;
        if let (Some(params), Some(_)) = (params.as_object_mut(), checkpoint) {
            params.insert("model".to_string(), MODEL.into());
        }
        let oracle = json!({"computed_by": format!("goldref {} f64", env!("CARGO_PKG_VERSION"))});
        let mut row = json!({"id": id, "op": op, "params": params, "oracle": oracle});
        if let Some(name) = compare_where {
            row["compare_where"] = name.into();
        }
        rows.push(row);
    }
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let suite = json!({"format": "goldref-suite/1", "name": name, "about": about, "cases": rows});
    let text = io::json::pretty(&suite).map_err(|e| Error::write(folder, e))?;
    io::write_text(folder.join("suite.json"), &format!("{text}\n"))
}

/// The checkpoint's folder in a suite that [`write_suite`] wrote.
pub fn written_checkpoint(folder: &Path) -> PathBuf {
    folder.join(MODEL)
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(|e| Error::write(to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| Error::read(from, e))? {
        let path = entry.map_err(|e| Error::read(from, e))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, to.join(name)).map_err(|e| Error::write(to.join(name), e))?;
        }
    }
    Ok(())
}
