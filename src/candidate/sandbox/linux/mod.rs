//! The kernel's part of the confinement.

mod confined;
pub(super) mod control_group;
pub(super) mod files;
mod first;
mod fork;
pub(super) mod refusals;
mod root;
mod system_calls;
mod tree;
mod unlinked;
pub(super) mod warden;
