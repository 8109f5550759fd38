//! Watches one program and everything it starts, and ends all of it.

use super::super::CONFINED;
use super::super::limits::{Exceeded, SandboxLimits};
use super::super::order::{End, Order};
use super::super::volume::{Volume, remove_tree};
use super::tree::Tree;
use super::unlinked;
use crate::error::{Error, Result};
use crate::io;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Between two looks at what the program uses.
const LOOK: Duration = Duration::from_millis(10);
/// Looks between two at its folder, which take longer.
const FOLDER: u32 = 10;
/// For a program to end by itself once its input has ended.
const GRACE: Duration = Duration::from_millis(300);
/// For all processes to be gone once they are ended.
const GONE: Duration = Duration::from_secs(10);

/// As [`run_warden`](super::super::run_warden).
pub(in super::super) fn run(order: &Order) -> Result<()> {
    let lacks = |what: &'static str| move |e: rustix::io::Errno| order.refused(format!("{what}: {e}"));
    let goldref = rustix::process::getppid();
    // Whose parent has ended becomes a child of this process.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(lacks("no adoption of orphans"))?;
    if Tree::below_this(1).is_none() {
        return Err(order.refused("this kernel does not list the children of a process in /proc"));
    }
    let own = std::env::current_exe().map_err(|e| order.refused(format!("goldref's own program: {e}")))?;
    let text = io::json::line(order).map_err(|e| order.refused(e))?;
    let child = Command::new(own)
        .args([CONFINED, &text])
        .env_clear()
        .envs(&order.environment)
        .current_dir(&order.folder)
        .spawn()
        .map_err(|e| order.refused(e))?;
    let program = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let program = program.ok_or_else(|| order.refused("it has no process number"))?;
    // Its output ends when the program's does.
    let null = std::fs::File::options().write(true).open("/dev/null").map_err(|e| order.refused(e))?;
    rustix::stdio::dup2_stdout(&null).map_err(lacks("no closing of the output"))?;
    rustix::stdio::dup2_stderr(&null).map_err(lacks("no closing of the output"))?;
    let mut watch = Watch { order, goldref, program, status: None };
    let exceeded = watch.until_the_end()?;
    let left = watch.end_all();
    let status = watch.status.map_or_else(|| "it did not end".to_string(), in_words);
    let success = watch.status.and_then(|status| status.exit_status()) == Some(0);
    let exceeded = exceeded.or_else(|| watch.status.and_then(by_the_kernel));
    // If goldref is gone, nobody else clears up, and nobody reads the end.
    if let Some(room) = order.end.parent().filter(|_| rustix::process::getppid() != goldref) {
        let made = &order.confinement;
        for folder in made.built.iter().chain(&made.write).map(PathBuf::as_path).chain([room]) {
            // Nobody is left to be told.
            let _ = remove_tree(folder);
        }
        return Ok(());
    }
    let end = io::json::line(&End { status, success, exceeded, left }).map_err(Error::ask)?;
    io::write_text(&order.end, &end)
}

struct Watch<'o> {
    order: &'o Order,
    /// Who asked for it.
    goldref: Option<Pid>,
    program: Pid,
    status: Option<WaitStatus>,
}

impl Watch<'_> {
    /// Waits until the program has ended, passes a limit, or is to end; the limit that it passed.
    fn until_the_end(&mut self) -> Result<Option<Exceeded>> {
        let limits = &self.order.confinement.limits;
        let refused = |e: rustix::io::Errno| self.order.refused(format!("no watching: {e}"));
        let ended = rustix::process::pidfd_open(self.program, PidfdFlags::empty()).map_err(refused)?;
        let stdin = std::io::stdin();
        let written = &self.order.confinement.write;
        let folders: Vec<&Path> = std::iter::once(&self.order.scratch).chain(written).map(PathBuf::as_path).collect();
        let mut dismissed: Option<Instant> = None;
        for look in 0u32.. {
            let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
            // Of its input only the end is of interest: the questions are the program's.
            let mut waited = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&stdin, PollFlags::empty())];
            // Once the input has ended it would be told all the time.
            let both = if dismissed.is_none() { 2 } else { 1 };
            match poll(&mut waited[..both], Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(e) => return Err(refused(e)),
            }
            if !waited[0].revents().is_empty() {
                return Ok(None);
            }
            // Its input ends with goldref; that goldref is gone is seen by itself as well.
            let gone = rustix::process::getppid() != self.goldref;
            if dismissed.is_none() && (gone || !waited[1].revents().is_empty()) {
                dismissed = Some(Instant::now());
            }
            if dismissed.is_some_and(|since| since.elapsed() > GRACE) {
                return Ok(None);
            }
            self.reap();
            let all = look.is_multiple_of(FOLDER);
            if let Some(exceeded) = passed(limits, if all { &folders } else { &[] }) {
                return Ok(Some(exceeded));
            }
        }
        Ok(None)
    }

    /// Ends the program and everything it started; how many processes are left, which is none.
    fn end_all(&mut self) -> usize {
        let begin = Instant::now();
        loop {
            // The group first, in one stroke: nobody in it can start another meanwhile.
            let _ = rustix::process::kill_process_group(self.program, Signal::KILL);
            // Where nothing kept them in the group, one by one.
            let left = Tree::below_this(u64::MAX).map_or_else(Vec::new, |tree| tree.processes);
            for pid in left.iter().filter_map(|&pid| Pid::from_raw(pid)) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            if self.reap() {
                return 0;
            }
            if begin.elapsed() > GONE {
                return left.len();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Takes note of all that have ended; whether nobody is left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => self.status = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => (),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// The limit that is passed now; of what takes longer to look at where `folders` are named.
fn passed(limits: &SandboxLimits, folders: &[&Path]) -> Option<Exceeded> {
    let tree = Tree::below_this(limits.tasks)?;
    let seconds = tree.cpu_ticks / rustix::param::clock_ticks_per_second().max(1);
    if tree.tasks > limits.tasks {
        return Some(Exceeded::Tasks);
    }
    if tree.memory_bytes > limits.memory_bytes {
        return Some(Exceeded::Memory);
    }
    if seconds >= limits.cpu_seconds {
        return Some(Exceeded::CpuTime);
    }
    if folders.is_empty() {
        return None;
    }
    let held = unlinked::held(&tree.processes);
    if tree.memory_bytes.saturating_add(held.buffers) > limits.memory_bytes {
        return Some(Exceeded::Memory);
    }
    let (mut files, mut bytes) = (0u64, held.disk);
    for folder in folders {
        let volume = Volume::of(folder, limits.folder_files);
        files = files.saturating_add(volume.files);
        bytes = bytes.saturating_add(volume.bytes);
    }
    (files > limits.folder_files || bytes > limits.folder_bytes).then_some(Exceeded::Folder)
}

/// The limit for which the kernel ends a program.
fn by_the_kernel(status: WaitStatus) -> Option<Exceeded> {
    match status.terminating_signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => Some(Exceeded::CpuTime),
        Some(signal) if signal == Signal::XFSZ.as_raw() => Some(Exceeded::File),
        _ => None,
    }
}

fn in_words(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status: {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "it did not end".to_string(),
    }
}
