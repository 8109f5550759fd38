//! Whoever answers for a submission: a program, files, or nobody.

use super::files::is_plain_file;
use super::submission::Startable;
use crate::candidate::{Candidate, Lifetime, Outcome, Program, ProgramQuestion, Restarted};
use crate::error::Result;
use crate::io::npz;
use crate::suite::Exam;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whoever answers for a submission.
pub(super) enum Respondent {
    /// A program.
    Program(Box<Asking>),
    /// Files in a folder.
    Files(PathBuf),
    /// It cannot be asked, and why.
    Nobody(String),
}

/// A program that is asked.
pub(super) struct Asking {
    startable: Startable,
    lifetime: Lifetime,
    /// What the next question may take.
    limit: Duration,
    running: Option<Restarted>,
    /// Questions in a row that it did not survive.
    ended: usize,
}

/// After so many questions in a row that a program did not survive, it is not asked the others of the part: they would take as long.
const PATIENCE: usize = 3;

impl Asking {
    /// Asks what is started so, when it is first asked.
    pub(super) fn new(startable: Startable, lifetime: Lifetime, limit: Duration) -> Self {
        Self { startable, lifetime, limit, running: None, ended: 0 }
    }

    fn running(&mut self) -> Result<&mut Restarted> {
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                let Startable { command, surroundings, .. } = &self.startable;
                Restarted::start_in(command, surroundings, self.lifetime, self.limit)?
            }
        };
        let running = self.running.insert(running);
        running.set_limit(self.limit);
        Ok(running)
    }
}

impl Candidate for Asking {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        if self.ended >= PATIENCE {
            let why = format!("it was not asked any more, for it did not survive {PATIENCE} questions in a row");
            return Ok(Outcome::Crashed(why));
        }
        let running = match self.running() {
            Ok(running) => running,
            // Without a sandbox a program that is not there is found out at once.
            Err(e) => return Ok(Outcome::Crashed(e.to_string())),
        };
        let outcome = running.answer(question)?;
        let survived = matches!(outcome, Outcome::Answered { .. } | Outcome::Unsupported(_) | Outcome::Failed(_));
        self.ended = if survived { 0 } else { self.ended + 1 };
        Ok(outcome)
    }
}

impl Respondent {
    /// Another part begins: what it did not survive may be no part of that.
    pub(super) fn begin_part(&mut self) {
        if let Self::Program(asking) = self {
            asking.ended = 0;
        }
    }

    /// The answer to a case.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn ask(&mut self, exam: &Exam, limit: Duration) -> Result<Outcome> {
        match self {
            Self::Nobody(why) => Ok(Outcome::Failed(why.clone())),
            Self::Files(folder) => Ok(from_file(folder, exam)),
            Self::Program(asking) => {
                asking.limit = limit;
                exam.ask(asking.as_mut())
            }
        }
    }

    /// The program as somebody who can be asked anything; `None` where there is none.
    pub(super) fn candidate(&mut self) -> Option<&mut dyn Candidate> {
        match self {
            Self::Program(asking) => Some(asking.as_mut()),
            Self::Files(_) | Self::Nobody(_) => None,
        }
    }

    /// The running program, to be asked with this limit; `Err`: why there is none.
    pub(super) fn program(&mut self, limit: Duration) -> std::result::Result<&mut Program, String> {
        match self {
            Self::Nobody(why) => Err(why.clone()),
            Self::Files(_) => Err("files have no speed".to_string()),
            Self::Program(asking) => {
                asking.limit = limit;
                asking.running().and_then(Restarted::program).map_err(|e| e.to_string())
            }
        }
    }

    /// The program may have ended without anybody's notice; the next question starts it anew.
    pub(super) fn give_up(&mut self) {
        if let Self::Program(asking) = self {
            asking.running = None;
        }
    }
}

/// The answer in a file, which may be anything.
fn from_file(folder: &Path, exam: &Exam) -> Outcome {
    let name = format!("{}.npz", exam.case().name);
    let path = folder.join(&name);
    // No link on the way: it could name what is expected.
    let real = path.canonicalize().is_ok_and(|real| real == path);
    if !(real && is_plain_file(&path)) {
        return Outcome::BadAnswer(format!("there is no file {name}"));
    }
    match npz::read(&path) {
        Ok(arrays) => Outcome::of(arrays),
        Err(e) => Outcome::BadAnswer(e.to_string().replace(&*path.to_string_lossy(), &name)),
    }
}
