//! What the warden is told, and what it tells when the program begins and at the end.

use super::limits::{Exceeded, SandboxLimits};
#[cfg(target_os = "linux")]
use super::linux::control_group::ControlGroups;
use super::walls::Walls;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a program may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// Files and folders that may be read besides the system's and the program's own, and programs in them started.
    pub read: Vec<PathBuf>,
    /// A folder that may be written besides its own.
    pub write: Option<PathBuf>,
    /// A folder that was made for it and may be read; the warden removes it if goldref is gone, and else whoever made it.
    pub built: Option<PathBuf>,
    /// How much it may use.
    pub limits: SandboxLimits,
    /// CPU time that others before it used of the same limit.
    pub spent: Duration,
    /// Where a group of it can be made, if there is to be one.
    #[cfg(target_os = "linux")]
    pub control_groups: Option<ControlGroups>,
    /// The walls that must stand; without one of them nothing is started.
    pub walls: Walls,
}

/// The order to start one program.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::candidate) struct Order {
    /// The program and its arguments.
    pub(in crate::candidate) command: Vec<String>,
    /// The current folder.
    pub(in crate::candidate) folder: PathBuf,
    /// The whole environment.
    pub(in crate::candidate) environment: BTreeMap<String, String>,
    /// The folder that may be written.
    pub(in crate::candidate) scratch: PathBuf,
    /// Where the warden writes that it is [`Ready`].
    pub(in crate::candidate) ready: PathBuf,
    /// Where the warden writes the [`End`].
    pub(in crate::candidate) end: PathBuf,
    /// What it may do.
    pub(in crate::candidate) confinement: Confinement,
}

impl Order {
    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_slice(text.as_bytes())
            .map_err(|e| Error::ask(format!("this is no order of goldref to itself: {e}")))
    }

    /// This order cannot be carried out.
    pub(super) fn refused(&self, why: impl std::fmt::Display) -> Error {
        let name = self.command.first().map_or("", String::as_str);
        Error::ask(format!("the program \"{name}\" cannot be confined: {why}"))
    }
}

/// A program begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::candidate) struct Ready {
    /// Its own folder, by a name that whoever is outside can open.
    pub(in crate::candidate) scratch: PathBuf,
    /// The program, which leads its process group, or process 1 of its namespaces.
    pub(in crate::candidate) program: i32,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::candidate) struct End {
    /// In words: `exit status: 1`, `signal: 9`.
    pub(in crate::candidate) status: String,
    /// Whether it ended by itself and says that all went well.
    pub(in crate::candidate) success: bool,
    /// The limit for which it was ended.
    pub(in crate::candidate) exceeded: Option<Exceeded>,
    /// Processes that could not be ended.
    pub(in crate::candidate) left: usize,
    /// CPU time of all its processes.
    pub(in crate::candidate) cpu_seconds: f64,
    /// The first system call that it was refused.
    pub(in crate::candidate) refused: Option<String>,
}
