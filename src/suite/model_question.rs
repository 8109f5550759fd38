//! A case about a model as plain data: what is asked call by call, and the logits that are compared.

use super::answer::planned;
use super::case::Case;
use super::expectation::{Expectation, main_outputs};
use super::files::widened;
use crate::check::Selection;
use crate::error::{Error, Result};
use crate::io::{Array, npz};
use crate::model::Plan;
use crate::num::Dtype;
use crate::variant::Schedule;
use ndarray::{Array3, ArrayD};
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
    /// For each request the name of its logits, their shape, and which elements are compared.
    outputs: Vec<(String, Vec<usize>, Vec<bool>)>,
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
        let (mut expected, mut outputs) = (Vec::new(), Vec::new());
        // A case without logits has other main outputs, of which no fault says anything.
        let logits = |name: &str| name == "logits" || name.starts_with("logits.");
        for (name, _, array) in main_outputs(&expectation.arrays).filter(|(name, _, _)| logits(name)) {
            let compared = match expectation.selection_of(name) {
                Selection::All => vec![true; array.len()],
                Selection::Where(chosen) => {
                    let each = array.len() / chosen.len().max(1);
                    chosen.iter().flat_map(|&chosen| std::iter::repeat_n(chosen, each)).collect()
                }
            };
            expected.extend(array.iter().zip(&compared).filter(|(_, compared)| **compared).map(|(x, _)| *x));
            outputs.push((name.clone(), array.shape().to_vec(), compared));
        }
        if expected.is_empty() {
            return Err(Error::ask(format!("{}: no logits are expected", case.name)));
        }
        Ok(Some(Self {
            name: case.name.clone(),
            checkpoint: case.folder_in_suite(&folder)?,
            plan,
            params: case.params.clone(),
            inputs,
            expected,
            baseline: case.baseline.clone(),
            outputs,
        }))
    }

    /// The compared elements of logits by the suffix of their request; `None` where one is missing or has another shape.
    pub fn compared(&self, logits: &BTreeMap<String, Array3<f64>>) -> Option<Vec<f64>> {
        self.chosen(|name| logits.get(name.strip_prefix("logits")?).map(|array| array.clone().into_dyn()))
    }

    /// The compared elements of arrays in a file, by their names.
    ///
    /// # Errors
    /// A file that cannot be read; a missing array, or one of another shape.
    pub fn read(&self, file: &Path, stored: Dtype) -> Result<Vec<f64>> {
        self.chosen_of(npz::read(file)?, stored).ok_or_else(|| {
            let wanted: Vec<String> = self.outputs.iter().map(|(name, shape, _)| format!("{name} {shape:?}")).collect();
            Error::read(file, format!("an array is missing or has another shape; there must be {}", wanted.join(", ")))
        })
    }

    /// The compared elements of arrays as they were answered; `None` where one is missing or has another shape.
    pub fn chosen_of(&self, arrays: BTreeMap<String, Array>, stored: Dtype) -> Option<Vec<f64>> {
        let mut arrays = widened(arrays, stored).ok()?;
        self.chosen(|name| arrays.remove(name))
    }

    fn chosen(&self, mut array: impl FnMut(&str) -> Option<ArrayD<f64>>) -> Option<Vec<f64>> {
        let mut all = Vec::with_capacity(self.expected.len());
        for (name, shape, compared) in &self.outputs {
            let array = array(name).filter(|array| array.shape() == shape)?;
            all.extend(array.iter().zip(compared).filter(|(_, compared)| **compared).map(|(x, _)| *x));
        }
        Some(all)
    }
}
