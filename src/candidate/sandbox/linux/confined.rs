//! Gives up rights, one after the other, and becomes the program.

use super::super::order::{Demand, Order};
use super::{files, system_calls};
use crate::error::{Error, Result};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Open files of a process.
const OPEN_FILES: u64 = 1024;
/// How much more than its limit a process may reserve without using it.
const RESERVED: u64 = 2;
/// Steps by which others go first, the warden among them.
const NICE: i32 = 5;

/// Whoever started goldref may have left it open files, and they would be the program's as well.
fn keep_standard_streams_alone() -> std::io::Result<()> {
    let (first, last) = (3, libc::c_uint::MAX);
    let flags = libc::c_uint::try_from(libc::CLOSE_RANGE_CLOEXEC).unwrap_or_default();
    // SAFETY: The call takes three numbers and touches no memory. It closes nothing now, but marks descriptors to be closed when another program takes over.
    let failed = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } != 0;
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// As [`run_confined`](super::super::run_confined).
pub(in super::super) fn become_program(order: &Order) -> Result<()> {
    let [program, args @ ..] = order.command.as_slice() else { return Err(Error::ask("no program was named")) };
    let lacks = |what: &'static str| move |e: rustix::io::Errno| order.refused(format!("{what}: {e}"));
    // A session of its own: no terminal, and a process group that ends as one.
    rustix::process::setsid().map_err(lacks("no session of its own"))?;
    // Should the warden end without having ended the program.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(lacks("no end with its parent"))?;
    rustix::process::nice(NICE).map_err(lacks("no lower priority"))?;
    // Where memory runs out all the same, the kernel takes the program and nobody else.
    std::fs::write("/proc/self/oom_score_adj", "1000").map_err(|e| order.refused(format!("no place in line: {e}")))?;
    let limits = &order.confinement.limits;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Data, limits.memory_bytes.saturating_mul(RESERVED)),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, OPEN_FILES),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(lacks("no resource limits"))?;
    }
    // Behind the warden's, which counts all processes; first the signal that says why, then the end.
    let limit = Rlimit { current: Some(limits.cpu_seconds + 1), maximum: Some(limits.cpu_seconds + 3) };
    rustix::process::setrlimit(Resource::Cpu, limit).map_err(lacks("no resource limits"))?;
    let found = files::program(program, order);
    match files::confine(order, found.as_deref()) {
        Ok(()) => (),
        Err(_) if order.confinement.demand == Demand::WhatThereIs => (),
        Err(e) => return Err(order.refused(e)),
    }
    // Of root, nothing is left but the name. It may need none of it to get here.
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(lacks("no giving up of capabilities"))?;
    match system_calls::forbid() {
        Ok(()) => (),
        Err(_) if order.confinement.demand == Demand::WhatThereIs => (),
        Err(e) => return Err(order.refused(e)),
    }
    keep_standard_streams_alone().map_err(|e| order.refused(format!("no closing of other files: {e}")))?;
    let mut becoming = Command::new(found.as_deref().unwrap_or(program.as_ref()));
    becoming.args(args);
    if let Some(root) = found.as_deref().and_then(files::pyenv_root) {
        becoming.env("PYENV_ROOT", root);
    }
    let failed = becoming.exec();
    Err(Error::ask(format!("the program \"{program}\" cannot be started: {failed}")))
}
