//! Who is graded, and how it is started.

use super::assignment::Asked;
use super::course::Course;
use super::files::is_plain_file;
use super::report_data::Isolation;
use super::stage::Stage;
use crate::candidate::{LentFolder, Outcome, PROTECTIONS, Program, Sandbox, Surroundings, Tried, Wall};
use crate::error::{Error, Result};
use crate::io::wording::hex;
use crate::num::sort::sort_by;
use hmac_sha256::Hash as Sha256;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// How it answers.
    pub source: Source,
}

/// How a submission answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// By the assignment's command.
    Command,
    /// By a command of its own.
    Program(Vec<OsString>),
    /// By files that it has computed before: `<suite>/<case>.npz` in its folder.
    Outputs,
}

/// What stands between a submission and the rest of the machine.
#[derive(Debug, Clone)]
pub enum Guard {
    /// The sandbox; `goldref` is the program that is started as its warden.
    Sandbox {
        /// The program.
        goldref: PathBuf,
        /// The walls that stand here.
        tried: Tried,
    },
    /// Nothing.
    None,
}

/// What is done where a protection is held by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing is started.
    Everything,
    /// It goes without.
    WhatThereIs,
}

impl Guard {
    /// How submissions will be confined, with `tried` walls.
    ///
    /// # Errors
    /// A protection that is demanded and that no wall holds; the message says which, why, and what can be done.
    pub fn sandbox(goldref: PathBuf, tried: Tried, demand: Demand) -> Result<Self> {
        let lost = PROTECTIONS.iter().find(|protection| !protection.is_held(&tried.standing));
        match lost {
            Some(protection) if demand == Demand::Everything => {
                let mut why = Vec::new();
                for wall in protection.held_by.iter().copied().flatten() {
                    if let Some(missing) = tried.missing.get(wall).filter(|_| !why.iter().any(|(w, _)| w == wall)) {
                        why.push((*wall, missing));
                    }
                }
                let why: Vec<String> =
                    why.into_iter().map(|(wall, why)| format!("no {}: {why}", wall.name())).collect();
                Err(Error::ask(format!(
                    "submissions cannot be confined here: nothing keeps them from {} ({}); `goldref grade trial` says how to go on, --weak-sandbox does \
                     with what there is, --no-sandbox runs them with your rights",
                    protection.what,
                    why.join("; ")
                )))
            }
            _ => Ok(Self::Sandbox { goldref, tried }),
        }
    }

    /// The walls that stand.
    pub(super) fn walls(&self) -> Vec<Wall> {
        match self {
            Self::Sandbox { tried, .. } => tried.standing.iter().copied().collect(),
            Self::None => Vec::new(),
        }
    }

    /// What a report says of it.
    pub fn isolation(&self) -> Isolation {
        let Self::Sandbox { tried, .. } = self else { return Isolation::NoSandbox };
        let mut lost = Vec::new();
        for protection in PROTECTIONS.iter().filter(|protection| !protection.is_held(&tried.standing)) {
            lost.push(protection.what);
        }
        if lost.is_empty() {
            Isolation::Sandbox
        } else {
            Isolation::PartOfTheSandbox(format!("nothing keeps it from {}", lost.join(", ")))
        }
    }
}

/// A submission with more is none of a course, and would take its time.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 1 << 30;

/// A submission that can be started.
pub(super) struct Startable {
    pub(super) command: Vec<OsString>,
    /// Around a process that has seen nothing hidden, and around one that has.
    open: Surroundings,
    closed: Surroundings,
    /// What building it made, which lasts as long as this does.
    _built: Option<LentFolder>,
}

impl Startable {
    /// What is around a process of this stage.
    pub(super) fn surroundings(&self, stage: Stage) -> Surroundings {
        match stage {
            Stage::Visible | Stage::SpeedUp => self.open.clone(),
            Stage::Hidden => self.closed.clone(),
        }
    }
}

impl Submission {
    /// A folder of a student.
    ///
    /// # Errors
    /// No folder.
    pub fn folder(path: &Path, source: Source) -> Result<Self> {
        let folder = path.canonicalize().map_err(|e| Error::read(path, e))?;
        if !folder.is_dir() {
            return Err(Error::read(path, "it is no folder; name the folder of a submission"));
        }
        let name =
            folder.file_name().map_or_else(|| "submission".to_string(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, folder, source })
    }

