//! What a program holds by its open files alone: files that have no name any more take room on the disk, and no walk through a folder meets them; pipes and
//! sockets take memory of the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the kernel writes behind the name that a file had.
const GONE: &str = " (deleted)";
/// The most that a pipe or a socket with its usual buffers holds.
const BUFFER: u64 = 256 << 10;
/// Of lists of mappings, all processes together: who has more is hiding something, and reading on would take the time of the next look.
const MAPS: u64 = 16 << 20;

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    /// Bytes on disk.
    pub(super) disk: u64,
    /// Bytes of memory, at most.
    pub(super) buffers: u64,
}

/// More than any limit: of a process that cannot be looked at.
const UNKNOWN: Held = Held { disk: u64::MAX >> 1, buffers: 0 };

/// By these processes.
pub(super) fn held(processes: &[i32]) -> Held {
    let mut seen = BTreeSet::new();
    let mut held = Held::default();
    let mut left = MAPS;
    for pid in processes {
        // Each thread, since the first one may have ended, and others may have files of their own.
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut all = Vec::new();
        for thread in threads.map(|thread| thread.path()) {
            match fs::read_dir(thread.join("fd")) {
                Ok(open) => all.extend(open.flatten()),
                // Whoever ended meanwhile holds nothing; whoever hides it may hold anything.
                Err(e) if e.kind() == ErrorKind::PermissionDenied && !has_ended(&thread) => return UNKNOWN,
                Err(_) => (),
            }
        }
        for entry in all {
            let Ok(name) = fs::read_link(entry.path()) else { continue };
            let name = name.to_string_lossy();
            let is_buffer = name.starts_with("socket:") || name.starts_with("pipe:");
            if !(is_buffer || name.ends_with(GONE)) {
                continue;
            }
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if seen.insert(metadata.ino()) {
                held.buffers += if is_buffer { BUFFER } else { 0 };
                held.disk += if metadata.is_file() { metadata.blocks() * 512 } else { 0 };
            }
        }
        let Ok(maps) = fs::File::open(format!("/proc/{pid}/maps")) else { continue };
        let mut text = Vec::new();
        // Half of it is as good as none: what is missing is counted as more than is allowed.
        let read = maps.take(left + 1).read_to_end(&mut text).unwrap_or(0) as u64;
        left = match left.checked_sub(read) {
            Some(left) => left,
            None => return UNKNOWN,
        };
        held.disk += mapped(&String::from_utf8_lossy(&text), &mut seen);
    }
    held
}

/// Whether a thread has ended, or is about to: it has no memory any more.
fn has_ended(thread: &Path) -> bool {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    !status.lines().any(|line| line.starts_with("VmSize:"))
}

/// Bytes of mappings of files without a name that are not open as well.
fn mapped(maps: &str, seen: &mut BTreeSet<u64>) -> u64 {
    let mut bytes = 0;
    for line in maps.lines().filter(|line| line.ends_with(GONE)) {
        let mut fields = line.split_whitespace();
        let range = fields.next().and_then(|range| range.split_once('-'));
        let ends = range.map(|(first, last)| [first, last].map(|end| u64::from_str_radix(end, 16).unwrap_or(0)));
        let inode = fields.nth(3).and_then(|inode| inode.parse().ok()).unwrap_or(0);
        if let Some([first, last]) = ends
            && seen.insert(inode)
        {
            bytes += last.saturating_sub(first);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_open_files_hold_is_counted() {
        let own = [i32::try_from(std::process::id()).unwrap()];
        let mut file = tempfile::tempfile().unwrap();
        let before = held(&own);
        file.write_all(&vec![1; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        let (_reader, _writer) = std::io::pipe().unwrap();
        let after = held(&own);
        assert!(after.disk >= before.disk + (3 << 20), "{before:?} {after:?}");
        assert!(after.buffers >= BUFFER, "{after:?}");
    }

    #[test]
    fn a_mapping_without_a_name_is_counted_once() {
        let maps = "7f00-9f00 rw-s 00000000 08:01 42   /tmp/x (deleted)\n9f00-af00 rw-s 0 08:01 42 /tmp/x (deleted)\n1-2 r--p 0 08:01 7 /usr/lib/x\n";
        assert_eq!(mapped(maps, &mut BTreeSet::new()), 0x2000);
    }
}
