//! Which system calls a confined program may make, and why. All others do not exist for it (ENOSYS), upon which C libraries take another way.
//!
//! What is here is what runtimes were seen to need: CPython with NumPy, PyTorch, transformers and JAX, compilers of C++ and Rust, Node, R, Java. What looks
//! useful and is not here: `memfd_create` and `vmsplice` (memory that is in no account), io_uring (does other calls past this filter), `clone3` (its flags are
//! in memory and cannot be looked at), `recvmsg` and `sendmsg` (open files of others), sockets that have a name, and attributes of files that are set.
//!
//! Some calls are answered as if they were done, and are not ([`PRETENDED`]): programs take their refusal for a failure. Locks are among them, for who holds one
//! is seen by whoever reads the same file; modes, owners and times of files; and sessions and groups of processes, which end as one.

use super::rule::{Alternatives, When, low, low_masked, whole, whole_masked};
use When::{Always, Any, Words};

/// A system call and its number on x86-64 and on 64-bit Arm; `None` where there is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for the test of the numbers"))]
    pub(super) name: &'static str,
    pub(super) x86_64: Option<u32>,
    pub(super) aarch64: Option<u32>,
}

/// Calls that may be made under one condition, for one reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers"))]
    pub(super) why: &'static str,
    pub(super) when: When,
    pub(super) calls: &'static [Call],
}

const fn both(name: &'static str, x86_64: u32, aarch64: u32) -> Call {
    Call { name, x86_64: Some(x86_64), aarch64: Some(aarch64) }
}

/// Replaced by a newer one, and gone from processors that came later.
const fn old(name: &'static str, x86_64: u32) -> Call {
    Call { name, x86_64: Some(x86_64), aarch64: None }
}

const AF_UNIX: u32 = 1;
const SOCK_STREAM: u32 = 1;
const SOCK_SEQPACKET: u32 = 5;
const SOCK_TYPE_MASK: u32 = 0xf;
const CLOSE_RANGE_CLOEXEC: u32 = 4;
const MAP_SHARED: u64 = 0x1;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_HUGETLB: u64 = 0x4_0000;
const CLONE_FILES: u32 = 0x400;
const CLONE_PARENT: u32 = 0x8000;
const CLONE_THREAD: u32 = 0x1_0000;
/// Of mounts, groups of control, names of hosts, IPC, users, processes and network; and of time, whose flag `clone` does not take.
const NAMESPACES: u32 = 0x2_0000 | 0x200_0000 | 0x400_0000 | 0x800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

/// Not MADV_MERGEABLE (tells whose pages are alike), MADV_COLD and MADV_PAGEOUT (others find them gone), MADV_REMOVE, MADV_HWPOISON and MADV_SOFT_OFFLINE.
const ADVICE: &[u32] = &[
    0,   // MADV_NORMAL
    1,   // MADV_RANDOM
    2,   // MADV_SEQUENTIAL
    3,   // MADV_WILLNEED
    4,   // MADV_DONTNEED
    8,   // MADV_FREE
    10,  // MADV_DONTFORK
    11,  // MADV_DOFORK
    14,  // MADV_HUGEPAGE
    15,  // MADV_NOHUGEPAGE
    16,  // MADV_DONTDUMP
    17,  // MADV_DODUMP
    18,  // MADV_WIPEONFORK
    19,  // MADV_KEEPONFORK
    22,  // MADV_POPULATE_READ
    23,  // MADV_POPULATE_WRITE
    25,  // MADV_COLLAPSE
    102, // MADV_GUARD_INSTALL
    103, // MADV_GUARD_REMOVE
];

/// As of `fcntl` they are allowed, and PRETENDED.
const LOCKS: &[u32] = &[
    6,  // F_SETLK
    7,  // F_SETLKW
    37, // F_OFD_SETLK
    38, // F_OFD_SETLKW
];

const FCNTL: &[u32] = &[
    0,    // F_DUPFD
    1,    // F_GETFD
    2,    // F_SETFD
    3,    // F_GETFL
    4,    // F_SETFL
    6,    // F_SETLK, PRETENDED as the next three
    7,    // F_SETLKW
    37,   // F_OFD_SETLK
    38,   // F_OFD_SETLKW
    1030, // F_DUPFD_CLOEXEC
    1032, // F_GETPIPE_SZ
];

const IOCTL: &[u32] = &[
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x540f,      // TIOCGPGRP
    0x5413,      // TIOCGWINSZ
    0x541b,      // FIONREAD
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
];

