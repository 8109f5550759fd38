//! What a run found, as plain data. Every output format is a function of it.

use crate::check::{Comparison, Ladder, WrongShape};
use serde::Serialize;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Version of goldref.
    pub goldref: String,
    /// Processor family, because speed depends on it; the numbers do not.
    pub arch: String,
    /// The folder of the fixtures as the user named it; `None` for the bundled ones.
    pub fixtures: Option<String>,
    /// The tolerances, in the order of every `passes`.
    pub ladder: Ladder,
    /// Suites that took part.
    pub suites: Vec<SuiteCount>,
    /// Variants that took part, with what they round.
    pub variants: Vec<VariantAbout>,
    /// One entry a variant and case, in the order of the variants, then of the cases.
    pub results: Vec<CaseResult>,
}

/// A suite and how many of its cases were selected.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteCount {
    /// Name.
    pub name: String,
    /// Selected cases.
    pub cases: usize,
}

/// A variant as a report names it.
#[derive(Debug, Clone, Serialize)]
pub struct VariantAbout {
    /// Name.
    pub name: String,
    /// What it rounds.
    pub about: String,
    /// The variant it must equal to the bit.
    pub twin_of: Option<String>,
}

/// One variant's answer to one case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// Name of the variant.
    pub variant: String,
    /// `suite/id`.
    pub case: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Every expected array was there in its shape.
    Compared {
        /// For each rung, whether every element of every array agrees.
        passes: Vec<bool>,
        /// The facts, array by array.
        arrays: Vec<ArrayResult>,
        /// Whether the error is what the variant declares.
        judgement: Judgement,
        /// For a twin: whether its answers have the bits of the variant it must equal.
        same_bits: Option<bool>,
    },
    /// An array of the answer has another shape.
    WrongShape {
        /// Its name.
        array: String,
        /// Both shapes.
        #[serde(flatten)]
        shapes: WrongShape,
    },
    /// The answer lacks an array.
    Missing {
        /// Its name.
        array: String,
    },
    /// The variant could not answer.
    Failed {
        /// Why.
        reason: String,
    },
    /// The question does not fit the variant; it counts neither way.
    NotAsked {
        /// Why.
        reason: String,
    },
}

/// The facts about one array.
#[derive(Debug, Clone, Serialize)]
pub struct ArrayResult {
    /// Its name.
    pub name: String,
    /// The facts.
    #[serde(flatten)]
    pub facts: Comparison,
}

/// Whether the largest error is within what the variant's rounding explains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "judgement", rename_all = "snake_case")]
pub enum Judgement {
    /// No difference at all.
    Exact,
    /// Within the budget or the author's tolerance.
    AsDeclared,
    /// Beyond it.
    Beyond {
        /// The largest error allowed, where one number says it.
        allowed: Option<f64>,
    },
    /// Nothing says what to expect of this variant here.
    NotJudged,
}

impl Outcome {
    /// Whether the case was asked at all.
    pub fn was_asked(&self) -> bool {
        !matches!(self, Self::NotAsked { .. })
    }

    /// Whether the answer agrees at the rung.
    pub fn passes(&self, rung: usize) -> bool {
        matches!(self, Self::Compared { passes, .. } if passes.get(rung) == Some(&true))
    }

    /// Whether this is a disagreement: an answer beyond its budget, of the wrong shape, missing, failed, or a
    /// twin with other bits.
    pub fn disagrees(&self) -> bool {
        match self {
            Self::Compared { judgement, same_bits, .. } => {
                matches!(judgement, Judgement::Beyond { .. }) || *same_bits == Some(false)
            }
            Self::NotAsked { .. } => false,
            Self::WrongShape { .. } | Self::Missing { .. } | Self::Failed { .. } => true,
        }
    }

    /// The array with the largest absolute error, if any element differs.
    pub fn worst(&self) -> Option<&ArrayResult> {
        let Self::Compared { arrays, .. } = self else { return None };
        let mut worst: Option<&ArrayResult> = None;
        for array in arrays {
            if err(array) > worst.map_or(0.0, err) {
                worst = Some(array);
            }
        }
        worst
    }
}

fn err(array: &ArrayResult) -> f64 {
    array.facts.worst_abs.as_ref().map_or(0.0, |worst| worst.err)
}
