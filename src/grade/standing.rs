//! How an item stands, in one of a few fixed words: all that students read of a hidden case beside its points.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How a case, a property or a number stands. No submission has a word in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing(&'static str);

/// All there are.
const WORDS: &[&str] = &[
    // Answers that were compared.
    "agrees",
    "exact",
    "rounding",
    "explained",
    "beyond its tolerance",
    "other bits",
    "suspicious",
    "not rounding",
    "not finite",
    "wrong shape",
    "missing array",
    "nothing compared",
    // Programs that did not answer.
    "answered",
    "unsupported",
    "failed",
    "broke the protocol",
    "crashed",
    "timed out",
    "over its limit",
    // Properties.
    "holds",
    "broken",
    "not alive",
    "not asked",
    // Numbers on paper.
    "no answer",
    "wrong",
];

impl Standing {
    /// The one in these words.
    ///
    /// # Errors
    /// Other words.
    pub(super) fn of(words: &str) -> Result<Self> {
        let known = WORDS.iter().find(|known| **known == words);
        known.map(|known| Self(known)).ok_or_else(|| Error::ask(format!("nothing stands as \"{words}\"")))
    }

    /// The words.
    pub const fn words(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let words = String::deserialize(deserializer)?;
        Self::of(&words).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Standing as Judged;

    #[test]
    fn whatever_the_judge_says_is_among_them_and_nothing_else_is() {
        for judged in [
            Judged::Exact,
            Judged::Rounding,
            Judged::Explained,
            Judged::BeyondTolerance,
            Judged::OtherBits,
            Judged::Suspicious,
            Judged::NotRounding,
            Judged::WrongShape,
            Judged::MissingArray,
            Judged::NotFinite,
            Judged::Failed,
            Judged::NotAsked,
        ] {
            assert_eq!(Standing::of(judged.words()).unwrap().words(), judged.words());
        }
        let read = |json: &str| serde_json::from_str::<Standing>(json);
        assert_eq!(read("\"broken\"").unwrap().to_string(), "broken");
        assert!(read("\"the inputs are 1 2 3\"").is_err() && Standing::of("").is_err());
    }
}
