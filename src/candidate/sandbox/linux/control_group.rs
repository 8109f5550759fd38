//! A group of processes whose memory, tasks and time the kernel counts together (cgroup), version 1 or 2.
//!
//! goldref may make a child of the group that it is in, or it may not: that is found out by doing so.

use super::super::limits::SandboxLimits;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the names of groups begin with; the number of the process that made it follows.
const PREFIX: &str = "goldref-";
/// What a group may use besides what its program may: the first process, and pages that the kernel takes for all of them.
const BESIDES: u64 = 32 << 20;
/// Tasks that are none of the program's.
const OWN_TASKS: u64 = 2;
/// For a group to be empty once all its processes are ended.
const EMPTY: Duration = Duration::from_secs(2);

/// Folders in which groups can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlGroups {
    version: Version,
    memory: PathBuf,
    /// With version 2 it is the folder of memory.
    tasks: Option<PathBuf>,
    time: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Version {
    One,
    Two,
}

impl ControlGroups {
    /// Those that this process may use, tried by making one and removing it.
    ///
    /// # Errors
    /// Why there are none.
    pub(in super::super) fn found() -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
        let mut why = "no control groups are mounted".to_string();
        for groups in Self::of(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?) {
            groups.clear();
            let limits = SandboxLimits::default();
            // It removes what it made.
            match Group::made(&groups, &limits, "trial") {
                Ok(_) => return Ok(groups),
                Err(e) => why = e.to_string(),
            }
        }
        Err(why)
    }

    /// Removes groups of a goldref that was ended from outside. One that is in use has processes, and cannot be removed.
    fn clear(&self) {
        for folder in std::iter::once(&self.memory).chain(&self.tasks).chain(&self.time) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
                if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }

    /// Where they may be, the nearest first, from what the kernel says of this process (cgroups(7)) and of mounts (proc_pid_mountinfo(5)).
    ///
    /// Of version 2 a group that has processes can have no groups with controllers below it, but one above it can: of a user's session, or for root.
    fn of(own: &str, mounts: &str) -> Vec<Self> {
        let [memory, tasks, time] = ["memory", "pids", "cpuacct"].map(|controller| version_1(own, mounts, controller));
        if let Some(memory) = memory {
            return vec![Self { version: Version::One, memory, tasks, time }];
        }
        let mut all = Vec::new();
        if let Some((folder, point)) = version_2(own, mounts) {
            for folder in folder.ancestors().take_while(|folder| folder.starts_with(&point)) {
                all.push(Self { version: Version::Two, memory: folder.to_path_buf(), tasks: None, time: None });
            }
        }
        all
    }
}

/// Where a mount shows the group of this name, and the mount itself.
fn shown<'m>(mount: &'m str, name: &str, kind: &str, option: Option<&str>) -> Option<(PathBuf, PathBuf)> {
    let (first, second) = mount.split_once(" - ")?;
    let mut after = second.split(' ');
    let is_kind = after.next() == Some(kind);
    let options: Vec<&'m str> = after.nth(1).unwrap_or("").split(',').collect();
    if !is_kind || option.is_some_and(|option| !options.contains(&option)) {
        return None;
    }
    let mut before = first.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let inside = if root == "/" { name } else { name.strip_prefix(root)? };
    let point = Path::new(point);
    Some((point.join(inside.trim_start_matches('/')), point.to_path_buf()))
}

fn version_1(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let name = own.lines().find_map(|line| {
        let (controllers, name) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|one| one == controller).then_some(name)
    })?;
    mounts.lines().find_map(|mount| shown(mount, name, "cgroup", Some(controller))).map(|(folder, _)| folder)
}

fn version_2(own: &str, mounts: &str) -> Option<(PathBuf, PathBuf)> {
    let name = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|mount| shown(mount, name, "cgroup2", None))
}

/// A group of one program; it is gone with this value.
#[derive(Debug)]
pub(super) struct Group {
    groups: ControlGroups,
    name: String,
}

/// What the processes of a group used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Used {
    /// Bytes of memory that no file stands behind, the kernel's own for them among it.
    pub(super) memory_bytes: u64,
    /// Of all, whether they ended or not; `None` where it is not counted.
    pub(super) cpu: Option<Duration>,
    /// The kernel ended one of them because the group had no more.
    pub(super) out_of_memory: bool,
}

impl Group {
    /// A group with these limits. Its memory may hold what its program may have of memory and of disk, which is memory as well.
    pub(super) fn made(groups: &ControlGroups, limits: &SandboxLimits, name: &str) -> io::Result<Self> {
        let group = Self::left_by(groups, std::process::id(), name);
        for folder in group.folders() {
            match fs::create_dir(&folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => (),
            }
        }
        let memory = limits.memory_bytes.saturating_add(limits.folder_bytes).saturating_add(BESIDES).to_string();
        let tasks = limits.tasks.saturating_add(OWN_TASKS).to_string();
        match groups.version {
            Version::One => {
                group.set(&groups.memory, "memory.limit_in_bytes", &memory)?;
                // Where swap is counted it is bounded as well; where it is not, it cannot be.
                let _ = group.set(&groups.memory, "memory.memsw.limit_in_bytes", &memory);
                if let Some(folder) = &groups.tasks {
                    group.set(folder, "pids.max", &tasks)?;
                }
            }
            Version::Two => {
                group.set(&groups.memory, "memory.max", &memory)?;
                group.set(&groups.memory, "pids.max", &tasks)?;
                let _ = group.set(&groups.memory, "memory.swap.max", "0");
                let _ = group.set(&groups.memory, "memory.oom.group", "1");
            }
        }
        Ok(group)
    }

