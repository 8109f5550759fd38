//! A whole class: submissions side by side, each result written when it is done.
//!
//! The folder of results has `NAME.json` for each submission that is done, and whatever other faces are asked for, written before it. So a class that was
//! interrupted goes on where it was, and parts of a class that were graded elsewhere are put together by copying ([`merged`]).

mod folder;
mod jobs;
mod merge;
mod partition;
mod results;

pub use folder::{Listed, Skipped, submissions_in};
pub use jobs::{Jobs, free_memory, jobs_that_fit};
pub use merge::{Merged, merged};
pub use partition::Partition;
pub use results::{Page, json, read};

use super::grading::{self, Grading, grade};
use super::report_data::{GradeReport, Isolation};
use super::submission::Submission;
use crate::error::{Error, Result};
use crate::io::disk;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages made of a result.
pub type Faces<'f> = dyn Fn(&GradeReport) -> Vec<Page> + Sync + 'f;

/// The name of the table of what was skipped, in a folder of results; there is none where nothing was.
pub const SKIPPED: &str = "skipped.csv";

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

/// What came of a class.
#[derive(Debug)]
pub struct Graded {
    /// The results of all, by name.
    pub reports: Vec<GradeReport>,
    /// What went wrong beside grading, a line each: results that could not be kept or written.
    pub notes: Vec<String>,
}

/// What came of one submission.
struct Done {
    report: GradeReport,
    /// It was there before.
    kept: bool,
    notes: Vec<String>,
}

/// How one submission is graded.
type GradeOne<'g> = dyn Fn(&Submission) -> Result<GradeReport> + Sync + 'g;

impl ClassRun<'_> {
    /// Grades all that are not done. `progress` is called once a submission, from any thread, with whether it was done before.
    ///
    /// Whatever happens while one is graded is its own outcome. Who cannot be graded, for another one had filled the disk, say, is graded once more when
    /// all others are done; what then goes wrong is its result ([`GradeReport::failed`]).
    ///
    /// # Errors
    /// Results in the way, a folder of results that cannot be made.
    pub fn run(&self, progress: &(dyn Fn(bool) + Sync)) -> Result<Graded> {
        self.run_with(&|submission| grade(&self.grading, submission, &|| ()), progress)
    }

    fn run_with(&self, grade: &GradeOne, progress: &(dyn Fn(bool) + Sync)) -> Result<Graded> {
        self.prepare()?;
        let next = AtomicUsize::new(0);
        let mut done: Vec<Option<Done>> = Vec::new();
        done.resize_with(self.submissions.len(), || None);
        let done = Mutex::new(done);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(submission) = self.submissions.get(at) else { return };
                        let Ok(one) = self.one(submission, grade) else { continue };
                        let kept = one.kept;
                        // Nobody panics while holding it.
                        if let Ok(mut done) = done.lock() {
                            done[at] = Some(one);
                        }
                        progress(kept);
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut graded = Graded { reports: Vec::with_capacity(done.len()), notes: Vec::new() };
        for (submission, one) in self.submissions.iter().zip(done) {
            let one = match one {
                Some(one) => one,
                None => {
                    let again = self.one(submission, grade).unwrap_or_else(|why| self.failed(submission, &why));
                    progress(false);
                    again
                }
            };
            graded.reports.push(one.report);
            graded.notes.extend(one.notes);
        }
        Ok(graded)
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
            } else if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                return Err(Error::write(
                    entry.path(),
                    "it is a link, and results are not written through links; remove it",
                ));
            }
        }
        Ok(())
    }

    /// The result of one, its files written.
    fn one(&self, submission: &Submission, grade: &GradeOne) -> Result<Done> {
        let mut notes = Vec::new();
        match caught(&|| self.known(submission)) {
            Ok(Some(report)) => {
                notes.extend(not_written(&|| results::put_pages(&self.output, &report, self.faces)));
                return Ok(Done { report, kept: true, notes });
            }
            Ok(None) => (),
            Err(why) => notes.push(format!("{why}; {} is graded anew", submission.name)),
        }
        let report = caught(&|| grade(submission))?;
        Ok(self.put(report, notes))
    }

    /// The result of one that could not be graded.
    fn failed(&self, submission: &Submission, why: &Error) -> Done {
        let report = grading::not_graded(&self.grading, submission, &why.to_string());
        self.put(report, Vec::new())
    }

    /// A new result, its files written. What goes wrong with one of them costs nobody points, and nobody else anything.
    fn put(&self, report: GradeReport, mut notes: Vec<String>) -> Done {
        notes.extend(not_written(&|| results::put_pages(&self.output, &report, self.faces)));
        notes.extend(not_written(&|| results::put(&self.output, &report)));
        Done { report, kept: false, notes }
    }

    /// The result that is there, if nothing has changed since.
    fn known(&self, submission: &Submission) -> Result<Option<GradeReport>> {
        let path = results::place(&self.output, &submission.name);
        if self.resume == Resume::No || fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        let known = read(&path)?;
        let confined_alike = [&self.grading.isolation, &Isolation::NothingRan].contains(&&known.isolation);
        let same = known.assignment == self.grading.course.sha256
            && known.hints == self.grading.course.assignment.hints
            && known.goldref == env!("CARGO_PKG_VERSION")
            && known.failed.is_none()
            && confined_alike
            && submission.sha256().is_ok_and(|hash| hash == known.submission_sha256);
        if same && !grading::is_of(self.grading.course, &known) {
            return Err(Error::read(&path, "its parts are not those of the assignment"));
        }
        Ok(same.then_some(known))
    }
}

