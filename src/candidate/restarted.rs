//! A program as a candidate: started when it is first asked, and anew after it ended.

use super::{Candidate, Ended, Outcome, Program, ProgramQuestion, Surroundings};
use crate::error::Result;
use std::ffi::OsString;
use std::time::Duration;

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
    /// What is known of those that have ended.
    ended: Ended,
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
        Self {
            command: command.to_vec(),
            surroundings: surroundings.clone(),
            lifetime,
            limit,
            program: None,
            ended: Ended::default(),
        }
    }

    /// Ends the program that runs; the next question starts another.
    pub fn end(&mut self) {
        let Some(program) = self.program.take() else { return };
        let Ended { cpu, refused } = program.finish();
        self.ended.cpu += cpu;
        self.ended.refused = self.ended.refused.take().or(refused);
    }

    /// Ends the program that runs; what is known of it and of all before it.
    pub fn finish(mut self) -> Ended {
        self.end();
        self.ended
    }

    /// Goes on where others ended: all together have the CPU time that one may have.
    pub fn after(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// The surroundings of the next one: all programs together have the CPU time that one may have.
    fn left(&self) -> Surroundings {
        let mut surroundings = self.surroundings.clone();
        if let Some(sandbox) = &mut surroundings.sandbox {
            sandbox.confinement.spent = self.ended.cpu;
        }
        surroundings
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
            None => Program::start_in(&self.command, &self.left())?,
        };
        Ok(self.program.insert(program))
    }
}

impl Candidate for Restarted {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        let limit = self.limit;
        let outcome = self.program()?.ask(question, limit)?;
        if outcome.ends_the_program() || self.lifetime == Lifetime::OneQuestion {
            self.end();
        }
        Ok(outcome)
    }
}
