//! What `goldref grade` takes.

use crate::candidate::Wall;
use crate::cli::choice::choice;
use crate::error::{Error, Result};
use crate::grade::Hints;
use crate::grade::class::Partition;
use clap::ValueEnum;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `goldref grade`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The assignment says what is asked, what it is worth and under which limits: docs/grade.md. Submissions are programs in any language (docs/candidates.md), and
run in a sandbox (Linux) in which they read the system and their own folder and write to a temporary one. The exit code is 1 if points are lost;
of a class it is 0 whatever its points are.

Examples:
  goldref grade new course                                       # a starter: assignment, fixtures, template
  goldref grade trial                                            # which walls the sandbox has on this machine
  goldref grade assignment.toml --submission alice
  goldref grade assignment.toml --submission alice --format gradescope --output results.json
  goldref grade assignment.toml --outputs alice_arrays           # files alice_arrays/<suite>/<case>.npz
  goldref grade assignment.toml -- ./alice                       # a command instead of the assignment's
  goldref grade assignment.toml --submissions class --output results --jobs 4
  goldref grade assignment.toml --submissions class --output results --resume
  goldref grade assignment.toml --submissions class --output results2 --partition slice:2/8
  goldref merge results1 results2 --output results")]
pub(crate) struct Args {
    /// The assignment.toml, or its folder; `new DIR` writes a starter, `trial` says what confines submissions here
    #[arg(value_name = "ASSIGNMENT")]
    pub(super) assignment: PathBuf,
    /// With `new`: the folder to write
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// Folder of one submission
    #[arg(long, value_name = "DIR", group = "who")]
    pub(super) submission: Option<PathBuf>,
    /// Folder with the folders of a class
    #[arg(long, value_name = "DIR", group = "who", requires = "output")]
    pub(super) submissions: Option<PathBuf>,
    /// Folder with arrays that a submission computed before: <suite>/<case>.npz
    #[arg(long, value_name = "DIR", group = "who")]
    pub(super) outputs: Option<PathBuf>,
    /// Submissions graded side by side
    #[arg(long, value_name = "N", default_value = "1", requires = "submissions")]
    pub(super) jobs: usize,
    /// Go on with a class that was interrupted: what is done and has not changed is kept
    #[arg(long, requires = "submissions")]
    pub(super) resume: bool,
    /// Grade one share of a class: slice:M/N or hash:M/N
    #[arg(long, value_name = "SHARE", requires = "submissions", value_parser = partition)]
    pub(super) partition: Option<Partition>,
    /// What students learn of hidden cases [default: as the assignment says]
    #[arg(long, value_parser = choice::<HintsArg>())]
    pub(super) hints: Option<HintsArg>,
    /// Where the kernel lacks a part of the sandbox, do without it, and say so in the report
    #[arg(long, conflicts_with = "no_sandbox")]
    pub(super) weak_sandbox: bool,
    /// Do without a wall of the sandbox, as on a machine that has none
    #[arg(long, value_name = "WALL", value_parser = choice::<WallArg>())]
    pub(super) without: Vec<WallArg>,
    /// Run submissions with your own rights, and say so in the report
    #[arg(long)]
    pub(super) no_sandbox: bool,
    /// How to print
    #[arg(long, value_parser = choice::<Face>(), default_value = "text", conflicts_with = "submissions")]
    pub(super) format: Face,
    /// Write that format into a file and print the text; of a class: the folder of results
    #[arg(long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// Draw the measured speed-up
    #[arg(long, value_name = "FILE.svg|FILE.png", conflicts_with = "submissions")]
    pub(super) plot: Option<PathBuf>,
    /// With `new`: other numbers than those of anybody else's starter
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) seed: u64,
    /// The command of one submission, in the current folder
    #[arg(last = true, value_name = "PROGRAM")]
    pub(super) program: Vec<OsString>,
}

/// What students learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HintsArg {
    /// That points are lost
    None,
    /// The kind of reason
    Category,
    /// Everything
    Full,
}

impl From<HintsArg> for Hints {
    fn from(hints: HintsArg) -> Self {
        match hints {
            HintsArg::None => Self::None,
            HintsArg::Category => Self::Category,
            HintsArg::Full => Self::Full,
        }
    }
}

/// A wall of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WallArg {
    /// Users, mounts, processes and network of its own
    Namespaces,
    /// A group whose memory the kernel bounds
    ControlGroup,
    /// Rules on files and signals
    Landlock,
    /// The table of allowed system calls
    SystemCalls,
}

impl From<WallArg> for Wall {
    fn from(wall: WallArg) -> Self {
        match wall {
            WallArg::Namespaces => Self::Namespaces,
            WallArg::ControlGroup => Self::ControlGroup,
            WallArg::Landlock => Self::Landlock,
            WallArg::SystemCalls => Self::SystemCalls,
        }
    }
}

/// How one submission is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Face {
    /// For people
    Text,
    /// Everything, for programs and staff
    Json,
    /// A page for the student
    Markdown,
    /// results.json of Gradescope
    Gradescope,
    /// results.json of PrairieLearn
    Prairielearn,
}

fn partition(text: &str) -> std::result::Result<Partition, String> {
    Partition::parse(text).map_err(|e| e.to_string())
}

impl Args {
    /// What clap does not see.
    pub(super) fn refuse(&self) -> Result<()> {
        if self.folder.is_some() {
            return Err(Error::ask("two assignments are named; one is graded at a time"));
        }
        let named = self.submission.is_some() || self.submissions.is_some() || self.outputs.is_some();
        if named != self.program.is_empty() {
            let which = if named {
                "name one of them"
            } else {
                "name one with --submission, --submissions, --outputs, or behind --"
            };
            return Err(Error::ask(format!("one submission or one class is graded; {which}")));
        }
        if self.jobs == 0 {
            return Err(Error::ask("--jobs is the number of submissions graded side by side, and at least 1"));
        }
        Ok(())
    }
}
