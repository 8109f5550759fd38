//! What is said when a file is cut short while it is read.
//!
//! Large files are mapped and not read (`io::mapped`): a checkpoint of many gigabytes takes address space alone. Where such a file shrinks, or its disk fails, the
//! kernel has no bytes to give, and sends the signal SIGBUS in place of an error. The program answers it as it answers any file that cannot be read. A library must not
//! decide over the signals of its user's process, so this is the command line's.

/// What is written: one sentence, made before, because nothing may be allocated when it is needed.
#[cfg(target_os = "linux")]
const SENTENCE: &[u8] =
    b"goldref: cannot read a file to its end: it was cut short while it was read, or its disk fails; run it again once no program writes to its files\n";

/// Installs the answer, for this process alone: a program that it becomes or starts has none of it.
#[cfg(target_os = "linux")]
pub(super) fn is_answered() {
    // SAFETY: All fields of `sigaction` are numbers, an address and a set of signals, for which zeros are values: no flags, no signals.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = answer as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // The standard library has a stack for signals in each of its threads.
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: `action` is whole and outlives the call, and the old one is not asked for. Rust's own handler of this signal, which tells of stacks that overflow, is not
    // needed: on Linux those are another signal. Should the call fail, the signal ends the program as it would have.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
}

/// Elsewhere nothing answers it.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_answered() {}

#[cfg(target_os = "linux")]
extern "C" fn answer(_: libc::c_int) {
    // SAFETY: Both calls may be made in a handler of signals (signal-safety(7)): they take no lock and allocate nothing. The bytes are static. The second does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, SENTENCE.as_ptr().cast(), SENTENCE.len());
        libc::_exit(libc::c_int::from(super::exit_code::COULD_NOT_ASK));
    }
}
