//! The memory of this machine, where Linux says how much there is.

/// Bytes in all.
pub(super) fn total_memory() -> Option<u128> {
    meminfo("MemTotal:")
}

/// Bytes that can be had.
pub(super) fn available_memory() -> Option<u128> {
    meminfo("MemAvailable:")
}

fn meminfo(field: &str) -> Option<u128> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u128>().ok().map(|kib| 1024 * kib)
}
