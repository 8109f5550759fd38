//! A case about an operation as plain data: what is asked, and the elements that are compared.

use super::case::Case;
use super::expectation::Expectation;
use super::generation_case::GENERATE;
use super::outputs::Outputs;
use super::selection::{Selected, selected_cases};
use super::store::Store;
use crate::error::Result;
use crate::fault::OperationQuestion;
use crate::num::Dtype;
use crate::num::parallel;
use crate::ops::Answer;
use std::collections::BTreeMap;

/// The question of a case about an operation.
#[derive(Debug, Clone)]
pub struct OperationCase {
    /// `suite/id`.
    pub name: String,
    /// What is asked.
    pub question: OperationQuestion,
    /// The compared elements of the expected main arrays.
    pub expected: Vec<f64>,
    /// Largest absolute error of PyTorch's own evaluation, by format.
    pub baseline: BTreeMap<Dtype, f64>,
    outputs: Outputs,
}

impl OperationCase {
    /// The question of `case`; `None` for a case about a model.
    ///
    /// # Errors
    /// Files of the case that cannot be read.
    pub fn of(case: &Case) -> Result<Option<Self>> {
        if case.op == "model" || case.op == GENERATE {
            return Ok(None);
        }
        let inputs = case.inputs()?;
        let outputs = Outputs::of(&Expectation::of(case, &inputs)?, &|_| true);
        let question = OperationQuestion { op: case.op.clone(), params: case.params.clone(), inputs };
        let (name, baseline) = (case.name.clone(), case.baseline.clone());
        Ok(Some(Self { name, question, expected: outputs.expected.clone(), baseline, outputs }))
    }

    /// The compared elements of an answer; `None` where an array is missing or has another shape.
    pub fn compared(&self, answer: &Answer) -> Option<Vec<f64>> {
        self.outputs.chosen(&mut |name| answer.get(name).cloned())
    }
}

/// The selected cases about operations.
///
/// # Errors
/// A selection that names nothing; files that cannot be read.
pub fn operation_cases(store: &Store, selected: &Selected) -> Result<Vec<OperationCase>> {
    let cases = selected_cases(store, selected)?;
    let asked: Vec<_> = parallel::try_map(cases.len(), &|number| OperationCase::of(cases[number]))?;
    Ok(asked.into_iter().flatten().collect())
}
