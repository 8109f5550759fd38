//! Which share of a class is graded here, in the words of cargo-nextest.

use super::super::submission::Submission;
use crate::error::{Error, Result};
use hmac_sha256::Hash as Sha256;

/// A share of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Of the sorted list every `count`th, from `number` on: `slice:2/8`.
    Slice {
        /// From 1 on.
        number: u64,
        /// Shares.
        count: u64,
    },
    /// Those whose name falls to it: `hash:2/8`. Who comes or goes changes nobody else's share.
    Hash {
        /// From 1 on.
        number: u64,
        /// Shares.
        count: u64,
    },
}

impl Partition {
    /// Reads `slice:2/8` or `hash:2/8`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::ask("a partition is slice:M/N or hash:M/N with M from 1 to N, such as slice:2/8");
        let (kind, share) = text.split_once(':').ok_or_else(wrong)?;
        let (number, count) = share.split_once('/').ok_or_else(wrong)?;
        let (number, count): (u64, u64) = (number.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
        if !(1..=count).contains(&number) {
            return Err(wrong());
        }
        match kind {
            "slice" => Ok(Self::Slice { number, count }),
            "hash" => Ok(Self::Hash { number, count }),
            _ => Err(wrong()),
        }
    }

    /// Its share of the submissions, which are in order.
    pub fn of(self, submissions: Vec<Submission>) -> Vec<Submission> {
        let mine = |(at, submission): &(usize, Submission)| match self {
            Self::Slice { number, count } => *at as u64 % count == number - 1,
            Self::Hash { number, count } => {
                let hash = Sha256::hash(submission.name.as_bytes());
                let first = hash.iter().take(8).fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
                first % count == number - 1
            }
        };
        submissions.into_iter().enumerate().filter(mine).map(|(_, submission)| submission).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::submission::Source;
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_shares_are_the_class_each_once() {
        let class: Vec<Submission> = (0..50)
            .map(|number| Submission {
                name: format!("student_{number:02}"),
                folder: PathBuf::new(),
                source: Source::Command,
            })
            .collect();
        for kind in ["slice", "hash"] {
            let share = |number| Partition::parse(&format!("{kind}:{number}/4")).unwrap().of(class.clone());
            let mut all: Vec<Submission> = (1..=4).flat_map(share).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            assert_eq!(all, class, "{kind}");
            assert!((5..=20).contains(&share(2).len()), "{kind}");
        }
        for wrong in ["slice:0/4", "slice:5/4", "slice:1/0", "count:1/4", "slice:1", "1/4", "hash:a/b"] {
            assert!(Partition::parse(wrong).is_err(), "{wrong}");
        }
    }
}
