//! What a case expects, and how it is compared.

use super::case::Case;
use crate::check::{Rung, Selection};
use crate::error::{Error, Result};
use crate::io::wording::quoted;
use crate::io::{Array, values};
use crate::num::Dtype;
use crate::ops::Answer;
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Name, format and values.
pub(super) type ExpectedArray = (String, Dtype, ArrayD<f64>);

/// A case's expected arrays and how to compare with them.
#[derive(Debug, Clone)]
pub(super) struct Expectation {
    pub(super) arrays: Vec<ExpectedArray>,
    selection: Vec<(String, ArrayD<bool>)>,
    /// Names of arrays that a program may leave out.
    optional: Vec<String>,
    /// What the case's author asks for.
    pub(super) tolerance: Option<Rung>,
    /// How far the two foreign oracles are apart.
    pub(super) distance: f64,
}

impl Expectation {
    pub(super) fn of(case: &Case, inputs: &BTreeMap<String, Array>) -> Result<Self> {
        let expected = case.expected()?;
        let mut arrays: Vec<ExpectedArray> = Vec::new();
        for (name, array) in expected {
            arrays.push((name, float_dtype(&array), array.to_f64()));
        }
        let mut selection = Vec::new();
        if let Some(base) = &case.compare_where {
            for (name, _, array) in &arrays {
                // With several requests, `logits.1` goes by `attention_mask.1`.
                let suffix =
                    name.rsplit_once('.').map(|(_, tail)| tail).filter(|tail| tail.bytes().all(|b| b.is_ascii_digit()));
                let where_name = suffix.map_or_else(|| base.clone(), |suffix| format!("{base}.{suffix}"));
                let chosen = inputs.get(&where_name).ok_or_else(|| {
                    Error::ask(format!("{}: compare_where names \"{where_name}\", which is no input", case.name))
                })?;
                let chosen = chosen.to_bool().map_err(|e| Error::ask(format!("{}: {where_name}: {e}", case.name)))?;
                if array.shape().get(..chosen.ndim()) != Some(chosen.shape()) {
                    return Err(Error::ask(format!(
                        "{}: {where_name} of shape {:?} does not lead {name} of shape {:?}",
                        case.name,
                        chosen.shape(),
                        array.shape()
                    )));
                }
                selection.push((name.clone(), chosen));
            }
        }
        let optional = optional(case, &arrays)?;
        let distance = case.oracle.as_ref().and_then(|oracle| oracle.distance).unwrap_or(0.0);
        Ok(Self { arrays, selection, optional, tolerance: case.tolerance.map(Rung::from), distance })
    }

    /// Whether a program's answer may be without this array.
    pub(super) fn is_optional(&self, array: &str) -> bool {
        self.optional.iter().any(|name| name == array)
    }

    /// What is asked of a program that gave `answer`: optional arrays only where it has them.
    pub(super) fn asked_of(&self, answer: &Answer) -> Self {
        let mut asked = self.clone();
        asked.arrays.retain(|(name, ..)| answer.contains_key(name) || !self.is_optional(name));
        asked
    }

    /// The elements of an array that are compared.
    pub(super) fn selection_of(&self, array: &str) -> Selection<'_> {
        match self.selection.iter().find(|(name, _)| name == array) {
            Some((_, chosen)) => Selection::Where(chosen),
            None => Selection::All,
        }
    }

    /// Which of the `length` elements of an array are compared, by their flat index.
    pub(super) fn compared(&self, array: &str, length: usize) -> Vec<bool> {
        match self.selection_of(array) {
            Selection::All => vec![true; length],
            Selection::Where(chosen) => {
                let repeat = length / chosen.len().max(1);
                let mut compared = Vec::with_capacity(length);
                for &chosen in values(chosen).iter() {
                    compared.resize(compared.len() + repeat, chosen);
                }
                compared
            }
        }
    }
}

/// The expected arrays that a program may leave out: those that the case says, and the sites of a model beside its logits.
fn optional(case: &Case, arrays: &[ExpectedArray]) -> Result<Vec<String>> {
    let mut optional = case.optional.clone();
    if let Some(unknown) = optional.iter().find(|name| !arrays.iter().any(|(expected, ..)| expected == *name)) {
        let unknown = quoted(unknown);
        return Err(Error::ask(format!("{}: optional names {unknown}, which is no expected array", case.name)));
    }
    if case.op == "model" {
        let main = main_outputs(arrays);
        let sites = arrays.iter().filter(|(name, ..)| !main.iter().any(|(main, ..)| main == name));
        optional.extend(sites.map(|(name, ..)| name.clone()));
    }
    if arrays.iter().all(|(name, ..)| optional.contains(name)) {
        return Err(Error::ask(format!("{}: optional names all expected arrays; a case must ask for one", case.name)));
    }
    Ok(optional)
}

/// The arrays that a baseline is about: `out` of an operation, the logits of a model; else all of them.
pub(super) fn main_outputs(arrays: &[ExpectedArray]) -> Vec<&ExpectedArray> {
    let is_main = |name: &str| name == "out" || name == "logits" || name.starts_with("logits.");
    let has_main = arrays.iter().any(|(name, _, _)| is_main(name));
    let mut main = Vec::new();
    for array in arrays {
        if !has_main || is_main(&array.0) {
            main.push(array);
        }
    }
    main
}

/// The floating-point format of an array, for ulps; whole numbers and booleans are exact in f64.
fn float_dtype(array: &Array) -> Dtype {
    Dtype::ALL.into_iter().find(|dtype| dtype.name() == array.dtype_name()).unwrap_or(Dtype::F64)
}
