//! Whoever answers for a submission: a program, files, or nobody.

use super::files::own_file;
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
    running: Restarted,
    /// Questions in a row that it did not survive.
    ended: usize,
    /// What it was made of lasts as long as it does.
    _startable: Startable,
}

/// After so many questions in a row that a program did not survive, it is not asked the others of the part: they would take as long.
const PATIENCE: usize = 3;

impl Asking {
    /// Asks what is started so, when it is first asked.
    pub(super) fn new(startable: Startable, lifetime: Lifetime, limit: Duration) -> Self {
        let running = Restarted::of(&startable.command, &startable.surroundings, lifetime, limit);
        Self { running, ended: 0, _startable: startable }
    }
}

impl Candidate for Asking {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        if self.ended >= PATIENCE {
            let why = format!("it was not asked any more, for it did not survive {PATIENCE} questions in a row");
            return Ok(Outcome::Crashed(why));
        }
        // Without a sandbox a program that is not there is found out at once.
        if let Err(e) = self.running.program() {
            return Ok(Outcome::Crashed(e.to_string()));
        }
        let outcome = self.running.answer(question)?;
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
                asking.running.set_limit(limit);
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

    /// The running program; `Err`: why there is none.
    pub(super) fn program(&mut self) -> std::result::Result<&mut Program, String> {
        match self {
            Self::Nobody(why) => Err(why.clone()),
            Self::Files(_) => Err("files have no speed".to_string()),
            Self::Program(asking) => asking.running.program().map_err(|e| e.to_string()),
        }
    }

    /// The program may have ended without anybody's notice; the next question starts it anew.
    pub(super) fn give_up(&mut self) {
        if let Self::Program(asking) = self {
            asking.running.end();
        }
    }
}

/// The answer in a file, which may be anything.
fn from_file(folder: &Path, exam: &Exam) -> Outcome {
    let name = format!("{}.npz", exam.case().name);
    // A link could name what is expected.
    let Some(path) = own_file(folder, Path::new(&name)) else {
        return Outcome::BadAnswer(format!("there is no file {name}"));
    };
    match npz::read(&path) {
        Ok(arrays) => Outcome::of(arrays),
        Err(e) => Outcome::BadAnswer(e.to_string().replace(&*path.to_string_lossy(), &name)),
    }
}
