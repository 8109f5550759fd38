//! A program to ask, as every command takes it.

use std::ffi::OsString;
use std::time::Duration;

/// A number of seconds above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or_else(|| "it must be a number of seconds above 0".to_string())
}

/// The command as it was typed, for a heading.
pub(super) fn shown(command: &[OsString]) -> String {
    command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A program and how long it may take.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct ToAsk {
    /// Seconds that a program may take for one question
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub(super) limit: Duration,
    /// A program to ask
    #[arg(last = true, value_name = "PROGRAM")]
    pub(super) program: Vec<OsString>,
}
