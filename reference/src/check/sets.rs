//! Two sets of named arrays: matched by name, strictly, and compared.
//!
//! An array that only one side has is a disagreement, and so is another shape. Knows named arrays; where they were
//! found, and what is printed of them, is known elsewhere.

use super::{
    Argmax, Comparison, Disagreement, Ladder, Measured, Operand, Question, Selection, WrongShape, argmax_of_operands,
    compare_operands,
};
use crate::error::{Error, Result};
use crate::io::mapped::MappedArray;
use crate::num::Dtype;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How two sets are to be compared.
#[derive(Debug, Clone, Default)]
pub struct SetQuestion {
    /// The tolerances. The last one decides whether an array agrees.
    pub ladder: Ladder,
    /// Count last places in this format where it is coarser than that of the expected array.
    pub dtype: Option<Dtype>,
    /// How many of the first failures of an array are wanted.
    pub show: usize,
    /// Expected names that are logits, beside those called `logits` or `logits.…`.
    pub logits: Vec<String>,
}

/// What came of two sets of arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetComparison {
    /// The tolerances, in the order of every `mismatches`.
    pub ladder: Ladder,
    /// One entry a name, in the order of the names.
    pub arrays: Vec<ArrayComparison>,
}

/// What came of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayComparison {
    /// The name on the expected side, or the only one.
    pub name: String,
    /// Element type of the answer, if there is one.
    pub actual_dtype: Option<String>,
    /// Element type expected, if the name is expected.
    pub expected_dtype: Option<String>,
    /// What came of it.
    pub outcome: ArrayOutcome,
}

/// What came of one array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrayOutcome {
    /// Both sides have it in the same shape.
    Compared(Box<ComparedArray>),
    /// Both sides have it, in different shapes.
    WrongShape(WrongShape),
    /// It is expected and the answer has none.
    Missing,
    /// The answer has it and it is not expected.
    Surplus,
}

/// An array that both sides have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedArray {
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Whether each element is within the last rung.
    pub agrees: bool,
    /// The facts.
    pub facts: Comparison,
    /// The first elements that miss the tightest missed rung.
    pub first_failures: Vec<Disagreement>,
    /// For logits.
    pub argmax: Option<Argmax>,
}

impl SetComparison {
    /// Whether every name is on both sides, every shape is right, every element is within the last rung, and there is an
    /// element at all.
    pub fn agrees(&self) -> bool {
        self.compared() > 0
            && self.arrays.iter().all(|array| matches!(&array.outcome, ArrayOutcome::Compared(of) if of.agrees))
    }

    /// Elements compared in all arrays.
    pub fn compared(&self) -> usize {
        let of = |array: &ArrayComparison| match &array.outcome {
            ArrayOutcome::Compared(of) => of.facts.compared,
            _ => 0,
        };
        self.arrays.iter().map(of).sum()
    }
}

/// Compares what the two sides hold under each name.
///
/// # Errors
/// When no name is on both sides: then nothing could be asked.
pub fn compare_sets(actual: &[MappedArray], expected: &[MappedArray], question: &SetQuestion) -> Result<SetComparison> {
    let by_name = |arrays: &[MappedArray]| {
        let mut numbers = BTreeMap::new();
        for (number, array) in arrays.iter().enumerate() {
            numbers.insert(array.name().to_string(), number);
        }
        numbers
    };
    let (actual_names, expected_names) = (by_name(actual), by_name(expected));
    if !expected_names.keys().any(|name| actual_names.contains_key(name)) {
        return Err(Error::ask(format!(
            "no array is on both sides, and nothing compared is not a success: actual has {}, expected has {}",
            list(actual_names.keys()),
            list(expected_names.keys())
        )));
    }
    if let Some(unknown) = question.logits.iter().find(|name| !expected_names.contains_key(*name)) {
        return Err(Error::ask(format!(
            "--logits names \"{unknown}\", which is not expected; there is {}",
            list(expected_names.keys())
        )));
    }
    let mut names: Vec<&str> = Vec::with_capacity(actual.len() + expected.len());
    for array in actual.iter().chain(expected) {
        names.push(array.name());
    }
    names.sort_unstable();
    names.dedup();
    let mut arrays = Vec::with_capacity(names.len());
    for name in names {
        let side = |names: &BTreeMap<String, usize>| names.get(name).copied();
        let (a, e) = (side(&actual_names).map(|at| &actual[at]), side(&expected_names).map(|at| &expected[at]));
        let dtype = |array: Option<&MappedArray>| array.map(|array| array.dtype_name().to_string());
        let outcome = match (a, e) {
            (Some(actual), Some(expected)) => one(name, actual, expected, question),
            (None, _) => ArrayOutcome::Missing,
            (_, None) => ArrayOutcome::Surplus,
        };
        let (actual_dtype, expected_dtype) = (dtype(a), dtype(e));
        arrays.push(ArrayComparison { name: name.to_string(), actual_dtype, expected_dtype, outcome });
    }
    Ok(SetComparison { ladder: question.ladder.clone(), arrays })
}

fn one(name: &str, actual: &MappedArray, expected: &MappedArray, question: &SetQuestion) -> ArrayOutcome {
    let (actual, expected) = (Operand::from(actual), Operand::from(expected));
    let asked = Question {
        ladder: &question.ladder,
        dtype: question.dtype,
        selection: Selection::All,
        axes: &[],
        show: question.show,
    };
    match compare_operands(&actual, &expected, &asked) {
        Err(shapes) => ArrayOutcome::WrongShape(shapes),
        Ok(Measured { facts, first_failures }) => {
            let is_logits = is_logits(name) || question.logits.iter().any(|logits| logits == name);
            ArrayOutcome::Compared(Box::new(ComparedArray {
                shape: expected.shape().to_vec(),
                agrees: facts.mismatches.last().is_none_or(|&misses| misses == 0) && facts.non_finite_mismatches == 0,
                argmax: is_logits.then(|| argmax_of_operands(&actual, &expected)).flatten(),
                facts,
                first_failures,
            }))
        }
    }
}

/// Whether the last part of a name, behind the last slash, is `logits` or begins with `logits.`.
fn is_logits(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last == "logits" || last.starts_with("logits.")
}

/// Names for a sentence: a few of them, and how many more there are.
fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 5;
    let count = names.len();
    let mut words: Vec<String> = names.take(SHOWN).map(|name| format!("{name:?}")).collect();
    if count > SHOWN {
        words.push(format!("{} more", count - SHOWN));
    }
    if words.is_empty() { "no array".to_string() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_known_by_the_last_part_of_their_name() {
        assert!(is_logits("logits") && is_logits("run/logits") && is_logits("logits.1"));
        assert!(!is_logits("logits/x") && !is_logits("my_logits") && !is_logits("logits2"));
    }

    #[test]
    fn lists_are_short() {
        let names: Vec<String> = (0..7).map(|i| format!("x{i}")).collect();
        assert_eq!(list(names.iter()), "\"x0\", \"x1\", \"x2\", \"x3\", \"x4\", 2 more");
        assert_eq!(list([].iter()), "no array");
    }
}
