//! Arrays and parameters of one question to an operation, taken apart with clear refusals.

use super::parameters::{Parameters, parameters, wrong_type};
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::io::Array;
use crate::linalg::convert::{from_f64, rounded_from_f64, to_f64};
use crate::num::{Dtype, Real};
use ndarray::{ArrayD, Dimension};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// The named arrays an operation answers with, widened to f64 (exact for every format; booleans as 0 and 1).
pub type Answer = BTreeMap<String, ArrayD<f64>>;

/// One question: parameters and arrays.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The case's `params` object.
    pub params: &'a Value,
    /// The case's input arrays.
    pub arrays: &'a BTreeMap<String, Array>,
}

impl<'a> Question<'a> {
    /// The parameters as `P`.
    ///
    /// # Errors
    /// A key that `P` does not know, by name; a value of the wrong kind.
    pub fn params<P: DeserializeOwned>(&self) -> Result<P> {
        serde_json::from_value(self.params.clone()).map_err(|e| Error::ask(format!("params: {e}")))
    }

    /// The parameters as an operation has them.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub(crate) fn read<P: Parameters>(&self) -> Result<P> {
        let read = match self.params {
            Value::Object(given) => P::read(given),
            other => Err(wrong_type(other, P::EXPECTED)),
        };
        read.map_err(|e| Error::ask(format!("params: {e}")))
    }

    /// Whether the array is there.
    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// The array as it is.
    ///
    /// # Errors
    /// If it is missing.
    pub fn raw(&self, name: &str) -> Result<&'a Array> {
        self.arrays.get(name).ok_or_else(|| {
            let there: Vec<&str> = self.arrays.keys().map(String::as_str).collect();
            Error::ask(format!("input array \"{name}\" is missing; there are: {}", there.join(", ")))
        })
    }

    /// The array in the scalar of the evaluation, not rounded further.
    ///
    /// # Errors
    /// If it is missing.
    pub fn plain<T: Real>(&self, name: &str) -> Result<ArrayD<T>> {
        Ok(from_f64(&self.raw(name)?.to_f64()))
    }

    /// The array rounded as a stored activation.
    ///
    /// # Errors
    /// If it is missing.
    pub fn activation<T: Real>(&self, name: &str, eval: &Evaluator) -> Result<ArrayD<T>> {
        self.rounded(name, eval.numerics().activations)
    }

    /// The array rounded as a stored weight.
    ///
    /// # Errors
    /// If it is missing.
    pub fn weight<T: Real>(&self, name: &str, eval: &Evaluator) -> Result<ArrayD<T>> {
        self.rounded(name, eval.numerics().weights)
    }

    /// [`Self::weight`] if the array is there.
    ///
    /// # Errors
    /// None today; the signature is that of its siblings.
    pub fn optional_weight<T: Real>(&self, name: &str, eval: &Evaluator) -> Result<Option<ArrayD<T>>> {
        if self.has(name) { self.weight(name, eval).map(Some) } else { Ok(None) }
    }

    fn rounded<T: Real>(&self, name: &str, dtype: Dtype) -> Result<ArrayD<T>> {
        // Rounded from f64 at once: through f32 first would be two roundings.
        let value = self.raw(name)?.to_f64();
        Ok(rounded_from_f64(&value, dtype))
    }

    /// Whole numbers: ids, positions, lengths.
    ///
    /// # Errors
    /// If the array is missing or holds floats.
    pub fn integers(&self, name: &str) -> Result<ArrayD<i64>> {
        self.raw(name)?.to_i64().map_err(|e| Error::ask(format!("input array \"{name}\": {e}")))
    }

    /// Truth values.
    ///
    /// # Errors
    /// If the array is missing or holds anything but booleans, 0 and 1.
    pub fn booleans(&self, name: &str) -> Result<ArrayD<bool>> {
        self.raw(name)?.to_bool().map_err(|e| Error::ask(format!("input array \"{name}\": {e}")))
    }
}

parameters! {
    struct NoParams {}
}

/// Refuses parameters where an operation has none.
pub(crate) fn no_params(question: &Question) -> Result<()> {
    let NoParams {} = question.read()?;
    Ok(())
}

/// The array with `D` axes, or a sentence about its shape.
pub(crate) fn with_axes<T, D: Dimension>(name: &str, axes: &str, array: ArrayD<T>) -> Result<ndarray::Array<T, D>> {
    let shape = array.shape().to_vec();
    array
        .into_dimensionality::<D>()
        .map_err(|_| Error::ask(format!("array \"{name}\" has shape {shape:?}; it must be {axes}")))
}

/// `axis`, counted from the end when negative, as an index below `ndim`.
pub(crate) fn axis_index(axis: i64, ndim: usize) -> Result<usize> {
    let index = if axis < 0 { axis + ndim as i64 } else { axis };
    usize::try_from(index)
        .ok()
        .filter(|&index| index < ndim)
        .ok_or_else(|| Error::ask(format!("axis {axis} is out of range for an array of {ndim} axes")))
}

/// The largest array an operation makes: 2²⁸ elements, 2 GiB in f64. Sizes come from files that may be hostile.
const MAX_ELEMENTS: usize = 1 << 28;

/// Refuses an array that would not fit, before it is allocated.
pub(crate) fn refuse_oversize(what: &str, shape: &[usize]) -> Result<()> {
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if elements.is_some_and(|elements| elements <= MAX_ELEMENTS) {
        return Ok(());
    }
    Err(Error::ask(format!("{what} would have shape {shape:?}; at most {MAX_ELEMENTS} elements are computed at once")))
}

/// Refuses positions that are negative or beyond 2⁵³, up to which every whole number is an f64.
pub(crate) fn refuse_positions<D: Dimension>(name: &str, positions: &ndarray::Array<i64, D>) -> Result<()> {
    match positions.iter().find(|position| !(0..=1 << 53).contains(*position)) {
        None => Ok(()),
        Some(position) => Err(Error::ask(format!("{name} holds {position}; positions are between 0 and 2^53"))),
    }
}

/// An answer of one array called `out`.
pub(crate) fn answer_out<T: Real, D: Dimension>(out: ndarray::Array<T, D>) -> Answer {
    let mut answer = Answer::new();
    answer.insert("out".to_string(), to_f64(&out));
    answer
}
