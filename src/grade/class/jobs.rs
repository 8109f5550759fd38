//! How many submissions fit side by side into the machine.

use crate::candidate::{SandboxLimits, Wall, Walls};

/// How many jobs there will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jobs {
    /// Side by side.
    pub jobs: usize,
    /// Bytes that each may take.
    pub each: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// As many of the `wanted` jobs as fit into `free` bytes of memory, and at least one. What a submission may write lies in memory where it has namespaces.
pub fn jobs_that_fit(wanted: usize, limits: &SandboxLimits, walls: &Walls, free: u64) -> Jobs {
    let files = if walls.contains(&Wall::Namespaces) { limits.folder_bytes } else { 0 };
    let each = limits.memory_bytes.saturating_add(files).max(1);
    let fit = usize::try_from(free / each).unwrap_or(usize::MAX);
    Jobs { jobs: wanted.min(fit).max(1), each, free }
}

/// Memory that can be had without anybody else's being taken, by the kernel; `None` where it does not say.
pub fn free_memory() -> Option<u64> {
    available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// `MemAvailable` of proc_meminfo(5).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_fit_into_what_is_free() {
        let limits = SandboxLimits { memory_bytes: 3 << 30, folder_bytes: 1 << 30, ..SandboxLimits::default() };
        let both: Walls = Wall::ALL.into_iter().collect();
        let jobs = |wanted, walls: &Walls, free: u64| jobs_that_fit(wanted, &limits, walls, free << 30).jobs;
        assert_eq!([jobs(8, &both, 22), jobs(2, &both, 22), jobs(8, &both, 3), jobs(8, &both, 32)], [5, 2, 1, 8]);
        // Without namespaces files are on a disk.
        assert_eq!(jobs(8, &Walls::from([Wall::Landlock]), 22), 7);
        let nothing = SandboxLimits { memory_bytes: 0, folder_bytes: 0, ..limits };
        assert_eq!(jobs_that_fit(3, &nothing, &both, 10).jobs, 3);
    }

    #[test]
    fn the_kernel_says_what_is_free() {
        assert_eq!(available("MemTotal:       24 kB\nMemAvailable:   12 kB\n"), Some(12288));
        assert_eq!(available("MemTotal: 24 kB\n"), None);
        #[cfg(target_os = "linux")]
        assert!(free_memory().is_some_and(|free| free > 1 << 20));
    }
}
