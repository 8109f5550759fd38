//! Files that have no name any more but are still open or mapped: they take room on the disk, and no walk through a folder meets them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// What the kernel writes behind the name that a file had.
const GONE: &str = " (deleted)";

/// Bytes of such files of these processes.
pub(super) fn bytes(processes: &[i32]) -> u64 {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for pid in processes {
        // Whatever ended meanwhile holds nothing.
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let gone = fs::read_link(entry.path()).is_ok_and(|name| name.to_string_lossy().ends_with(GONE));
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if gone && metadata.is_file() && seen.insert(metadata.ino()) {
                bytes += metadata.blocks() * 512;
            }
        }
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in maps.lines().filter(|line| line.ends_with(GONE)) {
            let mut fields = line.split_whitespace();
            let range = fields.next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(first, last)| [first, last].map(|end| u64::from_str_radix(end, 16).unwrap_or(0)));
            let inode = fields.nth(3).and_then(|inode| inode.parse().ok()).unwrap_or(0);
            // Memory that processes share has no inode on a disk, and is counted as memory.
            let is_memory = line.contains("/dev/zero") || line.contains("/memfd:") || line.contains("/SYSV");
            if let (Some([first, last]), false) = (ends, is_memory)
                && seen.insert(inode)
            {
                bytes += last.saturating_sub(first);
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_without_a_name_is_counted_while_it_is_open() {
        let own = [i32::try_from(std::process::id()).unwrap()];
        let mut file = tempfile::tempfile().unwrap();
        let before = bytes(&own);
        file.write_all(&vec![1; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        assert!(bytes(&own) >= before + (3 << 20), "{before}");
    }
}
