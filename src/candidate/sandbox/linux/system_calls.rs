//! Which system calls a confined program may not make: seccomp.
//!
//! A list of what is forbidden, not of what is allowed: interpreters of any language must run. What files Landlock leaves open (modes, owners, times), all ways
//! to others (sockets, other processes, other namespaces) and all that outlives a process (shared memory, queues, keys) is on it.

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use std::collections::BTreeMap;

/// Refused with "operation not permitted".
const FORBIDDEN: &[c_long] = &[
    // Others on the network or on this machine; a pair of sockets has no others.
    libc::SYS_socket,
    // Open files sent to oneself, which nobody's list of open files has on the way; buffers of any size.
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_setsockopt,
    // A group of its own would not end with the program's.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // Modes, owners, times and attributes of files, which Landlock does not guard.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SYS_SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    // It tells names and times of files that may not be read.
    libc::SYS_inotify_add_watch,
    // Namespaces, mounts, the kernel itself.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    // What outlives a process, or is no memory of it.
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_memfd_secret,
];

/// Calls that newer ones replaced, where the processor still has them.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] =
    &[libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// Refused with "no such system call", upon which programs take another way.
const ABSENT: &[c_long] = &[
    // Its flags are in memory and cannot be looked at; libraries fall back on clone.
    libc::SYS_clone3,
    // Does other calls in the kernel, past this filter.
    libc::SYS_io_uring_setup,
    // Memory that no process need have mapped.
    libc::SYS_memfd_create,
];

/// Calls that may be made of the caller itself: the first argument is a process, and 0 is this one.
const OF_ITSELF: &[c_long] = &[
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];

/// Newer than the list of the libc crate on some targets.
const SYS_FCHMODAT2: c_long = 452;
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;
const SYS_FILE_SETATTR: c_long = 469;

/// Of `prctl`: not to be looked at by the warden, not to end with it.
const PRCTL: [u64; 2] = [libc::PR_SET_DUMPABLE as u64, libc::PR_SET_PDEATHSIG as u64];
/// Of `fcntl`: a lease, which lets whoever opens the file wait, and news of a folder (F_NOTIFY).
const FCNTL: [u64; 2] = [libc::F_SETLEASE as u64, 1026];
/// Of `ioctl`, by their group: attributes of files, as ext4, xfs, the kernel's common ones and btrfs set them.
const IOCTL: [u64; 4] = [0x6600, 0x5800, 0x7600, 0x9400];
/// Of `mmap`.
const SHARED: u64 = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u64;

/// New namespaces by way of clone.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32 as u64;

/// Forbids them to this thread, and to whatever it becomes.
pub(super) fn forbid() -> Result<(), String> {
    let words = |e: &dyn std::fmt::Display| format!("this kernel has no seccomp filters ({e})");
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| words(&e))?;
    let condition = |arg, operator, value| {
        SeccompCondition::new(arg, SeccompCmpArgLen::Qword, operator, value).map_err(|e| words(&e))
    };
    let rule = |condition| SeccompRule::new(vec![condition]).map_err(|e| words(&e));
    let mut refused = BTreeMap::new();
    for &call in FORBIDDEN.iter().chain(OLD) {
        refused.insert(call, Vec::new());
    }
    for &call in OF_ITSELF {
        refused.insert(call, vec![rule(condition(0, SeccompCmpOp::Ne, 0)?)?]);
    }
    let mut any_of = |call: c_long, argument: u8, operator: fn(u64) -> SeccompCmpOp, values: &[u64]| {
        let mut rules = Vec::with_capacity(values.len());
        for &value in values {
            rules.push(rule(condition(argument, operator(value), value)?)?);
        }
        // None of them is refused already.
        refused.insert(call, rules);
        Ok::<(), String>(())
    };
    any_of(libc::SYS_prctl, 0, |_| SeccompCmpOp::Eq, &PRCTL)?;
    any_of(libc::SYS_fcntl, 1, |_| SeccompCmpOp::Eq, &FCNTL)?;
    any_of(libc::SYS_ioctl, 1, |_| SeccompCmpOp::MaskedEq(0xff00), &IOCTL)?;
    // Memory that processes share and no file stands behind: what nobody has mapped any more is in no account.
    any_of(libc::SYS_mmap, 3, SeccompCmpOp::MaskedEq, &[SHARED])?;
    let mut clone = Vec::new();
    for bit in 0..u64::BITS {
        let flag = 1 << bit;
        if NAMESPACES & flag != 0 {
            clone.push(rule(condition(0, SeccompCmpOp::MaskedEq(flag), flag)?)?);
        }
    }
    // A thread with open files of its own, which the list of its process does not have.
    let [thread, files] = [libc::CLONE_THREAD, libc::CLONE_FILES].map(|flag| u64::from(flag.unsigned_abs()));
    clone.push(rule(condition(0, SeccompCmpOp::MaskedEq(thread | files), thread)?)?);
    refused.insert(libc::SYS_clone, clone);
    let mut absent = BTreeMap::new();
    for &call in ABSENT {
        absent.insert(call, Vec::new());
    }
    for (calls, errno) in [(refused, libc::EPERM), (absent, libc::ENOSYS)] {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, arch).map_err(|e| words(&e))?;
        let filter: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| words(&e))?;
        seccompiler::apply_filter(&without_x32(filter)).map_err(|e| words(&e))?;
    }
    Ok(())
}

/// On x86-64 every call has a second number, of the x32 ABI, which the filter does not know: none of those is made.
fn without_x32(filter: BpfProgram) -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    if !cfg!(target_arch = "x86_64") {
        return filter;
    }
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let statement = |code: u32, jump: [u8; 2], k: u32| sock_filter { code: code as u16, jt: jump[0], jf: jump[1], k };
    let mut whole = vec![
        // The number of the call is the first word.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, [0, 0], 0),
        statement(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, [0, 1], X32),
        statement(libc::BPF_RET | libc::BPF_K, [0, 0], absent),
    ];
    whole.extend_from_slice(&filter);
    whole
}
