//! A counterexample as files: a suite of its questions with the right answers, and what is needed to ask it again.

use super::search::Failure;
use super::subject::Subject;
use super::{Property, Sample, find};
use crate::error::{Error, Result};
use crate::io::{self, Array, npz};
use crate::num::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The file beside `suite.json`.
const FILE: &str = "property.json";
/// The folder of the checkpoint, where there is one.
const MODEL: &str = "model";

/// What is needed to ask it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFailure {
    /// `goldref-property/1`.
    pub format: String,
    /// The property's name.
    pub property: String,
    /// The candidate's format of storage.
    pub stored: Dtype,
    /// The checkpoint's name, where there is one.
    pub model: Option<String>,
    /// Sizes and numbers.
    pub sample: Sample,
}

const FORMAT: &str = "goldref-property/1";

/// Writes a counterexample as a folder of its own in `folder`, and returns it: a suite that `goldref check` reads, whose expected values goldref computed in
/// f64.
///
/// # Errors
/// Files that cannot be written; a folder that is there already.
pub fn save(
    folder: &Path,
    property: &Property,
    failure: &Failure,
    subject: &Subject,
    stored: Dtype,
) -> Result<PathBuf> {
    let trial = property
        .trial(&failure.sample, subject)
        .ok_or_else(|| Error::ask(format!("{} says nothing of this sample", property.name)))?;
    let stem = match subject.name() {
        None => property.name.to_string(),
        Some(model) => format!("{}-{model}", property.name),
    };
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.to_ascii_lowercase();
    let suite = folder.join(&name);
    if suite.exists() {
        return Err(Error::write(&suite, "it is there already; name another folder"));
    }
    let made = |path: &Path| std::fs::create_dir_all(path).map_err(|e| Error::write(path, e));
    made(&suite)?;
    if let Some(checkpoint) = subject.folder() {
        copy_files(checkpoint, &suite.join(MODEL))?;
    }
    let right = subject.answers(&trial.posed, Dtype::F64)?;
    let mut cases = Vec::new();
    for (number, (posed, right)) in trial.posed.iter().zip(right).enumerate() {
        let id = format!("question_{number}");
        made(&suite.join(&id))?;
        npz::write(suite.join(&id).join("inputs.npz"), &posed.inputs)?;
        let main = |name: &str| name == "out" || name.starts_with("logits");
        let expected =
            right.into_iter().filter(|(name, _)| main(name)).map(|(name, x)| (name, Array::F64(x))).collect();
        npz::write(suite.join(&id).join("expected.npz"), &expected)?;
        let mut params = posed.params.clone();
        if let (Some(params), Some(_)) = (params.as_object_mut(), subject.folder()) {
            params.insert("model".to_string(), MODEL.into());
        }
        let oracle = json!({"computed_by": format!("goldref {} f64", env!("CARGO_PKG_VERSION"))});
        cases.push(json!({"id": id, "op": posed.op, "params": params, "oracle": oracle}));
    }
    let about = format!("The smallest counterexample found to {}: {}.", property.name, property.about);
    let file = json!({"format": "goldref-suite/1", "name": name, "about": about, "cases": cases});
    write_json(&suite.join("suite.json"), &file)?;
    let saved = SavedFailure {
        format: FORMAT.to_string(),
        property: property.name.to_string(),
        stored,
        model: subject.name().map(str::to_string),
        sample: failure.sample.clone(),
    };
    write_json(&suite.join(FILE), &saved)?;
    Ok(suite)
}

impl SavedFailure {
    /// Reads what [`save`] wrote: the property, and what it is to be asked of.
    ///
    /// # Errors
    /// A folder without it, another format, a property that is not known.
    pub fn open(folder: &Path) -> Result<(Self, &'static Property, Subject)> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|e| Error::read(&path, e))?;
        let saved: Self = serde_json::from_slice(&bytes).map_err(|e| Error::read(&path, e))?;
        if saved.format != FORMAT {
            return Err(Error::read(&path, format!("its format is not {FORMAT}")));
        }
        saved.sample.refuse().map_err(|e| e.at(&path))?;
        let property =
            find(&saved.property).ok_or_else(|| Error::read(&path, "it names a property that is not known"))?;
        let subject = match &saved.model {
            None => Subject::Operations,
            Some(name) => Subject::load(&folder.join(MODEL), name, saved.stored)?,
        };
        Ok((saved, property, subject))
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::write(path, e))?;
    bytes.push(b'\n');
    io::write_bytes(path, &bytes)
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
