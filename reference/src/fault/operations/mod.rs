//! Faults of single operations: edits of the question.
//!
//! Where a fault can be said as another question (another scale, another mask, a head that reads elsewhere) the operation itself stays as it is, and so do its
//! bits. Not every fault of the catalogue has such a form: what happens between the stages of an operation, or in a cache, needs a model.

mod attention;
mod small;

use crate::error::{Error, Result};
use crate::eval::{Evaluator, Numerics};
use crate::io::Array;
use crate::num::Dtype;
use crate::ops::{self, Answer, Question};
use ndarray::ArrayD;
use serde_json::Value;
use std::collections::BTreeMap;

/// A question about one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationQuestion {
    /// The operation.
    pub op: String,
    /// Its parameters.
    pub params: Value,
    /// Its arrays.
    pub inputs: BTreeMap<String, Array>,
}

/// A fault, the operations that it has a form for, and the edit of their question, which says whether there is a place for it.
type Form = (&'static str, &'static [&'static str], fn(&mut OperationQuestion) -> bool);

/// The forms of one fault for one operation.
fn forms<'f>(fault: &'f str, op: &'f str) -> impl Iterator<Item = &'static Form> {
    let fits = move |(name, ops, _): &&Form| *name == fault && ops.contains(&op);
    attention::FORMS.iter().chain(small::FORMS).filter(fits)
}

/// What an operation with this fault answers in f64; `None` where the fault has no form or no place there.
///
/// # Errors
/// What the operation refuses.
pub fn run_operation(question: &OperationQuestion, fault: &str) -> Result<Option<Answer>> {
    for (_, _, edit) in forms(fault, &question.op) {
        let mut edited = question.clone();
        if edit(&mut edited) {
            return edited.ask().map(Some);
        }
    }
    Ok(None)
}

/// Whether the fault of this name has a form for this operation.
pub fn has_operation_form(fault: &str, op: &str) -> bool {
    forms(fault, op).next().is_some()
}

impl OperationQuestion {
    /// The right answer, in f64.
    ///
    /// # Errors
    /// An operation that is not known; what it refuses.
    pub fn ask(&self) -> Result<Answer> {
        let op = ops::find(&self.op).ok_or_else(|| Error::ask(format!("there is no operation {}", self.op)))?;
        let question = Question { params: &self.params, arrays: &self.inputs };
        op.ask(&question, &mut Evaluator::new(Numerics::plain(Dtype::F64)))
    }

    fn number(&self, param: &str) -> Option<f64> {
        self.params.get(param)?.as_f64()
    }

    fn text(&self, param: &str) -> Option<&str> {
        self.params.get(param)?.as_str()
    }

    fn set(&mut self, param: &str, value: impl Into<Value>) {
        if let Some(params) = self.params.as_object_mut() {
            params.insert(param.to_string(), value.into());
        }
    }

    /// Takes a parameter away; whether it was there.
    fn take(&mut self, param: &str) -> bool {
        self.params.as_object_mut().is_some_and(|params| params.remove(param).is_some())
    }

    fn array(&self, name: &str) -> Option<ArrayD<f64>> {
        self.inputs.get(name).map(Array::to_f64)
    }

    fn put(&mut self, name: &str, array: ArrayD<f64>) {
        self.inputs.insert(name.to_string(), Array::F64(array));
    }

    fn put_whole(&mut self, name: &str, array: &ArrayD<f64>) {
        self.inputs.insert(name.to_string(), Array::I64(array.mapv(|x| x as i64)));
    }

    /// Edits an array; whether it is there.
    fn edit(&mut self, name: &str, edit: &dyn Fn(ArrayD<f64>) -> ArrayD<f64>) -> bool {
        match self.array(name) {
            None => false,
            Some(array) => {
                self.put(name, edit(array));
                true
            }
        }
    }
}
