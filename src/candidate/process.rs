//! One program, started once and asked many questions.

use super::lines::{Line, Tail, lines};
use super::protocol::{AnswerLine, Outcome, PROTOCOL, ProgramQuestion, QuestionLine, Status, shortened};
use crate::error::{Error, Result};
use crate::io::npz;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a program may take to end once nothing more is asked of it.
const FAREWELL: Duration = Duration::from_millis(500);

/// A running program.
///
/// It runs as the user who runs goldref, with that user's rights. On Unix it leads a process group of its own, which ends with this value:
/// what the program started ends with it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// `None` once the program is given up.
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    stderr: Tail,
    scratch: TempDir,
    asked: u64,
}

impl Program {
    /// Starts `command`, the program's name and its arguments.
    ///
    /// # Errors
    /// No command, or one that cannot be started.
    pub fn start(command: &[OsString]) -> Result<Self> {
        let [program, args @ ..] = command else { return Err(Error::ask("no program was named")) };
        let name = program.to_string_lossy().into_owned();
        let mut starting = Command::new(program);
        starting.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut starting, 0);
        let scratch = TempDir::new().map_err(|e| Error::ask(format!("no temporary folder can be made: {e}")))?;
        let mut child =
            starting.spawn().map_err(|e| Error::ask(format!("the program \"{name}\" cannot be started: {e}")))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::ask(format!("the program \"{name}\" has no standard streams")));
        };
        let (lines, stderr) = (lines(stdout), Tail::of(stderr));
        Ok(Self { name, child, stdin: Some(stdin), lines, stderr, scratch, asked: 0 })
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks one question and waits for the answer, at most so long. After a crash, a broken protocol or a time-out the program is ended,
    /// and every later question is answered by [`Outcome::Crashed`].
    ///
    /// # Errors
    /// Inputs that cannot be written to the temporary folder.
    pub fn ask(&mut self, question: &ProgramQuestion, limit: Duration) -> Result<Outcome> {
        self.asked += 1;
        let id = self.asked.to_string();
        let inputs = self.scratch.path().join(format!("{id}_inputs.npz"));
        let outputs = self.scratch.path().join(format!("{id}_outputs.npz"));
        npz::write(&inputs, question.inputs)?;
        let line = QuestionLine {
            protocol: PROTOCOL,
            id: &id,
            op: question.op,
            params: question.params,
            model: question.model,
            inputs: &inputs,
            outputs: &outputs,
        };
        let mut line = serde_json::to_vec(&line).map_err(Error::ask)?;
        line.push(b'\n');
        let outcome = self.exchange(&line, &id, &outputs, limit);
        if matches!(outcome, Outcome::BadAnswer(_) | Outcome::Crashed(_) | Outcome::TimedOut(_)) {
            self.end();
        }
        // What stays behind of a question is of no use to the next one.
        let _ = std::fs::remove_file(&inputs);
        let _ = std::fs::remove_file(&outputs);
        Ok(outcome)
    }

    fn exchange(&mut self, line: &[u8], id: &str, outputs: &Path, limit: Duration) -> Outcome {
        match self.lines.try_recv() {
            Err(TryRecvError::Empty) => (),
            Ok(_) => return Outcome::BadAnswer("it wrote a line before it was asked".to_string()),
            Err(TryRecvError::Disconnected) => return self.crashed(),
        }
        let begin = Instant::now();
        let written = self.stdin.as_mut().map(|stdin| stdin.write_all(line).and_then(|()| stdin.flush()));
        if !matches!(written, Some(Ok(()))) {
            return self.crashed();
        }
        let answer = match self.lines.recv_timeout(limit) {
            Ok(Line::Text(answer)) => answer,
            Ok(Line::TooLong) => return Outcome::BadAnswer("its line is longer than 64 KiB".to_string()),
            Err(RecvTimeoutError::Timeout) => return Outcome::TimedOut(limit),
            Err(RecvTimeoutError::Disconnected) => return self.crashed(),
        };
        let took = begin.elapsed();
        let answer = match AnswerLine::read(&answer, id) {
            Ok(answer) => answer,
            Err(how) => return Outcome::BadAnswer(how),
        };
        match answer.status {
            Status::Unsupported => Outcome::Unsupported(shortened(&answer.message)),
            Status::Error => Outcome::Failed(shortened(&answer.message)),
            Status::Ok => read_outputs(outputs, took),
        }
    }

    fn crashed(&mut self) -> Outcome {
        let ended = match self.wait(FAREWELL) {
            Some(status) => status.to_string(),
            None => "it closed its standard output".to_string(),
        };
        // It has ended, but what it wrote last may not be read yet.
        let said = self.stderr.text_at_end(FAREWELL);
        let last = said.lines().next_back().unwrap_or("it wrote nothing to standard error");
        Outcome::Crashed(format!("{ended}; {last}"))
    }

    /// The status of a program that ends within `limit`.
    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begin.elapsed() < limit => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Ends the program and what it started.
    fn end(&mut self) {
        self.stdin = None;
        #[cfg(target_os = "linux")]
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // The group may be gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input tells a program to end; what it started need not have noticed.
        if self.stdin.take().is_some() {
            self.wait(FAREWELL);
        }
        self.end();
    }
}

fn read_outputs(outputs: &Path, took: Duration) -> Outcome {
    // A link could name any file that goldref may read.
    let is_file = std::fs::symlink_metadata(outputs).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Outcome::BadAnswer("it said ok and wrote no file of outputs".to_string());
    }
    match npz::read(outputs) {
        Ok(arrays) => Outcome::Answered { arrays, took },
        Err(error) => Outcome::BadAnswer(error.to_string()),
    }
}