const PRCTL: &[u32] = &[
    3,           // PR_GET_DUMPABLE
    15,          // PR_SET_NAME
    16,          // PR_GET_NAME
    21,          // PR_GET_SECCOMP
    23,          // PR_CAPBSET_READ
    29,          // PR_SET_TIMERSLACK
    30,          // PR_GET_TIMERSLACK
    38,          // PR_SET_NO_NEW_PRIVS
    39,          // PR_GET_NO_NEW_PRIVS
    41,          // PR_SET_THP_DISABLE
    42,          // PR_GET_THP_DISABLE
    51,          // PR_SVE_GET_VL
    0x5356_4d41, // PR_SET_VMA: names of mappings
];

/// Not a datagram, which has a place for an address.
const CONNECTED_PAIR: Alternatives = &[
    &[low(0, AF_UNIX), low_masked(1, SOCK_TYPE_MASK, SOCK_STREAM)],
    &[low(0, AF_UNIX), low_masked(1, SOCK_TYPE_MASK, SOCK_SEQPACKET)],
];
const NO_ADDRESS: Alternatives = &[&[whole(4, 0)]];
const WITHOUT_FLAGS: Alternatives = &[&[low(5, 0)]];
const ITSELF: Alternatives = &[&[low(0, 0)]];
const OWN_TABLE_OF_FILES_ONLY_WITHOUT_THREADS: Alternatives = &[
    &[low_masked(0, NAMESPACES | CLONE_PARENT | CLONE_THREAD, 0)],
    &[low_masked(0, NAMESPACES | CLONE_PARENT | CLONE_THREAD | CLONE_FILES, CLONE_THREAD | CLONE_FILES)],
];
const OF_FILES_OR_PRIVATE: Alternatives =
    &[&[whole_masked(3, MAP_HUGETLB | MAP_ANONYMOUS, 0)], &[whole_masked(3, MAP_HUGETLB | MAP_SHARED, 0)]];
const IN_THE_SAME_TABLE: Alternatives = &[&[low_masked(2, !CLOSE_RANGE_CLOEXEC, 0)]];
const ASKED: Alternatives = &[&[low(0, u32::MAX)]];

