//! What is asked of a candidate, and what comes of it.

use crate::io::Array;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct ProgramQuestion<'a> {
    /// What is asked: an operation, `model`, or `generate`.
    pub op: &'a str,
    /// Its parameters.
    pub params: &'a Value,
    /// Folder of the checkpoint, where there is one.
    pub model: Option<&'a Path>,
    /// Its arrays.
    pub inputs: &'a BTreeMap<String, Array>,
}

/// What came of a question. Each of these is another thing to tell the author of the program.
#[derive(Debug)]
pub enum Outcome {
    /// It answered.
    Answered {
        /// The arrays it wrote.
        arrays: BTreeMap<String, Array>,
        /// From the line with the question to the line with the answer.
        took: Duration,
    },
    /// It says that it does not answer such questions.
    Unsupported(String),
    /// It says that it failed.
    Failed(String),
    /// It broke the protocol: how.
    BadAnswer(String),
    /// It ended: how, and the last of what it wrote to standard error.
    Crashed(String),
    /// It took longer than this.
    TimedOut(Duration),
    /// It was ended because it used too much: of what, and how much.
    OverLimit(String),
}

#[cfg(feature = "properties")]
/// How many numbers arrays hold together.
pub(crate) fn numbers_in(arrays: &BTreeMap<String, Array>) -> usize {
    arrays.values().fold(0, |sum, array| sum.saturating_add(array.len()))
}

impl Outcome {
    /// These arrays, whenever they came.
    pub fn of(arrays: BTreeMap<String, Array>) -> Self {
        Self::Answered { arrays, took: Duration::ZERO }
    }

    /// One sentence, without what was answered.
    pub fn in_words(&self) -> String {
        match self {
            Self::Answered { took, .. } => format!("answered after {:.3} s", took.as_secs_f64()),
            Self::Unsupported(why) => format!("does not answer this: {why}"),
            Self::Failed(why) => format!("failed: {why}"),
            Self::BadAnswer(how) => format!("did not answer as the protocol asks: {how}"),
            Self::Crashed(how) => format!("ended before it answered: {how}"),
            Self::TimedOut(limit) => format!("did not answer within {} s", limit.as_secs_f64()),
            Self::OverLimit(what) => format!("used {what} and was ended"),
        }
    }

    #[cfg(feature = "candidates")]
    /// Whether nothing more can be asked of the program that gave it: it has ended, or does not follow the protocol.
    pub(super) fn ends_the_program(&self) -> bool {
        match self {
            Self::Answered { .. } | Self::Unsupported(_) | Self::Failed(_) => false,
            Self::BadAnswer(_) | Self::Crashed(_) | Self::TimedOut(_) | Self::OverLimit(_) => true,
        }
    }
}
