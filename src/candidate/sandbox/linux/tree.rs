//! What all processes below one use, as the kernel tells it.

use std::fs;
use std::path::{Path, PathBuf};

/// Processes below one, and what they use together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree {
    /// Their numbers.
    pub(super) processes: Vec<i32>,
    /// Processes and threads.
    pub(super) tasks: u64,
    /// Bytes of memory that no file stands behind.
    pub(super) memory_bytes: u64,
    /// Ticks of CPU time, of those too that ended and were waited for.
    pub(super) cpu_ticks: u64,
}

impl Tree {
    /// Of all below this process; counting ends soon after more than `most` tasks. `None` where the kernel does not tell.
    pub(super) fn below_this(most: u64) -> Option<Self> {
        let own = i32::try_from(std::process::id()).ok()?;
        let mut tree = Self { cpu_ticks: ticks(own)?.children, ..Self::default() };
        let mut open = children(own)?;
        while let Some(pid) = open.pop() {
            tree.processes.push(pid);
            // One that ended meanwhile uses nothing.
            if let Some(threads) = threads(pid) {
                tree.tasks += threads.len() as u64;
                open.extend(threads.iter().filter_map(|thread| of_thread(thread)).flatten());
            }
            if tree.tasks > most {
                break;
            }
            tree.memory_bytes += memory(pid).unwrap_or(0);
            tree.cpu_ticks += ticks(pid).map_or(0, |ticks| ticks.own + ticks.children);
        }
        Some(tree)
    }
}

fn children(pid: i32) -> Option<Vec<i32>> {
    let each: Vec<Vec<i32>> = threads(pid)?.iter().map(|thread| of_thread(thread)).collect::<Option<_>>()?;
    Some(each.into_iter().flatten().collect())
}

fn threads(pid: i32) -> Option<Vec<PathBuf>> {
    Some(fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().map(|entry| entry.path()).collect())
}

fn of_thread(thread: &Path) -> Option<Vec<i32>> {
    let list = fs::read_to_string(thread.join("children")).ok()?;
    Some(list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// Bytes of a process's own memory, of shared memory, and of the tables of both.
fn memory(pid: i32) -> Option<u64> {
    let mut status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // A field of its own: the name, which the process chooses, may hold these words as well.
    let has_memory = |status: &str| status.lines().any(|line| line.starts_with("RssAnon:"));
    if !has_memory(&status) {
        // Its first thread has ended; the others have the memory all the same.
        let each = threads(pid)?.into_iter().filter_map(|thread| fs::read_to_string(thread.join("status")).ok());
        status = each.into_iter().find(|status| has_memory(status))?;
    }
    let of = |field: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|rest| rest.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
    };
    Some((of("RssAnon:") + of("RssShmem:") + of("VmSwap:") + of("VmPTE:")) << 10)
}

struct Ticks {
    own: u64,
    children: u64,
}

fn ticks(pid: i32) -> Option<Ticks> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses too; the numbers stand behind the last one.
    let fields: Vec<u64> =
        stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    // utime, stime, cutime, cstime are fields 14 to 17 of proc(5), and the first behind the name is field 3.
    let [utime, stime, cutime, cstime] = *fields.get(11..15)? else { return None };
    Some(Ticks { own: utime + stime, children: cutime + cstime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_and_its_memory_are_seen() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = Tree::below_this(1000).unwrap();
        assert!(tree.processes.contains(&i32::try_from(child.id()).unwrap()), "{tree:?}");
        assert!(tree.tasks >= 1, "{tree:?}");
        assert!(memory(i32::try_from(std::process::id()).unwrap()).unwrap() > 100_000);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
