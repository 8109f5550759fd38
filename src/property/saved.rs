//! A counterexample as files: a suite of its questions with the right answers, and what is needed to ask it again.

use super::search::Failure;
use super::subject::Subject;
use super::trial::is_main;
use super::{Property, Sample, find};
use crate::error::{Error, Result};
use crate::io::{self, disk, limits};
use crate::num::Dtype;
use crate::suite::{NewCase, write_suite, written_checkpoint};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file beside `suite.json`.
const FILE: &str = "property.json";

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
    let suite = saved_as(folder, property, subject.name());
    let right = subject.answers(&trial.posed, Dtype::F64)?;
    let mut cases = Vec::with_capacity(trial.posed.len());
    for (posed, mut expected) in trial.posed.into_iter().zip(right) {
        expected.retain(|name, _| is_main(name));
        let number = cases.len();
        cases.push(NewCase {
            id: format!("question_{number}"),
            op: posed.op.to_string(),
            params: posed.params,
            inputs: posed.inputs,
            expected,
            compare_where: None,
        });
    }
    let about = format!("The smallest counterexample found to {}: {}.", property.name, property.about);
    write_suite(&suite, &about, cases, subject.folder())?;
    let saved = SavedFailure {
        format: FORMAT.to_string(),
        property: property.name.to_string(),
        stored,
        model: subject.name().map(str::to_string),
        sample: failure.sample.clone(),
    };
    let path = suite.join(FILE);
    let text = io::json::pretty(&saved).map_err(|e| Error::write(&path, e))?;
    io::write_text(&path, &format!("{text}\n"))?;
    Ok(suite)
}

/// The folder in `folder` for a counterexample, to a property of operations or of the checkpoint of this name.
pub fn saved_as(folder: &Path, property: &Property, model: Option<&str>) -> PathBuf {
    let stem = match model {
        None => property.name.to_string(),
        Some(model) => format!("{}-{model}", property.name),
    };
    let name: String = stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    folder.join(name.to_ascii_lowercase())
}

impl SavedFailure {
    /// Reads what [`save`] wrote: the property, and what it is to be asked of.
    ///
    /// # Errors
    /// A folder without it, another format, a property that is not known.
    pub fn open(folder: &Path) -> Result<(Self, &'static Property, Subject)> {
        let path = folder.join(FILE);
        let bytes = disk::read_whole(&path, limits::JSON_BYTES)?;
        let saved: Self = serde_json::from_slice(&bytes).map_err(|e| Error::read(&path, e))?;
        if saved.format != FORMAT {
            return Err(Error::read(&path, format!("its format is not {FORMAT}")));
        }
        saved.sample.refuse().map_err(|e| e.at(&path))?;
        let property =
            find(&saved.property).ok_or_else(|| Error::read(&path, "it names a property that is not known"))?;
        let subject = match &saved.model {
            None => Subject::Operations,
            Some(name) => Subject::load(&written_checkpoint(folder), name, saved.stored)?,
        };
        Ok((saved, property, subject))
    }
}