/// The table.
#[rustfmt::skip]
pub(super) const ALLOWED: &[Row] = &[
    Row {
        why: "bytes of what is open",
        when: Always,
        calls: &[both("read", 0, 63), both("write", 1, 64), both("readv", 19, 65), both("writev", 20, 66), both("pread64", 17, 67), both("pwrite64", 18, 68), both("preadv", 295, 69), both("pwritev", 296, 70), both("lseek", 8, 62), both("sendfile", 40, 71), both("copy_file_range", 326, 285), both("close", 3, 57), both("dup", 32, 23), old("dup2", 33), both("dup3", 292, 24)],
    },
    Row {
        why: "the same, without flags: one of them tells which pages are in the machine's memory, and so what others have read",
        when: Any(WITHOUT_FLAGS),
        calls: &[both("preadv2", 327, 286), both("pwritev2", 328, 287)],
    },
    Row {
        why: "files by name; which of them, the walls around files say",
        when: Always,
        calls: &[old("open", 2), both("openat", 257, 56), both("openat2", 437, 437), old("creat", 85), old("stat", 4), old("lstat", 6), old("newfstatat", 262), both("fstat", 5, 80), both("statx", 332, 291), old("access", 21), both("faccessat", 269, 48), both("faccessat2", 439, 439), old("readlink", 89), both("readlinkat", 267, 78), old("getdents", 78), both("getdents64", 217, 61), both("getcwd", 79, 17), both("chdir", 80, 49), both("fchdir", 81, 50), both("statfs", 137, 43), both("fstatfs", 138, 44), both("umask", 95, 166)],
    },
    Row {
        why: "modes, owners and times, which copying and linking set; they are left as they are (PRETENDED)",
        when: Always,
        calls: &[old("chmod", 90), both("fchmod", 91, 52), both("fchmodat", 268, 53), old("chown", 92), both("fchown", 93, 55), old("lchown", 94), both("fchownat", 260, 54), old("utime", 132), old("utimes", 235), old("futimesat", 261), both("utimensat", 280, 88)],
    },
    Row {
        why: "attributes of files, which copying looks at",
        when: Always,
        calls: &[both("getxattr", 191, 8), both("lgetxattr", 192, 9), both("fgetxattr", 193, 10), both("listxattr", 194, 11), both("llistxattr", 195, 12), both("flistxattr", 196, 13)],
    },
    Row {
        why: "the user and group that it has already, which shells and make set once more",
        when: Always,
        calls: &[both("setresuid", 117, 147), both("setresgid", 119, 149)],
    },
    Row {
        why: "locks, priorities, sessions and groups, which are left as they are (PRETENDED)",
        when: Always,
        calls: &[both("flock", 73, 32), both("setpriority", 141, 140), both("setsid", 112, 157), both("setpgid", 109, 154)],
    },
    Row {
        why: "files that are made, named anew and removed, where it may write",
        when: Always,
        calls: &[old("mkdir", 83), both("mkdirat", 258, 34), old("rmdir", 84), old("unlink", 87), both("unlinkat", 263, 35), old("rename", 82), both("renameat", 264, 38), both("renameat2", 316, 276), old("link", 86), both("linkat", 265, 37), old("symlink", 88), both("symlinkat", 266, 36), both("truncate", 76, 45), both("ftruncate", 77, 46), both("fallocate", 285, 47), both("fsync", 74, 82), both("fdatasync", 75, 83), both("fadvise64", 221, 223)],
    },
    Row {
        why: "its own memory",
        when: Always,
        calls: &[both("brk", 12, 214), both("munmap", 11, 215), both("mremap", 25, 216), both("mprotect", 10, 226), both("msync", 26, 227), both("membarrier", 324, 283), both("mlock", 149, 228), both("munlock", 150, 229), both("pkey_mprotect", 329, 288), both("pkey_alloc", 330, 289), both("pkey_free", 331, 290)],
    },
    Row {
        why: "threads, and what they wait for",
        when: Always,
        calls: &[both("futex", 202, 98), both("futex_waitv", 449, 449), both("set_tid_address", 218, 96), both("set_robust_list", 273, 99), both("get_robust_list", 274, 100), both("rseq", 334, 293), old("arch_prctl", 158), both("gettid", 186, 178), both("sched_yield", 24, 124), both("exit", 60, 93)],
    },
    Row {
        why: "programs that are started, waited for and ended",
        when: Always,
        calls: &[old("fork", 57), old("vfork", 58), both("execve", 59, 221), both("execveat", 322, 281), both("exit_group", 231, 94), both("wait4", 61, 260), both("waitid", 247, 95), both("getpid", 39, 172), both("getppid", 110, 173), old("getpgrp", 111), both("getpgid", 121, 155), both("getsid", 124, 156)],
    },
    Row {
        why: "signals, to those whom the walls around processes leave in reach",
        when: Always,
        calls: &[both("rt_sigaction", 13, 134), both("rt_sigprocmask", 14, 135), both("rt_sigreturn", 15, 139), both("rt_sigsuspend", 130, 133), both("rt_sigpending", 127, 136), both("rt_sigtimedwait", 128, 137), both("sigaltstack", 131, 132), both("kill", 62, 129), both("tkill", 200, 130), both("tgkill", 234, 131), old("pause", 34), old("signalfd", 282), both("signalfd4", 289, 74), both("restart_syscall", 219, 128)],
    },
    Row {
        why: "pipes, and waiting for what is open",
        when: Always,
        calls: &[old("pipe", 22), both("pipe2", 293, 59), old("poll", 7), both("ppoll", 271, 73), old("select", 23), both("pselect6", 270, 72), old("epoll_create", 213), both("epoll_create1", 291, 20), both("epoll_ctl", 233, 21), old("epoll_wait", 232), both("epoll_pwait", 281, 22), both("epoll_pwait2", 441, 441), old("eventfd", 284), both("eventfd2", 290, 19), both("timerfd_create", 283, 85), both("timerfd_settime", 286, 86), both("timerfd_gettime", 287, 87)],
    },
    Row {
        why: "clocks, timers and sleep",
        when: Always,
        calls: &[both("clock_gettime", 228, 113), both("clock_getres", 229, 114), both("clock_nanosleep", 230, 115), both("nanosleep", 35, 101), both("gettimeofday", 96, 169), old("time", 201), both("times", 100, 153), old("alarm", 37), both("getitimer", 36, 102), both("setitimer", 38, 103), both("timer_create", 222, 107), both("timer_settime", 223, 110), both("timer_gettime", 224, 108), both("timer_getoverrun", 225, 109), both("timer_delete", 226, 111)],
    },
    Row {
        why: "who it is, and what it runs on",
        when: Always,
        calls: &[both("getuid", 102, 174), both("geteuid", 107, 175), both("getgid", 104, 176), both("getegid", 108, 177), both("getresuid", 118, 148), both("getresgid", 120, 150), both("getgroups", 115, 158), both("capget", 125, 90), both("uname", 63, 160), both("sysinfo", 99, 179), both("getrusage", 98, 165), both("getcpu", 309, 168), both("getrandom", 318, 278), both("getrlimit", 97, 163), both("getpriority", 140, 141), both("sched_getaffinity", 204, 123), both("sched_getparam", 143, 121), both("sched_getscheduler", 145, 120), both("sched_getattr", 315, 275), both("sched_get_priority_max", 146, 125), both("sched_get_priority_min", 147, 126), both("sched_rr_get_interval", 148, 127), both("get_mempolicy", 239, 236)],
    },
    Row {
        why: "a pair of sockets, which event loops, pools of processes and compilers use; of the kinds that are connected",
        when: Any(CONNECTED_PAIR),
        calls: &[both("socketpair", 53, 199)],
    },
    Row {
        why: "bytes through such a pair, with no address and no files",
        when: Any(NO_ADDRESS),
        calls: &[both("sendto", 44, 206), both("recvfrom", 45, 207)],
    },
    Row {
        why: "what such a pair is, and its end",
        when: Always,
        calls: &[both("shutdown", 48, 210), both("getsockname", 51, 204), both("getpeername", 52, 205), both("getsockopt", 55, 209)],
    },
    Row {
        why: "threads and processes; none in new namespaces, and no thread with open files of its own, which the list of its process does not have",
        when: Any(OWN_TABLE_OF_FILES_ONLY_WITHOUT_THREADS),
        calls: &[both("clone", 56, 220)],
    },
    Row {
        why: "memory of its own and files; no memory without a file that processes share, which nobody need have mapped, and none of the huge pages that are in no account",
        when: Any(OF_FILES_OR_PRIVATE),
        calls: &[both("mmap", 9, 222)],
    },
    Row {
        why: "advice on its own memory, but none that shares or poisons it",
        when: Words(2, ADVICE),
        calls: &[both("madvise", 28, 233)],
    },
    Row {
        why: "what open files are: how they are inherited, and whether they wait; locks as PRETENDED; no leases, owners, seals or sizes of pipes",
        when: Words(1, FCNTL),
        calls: &[both("fcntl", 72, 25)],
    },
    Row {
        why: "terminals that are none, bytes that wait, and whether a file is inherited",
        when: Words(1, IOCTL),
        calls: &[both("ioctl", 16, 29)],
    },
    Row {
        why: "names of threads, and what they are",
        when: Words(0, PRCTL),
        calls: &[both("prctl", 157, 167)],
    },
    Row {
        why: "limits of its own, which cannot be raised",
        when: Any(ITSELF),
        calls: &[both("prlimit64", 302, 261), both("sched_setaffinity", 203, 122), both("sched_setscheduler", 144, 119)],
    },
    Row {
        why: "limits of its own, which cannot be raised",
        when: Always,
        calls: &[both("setrlimit", 160, 164)],
    },
    Row {
        why: "files closed at once; not in a table of their own",
        when: Any(IN_THE_SAME_TABLE),
        calls: &[both("close_range", 436, 436)],
    },
    Row {
        why: "asking which personality it has",
        when: Any(ASKED),
        calls: &[both("personality", 135, 92)],
    },
];

