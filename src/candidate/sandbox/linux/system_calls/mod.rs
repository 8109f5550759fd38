//! Which system calls a confined program may make: seccomp.
//!
//! What [`table`] does not allow does not exist: a call that a later kernel adds, or that nobody thought of, is refused like those that are known to be
//! of harm. What runtimes of any language need is in the table, with its reason.

mod rule;
mod table;
#[cfg(test)]
mod tests;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::collections::BTreeMap;

/// Forbids all others to this thread, and to whatever it becomes.
pub(super) fn confine() -> Result<(), String> {
    let words = |e: &dyn std::fmt::Display| format!("this kernel has no seccomp filters ({e})");
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| words(&e))?;
    let filter = filter(arch).map_err(|e| words(&e))?;
    seccompiler::apply_filter(&filter).map_err(|e| words(&e))
}

/// The table as the kernel takes it. A call by way of another architecture (32 bits) ends the program.
fn filter(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut allowed = BTreeMap::new();
    for row in table::ALLOWED {
        let rules = row.when.rules()?;
        for call in row.calls {
            let number = match arch {
                TargetArch::x86_64 => call.x86_64,
                TargetArch::aarch64 => call.aarch64,
                TargetArch::riscv64 => None,
            };
            if let Some(number) = number {
                allowed.insert(number.into(), rules.clone());
            }
        }
    }
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(allowed, absent, SeccompAction::Allow, arch)?.try_into()
}
