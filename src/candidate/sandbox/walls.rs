//! The walls around a program, and what each of them holds.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One wall. Where two hold the same, the second stands behind the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wall {
    /// Users, mounts, processes, network and IPC of its own: what is outside has no name there.
    Namespaces,
    /// A group whose memory and tasks the kernel counts and bounds (cgroup).
    ControlGroup,
    /// Rules on files, signals and TCP, from Linux 6.12 on.
    Landlock,
    /// A filter of system calls (seccomp).
    SystemCalls,
}

impl Wall {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespaces, Self::ControlGroup, Self::Landlock, Self::SystemCalls];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::ControlGroup => "control group",
            Self::Landlock => "Landlock",
            Self::SystemCalls => "filter of system calls",
        }
    }

    /// What whoever looks after the machine can do so that it stands.
    pub fn how_to_have_it(self) -> &'static str {
        match self {
            Self::Namespaces => {
                "namespaces of users: `sysctl kernel.unprivileged_userns_clone=1` (Debian), `user.max_user_namespaces` above 0, \
                 `kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu); in a container `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
            }
            Self::ControlGroup => "a control group of its own: `systemd-run --user --scope goldref grade …`, or root",
            Self::Landlock => "Linux 6.12 or newer, with `landlock` in /sys/kernel/security/lsm",
            Self::SystemCalls => "a kernel with CONFIG_SECCOMP_FILTER",
        }
    }
}

/// Walls that stand together.
pub type Walls = BTreeSet<Wall>;

/// Something that a program must not do or have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// What is kept from it.
    pub what: &'static str,
    /// Any of these lists of walls holds it.
    pub held_by: &'static [&'static [Wall]],
    /// What holds it where no wall does; `None`: nothing, and no program is started.
    pub otherwise: Option<&'static str>,
}

use Wall::{ControlGroup, Landlock, Namespaces, SystemCalls};

/// All that is kept from a program.
pub const PROTECTIONS: &[Protection] = &[
    Protection { what: "files of others", held_by: &[&[Namespaces], &[Landlock, SystemCalls]], otherwise: None },
    Protection {
        what: "processes of others",
        held_by: &[&[Namespaces, SystemCalls], &[Landlock, SystemCalls]],
        otherwise: None,
    },
    Protection {
        what: "the network, and others beside it",
        held_by: &[&[Namespaces], &[SystemCalls]],
        otherwise: None,
    },
    Protection { what: "all else that the kernel does", held_by: &[&[SystemCalls]], otherwise: None },
    Protection {
        what: "memory beyond its limit",
        held_by: &[&[ControlGroup]],
        otherwise: Some("a limit for each process, and looks at the sum"),
    },
    Protection {
        what: "disk beyond its limit",
        held_by: &[&[Namespaces]],
        otherwise: Some("looks at its folder and open files"),
    },
    Protection { what: "running on", held_by: &[&[Namespaces]], otherwise: Some("looks at its processes") },
];

impl Protection {
    /// The walls that hold it, of those that stand: the first is enough, the others stand behind it.
    pub fn holding(&self, standing: &Walls) -> Vec<Wall> {
        let mut holding = Vec::new();
        for walls in self.held_by.iter().filter(|walls| walls.iter().all(|wall| standing.contains(wall))) {
            for wall in walls.iter() {
                if !holding.contains(wall) {
                    holding.push(*wall);
                }
            }
        }
        holding
    }

    /// Whether anything holds it.
    pub fn is_held(&self, standing: &Walls) -> bool {
        self.otherwise.is_some() || !self.holding(standing).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_or_landlock_is_enough_beside_the_filter_and_nothing_is_without_it() {
        let held = |walls: &[Wall]| {
            let standing = walls.iter().copied().collect();
            PROTECTIONS.iter().all(|protection| protection.is_held(&standing))
        };
        assert!(held(&Wall::ALL) && held(&[Namespaces, SystemCalls]) && held(&[Landlock, SystemCalls]));
        assert!(!held(&[Namespaces, ControlGroup, Landlock]) && !held(&[SystemCalls, ControlGroup]) && !held(&[]));
        let files = &PROTECTIONS[0];
        assert_eq!(files.holding(&Wall::ALL.into_iter().collect()), [Namespaces, Landlock, SystemCalls]);
        assert_eq!(files.holding(&[SystemCalls, ControlGroup].into_iter().collect()), []);
    }
}
