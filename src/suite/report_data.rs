//! What a run found, as plain data. Every output format is a function of it.

use super::saved::OutcomeFields;
use crate::check::{Argmax, Comparison, Judged, Ladder, ToleranceFacts, Verdict, WrongShape};
use crate::num::json_number;
use serde::{Deserialize, Serialize};

/// The value of `format` that this version writes and reads.
pub const FORMAT: &str = "goldref-run/1";

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
    /// `goldref-run/1`.
    pub format: String,
    /// Version of goldref.
    pub goldref: String,
    /// Processor family, because speed depends on it; the numbers do not.
    pub arch: String,
    /// The folder of the fixtures as the user named it; `None` for the bundled ones.
    pub fixtures: Option<String>,
    /// Who answered, as arguments of the command line, `["--", "python", "student.py"]`; `None` for goldref's own variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Vec<String>>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteCount {
    /// Name.
    pub name: String,
    /// Selected cases.
    pub cases: usize,
}

/// A variant as a report names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantAbout {
    /// Name.
    pub name: String,
    /// What it rounds.
    pub about: String,
    /// The variant it must equal to the bit.
    pub twin_of: Option<String>,
}

/// One variant's answer to one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// Name of the variant.
    pub variant: String,
    /// `suite/id`.
    pub case: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "OutcomeFields")]
pub enum Outcome {
    /// Every expected array was there in its shape.
    Compared {
        /// For each rung, whether every element of every array agrees.
        passes: Vec<bool>,
        /// Whether the answer is within the tolerance of the case's author; `None` where there is none, or where
        /// the variant's format cannot meet it.
        meets_tolerance: Option<bool>,
        /// The worst verdict of the arrays.
        verdict: Verdict,
        /// The facts and the opinion, array by array.
        arrays: Vec<ArrayResult>,
        /// For a twin: whether its answers have the bits of the variant it must equal.
        same_bits: Option<bool>,
        /// The error of the main output against that of other evaluations in the same format.
        error_ratios: ErrorRatios,
    },
    /// An array of the answer has another shape.
    WrongShape {
        /// Its name.
        array: String,
        /// Both shapes.
        shapes: WrongShape,
        /// What came of the other arrays.
        #[serde(flatten)]
        beside: Beside,
    },
    /// The answer lacks an array.
    Missing {
        /// Its name.
        array: String,
        /// What came of the other arrays.
        #[serde(flatten)]
        beside: Beside,
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

/// The arrays of an answer beside the first one that is missing or has another shape: none of them is hidden by it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Beside {
    /// Further arrays that are missing or have another shape.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Unfit>,
    /// Those that could be compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<ArrayResult>,
}

/// An array that could not be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unfit {
    /// Its name.
    pub array: String,
    /// Both shapes; `None` where it is missing.
    pub shapes: Option<WrongShape>,
}

/// The facts about one array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayResult {
    /// Its name.
    pub name: String,
    /// Format of the expected values: `f64`, `bf16`, `i64` …
    pub dtype: String,
    /// The facts.
    pub facts: Comparison,
    /// The opinion.
    pub judged: Judged,
    /// Whether the tolerances of the ladder make sense for this array, and which would.
    pub tolerance: ToleranceFacts,
    /// For logits: whether the likeliest token changes.
    pub argmax: Option<Argmax>,
}

impl ArrayResult {
    /// Whether these are generated tokens: their differences are no errors, and the opinion says where the first wrong one is.
    pub fn is_tokens(&self) -> bool {
        self.name == "tokens"
    }
}

/// Largest error of the main output over that of somebody else: FlashAttention's tests ask for at most 2
/// (Dao-AILab/flash-attention#410).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRatios {
    /// Over the error of the plain variant of the same format on this case.
    #[serde(with = "json_number::optional")]
    pub plain: Option<f64>,
    /// Over PyTorch's own error on this case, the `baseline` of the fixture.
    #[serde(with = "json_number::optional")]
    pub pytorch: Option<f64>,
}

impl Outcome {
    /// The same outcome with what only the answer of the original can tell.
    pub(super) fn with_same_bits(mut self, bits: Option<bool>) -> Self {
        if let Self::Compared { same_bits, .. } = &mut self {
            *same_bits = bits;
        }
        self
    }

    /// Whether the case was asked at all.
    pub fn was_asked(&self) -> bool {
        !matches!(self, Self::NotAsked { .. })
    }

    /// Whether the answer agrees at the rung.
    pub fn passes(&self, rung: usize) -> bool {
        matches!(self, Self::Compared { passes, .. } if passes.get(rung) == Some(&true))
    }

    /// Whether this is a disagreement: an answer that rounding does not account for, beyond its author's
    /// tolerance, of the wrong shape, missing, failed, or a twin with other bits.
    pub fn disagrees(&self) -> bool {
        match self {
            Self::Compared { verdict, meets_tolerance, same_bits, .. } => {
                !verdict.is_rounding() || *meets_tolerance == Some(false) || *same_bits == Some(false)
            }
            Self::NotAsked { .. } => false,
            Self::WrongShape { .. } | Self::Missing { .. } | Self::Failed { .. } => true,
        }
    }

    /// The verdict: the worst of the arrays; `None` where there is no answer to judge.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Compared { verdict, .. } => Some(*verdict),
            Self::WrongShape { .. } | Self::Missing { .. } => Some(Verdict::WrongShape),
            Self::Failed { .. } | Self::NotAsked { .. } => None,
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