/// What went wrong when files were written.
fn not_written(write: &dyn Fn() -> Result<()>) -> Option<String> {
    caught(write).err().map(|e| e.to_string())
}

/// Does some work for one submission; a panic is a fault of goldref's own, and must not end the class.
fn caught<T>(work: &dyn Fn() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::ask(format!("goldref itself failed, which is a fault of its own: {said}")))
    })
}

#[cfg(test)]
mod tests {
    use super::super::assignment::Assignment;
    use super::super::course::Course;
    use super::super::submission::{Guard, Source};
    use super::*;
    use tempfile::TempDir;

    /// Three students with a number on paper each, and no programs.
    fn class(folder: &TempDir) -> (Course, Vec<Submission>) {
        let staff = folder.path().join("staff");
        fs::create_dir(&staff).unwrap();
        let text = "format = \"goldref-assignment/1\"\ntitle = \"x\"\n[candidate]\ncommand = [\"true\"]\n[[part]]\nid = \"a\"\ntitle = \"\"\n\
                    points = 4\n[part.answers]\nfile = \"a.toml\"\n[[part.answers.question]]\nid = \"x\"\nexpected = 1.0\n";
        fs::write(staff.join("assignment.toml"), text).unwrap();
        let mut submissions = Vec::new();
        for name in ["ada", "bob", "eve"] {
            let own = folder.path().join(name);
            fs::create_dir(&own).unwrap();
            fs::write(own.join("a.toml"), "x = 1").unwrap();
            submissions.push(Submission { name: name.to_string(), folder: own, source: Source::Outputs });
        }
        (Course::open(Assignment::open(&staff).unwrap()).unwrap(), submissions)
    }

    #[test]
    fn whatever_happens_to_one_is_its_own_outcome() {
        let folder = TempDir::new().unwrap();
        let (course, submissions) = class(&folder);
        let calls = Mutex::new(Vec::new());
        let panics_for_eve = |report: &GradeReport| {
            assert!(report.submission != "eve", "no page of eve");
            vec![(".md", Some(b"page".to_vec()))]
        };
        let run = |output: &str, resume, grade: &(dyn Fn(&Run, &Submission) -> Result<GradeReport> + Sync)| {
            let grading = Grading { course: &course, guard: &Guard::None, isolation: Isolation::NoSandbox };
            let submissions = submissions.clone();
            let output = folder.path().join(output);
            let run = ClassRun { grading, submissions, output, jobs: 2, resume, faces: &panics_for_eve };
            run.run_with(
                &|submission| {
                    let before = calls.lock().unwrap().iter().filter(|name| **name == submission.name).count();
                    calls.lock().unwrap().push(submission.name.clone());
                    grade(&Run { run: &run, before }, submission)
                },
                &|_| (),
            )
            .unwrap()
        };
        let points = |graded: &Graded| {
            let reports = graded.reports.iter();
            reports.map(|report| (report.points.to_string(), report.failed.clone())).collect::<Vec<_>>()
        };
        // Whoever could not be graded beside others is graded once more.
        let first_fails = |run: &Run, submission: &Submission| {
            if submission.name == "bob" && run.before == 0 {
                Err(Error::ask("the disk is full"))
            } else {
                run.grade(submission)
            }
        };
        let graded = run("first", Resume::No, &first_fails);
        assert_eq!(points(&graded), [("4".into(), None), ("4".into(), None), ("4".into(), None)]);
        assert!(graded.notes.len() == 1 && graded.notes[0].ends_with("no page of eve"), "{:?}", graded.notes);
        assert!(folder.path().join("first/bob.json").exists() && folder.path().join("first/bob.md").exists());
        // A panic each time, and an error each time.
        calls.lock().unwrap().clear();
        let always = |run: &Run, submission: &Submission| match submission.name.as_str() {
            "ada" => panic!("a bug of goldref"),
            "bob" => Err(Error::ask("the disk is full")),
            _ => run.grade(submission),
        };
        let graded = run("second", Resume::No, &always);
        let said = points(&graded);
        assert_eq!(said[0].0, "0");
        assert!(said[0].1.as_ref().unwrap().ends_with("a bug of goldref"), "{said:?}");
        assert_eq!(said[1..], [("0".into(), Some("the disk is full".into())), ("4".into(), None)]);
        assert_eq!(read(&folder.path().join("second/ada.json")).unwrap(), graded.reports[0]);
        // A class that goes on grades them anew, and nobody else.
        calls.lock().unwrap().clear();
        let graded = run("second", Resume::Yes, &|run, submission| run.grade(submission));
        assert_eq!(points(&graded), [("4".into(), None), ("4".into(), None), ("4".into(), None)]);
        let mut called = calls.lock().unwrap().clone();
        called.sort();
        assert_eq!(called, ["ada", "bob"]);
    }

    /// The class, and how often one was graded before.
    struct Run<'r> {
        run: &'r ClassRun<'r>,
        before: usize,
    }

    impl Run<'_> {
        fn grade(&self, submission: &Submission) -> Result<GradeReport> {
            grade(&self.run.grading, submission, &|| ())
        }
    }
}
