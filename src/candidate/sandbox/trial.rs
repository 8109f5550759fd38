//! Which walls can be had here: found out by starting a program in each of them.

use super::super::protocol::Outcome;
use super::super::{Program, Surroundings};
use super::{Confinement, Sandbox, SandboxLimits, Wall, Walls};
use crate::error::Result;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the smallest program.
const LIMIT: Duration = Duration::from_secs(60);

/// What came of trying.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// The walls that stand, alone and together.
    pub standing: Walls,
    /// The others, and why not.
    pub missing: BTreeMap<Wall, String>,
    /// Where groups can be made, if they can.
    #[cfg(target_os = "linux")]
    pub control_groups: Option<super::ControlGroups>,
}

impl Tried {
    /// What confines programs behind the walls that stand, with these limits; whoever asks adds what may be read.
    pub fn confinement(&self, limits: SandboxLimits) -> Confinement {
        Confinement {
            read: Vec::new(),
            write: None,
            built: None,
            limits,
            spent: Duration::ZERO,
            #[cfg(target_os = "linux")]
            control_groups: self.control_groups.clone(),
            walls: self.standing.clone(),
        }
    }

    fn without(&mut self, wall: Wall, why: String) {
        self.standing.remove(&wall);
        self.missing.insert(wall, why);
    }
}

/// Tries each wall by itself and then all that stand together, with `goldref` as the warden; `left_out` are not tried, as if the kernel had none of them.
///
/// # Errors
/// No temporary folder, no process.
pub fn tried(goldref: &Path, left_out: &Walls) -> Result<Tried> {
    #[cfg(target_os = "linux")]
    super::volume::remove_left();
    let mut tried = Tried::default();
    for wall in left_out {
        tried.without(*wall, "it was left out".to_string());
    }
    #[cfg(target_os = "linux")]
    if !left_out.contains(&Wall::ControlGroup) {
        match super::ControlGroups::found() {
            Ok(groups) => tried.control_groups = Some(groups),
            Err(why) => tried.without(Wall::ControlGroup, why),
        }
    }
    for wall in Wall::ALL {
        if tried.missing.contains_key(&wall) {
            continue;
        }
        match lacks(goldref, &tried, Walls::from([wall]))? {
            None => _ = tried.standing.insert(wall),
            Some(why) => tried.without(wall, why),
        }
    }
    #[cfg(target_os = "linux")]
    if !tried.standing.contains(&Wall::ControlGroup) {
        tried.control_groups = None;
    }
    // What each allows by itself, another may keep it from: the one without which the others stand is left out.
    if let Some(why) = lacks(goldref, &tried, tried.standing.clone())? {
        for wall in [Wall::ControlGroup, Wall::Landlock, Wall::Namespaces] {
            let mut others = tried.standing.clone();
            if others.remove(&wall) && lacks(goldref, &tried, others)?.is_none() {
                tried.without(wall, why);
                return Ok(tried);
            }
        }
        for wall in std::mem::take(&mut tried.standing) {
            tried.missing.insert(wall, why.clone());
        }
    }
    Ok(tried)
}

/// Why a program cannot be started behind these walls; `None` if it can.
fn lacks(goldref: &Path, tried: &Tried, walls: Walls) -> Result<Option<String>> {
    let mut confinement = tried.confinement(SandboxLimits::default());
    #[cfg(target_os = "linux")]
    if !walls.contains(&Wall::ControlGroup) {
        confinement.control_groups = None;
    }
    confinement.walls = walls;
    let sandbox = Sandbox { goldref: goldref.to_path_buf(), confinement };
    let surroundings =
        Surroundings { folder: Some(PathBuf::from("/")), environment: BTreeMap::new(), sandbox: Some(sandbox) };
    Ok(Program::run_to_end(&[OsString::from("true")], &surroundings, LIMIT)?.map(|outcome| match outcome {
        Outcome::Crashed(how) => how,
        other => other.in_words(),
    }))
}