    /// Hash of names and bytes of its files. Links are taken for what they are.
    ///
    /// # Errors
    /// Files that cannot be read; more than 100 000 of them, or more than 1 GiB.
    pub fn sha256(&self) -> Result<String> {
        let too_large =
            || Error::ask(format!("it has more than {MOST_FILES} files, or more than {} MiB", MOST_BYTES >> 20));
        let mut files = Vec::new();
        let mut open = vec![self.folder.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|e| Error::read(&folder, e))? {
                let path = entry.map_err(|e| Error::read(&folder, e))?.path();
                let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
                if is_folder {
                    open.push(path)
                } else {
                    files.push(path)
                }
                if files.len() + open.len() > MOST_FILES {
                    return Err(too_large());
                }
            }
        }
        sort_by(&mut files, &PathBuf::cmp);
        let mut hash = Sha256::new();
        let mut left = MOST_BYTES;
        for path in files {
            let unread = |e: std::io::Error| Error::read(&path, e);
            let name = path.strip_prefix(&self.folder).unwrap_or(&path).as_os_str().as_encoded_bytes();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            let mut length = 0;
            // A pipe has no bytes, and opening one would wait for somebody.
            if is_plain_file(&path) {
                let mut file = std::fs::File::open(&path).map_err(unread)?.take(left.saturating_add(1));
                let mut piece = vec![0; 1 << 16];
                loop {
                    let read = file.read(&mut piece).map_err(unread)?;
                    if read == 0 {
                        break;
                    }
                    length += read as u64;
                    hash.update(&piece[..read]);
                }
            }
            hash.update(length.to_le_bytes());
            left = left.checked_sub(length).ok_or_else(too_large)?;
        }
        Ok(hex(&hash.finalize()))
    }

    /// The command and what is around it; `Ok(Err(..))`: why this submission cannot be asked.
    ///
    /// # Errors
    /// What is no fault of the submission: a sandbox that would open expected values to it.
    pub(super) fn startable(&self, course: &Course, guard: &Guard) -> Result<std::result::Result<Startable, String>> {
        let asked = &course.assignment.asked;
        if self.source == Source::Command
            && let Some(missing) = asked.files.iter().find(|file| !is_plain_file(&self.folder.join(file)))
        {
            return Ok(Err(format!("it has no file {}", missing.display())));
        }
        let built = if asked.build.is_empty() || self.source != Source::Command {
            None
        } else {
            Some(LentFolder::new("build-")?)
        };
        let build_folder = built.as_ref().map(LentFolder::path);
        let words = Words { submission: &self.folder, assignment: &course.assignment.folder, build: build_folder };
        let [open, closed] =
            [Stage::Visible, Stage::Hidden].map(|stage| self.surroundings(course, guard, &words, stage));
        if let Some(folder) = build_folder {
            // What a build says is shown.
            let mut building = open.clone();
            if let Some(sandbox) = &mut building.sandbox {
                sandbox.confinement.write = Some(folder.to_path_buf());
            }
            let command = filled(&asked.build, &words);
            course.is_safe(&building, &command)?;
            if let Some(outcome) = Program::run_to_end(&command, &building, course.assignment.limits.build_seconds)? {
                let said = match outcome {
                    Outcome::Crashed(how) => how,
                    other => format!("it {}", other.in_words()),
                };
                let said = said.replace(&*folder.to_string_lossy(), "{build}");
                return Ok(Err(format!("building it failed: {said}")));
            }
            make_executable(folder);
        }
        let command: Vec<OsString> = match &self.source {
            Source::Program(command) => command.clone(),
            _ => filled(&asked.command, &words),
        };
        // It reads all that the others do.
        course.is_safe(&closed, &command)?;
        Ok(Ok(Startable { command, open, closed, _built: built }))
    }

    fn surroundings(&self, course: &Course, guard: &Guard, words: &Words, stage: Stage) -> Surroundings {
        let Asked { environment, read, .. } = &course.assignment.asked;
        let limits = &course.assignment.limits;
        let threads = limits.threads.to_string();
        let mut all = BTreeMap::new();
        for usual in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            all.insert(usual.to_string(), threads.clone());
        }
        // Its folder is not to be written, and the next submission finds it as it was.
        all.insert("PYTHONDONTWRITEBYTECODE".to_string(), "1".to_string());
        for (name, value) in environment {
            all.insert(name.clone(), words.filled(value));
        }
        let sandbox = match guard {
            Guard::None => None,
            Guard::Sandbox { goldref, tried } => {
                let mut confinement = tried.confinement(limits.sandbox.clone());
                confinement.read.extend(read.iter().cloned());
                confinement.read.extend(course.models(stage).into_iter().map(Path::to_path_buf));
                confinement.built = words.build.map(Path::to_path_buf);
                Some(Sandbox { goldref: goldref.clone(), confinement })
            }
        };
        Surroundings { folder: Some(self.folder.clone()), environment: all, sandbox }
    }
}

/// A command whose placeholders are filled in.
fn filled(command: &[String], words: &Words) -> Vec<OsString> {
    let mut filled = Vec::with_capacity(command.len());
    for word in command {
        filled.push(words.filled(word).into());
    }
    filled
}

/// What stands for the placeholders of an assignment.
struct Words<'w> {
    submission: &'w Path,
    assignment: &'w Path,
    build: Option<&'w Path>,
}

impl Words<'_> {
    fn filled(&self, text: &str) -> String {
        let build = self.build.unwrap_or(Path::new(""));
        text.replace("{submission}", &self.submission.to_string_lossy())
            .replace("{assignment}", &self.assignment.to_string_lossy())
            .replace("{build}", &build.to_string_lossy())
    }
}

/// A linker cannot do so itself in the sandbox, where nobody changes modes.
fn make_executable(folder: &Path) {
    #[cfg(unix)]
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        use std::os::unix::fs::PermissionsExt;
        if is_plain_file(&entry.path()) {
            // What cannot be started is found out when it is asked.
            let _ = std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755));
        }
    }
    #[cfg(not(unix))]
    let _ = folder;
}
