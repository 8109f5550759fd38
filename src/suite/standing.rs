//! One word for what came of a question: the verdict, or what stands in its place.

use super::report_data::Outcome;
use crate::check::Verdict;
use serde::{Deserialize, Serialize};

/// How an answer stands, best first. A [`Verdict`] judges errors; an answer can also fail beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// [`Verdict::Exact`].
    Exact,
    /// [`Verdict::Rounding`].
    Rounding,
    /// [`Verdict::Explained`].
    Explained,
    /// Rounding accounts for it, but it is beyond the tolerance of the case's author.
    BeyondTolerance,
    /// Rounding accounts for it, but it lacks the bits of the variant that it must equal.
    OtherBits,
    /// [`Verdict::Suspicious`].
    Suspicious,
    /// [`Verdict::NotRounding`].
    NotRounding,
    /// An array has another shape.
    WrongShape,
    /// An array is missing.
    MissingArray,
    /// [`Verdict::NotFinite`].
    NotFinite,
    /// The variant could not answer.
    Failed,
    /// The question does not fit the variant.
    NotAsked,
}

impl Standing {
    /// The words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Exact => Verdict::Exact.words(),
            Self::Rounding => Verdict::Rounding.words(),
            Self::Explained => Verdict::Explained.words(),
            Self::BeyondTolerance => "beyond its tolerance",
            Self::OtherBits => "other bits",
            Self::Suspicious => Verdict::Suspicious.words(),
            Self::NotRounding => Verdict::NotRounding.words(),
            Self::WrongShape => Verdict::WrongShape.words(),
            Self::MissingArray => "missing array",
            Self::NotFinite => Verdict::NotFinite.words(),
            Self::Failed => "failed",
            Self::NotAsked => "not asked",
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.words())
    }
}

impl Outcome {
    /// How the answer stands.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Compared { verdict, same_bits, meets_tolerance, .. } => match verdict {
                Verdict::Suspicious => Standing::Suspicious,
                Verdict::NotRounding => Standing::NotRounding,
                Verdict::WrongShape => Standing::WrongShape,
                Verdict::NotFinite => Standing::NotFinite,
                _ if *same_bits == Some(false) => Standing::OtherBits,
                _ if *meets_tolerance == Some(false) => Standing::BeyondTolerance,
                Verdict::Exact => Standing::Exact,
                Verdict::Rounding => Standing::Rounding,
                Verdict::Explained => Standing::Explained,
            },
            Self::WrongShape { .. } => Standing::WrongShape,
            Self::Missing { .. } => Standing::MissingArray,
            Self::Failed { .. } => Standing::Failed,
            Self::NotAsked { .. } => Standing::NotAsked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report_data::{ErrorRatios, Outcome};
    use super::*;

    fn compared(verdict: Verdict, meets_tolerance: Option<bool>, same_bits: Option<bool>) -> Outcome {
        let (passes, arrays, error_ratios) = (Vec::new(), Vec::new(), ErrorRatios::default());
        Outcome::Compared { passes, meets_tolerance, verdict, arrays, same_bits, error_ratios }
    }

    #[test]
    fn exactly_the_disagreements_stand_worse_than_explained() {
        for verdict in Verdict::ALL {
            for flag in [None, Some(true), Some(false)] {
                for other in [None, Some(true), Some(false)] {
                    let outcome = compared(verdict, flag, other);
                    assert_eq!(outcome.disagrees(), outcome.standing() > Standing::Explained, "{outcome:?}");
                }
            }
            let plain = compared(verdict, None, None);
            assert_eq!(plain.standing().words(), verdict.words());
        }
        let failed = Outcome::Failed { reason: String::new() };
        assert_eq!((failed.disagrees(), failed.standing()), (true, Standing::Failed));
        assert_eq!(compared(Verdict::Exact, Some(false), Some(false)).standing(), Standing::OtherBits);
        assert_eq!(compared(Verdict::NotRounding, Some(false), Some(false)).standing(), Standing::NotRounding);
    }
}
