//! Asks a candidate the questions of a laboratory.

use super::Laboratory;
use crate::candidate::{Candidate, Outcome};
use crate::error::{Error, Result};

/// The compared logits of each question, where there are any.
pub type Answers = Vec<Option<Vec<f64>>>;

impl Laboratory {
    /// What a candidate answers, and one sentence for each case that it does not. What it says it does not answer is no fault of it.
    ///
    /// # Errors
    /// A candidate that cannot be asked, or answers nothing.
    pub fn ask(&self, candidate: &mut dyn Candidate, progress: &dyn Fn()) -> Result<(Answers, Vec<String>)> {
        let (mut answers, mut refusals) = (Answers::new(), Vec::new());
        let mut unsupported = None;
        for question in &self.questions {
            let answer = match question.ask(candidate)? {
                Outcome::Answered { arrays, .. } => question
                    .chosen_of(arrays, self.stored)
                    .ok_or_else(|| format!("{}: an array is missing or has another shape", question.name)),
                Outcome::Unsupported(why) => {
                    unsupported.get_or_insert(why);
                    progress();
                    answers.push(None);
                    continue;
                }
                outcome => Err(format!("{}: it {}", question.name, outcome.in_words())),
            };
            answers.push(answer.map_err(|refusal| refusals.push(refusal)).ok());
            progress();
        }
        match (answers.iter().all(Option::is_none), refusals.first()) {
            (false, _) => Ok((answers, refusals)),
            (true, Some(first)) => Err(Error::ask(format!("the program answered no case about a model; {first}"))),
            (true, None) => {
                let why = unsupported.unwrap_or_default();
                Err(Error::ask(format!(
                    "no case about a model was answered; the program does not do such cases: {why}"
                )))
            }
        }
    }
}
