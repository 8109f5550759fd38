//! Whoever is asked, wherever its code runs.

use super::{Outcome, Program, ProgramQuestion, Surroundings};
use crate::error::Result;
use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Somebody who is asked questions and answers with arrays.
///
/// A function in this process is one:
///
/// ```
/// use goldref::candidate::{Candidate, Outcome, ProgramQuestion};
/// use goldref::io::Array;
/// use std::collections::BTreeMap;
///
/// let mut doubled = |question: &ProgramQuestion| match question.inputs.get("x") {
///     Some(x) => Outcome::of(BTreeMap::from([("out".to_string(), Array::F64(x.to_f64() * 2.0))])),
///     None => Outcome::Unsupported("there is no x".to_string()),
/// };
/// let inputs = BTreeMap::from([("x".to_string(), Array::F64(ndarray::arr1(&[1.0, 2.0]).into_dyn()))]);
/// let question = ProgramQuestion { op: "double", params: &serde_json::Value::Null, model: None, inputs: &inputs };
/// assert!(matches!(doubled.answer(&question)?, Outcome::Answered { .. }));
/// # Ok::<(), goldref::error::Error>(())
/// ```
pub trait Candidate {
    /// Answers one question.
    ///
    /// # Errors
    /// The question could not be asked at all; whatever the candidate does is an [`Outcome`].
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome>;
}

/// A function of this process; a panic is an outcome like a crash.
impl<F: FnMut(&ProgramQuestion) -> Outcome> Candidate for F {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        // What the function leaves half done is its own.
        let answered = catch_unwind(AssertUnwindSafe(|| self(question)));
        Ok(answered.unwrap_or_else(|panic| Outcome::Crashed(format!("it panicked: {}", message(panic.as_ref())))))
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// How long one process of a program lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// All questions, unless it ends before.
    #[default]
    AllQuestions,
    /// One question: nothing can be kept from one to the next.
    OneQuestion,
}

/// A program that is started anew after it crashed, broke the protocol, used or took too much: one question must not spoil the next.
#[derive(Debug)]
pub struct Restarted {
    command: Vec<OsString>,
    surroundings: Surroundings,
    lifetime: Lifetime,
    limit: Duration,
    program: Option<Program>,
}

impl Restarted {
    /// Starts `command`, which may take `limit` for each question.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn start(command: &[OsString], limit: Duration) -> Result<Self> {
        let mut program = Self::of(command, &Surroundings::default(), Lifetime::default(), limit);
        program.program()?;
        Ok(program)
    }

    /// The same in `surroundings`, for so long; it starts when it is first asked.
    pub fn of(command: &[OsString], surroundings: &Surroundings, lifetime: Lifetime, limit: Duration) -> Self {
        Self { command: command.to_vec(), surroundings: surroundings.clone(), lifetime, limit, program: None }
    }

    /// Ends the program that runs; the next question starts another.
    pub fn end(&mut self) {
        self.program = None;
    }

    /// What each further question may take.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The running program, for a question that it is asked by somebody else.
    ///
    /// # Errors
    /// As [`Program::start_in`].
    pub fn program(&mut self) -> Result<&mut Program> {
        let program = match self.program.take() {
            Some(program) => program,
            None => Program::start_in(&self.command, &self.surroundings)?,
        };
        Ok(self.program.insert(program))
    }
}

impl Candidate for Restarted {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        let limit = self.limit;
        let outcome = self.program()?.ask(question, limit)?;
        if outcome.ends_the_program() || self.lifetime == Lifetime::OneQuestion {
            self.program = None;
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_panic_is_an_outcome_and_the_next_question_is_asked() {
        let mut asked = 0;
        let mut candidate = |question: &ProgramQuestion| {
            asked += 1;
            assert!(question.op == "known", "no {}", question.op);
            Outcome::of(BTreeMap::new())
        };
        let inputs = BTreeMap::new();
        let question = |op| ProgramQuestion { op, params: &serde_json::Value::Null, model: None, inputs: &inputs };
        assert!(
            matches!(candidate.answer(&question("else")), Ok(Outcome::Crashed(why)) if why == "it panicked: no else")
        );
        assert!(matches!(candidate.answer(&question("known")), Ok(Outcome::Answered { .. })));
        assert_eq!(asked, 2);
    }
}
