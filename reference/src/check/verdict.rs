//! The judge's opinion of one answer: its words, and what they rest on.
//!
//! A [`Comparison`](super::Comparison) holds facts; a [`Judged`] says what they mean.

use crate::num::json_number;
use serde::{Deserialize, Serialize};

/// What an answer is found to be, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No element differs.
    Exact,
    /// Every error is within 1.5 R, the estimate of what rounding does, and the errors have no bias.
    Rounding,
    /// Every error is within C, the centred bound: rounding can do this.
    Explained,
    /// Within W, the worst case, but beyond C; or within the bounds with a signed bias that rounding does not have.
    Suspicious,
    /// Some error is beyond W: no rounding in the declared formats does this.
    NotRounding,
    /// An array has another shape, or is missing.
    WrongShape,
    /// NaN or an infinity on one side and not on the other.
    NotFinite,
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 7] = [
        Self::Exact,
        Self::Rounding,
        Self::Explained,
        Self::Suspicious,
        Self::NotRounding,
        Self::WrongShape,
        Self::NotFinite,
    ];

    /// The words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Rounding => "rounding",
            Self::Explained => "explained",
            Self::Suspicious => "suspicious",
            Self::NotRounding => "not rounding",
            Self::WrongShape => "wrong shape",
            Self::NotFinite => "not finite",
        }
    }

    /// Whether rounding in the declared formats accounts for the answer.
    pub const fn is_rounding(self) -> bool {
        matches!(self, Self::Exact | Self::Rounding | Self::Explained)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.words())
    }
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", try_from = "BasisFields")]
pub enum Basis {
    /// Bounds computed for each element of the operation.
    Bounds,
    /// Perturbed re-evaluations of the same model: for whole models the bounds explode.
    Floor {
        /// How many.
        evaluations: usize,
    },
}

/// A [`Basis`] as it is read: serde would let surplus fields beside `bounds` pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BasisFields {
    kind: BasisKind,
    evaluations: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum BasisKind {
    Bounds,
    Floor,
}

impl TryFrom<BasisFields> for Basis {
    type Error = &'static str;

    fn try_from(fields: BasisFields) -> Result<Self, Self::Error> {
        match (fields.kind, fields.evaluations) {
            (BasisKind::Bounds, None) => Ok(Self::Bounds),
            (BasisKind::Floor, Some(evaluations)) => Ok(Self::Floor { evaluations }),
            (BasisKind::Bounds, Some(_)) => Err("a basis of bounds has no evaluations"),
            (BasisKind::Floor, None) => Err("a basis of a floor lacks its evaluations"),
        }
    }
}

/// The largest ratios of an element's error to its bounds; infinite where a bound is 0 and the error is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratios {
    /// Error over R, the 3σ estimate.
    #[serde(with = "json_number")]
    pub estimate: f64,
    /// Error over C, the centred bound.
    #[serde(with = "json_number")]
    pub centred: f64,
    /// Error over W, the worst case; `None` where there is none (a floor is empirical).
    #[serde(with = "json_number::optional")]
    pub worst: Option<f64>,
    /// Index of the element with the largest error over R.
    pub index: Vec<usize>,
    /// R there.
    #[serde(with = "json_number")]
    pub allowed: f64,
}

/// A signed mean of the errors, in standard deviations of what rounding would give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// Of the errors themselves: a constant added to all.
    #[serde(with = "json_number")]
    pub offset: f64,
    /// Of the errors with the sign of what is expected: a factor on all.
    #[serde(with = "json_number")]
    pub scale: f64,
}

/// The opinion about one array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The word.
    pub verdict: Verdict,
    /// What it rests on.
    pub basis: Basis,
    /// How the errors stand to the bounds; `None` where nothing is finite.
    pub ratios: Option<Ratios>,
    /// The signed means; `None` where too few elements can tell, or none differs.
    pub bias: Option<Bias>,
    /// Why, in a few words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_from_best_to_worst() {
        assert!(Verdict::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        let fine: Vec<&str> = Verdict::ALL.iter().filter(|v| v.is_rounding()).map(|v| v.words()).collect();
        assert_eq!(fine, ["exact", "rounding", "explained"]);
        assert_eq!(serde_json::to_string(&Verdict::NotRounding).unwrap(), "\"not_rounding\"");
    }
}
