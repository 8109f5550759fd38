//! Gives up rights, one after the other, and becomes the program.

use super::super::order::Order;
use super::super::walls::Wall;
use super::refusals::Beginning;
use super::{files, system_calls};
use crate::error::{Error, Result};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Open files of a process.
const OPEN_FILES: u64 = 1024;
/// Timers and waiting signals, of which a user has a number for all processes together.
const TIMERS: u64 = 512;
/// How much more than its limit a process may reserve without using it, where its group is counted.
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

/// Becomes the program of the order, whose file is `found`; returns only with an error. Where the walls have namespaces this is one of them.
pub(super) fn become_program(order: &Order, found: Option<&Path>, beginning: Beginning) -> Result<()> {
    let [program, args @ ..] = order.command.as_slice() else { return Err(Error::ask("no program was named")) };
    let lacks = |what: &'static str| move |e: rustix::io::Errno| order.refused(format!("{what}: {e}"));
    // A session of its own: no terminal, and a process group that ends as one.
    rustix::process::setsid().map_err(lacks("no session of its own"))?;
    // Should its parent end without having ended the program.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(lacks("no end with its parent"))?;
    rustix::process::nice(NICE).map_err(lacks("no lower priority"))?;
    limit(order)?;
    match files::confine(order, found) {
        Err(e) if order.confinement.walls.contains(&Wall::Landlock) => return Err(order.refused(e)),
        _ => (),
    }
    // Of root, nothing is left but the name. It may need none of it to get here.
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(lacks("no giving up of capabilities"))?;
    let listener = match system_calls::confine() {
        Err(e) if order.confinement.walls.contains(&Wall::SystemCalls) => return Err(order.refused(e)),
        listener => listener.ok().flatten(),
    };
    beginning.lend(listener).map_err(|e| order.refused(format!("its warden is gone: {e}")))?;
    keep_standard_streams_alone().map_err(|e| order.refused(format!("no closing of other files: {e}")))?;
    let mut becoming = Command::new(found.unwrap_or(program.as_ref()));
    becoming.args(args).env_clear().envs(&order.environment).current_dir(&order.folder);
    if let Some(root) = found.and_then(files::pyenv_root) {
        becoming.env("PYENV_ROOT", root);
    }
    let failed = becoming.exec();
    Err(Error::ask(format!("the program \"{program}\" cannot be started: {failed}")))
}

/// Limits of each of its processes.
fn limit(order: &Order) -> Result<()> {
    let limits = &order.confinement.limits;
    // Without a group that bounds the sum, none may have more than all together.
    let reserved = if order.confinement.walls.contains(&Wall::ControlGroup) { RESERVED } else { 1 };
    // Behind the warden's, which counts all processes; first the signal that says why, then the end.
    let seconds =
        [1, 3].map(|more| limits.cpu_seconds.saturating_sub(order.confinement.spent.as_secs()).saturating_add(more));
    for (resource, [current, maximum]) in [
        (Resource::Core, [0; 2]),
        (Resource::Data, [limits.memory_bytes.saturating_mul(reserved); 2]),
        (Resource::Fsize, [limits.file_bytes; 2]),
        (Resource::Nofile, [OPEN_FILES; 2]),
        (Resource::Sigpending, [TIMERS; 2]),
        (Resource::Cpu, seconds),
    ] {
        let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
        rustix::process::setrlimit(resource, limit).map_err(|e| order.refused(format!("no resource limits: {e}")))?;
    }
    Ok(())
}
