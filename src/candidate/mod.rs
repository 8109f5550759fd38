//! Whoever is judged: programs of others, asked as processes of their own, one JSON line a question, and functions of this process.
//!
//! No code of a program runs in goldref's process. What it answers is data: a line of at most 64 KiB and an npz file, read with
//! the readers for hostile files. The protocol is described in `docs/candidates.md`; `tools/goldref_candidate.py` speaks it for
//! Python. Knows files; knows nothing of models, suites or verdicts.

#[cfg(feature = "candidates")]
mod input;
mod judged;
#[cfg(feature = "candidates")]
mod lines;
#[cfg(feature = "candidates")]
mod process;
mod protocol;
#[cfg(feature = "candidates")]
mod protocol_lines;
#[cfg(feature = "candidates")]
mod restarted;
#[cfg(feature = "candidates")]
mod sandbox;
#[cfg(feature = "candidates")]
mod scratch;
#[cfg(feature = "candidates")]
mod surroundings;

pub use judged::Candidate;
#[cfg(feature = "candidates")]
pub use process::{Ended, Program};
#[cfg(feature = "properties")]
pub(crate) use protocol::numbers_in;
pub use protocol::{Outcome, ProgramQuestion};
#[cfg(feature = "candidates")]
pub use restarted::{Lifetime, Restarted};
#[cfg(all(feature = "candidates", target_os = "linux"))]
pub use sandbox::ControlGroups;
#[cfg(feature = "grade")]
pub(crate) use sandbox::LentFolder;
#[cfg(feature = "candidates")]
pub use sandbox::{
    Confinement, Exceeded, PROTECTIONS, Protection, Sandbox, SandboxLimits, Tried, WARDEN, Wall, Walls, run_warden,
    tried,
};
#[cfg(feature = "candidates")]
pub use surroundings::Surroundings;
