//! The compiled filters, run by an interpreter: what the kernel would be told of each number and argument.

use super::rule::{Condition, When, Width};
use super::table::{ALLOWED, Call, PRETENDED};
use super::*;

const ARCHITECTURES: [(TargetArch, u32, fn(&Call) -> Option<u32>); 2] =
    [(TargetArch::x86_64, 0xC000_003E, |call| call.x86_64), (TargetArch::aarch64, 0xC000_00B7, |call| call.aarch64)];
const I386: u32 = 0x4000_0003;
const ARM32: u32 = 0x4000_0028;
const X32: u32 = 0x4000_0000;
/// A word above the 32 bits that the kernel reads.
const HIGH: u64 = 1 << 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Allowed,
    Absent,
    Pretended,
    Ended,
}

/// A system call as the kernel shows it to a filter: `struct seccomp_data` of little-endian machines.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: u32,
    arch: u32,
    arguments: [u64; 6],
}

impl Asked {
    fn word(&self, offset: u32) -> u32 {
        let argument = |at: u32| self.arguments[at as usize / 8];
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => 0,
            at if (at - 16) % 8 == 0 => argument(at - 16) as u32,
            at => (argument(at - 20) >> 32) as u32,
        }
    }
}

/// Runs classic BPF as linux/filter.h defines it; an instruction that filters of system calls do not have is a failure.
fn run(filter: &[sock_filter], asked: &Asked) -> Said {
    let (mut at, mut accumulator) = (0usize, 0u32);
    // No filter is longer: each instruction goes forwards.
    for _ in 0..filter.len() {
        let step = &filter[at];
        let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
        at += 1;
        match step.code {
            0x20 => accumulator = asked.word(step.k),
            0x54 => accumulator &= step.k,
            0x05 => at += step.k as usize,
            0x15 => at += jump(accumulator == step.k),
            0x25 => at += jump(accumulator > step.k),
            0x35 => at += jump(accumulator >= step.k),
            0x06 => {
                return match step.k {
                    libc::SECCOMP_RET_ALLOW => Said::Allowed,
                    libc::SECCOMP_RET_KILL_PROCESS => Said::Ended,
                    libc::SECCOMP_RET_ERRNO => Said::Pretended,
                    errno if errno == libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 => Said::Absent,
                    other => panic!("it returns {other:#x}"),
                };
            }
            other => panic!("instruction {other:#x} is not known"),
        }
    }
    panic!("the filter has no end")
}

/// Arguments that fulfil all conditions, with `noise` in the words that the kernel does not read.
fn arguments(conditions: &[Condition], noise: u64) -> [u64; 6] {
    let mut arguments = [noise; 6];
    for condition in conditions {
        let high = if condition.width == Width::Low { noise & !0xffff_ffff } else { 0 };
        arguments[usize::from(condition.argument)] = high | condition.value;
    }
    arguments
}

/// What a row allows, as the reader of the table understands it: an own reading of its conditions.
fn fulfilled(when: When, arguments: &[u64; 6]) -> bool {
    let holds = |condition: &Condition| {
        let argument = arguments[usize::from(condition.argument)];
        let read = if condition.width == Width::Low { argument & 0xffff_ffff } else { argument };
        read & condition.mask == condition.value
    };
    match when {
        When::Always => true,
        When::Words(argument, words) => words.contains(&(arguments[usize::from(argument)] as u32)),
        When::Any(alternatives) => alternatives.iter().any(|conditions| conditions.iter().all(holds)),
    }
}

#[test]
fn only_numbers_of_the_table_are_allowed() {
    for (architecture, arch, number_of) in ARCHITECTURES {
        let filter = filter(architecture).unwrap();
        for number in (0..1024).chain([u32::MAX, i32::MAX as u32, i32::MIN as u32]) {
            let rows = ALLOWED.iter().filter(|row| row.calls.iter().any(|call| number_of(call) == Some(number)));
            let rows: Vec<_> = rows.collect();
            assert!(rows.len() <= 1, "{number} stands in two rows");
            for arguments in [[0; 6], [1; 6], [u64::MAX; 6], [HIGH; 6], [0x5401; 6]] {
                let right = rows.iter().any(|row| fulfilled(row.when, &arguments));
                let right = if right { Said::Allowed } else { Said::Absent };
                assert_eq!(run(&filter, &Asked { number, arch, arguments }), right, "{number} {arguments:?}");
                // The numbers of x32, and calls by way of 32-bit processors and of the other architecture.
                assert_eq!(run(&filter, &Asked { number: number | X32, arch, arguments }), Said::Absent);
                for foreign in [I386, ARM32, 0, if arch == 0xC000_003E { 0xC000_00B7 } else { 0xC000_003E }] {
                    assert_eq!(run(&filter, &Asked { number, arch: foreign, arguments }), Said::Ended);
                }
            }
        }
    }
}

