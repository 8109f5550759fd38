//! A whole class: submissions side by side, each result written when it is done.
//!
//! The folder of results has `NAME.json` for each submission that is done, and whatever other faces are asked for, written before it. So a class that was
//! interrupted goes on where it was, and parts of a class that were graded elsewhere are put together by copying ([`merged`]).

mod jobs;
mod merge;
mod partition;

pub use jobs::{Jobs, free_memory, jobs_that_fit};
pub use merge::merged;
pub use partition::Partition;

use super::grading::{Grading, grade};
use super::report_data::{GradeReport, Isolation};
use super::submission::{Source, Submission};
use crate::error::{Error, Result};
use crate::harmless::steers;
use crate::io::{self, disk, limits};
use crate::num::sort::sort_by;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Files made of a result, by what follows its name: `.md`.
pub type Faces<'f> = dyn Fn(&GradeReport) -> Vec<(&'static str, Vec<u8>)> + Sync + 'f;

/// What a class is graded with.
pub struct ClassRun<'c> {
    /// How each is graded.
    pub grading: Grading<'c>,
    /// Who is graded.
    pub submissions: Vec<Submission>,
    /// Where results are written.
    pub output: PathBuf,
    /// How many are graded side by side.
    pub jobs: usize,
    /// Whether results may be there already, which are kept if they are of the same assignment and submission.
    pub resume: Resume,
    /// What is written besides `NAME.json`.
    pub faces: &'c Faces<'c>,
}

/// What is done with results that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The folder must be empty.
    No,
    /// They are kept where nothing has changed.
    Yes,
}

/// The submissions in a folder: its folders, by name.
///
/// # Errors
/// No such folder, none in it, a name that no file of results can have.
pub fn submissions_in(folder: &Path, source: &Source) -> Result<Vec<Submission>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if !is_folder || hidden {
            continue;
        }
        let submission = Submission::folder(&path, source.clone())?;
        if submission.name.contains(char::REPLACEMENT_CHARACTER) || submission.name.contains(steers) {
            return Err(Error::read(&path, "its name is no plain text, and results are named after it; rename it"));
        }
        all.push(submission);
    }
    if all.is_empty() {
        return Err(Error::read(folder, "there is no folder in it; each submission is one"));
    }
    sort_by(&mut all, &|a: &Submission, b| a.name.cmp(&b.name));
    Ok(all)
}

impl ClassRun<'_> {
    /// Grades all that are not done; the results of all, by name. `progress` is called once a submission, from any thread, with whether it was done before.
    ///
    /// # Errors
    /// Results in the way, files that cannot be written, what is no fault of a submission.
    pub fn run(&self, progress: &(dyn Fn(bool) + Sync)) -> Result<Vec<GradeReport>> {
        self.prepare()?;
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut results: Vec<Option<GradeReport>> = Vec::new();
        results.resize_with(self.submissions.len(), || None);
        let results = Mutex::new(results);
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(submission) = self.submissions.get(at) else { return };
                        match self.one(submission) {
                            Ok((report, before)) => {
                                if let Ok(mut results) = results.lock() {
                                    results[at] = Some(report);
                                }
                                progress(before);
                            }
                            Err(e) => {
                                stop.store(true, Ordering::Relaxed);
                                if let Ok(mut failure) = failure.lock() {
                                    failure.get_or_insert(e);
                                }
                            }
                        }
                    }
                });
            }
        });
        if let Some(e) = failure.into_inner().ok().flatten() {
            return Err(e);
        }
        let mut all = Vec::with_capacity(self.submissions.len());
        for result in results.into_inner().unwrap_or_default() {
            all.push(result.ok_or_else(|| Error::ask("a submission was not graded"))?);
        }
        Ok(all)
    }

    fn prepare(&self) -> Result<()> {
        let output = &self.output;
        fs::create_dir_all(output).map_err(|e| Error::write(output, e))?;
        for entry in fs::read_dir(output).map_err(|e| Error::read(output, e))? {
            let entry = entry.map_err(|e| Error::read(output, e))?;
            if self.resume == Resume::No {
                return Err(Error::write(
                    output,
                    "it holds files already; --resume goes on with them, or name another folder",
                ));
            }
            // Half of a file that an interrupted run was about to write.
            if entry.file_name().as_encoded_bytes().starts_with(disk::HALF.as_bytes()) {
                fs::remove_file(entry.path()).map_err(|e| Error::write(entry.path(), e))?;
            }
        }
        Ok(())
    }

    /// The result of one, and whether it was there.
    fn one(&self, submission: &Submission) -> Result<(GradeReport, bool)> {
        let path = self.output.join(format!("{}.json", submission.name));
        if let Some(known) = self.known(&path, submission)? {
            return Ok((known, true));
        }
        let report = grade(&self.grading, submission, &|| ())?;
        for (ending, bytes) in (self.faces)(&report) {
            io::write_bytes(self.output.join(format!("{}{ending}", submission.name)), &bytes)?;
        }
        // It comes last: whoever has it has all.
        io::write_bytes(&path, &json(&report)?)?;
        Ok((report, false))
    }

    fn known(&self, path: &Path, submission: &Submission) -> Result<Option<GradeReport>> {
        if self.resume == Resume::No || !path.exists() {
            return Ok(None);
        }
        let known = read(path)?;
        let confined_alike = [&self.grading.isolation, &Isolation::NothingRan].contains(&&known.isolation);
        let same = known.assignment == self.grading.course.sha256
            && known.hints == self.grading.course.assignment.hints
            && known.goldref == env!("CARGO_PKG_VERSION")
            && confined_alike
            && submission.sha256().is_ok_and(|hash| hash == known.submission_sha256);
        Ok(same.then_some(known))
    }
}

/// A result as it is written.
///
/// # Errors
/// Never: it is plain data.
pub fn json(report: &GradeReport) -> Result<Vec<u8>> {
    let text = crate::io::json::pretty(report).map_err(Error::ask)?;
    Ok(format!("{text}\n").into_bytes())
}

/// Reads a result.
///
/// # Errors
/// A file that cannot be read, or is none.
pub fn read(path: &Path) -> Result<GradeReport> {
    let bytes = disk::read_whole(path, limits::JSON_BYTES)?;
    let report: GradeReport = serde_json::from_slice(&bytes)
        .map_err(|e| Error::read(path, format!("it is no result of `goldref grade`: {e}")))?;
    if report.format != super::report_data::FORMAT {
        return Err(Error::read(path, format!("its format is another one than \"{}\"", super::report_data::FORMAT)));
    }
    Ok(report)
}
