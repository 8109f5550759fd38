//! A variant as a candidate among others.

use super::answer::{Asked, Prepared, answer_question};
use super::files::as_arrays;
use crate::candidate::{Candidate, Outcome, ProgramQuestion};
use crate::error::Result;
use crate::variant::Variant;
use std::path::PathBuf;

/// Answers as a variant does; keeps the last checkpoint that it was asked about.
#[derive(Debug)]
pub struct VariantCandidate {
    variant: &'static Variant,
    prepared: Prepared,
    of: Option<PathBuf>,
}

impl VariantCandidate {
    /// The variant, with no checkpoint read yet.
    pub fn new(variant: &'static Variant) -> Self {
        Self { variant, prepared: Prepared::default(), of: None }
    }
}

impl Candidate for VariantCandidate {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        if self.of.as_deref() != question.model {
            self.of = question.model.map(PathBuf::from);
            self.prepared = Prepared::default();
        }
        Ok(match answer_question(question, self.variant, &mut self.prepared) {
            Ok(Asked::Answered(answer)) => Outcome::of(as_arrays(answer)),
            Ok(Asked::NotAsked(why)) => Outcome::Unsupported(why),
            Err(e) => Outcome::Failed(e.to_string()),
        })
    }
}
