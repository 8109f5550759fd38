//! A copy of this process, in namespaces of its own or in the same.

use rustix::process::Pid;
use std::io;

/// Which of the two this is.
pub(super) enum Side {
    Copy,
    Original(Pid),
}

/// Namespaces of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespaces {
    /// Those of the original.
    Same,
    /// Users, mounts, processes, network, IPC and names of hosts of its own: it is process 1, and when it ends all in there end.
    Own,
}

/// Copies this process, which must have one thread: of others nothing would be left but the locks that they hold.
pub(super) fn fork(namespaces: Namespaces) -> io::Result<Side> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads cannot be copied"));
    }
    let own = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    let flags = if namespaces == Namespaces::Own { own | libc::SIGCHLD } else { libc::SIGCHLD };
    let none = 0usize;
    // SAFETY: Without a stack of its own the copy goes on as after fork(2), with all memory of the original as it is; no pointer is given. There is one thread.
    let number = unsafe { libc::syscall(libc::SYS_clone, flags as usize, none, none, none, none) };
    match i32::try_from(number) {
        Ok(0) => Ok(Side::Copy),
        Ok(number) => Pid::from_raw(number).map(Side::Original).ok_or_else(io::Error::last_os_error),
        Err(_) => Err(io::Error::other("a process number out of range")),
    }
}

/// Gives the copy in a namespace of users the user and group that this process has, and no other.
pub(super) fn same_user(copy: Pid) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let of = |file: &str| format!("/proc/{}/{file}", copy.as_raw_pid());
    // Whoever may not set groups cannot give up one that is refused something.
    std::fs::write(of("setgroups"), "deny")?;
    std::fs::write(of("gid_map"), format!("{group} {group} 1"))?;
    std::fs::write(of("uid_map"), format!("{user} {user} 1"))
}
