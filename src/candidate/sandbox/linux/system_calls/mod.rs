//! Which system calls a confined program may make: seccomp.
//!
//! What [`table`] does not allow does not exist: a call that a later kernel adds, or that nobody thought of, is refused like those that are known to be
//! of harm. What runtimes of any language need is in the table, with its reason.

mod rule;
mod table;
#[cfg(test)]
mod tests;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};
use std::collections::BTreeMap;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Forbids all others to this thread, and to whatever it becomes. Who has the listener is asked about each of them; without one, which older kernels do not
/// have, they are absent as well.
pub(super) fn confine() -> Result<Option<OwnedFd>, String> {
    let words = |e: &dyn std::fmt::Display| format!("this kernel has no seccomp filters ({e})");
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| words(&e))?;
    let filter = filter(arch).map_err(|e| words(&e))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| words(&e))?;
    // First, for the other one allows no further filter.
    let pretended = pretended(arch).map_err(|e| words(&e))?;
    seccompiler::apply_filter(&pretended).map_err(|e| words(&e))?;
    if let Some(listener) = listened(&filter) {
        return Ok(Some(listener));
    }
    seccompiler::apply_filter(&filter).map_err(|e| words(&e))?;
    Ok(None)
}

/// The filter that asks in place of answering, applied; `None` where the kernel refuses it.
fn listened(filter: &[sock_filter]) -> Option<OwnedFd> {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let mut steps = Vec::with_capacity(filter.len());
    for step in filter {
        let absent = step.code == RETURN && step.k == libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        let k = if absent { libc::SECCOMP_RET_USER_NOTIF } else { step.k };
        steps.push(libc::sock_filter { code: step.code, jt: step.jt, jf: step.jf, k });
    }
    let len = libc::c_ushort::try_from(steps.len()).ok()?;
    let program = libc::sock_fprog { len, filter: steps.as_mut_ptr() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: The kernel reads the structure and as many steps as it says; both outlive the call.
    let number = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    let number = RawFd::try_from(number).ok().filter(|number| *number >= 0)?;
    // SAFETY: The kernel has just opened it, and nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What is answered as if it were done: without an error, and nothing is.
fn pretended(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules(table::PRETENDED, arch)?, SeccompAction::Allow, SeccompAction::Errno(0), arch)?.try_into()
}

/// The table as the kernel takes it. A call by way of another architecture (32 bits) ends the program.
fn filter(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let allowed = rules(table::ALLOWED, arch)?;
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(allowed, absent, SeccompAction::Allow, arch)?.try_into()
}

/// The rules of a table by number.
fn rules(table: &[table::Row], arch: TargetArch) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut all = BTreeMap::new();
    for row in table {
        let rules = row.when.rules()?;
        for call in row.calls {
            let number = match arch {
                TargetArch::x86_64 => call.x86_64,
                TargetArch::aarch64 => call.aarch64,
                TargetArch::riscv64 => None,
            };
            if let Some(number) = number {
                all.insert(number.into(), rules.clone());
            }
        }
    }
    Ok(all)
}
