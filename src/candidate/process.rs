//! One program, started once and asked many questions.

use super::input::{Input, Written};
use super::lines::{Line, Lines, Next, Tail};
use super::protocol::{Outcome, ProgramQuestion};
use super::protocol_lines::{AnswerLine, PROTOCOL, QuestionLine, Status, shortened};
use super::sandbox::{Confinement, End, LentFolder, Ready, SandboxLimits};
use super::scratch::{Scratch, Unfit};
use super::surroundings::{Places, Surroundings};
use crate::error::{Error, Result};
use crate::io::limits::NpzLimits;
use crate::io::{json, npz};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Cursor, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long a program may take to end once nothing more is asked of it.
const FAREWELL: Duration = Duration::from_millis(500);
/// Of what a command says that is asked nothing: the last line of a compiler is rarely the one that tells.
const LAST_LINES: usize = 6;
/// How long a warden may take to make ready what a program runs in.
const WARDEN_BEGINS: Duration = Duration::from_secs(60);
/// How long its warden may take to end it and all that it started.
const WARDEN_ENDS: Duration = Duration::from_secs(12);

/// A running program.
///
/// Without a sandbox it runs with the rights of whoever runs goldref. On Unix it leads a process group of its own, which ends with this value:
/// what the program started ends with it. In a [`Sandbox`](super::Sandbox) nothing of it stays.
#[derive(Debug)]
pub struct Program {
    name: String,
    /// The program, or its warden.
    child: Child,
    /// `None` once the program is given up.
    stdin: Option<Input>,
    lines: Lines,
    stderr: Tail,
    /// What it may do in its sandbox.
    confinement: Option<Confinement>,
    room: Room,
    /// The folder that it writes, once its warden has made it.
    scratch: Option<Scratch>,
    asked: u64,
}

/// What is known of programs that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// CPU time of all their processes.
    pub cpu: Duration,
    /// The first system call that one of them was refused, with its first arguments: `socketpair(0x1, 0x2, 0x0, …)`.
    pub refused: Option<String>,
}

/// The files around a program: a folder that it may write, and beside it what it cannot reach.
#[derive(Debug)]
struct Room {
    folder: LentFolder,
}

/// A pipe whose reading end a program gets. Nobody may open it anew for writing: a program could fill it, or keep it from ending.
fn pipe_for_reading() -> Result<(PipeReader, PipeWriter)> {
    pipe(0o400)
}

/// A pipe whose writing end a program gets.
fn pipe_for_writing() -> Result<(PipeReader, PipeWriter)> {
    pipe(0o200)
}

