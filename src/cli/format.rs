//! How a command prints that has two ways.

use clap::ValueEnum;

/// The ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// Everything, for programs
    Json,
}
