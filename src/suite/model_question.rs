//! A case about a model as plain data: what is asked call by call, and the logits that are compared.

use super::answer::planned;
use super::case::Case;
use super::expectation::Expectation;
use super::files::widened;
use super::outputs::Outputs;
use crate::candidate::{Candidate, Outcome, ProgramQuestion};
use crate::error::{Error, Result};
use crate::io::{Array, npz};
use crate::model::Plan;
use crate::num::Dtype;
use crate::ops::Answer;
use crate::variant::Schedule;
use ndarray::Array3;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The question of a case with op `model`.
#[derive(Debug, Clone)]
pub struct ModelQuestion {
    /// `suite/id`.
    pub name: String,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// What is asked.
    pub plan: Plan,
    /// The same as the case has it: its parameters.
    pub params: Value,
    /// And its arrays.
    pub inputs: BTreeMap<String, Array>,
    /// The compared elements of the expected logits, request after request.
    pub expected: Vec<f64>,
    /// Largest absolute error of PyTorch's own evaluation, by format.
    pub baseline: BTreeMap<Dtype, f64>,
    outputs: Outputs,
}

impl ModelQuestion {
    /// The question of `case`; `None` for a case about an operation.
    ///
    /// # Errors
    /// Files of the case that cannot be read; a case whose expected arrays have no logits.
    pub fn of(case: &Case) -> Result<Option<Self>> {
        if case.op != "model" {
            return Ok(None);
        }
        let inputs = case.inputs()?;
        let (folder, plan) = planned(&case.params, &inputs, Schedule::AsAsked)?;
        let expectation = Expectation::of(case, &inputs)?;
        // A case without logits has other main outputs, of which no fault says anything.
        let outputs = Outputs::of(&expectation, &|name| name == "logits" || name.starts_with("logits."));
        if outputs.expected.is_empty() {
            return Err(Error::ask(format!("{}: no logits are expected", case.name)));
        }
        Ok(Some(Self {
            name: case.name.clone(),
            checkpoint: case.folder_in_suite(&folder)?,
            plan,
            params: case.params.clone(),
            inputs,
            expected: outputs.expected.clone(),
            baseline: case.baseline.clone(),
            outputs,
        }))
    }

    /// Asks a candidate.
    ///
    /// # Errors
    /// A candidate that cannot be asked.
    pub fn ask(&self, candidate: &mut dyn Candidate) -> Result<Outcome> {
        let folder = std::path::absolute(&self.checkpoint).map_err(|e| Error::read(&self.checkpoint, e))?;
        let (params, inputs) = (&self.params, &self.inputs);
        candidate.answer(&ProgramQuestion { op: "model", params, model: Some(&folder), inputs })
    }

    /// The compared elements of logits by the suffix of their request; `None` where one is missing or has another shape.
    pub fn compared(&self, logits: &BTreeMap<String, Array3<f64>>) -> Option<Vec<f64>> {
        self.outputs.chosen(&mut |name| logits.get(name.strip_prefix("logits")?).map(|array| array.clone().into_dyn()))
    }

    /// The compared elements of arrays in a file, by their names.
    ///
    /// # Errors
    /// A file that cannot be read; a missing array, or one of another shape.
    pub fn read(&self, file: &Path, stored: Dtype) -> Result<Vec<f64>> {
        self.chosen_of(npz::read(file)?, stored).ok_or_else(|| {
            let wanted = self.outputs.in_words();
            Error::read(file, format!("an array is missing or has another shape; there must be {wanted}"))
        })
    }

    /// The compared elements of arrays as they were answered; `None` where one is missing or has another shape.
    pub fn chosen_of(&self, arrays: BTreeMap<String, Array>, stored: Dtype) -> Option<Vec<f64>> {
        let mut arrays = widened(arrays, stored).ok()?;
        self.outputs.chosen(&mut |name| arrays.remove(name))
    }

    /// The compared elements of an answer's numbers; `None` where one is missing or has another shape.
    pub fn chosen_from(&self, answer: &Answer) -> Option<Vec<f64>> {
        self.outputs.chosen(&mut |name| answer.get(name).cloned())
    }
}
