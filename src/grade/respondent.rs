//! Whoever answers for a submission: a program, files, or nobody.

use super::files::own_file;
use super::stage::Stage;
use super::submission::Startable;
use crate::candidate::{Candidate, Ended, LentFolder, Lifetime, Outcome, Program, ProgramQuestion, Restarted};
use crate::error::Result;
use crate::io::npz;
use crate::suite::Exam;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What answers for a submission: of this a respondent is started for each stage.
pub(super) enum Answering {
    /// A program; what it may take for a question, and for all of a stage.
    Program(Box<Startable>, Lifetime, [Duration; 2]),
    /// Files in a folder.
    Files(PathBuf),
    /// It cannot be asked, and why.
    Nobody(String),
}

impl Answering {
    /// Who answers in a stage: of a program another process than in any other stage, with a temporary folder of its own. It starts when it is first asked.
    /// `ended` is what is known of processes before it, whose CPU time counts as well.
    pub(super) fn respondent(&self, stage: Stage, ended: &Ended) -> Respondent<'_> {
        let who = match self {
            Self::Program(startable, lifetime, [limit, patience]) => {
                let surroundings = startable.surroundings(stage);
                let mut running = Restarted::of(&startable.command, &surroundings, *lifetime, *limit);
                running.after(ended.clone());
                let confined = surroundings.sandbox.is_some();
                let (waited, patience) = (Duration::ZERO, *patience);
                Who::Program(Box::new(Asking { running, confined, ended: 0, waited, patience }))
            }
            Self::Files(folder) => Who::Files(folder),
            Self::Nobody(why) => Who::Nobody(why),
        };
        Respondent { stage, who }
    }
}

/// Whoever answers for a submission in one stage.
pub(super) struct Respondent<'a> {
    stage: Stage,
    who: Who<'a>,
}

enum Who<'a> {
    Program(Box<Asking>),
    Files(&'a Path),
    Nobody(&'a str),
}

/// A program that is asked.
struct Asking {
    running: Restarted,
    /// Whether it is in a sandbox.
    confined: bool,
    /// Questions in a row that it did not survive.
    ended: usize,
    /// For all of its questions, and what it may be.
    waited: Duration,
    patience: Duration,
}

impl Asking {
    /// The running program; `Ok(Err(..))`: why it cannot be started.
    ///
    /// # Errors
    /// Where no program could be: a confined one begins as goldref itself, and another one needs a temporary folder at least.
    fn started(&mut self) -> Result<std::result::Result<&mut Program, String>> {
        match self.running.program() {
            Ok(program) => Ok(Ok(program)),
            Err(e) if self.confined || LentFolder::new("").is_err() => Err(e),
            Err(e) => Ok(Err(e.to_string())),
        }
    }
}

/// After so many questions in a row that a program did not survive, it is not asked the others of the part: they would take as long.
const PATIENCE: usize = 3;

impl Candidate for Asking {
    fn answer(&mut self, question: &ProgramQuestion) -> Result<Outcome> {
        if self.ended >= PATIENCE {
            let why = format!("it was not asked any more, for it did not survive {PATIENCE} questions in a row");
            return Ok(Outcome::Crashed(why));
        }
        if self.waited >= self.patience {
            return Ok(Outcome::OverLimit(format!(
                "more than {} s for all questions together",
                self.patience.as_secs()
            )));
        }
        if let Err(why) = self.started()? {
            return Ok(Outcome::Crashed(why));
        }
        let begin = Instant::now();
        let outcome = self.running.answer(question)?;
        self.waited += begin.elapsed();
        let survived = matches!(outcome, Outcome::Answered { .. } | Outcome::Unsupported(_) | Outcome::Failed(_));
        self.ended = if survived { 0 } else { self.ended + 1 };
        Ok(outcome)
    }
}

impl Respondent<'_> {
    /// The stage that it answers in.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Another part begins: what it did not survive may be no part of that. `ended` is what an earlier stage has found of this one.
    pub(super) fn begin_part(&mut self, ended: usize) {
        if let Who::Program(asking) = &mut self.who {
            asking.ended = ended;
        }
    }

    /// Questions in a row that it did not survive.
    pub(super) fn ended(&self) -> usize {
        if let Who::Program(asking) = &self.who { asking.ended } else { 0 }
    }

    /// The answer to a case.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn ask(&mut self, exam: &Exam, limit: Duration) -> Result<Outcome> {
        match &mut self.who {
            Who::Nobody(why) => Ok(Outcome::Failed(why.to_string())),
            Who::Files(folder) => Ok(from_file(folder, exam)),
            Who::Program(asking) => {
                asking.running.set_limit(limit);
                exam.ask(asking.as_mut())
            }
        }
    }

    /// The program as somebody who can be asked anything; `None` where there is none.
    pub(super) fn candidate(&mut self) -> Option<&mut dyn Candidate> {
        match &mut self.who {
            Who::Program(asking) => Some(asking.as_mut()),
            Who::Files(_) | Who::Nobody(_) => None,
        }
    }

    /// The running program; `Ok(Err(..))`: why there is none.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn program(&mut self) -> Result<std::result::Result<&mut Program, String>> {
        match &mut self.who {
            Who::Nobody(why) => Ok(Err(why.to_string())),
            Who::Files(_) => Ok(Err("files have no speed".to_string())),
            Who::Program(asking) => asking.started(),
        }
    }

    /// Ends the program; what is known of it, and of those before it.
    pub(super) fn finish(self) -> Ended {
        match self.who {
            Who::Program(asking) => asking.running.finish(),
            Who::Files(_) | Who::Nobody(_) => Ended::default(),
        }
    }

    /// Ends the program, which may have ended without anybody's notice; the next question starts it anew.
    pub(super) fn give_up(&mut self) {
        if let Who::Program(asking) = &mut self.who {
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
