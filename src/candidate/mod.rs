//! Whoever is judged: programs of others, asked as processes of their own, one JSON line a question, and functions of this process.
//!
//! No code of a program runs in goldref's process. What it answers is data: a line of at most 64 KiB and an npz file, read with
//! the readers for hostile files. The protocol is described in `docs/candidates.md`; `tools/goldref_candidate.py` speaks it for
//! Python. Knows files; knows nothing of models, suites or verdicts.

mod judged;
mod lines;
mod process;
mod protocol;
mod sandbox;
mod surroundings;

pub use judged::{Candidate, Lifetime, Restarted};
pub use process::Program;
pub use protocol::{Outcome, ProgramQuestion};
pub(crate) use sandbox::LentFolder;
pub use sandbox::{CONFINED, Confinement, Demand, Exceeded, Sandbox, SandboxLimits, WARDEN, run_confined, run_warden};
pub use surroundings::Surroundings;