fn pipe(mode: u32) -> Result<(PipeReader, PipeWriter)> {
    let unmade = |e: std::io::Error| Error::ask(format!("no pipe can be made: {e}"));
    let (reader, writer) = std::io::pipe().map_err(unmade)?;
    #[cfg(unix)]
    {
        // Both ends are one thing with one mode.
        let end = std::os::fd::OwnedFd::from(writer.try_clone().map_err(unmade)?);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        File::from(end).set_permissions(mode).map_err(unmade)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    Ok((reader, writer))
}

/// The program's name and its process; the ends of pipes that the program got are its alone.
fn spawned(mut starting: Command, command: &[OsString]) -> Result<(String, Child)> {
    let name = command.first().map_or_else(String::new, |program| program.to_string_lossy().into_owned());
    let child = starting.spawn().map_err(|e| Error::ask(format!("the program \"{name}\" cannot be started: {e}")))?;
    Ok((name, child))
}

impl Room {
    fn new() -> Result<Self> {
        let unmade = |e: std::io::Error| Error::ask(format!("no temporary folder can be made: {e}"));
        let room = Self { folder: LentFolder::new("")? };
        std::fs::create_dir(room.scratch()).map_err(unmade)?;
        std::fs::create_dir(room.questions()).map_err(unmade)?;
        Ok(room)
    }

    /// A room, and how `command` is started in it.
    fn around(command: &[OsString], surroundings: &Surroundings) -> Result<(Self, Command)> {
        let room = Self::new()?;
        let mut starting = surroundings.starting(command, &room.places())?;
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut starting, 0);
        Ok((room, starting))
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// What is asked: a confined program reads it and cannot put anything in the way of the next question.
    fn questions(&self) -> PathBuf {
        self.folder.path().join("questions")
    }

    fn places(&self) -> Places {
        let place = |name: &str| self.folder.path().join(name);
        Places {
            scratch: self.scratch(),
            questions: self.questions(),
            ready: place("ready.json"),
            end: place("end.json"),
        }
    }
}

impl Program {
    /// Starts `command`, the program's name and its arguments, with the rights of whoever runs goldref.
    ///
    /// # Errors
    /// No command, or one that cannot be started.
    pub fn start(command: &[OsString]) -> Result<Self> {
        Self::start_in(command, &Surroundings::default())
    }

    /// Starts `command` in `surroundings`.
    ///
    /// # Errors
    /// As [`Self::start`]. A confined program that cannot be started is found out by its first answer: it has ended.
    pub fn start_in(command: &[OsString], surroundings: &Surroundings) -> Result<Self> {
        let (room, mut starting) = Room::around(command, surroundings)?;
        let (questions, stdin) = pipe_for_reading()?;
        let (stdout, answers) = pipe_for_writing()?;
        let (stderr, says) = pipe_for_writing()?;
        starting.stdin(questions).stdout(answers).stderr(says);
        let (name, child) = spawned(starting, command)?;
        let confinement = surroundings.confinement().cloned();
        let (lines, stderr) = (Lines::of(stdout), Tail::of(stderr, surroundings.output_bytes()));
        let stdin = Some(Input::of(stdin).map_err(|e| Error::ask(format!("no pipe can be made: {e}")))?);
        Ok(Self { name, child, stdin, lines, stderr, confinement, room, scratch: None, asked: 0 })
    }

    /// Runs a command that is asked nothing to its end, at most so long; `None` if it ends well.
    ///
    /// # Errors
    /// As [`Self::start_in`].
    pub fn run_to_end(command: &[OsString], surroundings: &Surroundings, limit: Duration) -> Result<Option<Outcome>> {
        let (room, mut starting) = Room::around(command, surroundings)?;
        let (nothing, stdin) = pipe_for_reading()?;
        // What it says on either stream goes the same way, and is read to its end: a build may say a lot.
        let (output, both) = pipe_for_writing()?;
        let again = both.try_clone().map_err(|e| Error::ask(format!("no pipe can be made: {e}")))?;
        starting.stdin(nothing).stdout(again).stderr(both);
        let (name, child) = spawned(starting, command)?;
        let stdin = Some(Input::of(stdin).map_err(|e| Error::ask(format!("no pipe can be made: {e}")))?);
        let stderr = Tail::of(output, surroundings.output_bytes());
        let lines = Lines::none();
        let confinement = surroundings.confinement().cloned();
        let mut program = Self { name, child, stdin, lines, stderr, confinement, room, scratch: None, asked: 0 };
        let status = program.wait(limit);
        let outcome = program.crashed_with(LAST_LINES);
        program.end();
        if let Some(used) = program.over_limit() {
            return Ok(Some(Outcome::OverLimit(used)));
        }
        // A warden that did its work ends well, however its program did.
        let succeeded = match &program.confinement {
            None => status.is_some_and(|status| status.success()),
            Some(_) => program.warden_says().is_some_and(|end| end.success),
        };
        Ok(match outcome {
            _ if status.is_none() => Some(Outcome::TimedOut(limit)),
            _ if succeeded => None,
            outcome => Some(outcome),
        })
    }

    fn limits(&self) -> Option<&SandboxLimits> {
        self.confinement.as_ref().map(|confinement| &confinement.limits)
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks one question and waits for the answer, at most so long. After a crash, a broken protocol, a passed limit or a time-out the program is ended,
    /// and every later question is answered by [`Outcome::Crashed`].
    ///
    /// # Errors
    /// Inputs that cannot be written to the temporary folder.
    pub fn ask(&mut self, question: &ProgramQuestion, limit: Duration) -> Result<Outcome> {
        self.asked += 1;
        let id = self.asked.to_string();
        let inputs = self.room.questions().join(format!("{id}_inputs.npz"));
        let name = format!("{id}_outputs.npz");
        let outputs = self.room.scratch().join(&name);
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
        let line = json::line(&line).map_err(Error::ask)? + "\n";
        let mut outcome = self.exchange(line.as_bytes(), &id, &name, limit);
        if outcome.ends_the_program() {
            self.end();
            if let Some(used) = self.over_limit() {
                outcome = Outcome::OverLimit(used);
            }
        }
        // What stays behind of a question is of no use to the next one.
        let _ = std::fs::remove_file(&inputs);
        Ok(outcome)
    }

    fn exchange(&mut self, line: &[u8], id: &str, outputs: &str, limit: Duration) -> Outcome {
        const UNASKED: &str = "it wrote a line that nobody asked for";
        match self.lines.next_within(Duration::ZERO) {
            Next::Nothing => (),
            Next::Line(_) => return Outcome::BadAnswer(UNASKED.to_string()),
            Next::End => return self.crashed(),
        }
        let npz_limits = self.npz_limits();
        let Some(scratch) = self.scratch.take().or_else(|| self.open_scratch()) else { return self.crashed() };
        self.scratch = Some(scratch);
        let begin = Instant::now();
        match self.stdin.as_mut().map(|stdin| stdin.write_within(line, limit)) {
            Some(Written::All) => (),
            Some(Written::Late) => return Outcome::TimedOut(limit),
            Some(Written::Closed) | None => return self.crashed(),
        }
        let answer = match self.lines.next_within(limit.saturating_sub(begin.elapsed())) {
            Next::Line(Line::Text(answer)) => answer,
            Next::Line(Line::TextAndMore(_)) => return Outcome::BadAnswer(UNASKED.to_string()),
            Next::Line(Line::TooLong) => return Outcome::BadAnswer("its line is longer than 64 KiB".to_string()),
            Next::Nothing => return Outcome::TimedOut(limit),
            Next::End => return self.crashed(),
        };
        let answer = match AnswerLine::read(&answer, id) {
            Ok(answer) => answer,
            Err(how) => return Outcome::BadAnswer(how),
        };
        match answer.status {
            Status::Unsupported => Outcome::Unsupported(self.told(&shortened(&answer.message))),
            Status::Error => Outcome::Failed(self.told(&shortened(&answer.message))),
            Status::Ok => {
                let bytes = self
                    .scratch
                    .as_ref()
                    .map_or(Err(Unfit::NoFile), |scratch| scratch.take(outputs, npz_limits.total_bytes));
                // Not before goldref has all of it: work that is done while it reads is work for the answer.
                let took = begin.elapsed();
                if took > limit { Outcome::TimedOut(limit) } else { arrays_of(bytes, &npz_limits, took) }
            }
        }
    }

    /// Waits for the warden, if there is one; `None` if it has ended without having made the folder.
    fn open_scratch(&mut self) -> Option<Scratch> {
        if self.confinement.is_none() {
            return Scratch::open(&self.room.scratch()).ok();
        }
        let begin = Instant::now();
        loop {
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            if let Some(ready) = self.ready() {
                return Scratch::open(&ready.scratch).ok();
            }
            if has_ended || begin.elapsed() > WARDEN_BEGINS {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What reading its arrays may cost: of a confined program no more than one file of its may have, unpacked.
    fn npz_limits(&self) -> NpzLimits {
        let usual = NpzLimits::DEFAULT;
        let limits = self.limits();
        let most = limits.map_or(usual.total_bytes, |limits| limits.file_bytes.min(usual.total_bytes));
        NpzLimits { total_bytes: most, free_bytes: usual.free_bytes.min(most), ..usual }
    }

    /// What the program said, without the name of its folder, which is another one each time.
    fn told(&self, text: &str) -> String {
        let [scratch, room] = [self.room.scratch(), self.room.folder.path().to_path_buf()];
        text.replace(&*scratch.to_string_lossy(), "$TMPDIR").replace(&*room.to_string_lossy(), "$TMPDIR/..")
    }

    fn crashed(&mut self) -> Outcome {
        self.crashed_with(1)
    }

    /// How it ended, with so many of its last lines.
    fn crashed_with(&mut self, count: usize) -> Outcome {
        let status = self.wait(FAREWELL);
        let warden = self.warden_says();
        let ended = match (warden, status) {
            (Some(end), _) => end.status,
            (None, Some(status)) => status.to_string(),
            (None, None) => "it closed its standard output".to_string(),
        };
        // It has ended, but what it wrote last may not be read yet.
        let said = self.stderr.text_at_end(FAREWELL);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(count)..].join(" / ");
        let last = if last.is_empty() { "it wrote nothing to standard error" } else { &last };
        Outcome::Crashed(self.told(&format!("{ended}; {last}")))
    }

    /// How the program ended, if it has a warden and the warden has ended.
    fn warden_says(&self) -> Option<End> {
        self.confinement.as_ref()?;
        serde_json::from_slice(&std::fs::read(self.room.places().end).ok()?).ok()
    }

    /// What a program that has ended used too much of.
    fn over_limit(&self) -> Option<String> {
        let limits = self.limits()?;
        if self.stderr.was_too_long() {
            return Some(super::Exceeded::Output.in_words(limits));
        }
        Some(self.warden_says()?.exceeded?.in_words(limits))
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

    /// Ends the program and what it started; what its warden tells of it, if it has one.
    pub fn finish(mut self) -> Ended {
        if self.stdin.take().is_some() {
            self.wait(FAREWELL);
        }
        self.end();
        self.warden_says().map_or_else(Ended::default, |end| Ended {
            cpu: Duration::try_from_secs_f64(end.cpu_seconds).unwrap_or_default(),
            refused: end.refused,
        })
    }

    /// Ends the program and what it started.
    fn end(&mut self) {
        self.stdin = None;
        if self.confinement.is_some() {
            // The end of the input tells the warden to end everything.
            self.wait(WARDEN_ENDS);
        }
        #[cfg(target_os = "linux")]
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // The group may be gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        #[cfg(target_os = "linux")]
        if let Some(confinement) = self.confinement.as_ref().filter(|_| self.warden_says().is_none()) {
            // Somebody else ended the warden before its work was done.
            let program = self.ready().map(|ready| ready.program);
            confinement.end_without_warden(self.child.id(), program);
        }
    }

    /// What the warden said when the program began.
    fn ready(&self) -> Option<Ready> {
        serde_json::from_slice(&std::fs::read(self.room.places().ready).ok()?).ok()
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

/// What is in the file of outputs.
fn arrays_of(bytes: std::result::Result<Vec<u8>, Unfit>, limits: &NpzLimits, took: Duration) -> Outcome {
    let name = Path::new("outputs.npz");
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(Unfit::NoFile) => return Outcome::BadAnswer("it said ok and wrote no file of outputs".to_string()),
        Err(Unfit::TooLong(length)) => {
            let most = limits.total_bytes;
            return Outcome::BadAnswer(format!("its file of outputs has {length} bytes, and {most} are read at most"));
        }
        Err(Unfit::Unread(e)) => return Outcome::BadAnswer(Error::read(name, e).to_string()),
    };
    let length = bytes.len() as u64;
    match npz::read_archive(Cursor::new(bytes), length, name, limits) {
        Ok(arrays) => Outcome::Answered { arrays, took },
        Err(error) => Outcome::BadAnswer(error.to_string()),
    }
}
