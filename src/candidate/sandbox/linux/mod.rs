//! The kernel's part of the confinement.

pub(super) mod confined;
pub(super) mod files;
mod system_calls;
mod tree;
mod unlinked;
pub(super) mod warden;