/// Calls of the table that are answered as if they were done.
#[rustfmt::skip]
pub(super) const PRETENDED: &[Row] = &[
    Row {
        why: "who holds a lock is seen by whoever reads the same file",
        when: Always,
        calls: &[both("flock", 73, 32)],
    },
    Row {
        why: "the same, of parts of a file; and a lock for each byte is memory of the kernel",
        when: Words(1, LOCKS),
        calls: &[both("fcntl", 72, 25)],
    },
    Row {
        why: "advice on pages that others use as well: they would find them gone",
        when: Always,
        calls: &[both("fadvise64", 221, 223)],
    },
    Row {
        why: "others go first already, and stay so",
        when: Always,
        calls: &[both("setpriority", 141, 140)],
    },
    Row {
        why: "a session or a group of its own would not end with the program's",
        when: Always,
        calls: &[both("setsid", 112, 157), both("setpgid", 109, 154)],
    },
    Row {
        why: "its standard streams could be opened anew, and where Landlock stands alone, which does not guard them, those of any file set",
        when: Always,
        calls: &[old("chmod", 90), both("fchmod", 91, 52), both("fchmodat", 268, 53), old("chown", 92), both("fchown", 93, 55), old("lchown", 94), both("fchownat", 260, 54), old("utime", 132), old("utimes", 235), old("futimesat", 261), both("utimensat", 280, 88)],
    },
];
