//! What a program was refused: its first system call that is not in the table, by name, for whoever wants to know what it was up to.
//!
//! The filter asks whoever started the program about each call that it does not allow, and the answer is always the same: there is none. Where nobody listens
//! the kernel gives that answer itself.

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use serde::{Deserialize, Serialize};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Calls that libraries try by themselves, knowing another way: they say nothing of the program.
const HABITS: [&str; 8] = [
    "clone3",
    "get_mempolicy",
    "io_uring_setup",
    "mbind",
    "pidfd_open",
    "pkey_alloc",
    "sched_setaffinity",
    "set_mempolicy",
];

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Refused(pub(in super::super) String);

/// The end of whoever is asked.
pub(super) struct Refusals {
    listener: OwnedFd,
    first: Option<Refused>,
}

/// Between a program that is about to begin and whoever started it.
pub(super) struct Beginning {
    says: PipeWriter,
    hears: PipeReader,
}

/// The other side of it.
pub(super) struct Awaited {
    told: PipeReader,
    tells: PipeWriter,
}

/// Both sides; one is to be dropped in each process.
pub(super) fn beginning() -> std::io::Result<(Beginning, Awaited)> {
    let (told, says) = std::io::pipe()?;
    let (hears, tells) = std::io::pipe()?;
    Ok((Beginning { says, hears }, Awaited { told, tells }))
}

impl Beginning {
    /// Lets whoever started this process take the listener, and waits for it.
    pub(super) fn lend(mut self, listener: Option<OwnedFd>) -> std::io::Result<()> {
        let number = listener.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        self.says.write_all(&number.to_ne_bytes())?;
        self.hears.read_exact(&mut [0])
    }
}

impl Awaited {
    /// The listener of the process that is about to begin; `None` where there is none, or it may not be taken.
    pub(super) fn refusals(mut self, process: Pid) -> Option<Refusals> {
        let mut number = [0; size_of::<RawFd>()];
        self.told.read_exact(&mut number).ok()?;
        let taken = || {
            let process = rustix::process::pidfd_open(process, PidfdFlags::empty()).ok()?;
            rustix::process::pidfd_getfd(process, RawFd::from_ne_bytes(number), PidfdGetfdFlags::empty()).ok()
        };
        let listener = taken();
        // If it has ended, that is seen by its status.
        let _ = self.tells.write_all(&[0]);
        Some(Refusals { listener: listener?, first: None })
    }
}

impl Refusals {
    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.listener)
    }

    /// The first call that was refused.
    pub(super) fn first(&self) -> Option<Refused> {
        self.first.clone()
    }

    /// Answers a question of the kernel, if there is one; waits for it otherwise.
    pub(super) fn answer(&mut self) {
        let nothing = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
        let mut asked = libc::seccomp_notif { id: 0, pid: 0, flags: 0, data: nothing };
        // SAFETY: The kernel writes a structure of this type, which outlives the call.
        if unsafe { libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) } != 0 {
            // Whoever asked has ended meanwhile.
            return;
        }
        let mut answer = libc::seccomp_notif_resp { id: asked.id, val: 0, error: -libc::ENOSYS, flags: 0 };
        // SAFETY: The kernel reads a structure of this type, which outlives the call. If whoever asked has ended, it says so, and nothing is to be done.
        unsafe { libc::ioctl(self.listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
        if self.first.is_none() {
            self.first = named(&asked.data);
        }
    }
}

/// The call and its first arguments, as they stand in a manual page.
fn named(asked: &libc::seccomp_data) -> Option<Refused> {
    let name = usize::try_from(asked.nr).ok().and_then(syscalls::Sysno::new);
    let name = name.map_or_else(|| format!("system call {}", asked.nr), |name| name.name().to_string());
    if HABITS.contains(&name.as_str()) {
        return None;
    }
    let [a, b, c, ..] = asked.args;
    Some(Refused(format!("{name}({a:#x}, {b:#x}, {c:#x}, …)")))
}