/// Every condition of every row: fulfilled, broken in each bit that counts, and with bits above the word that the kernel reads.
#[test]
fn arguments_are_compared_as_the_kernel_reads_them() {
    for (architecture, arch, number_of) in ARCHITECTURES {
        let filter = filter(architecture).unwrap();
        for row in ALLOWED {
            for number in row.calls.iter().filter_map(number_of) {
                let said = |arguments| run(&filter, &Asked { number, arch, arguments });
                match row.when {
                    When::Always => (),
                    When::Words(argument, words) => {
                        for bit in 0..32 {
                            for word in words.iter().map(|word| word ^ 1 << bit) {
                                let right = if words.contains(&word) { Said::Allowed } else { Said::Absent };
                                for high in [0, HIGH, u64::MAX << 32] {
                                    let mut arguments = [0; 6];
                                    arguments[usize::from(argument)] = u64::from(word) | high;
                                    assert_eq!(said(arguments), right, "{number} {word:#x} {high:#x}");
                                }
                            }
                        }
                    }
                    When::Any(alternatives) => {
                        for conditions in alternatives {
                            assert_eq!(said(arguments(conditions, 0)), Said::Allowed);
                            assert_eq!(said(arguments(conditions, u64::MAX << 32)), Said::Allowed, "{number}");
                            for condition in conditions.iter() {
                                for bit in (0..64).filter(|bit| condition.mask >> bit & 1 == 1) {
                                    let mut broken = arguments(conditions, HIGH);
                                    broken[usize::from(condition.argument)] ^= 1 << bit;
                                    let right = fulfilled(row.when, &broken);
                                    let right = if right { Said::Allowed } else { Said::Absent };
                                    assert_eq!(said(broken), right, "{number} bit {bit}");
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Calls that were of harm, by name: a bit above the 32 that the kernel reads helps none of them.
#[test]
fn what_was_of_harm_is_refused() {
    let filter = filter(TargetArch::x86_64).unwrap();
    let said = |number: u32, arguments| run(&filter, &Asked { number, arch: 0xC000_003E, arguments });
    for (what, number, arguments) in [
        ("prctl(PR_SET_DUMPABLE)", 157, [4, 0, 0, 0, 0, 0]),
        ("prctl(PR_SET_PDEATHSIG)", 157, [1, 0, 0, 0, 0, 0]),
        ("prctl(PR_SET_CHILD_SUBREAPER)", 157, [36, 1, 0, 0, 0, 0]),
        ("prctl(PR_SET_MDWE)", 157, [65, 1, 0, 0, 0, 0]),
        ("fcntl(F_SETLEASE)", 72, [0, 1024, 0, 0, 0, 0]),
        ("fcntl(F_NOTIFY)", 72, [0, 1026, 0, 0, 0, 0]),
        ("fcntl(F_SETPIPE_SZ)", 72, [0, 1031, 4096, 0, 0, 0]),
        ("fcntl(F_ADD_SEALS)", 72, [0, 1033, 0, 0, 0, 0]),
        ("fcntl(F_SETOWN)", 72, [0, 8, 0, 0, 0, 0]),
        ("fcntl(F_SETSIG)", 72, [0, 10, 0, 0, 0, 0]),
        ("ioctl(TIOCSTI)", 16, [0, 0x5412, 0, 0, 0, 0]),
        ("ioctl(FS_IOC_SETFLAGS)", 16, [0, 0x4008_6602, 0, 0, 0, 0]),
        ("ioctl(FIOASYNC)", 16, [0, 0x5452, 0, 0, 0, 0]),
        ("ioctl(FIOQSIZE)", 16, [0, 0x5460, 0, 0, 0, 0]),
        ("socket(AF_UNIX)", 41, [1, 1, 0, 0, 0, 0]),
        ("socketpair(SOCK_DGRAM)", 53, [1, 2, 0, 0, 0, 0]),
        ("socketpair(SOCK_RAW)", 53, [1, 3, 0, 0, 0, 0]),
        ("socketpair(AF_TIPC)", 53, [30, 1, 0, 0, 0, 0]),
        ("sendto with an address", 44, [3, 4096, 1, 0, 4096, 16]),
        ("connect", 42, [3, 4096, 16, 0, 0, 0]),
        ("bind", 49, [3, 4096, 16, 0, 0, 0]),
        ("recvmsg", 47, [3, 4096, 0, 0, 0, 0]),
        ("sendmsg", 46, [3, 4096, 0, 0, 0, 0]),
        ("close_range(CLOSE_RANGE_UNSHARE)", 436, [3, 10, 2, 0, 0, 0]),
        ("unshare(CLONE_FILES)", 272, [0x400, 0, 0, 0, 0, 0]),
        ("clone(CLONE_THREAD) without CLONE_FILES", 56, [0x1_0f00 & !0x400, 0, 0, 0, 0, 0]),
        ("clone(CLONE_NEWUSER)", 56, [0x1000_0011, 0, 0, 0, 0, 0]),
        ("clone(CLONE_PARENT)", 56, [0x8011, 0, 0, 0, 0, 0]),
        ("clone3", 435, [4096, 88, 0, 0, 0, 0]),
        ("mmap(MAP_SHARED | MAP_ANONYMOUS)", 9, [0, 4096, 3, 0x21, u64::MAX, 0]),
        ("mmap(MAP_HUGETLB)", 9, [0, 4096, 3, 0x4_0022, u64::MAX, 0]),
        ("vmsplice", 278, [1, 4096, 1, 0, 0, 0]),
        ("memfd_create", 319, [4096, 0, 0, 0, 0, 0]),
        ("io_uring_setup", 425, [8, 4096, 0, 0, 0, 0]),
        ("prlimit64 of another", 302, [1, 0, 4096, 0, 0, 0]),
        ("madvise(MADV_MERGEABLE)", 28, [0, 4096, 12, 0, 0, 0]),
        ("personality", 135, [0x4_0000, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(said(number, arguments), Said::Absent, "{what}");
        // The command and its like, which the kernel reads as 32 bits.
        let above = arguments.map(|argument| if argument <= 0xffff_ffff { argument | HIGH } else { argument });
        if ![9].contains(&number) {
            assert_eq!(said(number, above), Said::Absent, "{what} with bits above");
        }
    }
}

/// Locks and modes are never set, whatever stands above the word that the kernel reads; and nothing else is pretended.
#[test]
fn what_is_pretended_is_in_the_table_and_is_not_done() {
    for (architecture, arch, number_of) in ARCHITECTURES {
        let (pretended, allowed) = (pretended(architecture).unwrap(), filter(architecture).unwrap());
        for number in 0..512 {
            let row = PRETENDED.iter().find(|row| row.calls.iter().any(|call| number_of(call) == Some(number)));
            for command in (0..48).chain([1024, 1030, u64::from(u32::MAX)]) {
                for above in [0, HIGH, u64::MAX << 32] {
                    let asked = Asked { number, arch, arguments: [1, command | above, 0, 0, 0, 0] };
                    let right = row.is_some_and(|row| fulfilled(row.when, &asked.arguments));
                    let right = if right { Said::Pretended } else { Said::Allowed };
                    assert_eq!(run(&pretended, &asked), right, "{number} {command}");
                    // The stricter of two filters counts: what is pretended must be allowed by the other.
                    assert!(right == Said::Allowed || run(&allowed, &asked) == Said::Allowed, "{number} {command}");
                }
            }
        }
    }
    let filter = pretended(TargetArch::x86_64).unwrap();
    for (number, [a, b]) in
        [(72, [0, 6]), (72, [0, 38]), (73, [0, 2]), (90, [4096, 0o777]), (91, [0, 0o666]), (280, [0, 0])]
    {
        let asked = Asked { number, arch: 0xC000_003E, arguments: [a, b, 0, 0, 0, 0] };
        assert_eq!(run(&filter, &asked), Said::Pretended);
    }
}

/// The numbers against the list that the kernel's own headers give.
#[test]
fn numbers_are_the_kernels() {
    for call in ALLOWED.iter().chain(PRETENDED).flat_map(|row| row.calls) {
        let x86_64 = syscalls::x86_64::Sysno::try_from_name(call.name);
        let aarch64 = syscalls::aarch64::Sysno::try_from_name(call.name);
        assert_eq!((call.x86_64, call.aarch64), (x86_64, aarch64), "{}", call.name);
    }
}

/// `from_str` of both lists, which are two types.
trait Named {
    fn try_from_name(name: &str) -> Option<u32>;
}

impl Named for syscalls::x86_64::Sysno {
    fn try_from_name(name: &str) -> Option<u32> {
        name.parse::<Self>().ok().map(|number| number.id() as u32)
    }
}

impl Named for syscalls::aarch64::Sysno {
    fn try_from_name(name: &str) -> Option<u32> {
        name.parse::<Self>().ok().map(|number| number.id() as u32)
    }
}

#[test]
fn every_row_has_a_reason() {
    assert!(ALLOWED.iter().chain(PRETENDED).all(|row| row.why.len() > 10 && !row.calls.is_empty()));
}
