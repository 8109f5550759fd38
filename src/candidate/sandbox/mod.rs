//! What a stranger's program may do while it is asked, and who sees to it (Linux).
//!
//! ```text
//! goldref  ── pipes ──►  the program          all it starts stays in its process group
//!    └─ warden ─────────────┘                  counts memory, tasks, CPU time and files; ends all of it
//! ```
//! Two programs stand between goldref and the stranger's, both goldref itself: the [warden](run_warden) starts the [confined](run_confined) one, which gives up
//! its rights and then becomes the stranger's program. The warden is outside of the confinement, cannot be reached from within, and ends with goldref, by its closed input.
//! A question goes through no other hands: the program has the pipes themselves.
//!
//! | what | how |
//! |---|---|
//! | files: the system and the submission are read, one folder is written | Landlock |
//! | no network, no other sessions, no changed modes, owners or times of files, no namespaces, no tracing, no memory that outlives it | seccomp |
//! | no signal to anybody outside | Landlock |
//! | no rights of root, no core dumps, size of a file | capabilities, resource limits |
//! | memory, tasks, CPU time of all its processes together, files and bytes of its folder | the warden, every 10 ms |
//! | environment | emptied, then what is named |
//!
//! What it does not do: hide that a path exists (`stat` is free), or bound the share of a shared disk or memory bus.

mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod order;
mod volume;

pub use limits::{Exceeded, SandboxLimits};
pub use order::{Confinement, Demand};
pub(super) use order::{End, Order};
pub(crate) use volume::LentFolder;
pub(super) use volume::remove_tree;

use crate::error::Result;
use std::path::PathBuf;

/// Starts programs confined.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The `goldref` program, which is started as the warden.
    pub goldref: PathBuf,
    /// What the program may do.
    pub confinement: Confinement,
}

/// All that a program started by this order may read, and its own folder.
pub(super) fn readable(order: &Order) -> Vec<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        let program = order.command.first().and_then(|name| linux::files::program(name, order));
        linux::files::readable(order, program.as_deref())
    }
    #[cfg(not(target_os = "linux"))]
    vec![order.folder.clone()]
}

/// The first argument of `goldref` as the warden; the second is its order.
pub const WARDEN: &str = "sandbox-warden";
/// The first argument of `goldref` as the one who gives up his rights and becomes the program.
pub const CONFINED: &str = "sandbox-confined";

/// The work of the warden: starts the program of `order`, watches it and ends it. Called by `goldref` in a process of its own.
///
/// # Errors
/// An order that cannot be read, a program that cannot be watched; on other systems than Linux always.
pub fn run_warden(order: &str) -> Result<()> {
    let order = Order::parse(order)?;
    #[cfg(target_os = "linux")]
    return linux::warden::run(&order);
    #[cfg(not(target_os = "linux"))]
    return Err(order.refused("programs are confined on Linux only"));
}

/// Gives up every right that `order` does not name and becomes its program; returns only with an error.
///
/// # Errors
/// What the kernel lacks or refuses; a program that cannot be started.
pub fn run_confined(order: &str) -> Result<()> {
    let order = Order::parse(order)?;
    #[cfg(target_os = "linux")]
    return linux::confined::become_program(&order);
    #[cfg(not(target_os = "linux"))]
    return Err(order.refused("programs are confined on Linux only"));
}
