//! A case that is put to candidates: read once, asked as often as there are candidates.

use super::answer::{Asked, Prepared, answer};
use super::case::Case;
use super::expectation::{Expectation, main_outputs};
use super::files::{judge_given, widened};
use super::generation_case::GENERATE;
use super::report_data::Outcome;
use crate::candidate::{Candidate, Outcome as Said, ProgramQuestion};
use crate::check::{Comparison, Ladder, WrongShape, compare};
use crate::error::{Error, Result};
use crate::io::Array;
use crate::num::Dtype;
use crate::ops::Answer;
use crate::variant::Variant;
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A case with its arrays.
#[derive(Debug)]
pub struct Exam {
    case: Case,
    inputs: BTreeMap<String, Array>,
    /// The checkpoint, absolute.
    model: Option<PathBuf>,
    expectation: Expectation,
}

/// How the arrays of an answer compare: each that is expected is in one of the three lists, but for optional ones that the answer lacks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compared {
    /// Arrays that the answer lacks.
    pub missing: Vec<String>,
    /// Arrays of another shape.
    pub wrong_shape: Vec<(String, WrongShape)>,
    /// All others, array by array.
    pub facts: Vec<(String, Comparison)>,
}

impl Compared {
    /// Whether every array is there in its shape.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.wrong_shape.is_empty()
    }

    /// Whether no element was compared, which is no agreement.
    pub fn is_empty(&self) -> bool {
        self.facts.iter().all(|(_, facts)| facts.compared == 0)
    }

    /// Whether every element of every array agrees at the rung.
    pub fn passes(&self, rung: usize) -> bool {
        let agrees = |facts: &Comparison| facts.mismatches.get(rung) == Some(&0);
        self.is_complete() && !self.is_empty() && self.facts.iter().all(|(_, facts)| agrees(facts))
    }
}

impl Exam {
    /// Reads the case's files.
    ///
    /// # Errors
    /// Files that cannot be read, or do not fit together.
    pub fn of(case: &Case) -> Result<Self> {
        let inputs = case.inputs()?;
        let expectation = Expectation::of(case, &inputs)?;
        Ok(Self { case: case.clone(), model: checkpoint(case)?, inputs, expectation })
    }

    /// The case.
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// The folder of its checkpoint, where it has one.
    pub fn model(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The main arrays that are expected, with their names.
    pub fn expected(&self) -> impl Iterator<Item = (&str, &ArrayD<f64>)> {
        main_outputs(&self.expectation.arrays).into_iter().map(|(name, _, array)| (name.as_str(), array))
    }

    /// An expected array by its name, main or not.
    pub fn expected_array(&self, name: &str) -> Option<&ArrayD<f64>> {
        self.expectation.arrays.iter().find(|(array, ..)| array == name).map(|(_, _, array)| array)
    }

    /// What a candidate is told.
    pub fn question(&self) -> ProgramQuestion<'_> {
        let Case { op, params, .. } = &self.case;
        ProgramQuestion { op, params, model: self.model.as_deref(), inputs: &self.inputs }
    }

    /// Asks a candidate.
    ///
    /// # Errors
    /// A candidate that cannot be asked.
    pub fn ask(&self, candidate: &mut dyn Candidate) -> Result<Said> {
        candidate.answer(&self.question())
    }

    /// How long a variant takes for it, its checkpoint in memory.
    ///
    /// # Errors
    /// A question that the variant refuses.
    pub fn time_of(&self, variant: &Variant) -> Result<Duration> {
        let mut prepared = Prepared::default();
        let wanted: Vec<&str> = self.expected().map(|(name, _)| name).collect();
        let mut took = Duration::ZERO;
        // The first time reads files.
        for _ in 0..2 {
            let begin = Instant::now();
            if let Asked::NotAsked(why) = answer(&self.case, &self.inputs, &wanted, variant, &mut prepared)? {
                return Err(Error::ask(format!("{}: {why}", self.case.name)));
            }
            took = begin.elapsed();
        }
        Ok(took)
    }

    /// Compares every expected array with the answer's, at the rungs of `ladder`: facts, and no opinion. Optional arrays are compared where the answer has them.
    pub fn compare(&self, answer: &Answer, ladder: &Ladder) -> Compared {
        let mut compared = Compared::default();
        for (name, dtype, expected) in &self.expectation.arrays {
            let Some(actual) = answer.get(name) else {
                if !self.expectation.is_optional(name) {
                    compared.missing.push(name.clone());
                }
                continue;
            };
            match compare(actual, expected, *dtype, self.expectation.selection_of(name), ladder) {
                Ok(facts) => compared.facts.push((name.clone(), facts)),
                Err(shapes) => compared.wrong_shape.push((name.clone(), shapes)),
            }
        }
        compared
    }

    /// Whether the main arrays of an answer are there and agree at the rung, whatever the others are.
    pub fn main_agrees(&self, compared: &Compared, rung: usize) -> bool {
        self.expected().all(|(main, _)| {
            let facts = compared.facts.iter().find(|(name, _)| name == main);
            facts.is_some_and(|(_, facts)| facts.mismatches.get(rung) == Some(&0))
        })
    }

    /// The opinion on an answer, as one of `variant`: every expected array must be there, but for optional ones, which are judged where it gives them.
    ///
    /// # Errors
    /// A case that no numerics can be asked.
    pub fn judge(&self, answer: &Answer, variant: &'static Variant, ladder: &Ladder) -> Result<Outcome> {
        let expectation = self.expectation.asked_of(answer);
        judge_given(&self.case, variant, &self.inputs, &expectation, answer, ladder)
    }

    /// The opinion on what a candidate did.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub(super) fn outcome(&self, said: Said, variant: &'static Variant, ladder: &Ladder) -> Result<Outcome> {
        let answer = match said {
            Said::Answered { arrays, .. }
                if self.case.op == GENERATE && arrays.get("tokens").is_some_and(Array::is_float) =>
            {
                return Ok(Outcome::Failed {
                    reason: "its tokens are of a floating-point type; they must be integers".to_string(),
                });
            }
            Said::Answered { arrays, .. } => widened(arrays, variant.coarsest),
            Said::Unsupported(why) => return Ok(Outcome::NotAsked { reason: format!("it does not do this: {why}") }),
            other => return Ok(Outcome::Failed { reason: format!("it {}", other.in_words()) }),
        };
        match answer {
            Ok(answer) => self.judge(&answer, variant, ladder),
            Err(e) => Ok(Outcome::Failed { reason: e.to_string() }),
        }
    }

    /// Which elements of an expected array are compared, by their flat index.
    pub fn compared(&self, array: &str) -> Vec<bool> {
        let length = self.expected_array(array).map_or(0, ArrayD::len);
        self.expectation.compared(array, length)
    }

    /// The answer's arrays as numbers, of a candidate that stores in `stored`.
    ///
    /// # Errors
    /// Words of 16 bits that are no numbers of that format.
    pub fn numbers(arrays: BTreeMap<String, Array>, stored: Dtype) -> Result<Answer> {
        widened(arrays, stored)
    }
}

/// The absolute path of the case's checkpoint, where it has one.
fn checkpoint(case: &Case) -> Result<Option<PathBuf>> {
    let has_one = case.op == "model" || case.op == GENERATE;
    let Some(relative) = case.params.get("model").and_then(|model| model.as_str()).filter(|_| has_one) else {
        return Ok(None);
    };
    let folder = case.folder_in_suite(relative)?;
    std::path::absolute(&folder).map(Some).map_err(|e| Error::read(&folder, e))
}
