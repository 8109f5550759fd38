//! What a stranger's program may do while it is asked, and who sees to it (Linux).
//!
//! ```text
//! goldref  ── pipes ──►  the program      in namespaces of its own, below their process 1
//!    └─ warden ─────────────┘             counts memory, tasks, CPU time and files; ends all of it
//! ```
//! The warden is goldref itself, started anew. It copies itself: the copy gives up its rights and becomes the program. Where there are namespaces, the first
//! copy is their process 1, which makes a root folder of its own and copies itself again. The warden is outside of all that, cannot be reached from within,
//! and ends with goldref, by its closed input. A question goes through no other hands: the program has the pipes themselves.
//!
//! [`Wall`] lists the walls and [`PROTECTIONS`] what each of them holds. Which of them can be had is tried by starting a program in them
//! ([`tried`]); a program is started with those that stand, or not at all.
//!
//! What it does not do: bound the share of a shared disk or memory bus.

mod limits;
#[cfg(target_os = "linux")]
mod linux;
mod order;
mod trial;
mod volume;
mod walls;

pub use limits::{Exceeded, SandboxLimits};
#[cfg(target_os = "linux")]
pub use linux::control_group::ControlGroups;
pub use order::Confinement;
pub(super) use order::{End, Order, Ready};
pub use trial::{Tried, tried};
pub(crate) use volume::LentFolder;
pub use walls::{PROTECTIONS, Protection, Wall, Walls};

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
        linux::files::readable(order, linux::files::program(order).as_deref())
    }
    #[cfg(not(target_os = "linux"))]
    vec![order.folder.clone()]
}

/// The first argument of `goldref` as the warden; the second is its order.
pub const WARDEN: &str = "sandbox-warden";
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