    /// The group that this process made, whether it is still there or not.
    pub(super) fn left_by(groups: &ControlGroups, process: u32, name: &str) -> Self {
        Self { groups: groups.clone(), name: format!("{PREFIX}{process}-{name}") }
    }

    /// Ends all its processes, and it.
    pub(super) fn end(self) {
        let begin = Instant::now();
        let left = || -> Vec<i32> {
            let read = |folder: PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            let all: String = self.folders().into_iter().map(read).collect();
            all.lines().filter_map(|line| line.parse().ok()).collect()
        };
        while begin.elapsed() < EMPTY {
            let left = left();
            if left.is_empty() {
                break;
            }
            for process in left.into_iter().filter_map(Pid::from_raw) {
                let _ = rustix::process::kill_process(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let groups = &self.groups;
        let all = std::iter::once(&groups.memory).chain(&groups.tasks).chain(&groups.time);
        let mut folders: Vec<PathBuf> = all.map(|folder| folder.join(&self.name)).collect();
        // Controllers of version 1 may share a folder.
        folders.dedup();
        folders
    }

    fn set(&self, folder: &Path, file: &str, value: &str) -> io::Result<()> {
        let path = folder.join(&self.name).join(file);
        fs::write(&path, value).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }

    /// Takes a process, and all that it will start.
    pub(super) fn add(&self, process: i32) -> io::Result<()> {
        self.folders().iter().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), process.to_string()))
    }

    pub(super) fn used(&self) -> Used {
        let groups = &self.groups;
        let read =
            |folder: &Path, file: &str| fs::read_to_string(folder.join(&self.name).join(file)).unwrap_or_default();
        let field = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        match groups.version {
            Version::One => {
                let stat = read(&groups.memory, "memory.stat");
                let kernel = read(&groups.memory, "memory.kmem.usage_in_bytes").trim().parse().unwrap_or(0);
                let time = groups.time.as_deref().map(|folder| read(folder, "cpuacct.usage"));
                Used {
                    memory_bytes: field(&stat, "total_rss") + field(&stat, "total_swap") + kernel,
                    cpu: time.and_then(|time| time.trim().parse().ok()).map(Duration::from_nanos),
                    out_of_memory: field(&read(&groups.memory, "memory.oom_control"), "oom_kill") > 0,
                }
            }
            Version::Two => {
                let stat = read(&groups.memory, "memory.stat");
                let time = field(&read(&groups.memory, "cpu.stat"), "usage_usec");
                Used {
                    memory_bytes: field(&stat, "anon") + field(&stat, "kernel"),
                    cpu: Some(Duration::from_micros(time)),
                    out_of_memory: field(&read(&groups.memory, "memory.events"), "oom_kill") > 0,
                }
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begin = Instant::now();
        for folder in self.folders() {
            // The kernel takes a moment to forget processes that have ended.
            while fs::remove_dir(&folder).is_err_and(|e| e.kind() != io::ErrorKind::NotFound) && begin.elapsed() < EMPTY
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_as_the_kernel_tells_them() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      31 24 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let own = "9:name=systemd:/\n8:pids:/\n4:memory:/process/b8\n0::/user.slice/run-7.scope\n";
        let [groups] = &*ControlGroups::of(own, mounts) else { panic!("one of version 1") };
        assert_eq!(groups.version, Version::One);
        assert_eq!(groups.memory, Path::new("/sys/fs/cgroup/memory/process/b8"));
        assert_eq!((groups.tasks.as_deref(), &groups.time), (Some(Path::new("/sys/fs/cgroup/pids/")), &None));
        // A container is shown its own group as the top.
        let mounts = "40 24 0:28 /docker/1f /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        let folders = |own, mounts| -> Vec<PathBuf> {
            let groups = ControlGroups::of(own, mounts);
            assert!(groups.iter().all(|groups| groups.version == Version::Two));
            groups.into_iter().map(|groups| groups.memory).collect()
        };
        let found = folders("0::/docker/1f/init\n", mounts);
        assert_eq!(found, ["/sys/fs/cgroup/init", "/sys/fs/cgroup"].map(PathBuf::from));
        // A session of a user: the groups above it have the controllers, and may be the user's.
        let mounts = "32 24 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = folders("0::/user.slice/user@7.service/app.slice/run-7.scope\n", mounts);
        assert_eq!(found.len(), 5);
        assert_eq!(found[1], Path::new("/sys/fs/cgroup/user.slice/user@7.service/app.slice"));
        assert_eq!(folders("0::/elsewhere\n", "").len(), 0);
    }
}
