//! Watches one program and everything it starts, and ends all of it.

use super::super::limits::{Exceeded, SandboxLimits};
use super::super::order::{Confinement, End, Order, Ready};
use super::super::volume::{Volume, copy_tree, remove_tree};
use super::super::walls::Wall;
use super::control_group::{Group, Used};
use super::fork::{Namespaces, Side, fork, same_user};
use super::refusals::{self, Beginning, Refusals, Refused};
use super::tree::Tree;
use super::{confined, files, first, unlinked};
use crate::error::{Error, Result};
use crate::io;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Between two looks at what the program uses.
const LOOK: Duration = Duration::from_millis(10);
/// Looks between two at its folder, which take longer.
const FOLDER: u32 = 10;
/// For a program to end by itself once its input has ended.
const GRACE: Duration = Duration::from_millis(300);
/// For all processes to be gone once they are ended.
const GONE: Duration = Duration::from_secs(10);

/// What the group of a program is called.
const PROGRAM: &str = "program";

/// As [`run_warden`](super::super::run_warden).
pub(in super::super) fn run(order: &Order) -> Result<()> {
    let lacks = |what: &'static str| move |e: rustix::io::Errno| order.refused(format!("{what}: {e}"));
    let unmade = |e: std::io::Error| order.refused(format!("no process of its own: {e}"));
    let goldref = rustix::process::getppid();
    // Whose parent has ended becomes a child of this process.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(lacks("no adoption of orphans"))?;
    if Tree::below_this(1).is_none() {
        return Err(order.refused("this kernel does not list the children of a process in /proc"));
    }
    let limits = &order.confinement.limits;
    let group = order.confinement.control_groups.as_ref().map(|groups| Group::made(groups, limits, PROGRAM));
    let group = group.transpose().map_err(|e| order.refused(format!("no control group: {e}")))?;
    let own = order.confinement.walls.contains(&Wall::Namespaces);
    let (hears, mut tells) = std::io::pipe().map_err(unmade)?;
    let (told, says) = std::io::pipe().map_err(unmade)?;
    let namespaces = if own { Namespaces::Own } else { Namespaces::Same };
    let (beginning, awaited) = refusals::beginning().map_err(unmade)?;
    let program = match fork(namespaces).map_err(unmade)? {
        Side::Original(program) => program,
        Side::Copy => {
            drop((tells, told, awaited));
            // What it was is the original's to remove.
            std::mem::forget(group);
            return if own { first::run(order, hears, says) } else { alone(order, hears, beginning) };
        }
    };
    drop((hears, says, beginning));
    let mut watch =
        Watch { order, goldref, program, status: None, told, refusals: None, refused: None, group, written: None };
    if let Err(e) = watch.begin(&mut tells) {
        // Said on the program's standard error, which nobody else has begun to use.
        watch.end_all();
        return Err(e);
    }
    if !own {
        watch.refusals = awaited.refusals(program);
    }
    // Its output ends when the program's does.
    first::silent().map_err(|e| order.refused(format!("no closing of the output: {e}")))?;
    let exceeded = watch.until_the_end();
    let used = watch.used();
    let left = watch.end_all();
    drop(tells);
    let status = watch.status.map_or_else(|| "it did not end".to_string(), in_words);
    let success = watch.status.is_some_and(|status| status.success());
    let by_memory = used.memory.out_of_memory.then_some(Exceeded::Memory);
    let mut exceeded = exceeded?.or_else(|| watch.status.and_then(by_the_kernel)).or(by_memory);
    if success && let Err(too_much) = watch.hand_over() {
        exceeded = exceeded.or(Some(too_much));
    }
    // If goldref is gone, nobody else clears up, and nobody reads the end.
    if let Some(room) = order.end.parent().filter(|_| rustix::process::getppid() != goldref) {
        let made = &order.confinement;
        for folder in made.built.iter().chain(&made.write).map(PathBuf::as_path).chain([room]) {
            // Nobody is left to be told.
            let _ = remove_tree(folder);
        }
        return Ok(());
    }
    let cpu_seconds = used.cpu.as_secs_f64();
    let refused = watch.refused.map(|refused| refused.0);
    let end = io::json::line(&End { status, success, exceeded, left, cpu_seconds, refused }).map_err(Error::ask)?;
    io::write_text(&order.end, &end)
}

/// The program without namespaces: a copy of this process that becomes it.
fn alone(order: &Order, mut warden: PipeReader, beginning: Beginning) -> Result<()> {
    first::heard(&mut warden).map_err(|e| order.refused(format!("its warden is gone: {e}")))?;
    // Where memory runs out all the same, the kernel takes the program and nobody else.
    let line = std::fs::write("/proc/self/oom_score_adj", first::FIRST_TO_GO);
    line.map_err(|e| order.refused(format!("no place in line: {e}")))?;
    confined::become_program(order, files::program(order).as_deref(), beginning)
}

struct Watch<'o> {
    order: &'o Order,
    /// Who asked for it.
    goldref: Option<Pid>,
    /// The program, or process 1 of its namespaces.
    program: Pid,
    status: Option<ExitStatus>,
    /// What process 1 says: that it is ready, and the program's status.
    told: PipeReader,
    /// Of a program without a process 1.
    refusals: Option<Refusals>,
    refused: Option<Refused>,
    group: Option<Group>,
    /// The folder that may be written besides its own, as it is in there.
    written: Option<OwnedFd>,
}

/// What was used up to now.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    tasks: u64,
    cpu: Duration,
    /// Bytes, by the group where there is one.
    memory: Used,
}

impl Watch<'_> {
    fn has_namespaces(&self) -> bool {
        self.order.confinement.walls.contains(&Wall::Namespaces)
    }

    /// Lets the copy go on once it is where it belongs, and says where its folder is.
    fn begin(&mut self, tells: &mut PipeWriter) -> Result<()> {
        let order = self.order;
        let refused = |what: &'static str| move |e: std::io::Error| order.refused(format!("{what}: {e}"));
        if let Some(group) = &self.group {
            group.add(self.program.as_raw_pid()).map_err(refused("no control group"))?;
        }
        if self.has_namespaces() {
            same_user(self.program).map_err(refused("no user of its own"))?;
        }
        // If it has ended, that is seen by its status.
        let _ = tells.write_all(&[0]);
        let mut scratch = self.order.scratch.clone();
        if self.has_namespaces() {
            let mut ready = [0];
            if self.told.read_exact(&mut ready).is_err() || ready[0] != first::READY {
                return Ok(());
            }
            let root = PathBuf::from(format!("/proc/{}/root", self.program.as_raw_pid()));
            let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
            scratch = inside(&order.scratch);
            if let Some(folder) = &order.confinement.write {
                let folder = File::open(inside(folder)).map_err(refused("no folder to write"))?;
                self.written = Some(folder.into());
            }
        }
        let ready = io::json::line(&Ready { scratch, program: self.program.as_raw_pid() }).map_err(Error::ask)?;
        io::write_text(&order.ready, &ready)?;
        let _ = tells.write_all(&[0]);
        Ok(())
    }

    /// Waits until the program has ended, passes a limit, or is to end; the limit that it passed.
    fn until_the_end(&mut self) -> Result<Option<Exceeded>> {
        let refused = |e: rustix::io::Errno| self.order.refused(format!("no watching: {e}"));
        let ended = rustix::process::pidfd_open(self.program, PidfdFlags::empty()).map_err(refused)?;
        let stdin = std::io::stdin();
        let mut dismissed: Option<Instant> = None;
        for look in 0u32.. {
            let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
            // Of its input only the end is of interest: the questions are the program's.
            let listener = self.refusals.as_ref().map(Refusals::listener);
            let mut waited = vec![PollFd::new(&ended, PollFlags::IN)];
            waited.extend(listener.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
            // Once the input has ended it would be told all the time.
            waited.extend(dismissed.is_none().then(|| PollFd::new(&stdin, PollFlags::empty())));
            match poll(&mut waited, Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(e) => return Err(refused(e)),
            }
            if !waited[0].revents().is_empty() {
                return Ok(None);
            }
            let asked = listener.is_some() && waited[1].revents().contains(PollFlags::IN);
            let input_ended = dismissed.is_none() && waited.last().is_some_and(|input| !input.revents().is_empty());
            if asked && let Some(refusals) = &mut self.refusals {
                refusals.answer();
            }
            // Its input ends with goldref; that goldref is gone is seen by itself as well.
            let gone = rustix::process::getppid() != self.goldref;
            if dismissed.is_none() && (gone || input_ended) {
                dismissed = Some(Instant::now());
            }
            if dismissed.is_some_and(|since| since.elapsed() > GRACE) {
                return Ok(None);
            }
            self.reap();
            if let Some(exceeded) = self.passed(look.is_multiple_of(FOLDER)) {
                return Ok(Some(exceeded));
            }
        }
        Ok(None)
    }

    /// What is used by all of its processes.
    fn usage(&self, tree: &Tree) -> Usage {
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let seen = Duration::from_millis(tree.cpu_ticks.saturating_mul(1000) / ticks);
        let counted = self.group.as_ref().map(Group::used);
        Usage {
            tasks: tree.tasks,
            // Those that nobody waited for are in the group's count alone.
            cpu: counted.and_then(|used| used.cpu).map_or(seen, |cpu| cpu.max(seen)),
            memory: counted.unwrap_or(Used { memory_bytes: tree.memory_bytes, ..Used::default() }),
        }
    }

    /// Up to now, counted to the end.
    fn used(&self) -> Usage {
        Tree::below_this(self.order.confinement.limits.tasks).map(|tree| self.usage(&tree)).unwrap_or_default()
    }

    /// The limit that is passed now; `all`: of what takes longer to look at as well.
    fn passed(&self, all: bool) -> Option<Exceeded> {
        let limits: &SandboxLimits = &self.order.confinement.limits;
        // Process 1 is none of its own.
        let tasks = limits.tasks.saturating_add(u64::from(self.has_namespaces()));
        let tree = Tree::below_this(tasks)?;
        let used = self.usage(&tree);
        if used.tasks > tasks {
            return Some(Exceeded::Tasks);
        }
        if used.memory.memory_bytes > limits.memory_bytes {
            return Some(Exceeded::Memory);
        }
        if (used.cpu + self.order.confinement.spent).as_secs() >= limits.cpu_seconds {
            return Some(Exceeded::CpuTime);
        }
        if !all || (self.has_namespaces() && self.group.is_some()) {
            return None;
        }
        let held = unlinked::held(&tree.processes);
        if self.group.is_none() && used.memory.memory_bytes.saturating_add(held.buffers) > limits.memory_bytes {
            return Some(Exceeded::Memory);
        }
        if self.has_namespaces() {
            // Its folders have a size, whatever is done in them.
            return None;
        }
        let (mut files, mut bytes) = (0u64, held.disk);
        for folder in std::iter::once(&self.order.scratch).chain(&self.order.confinement.write) {
            let volume = Volume::of(folder, limits.folder_files);
            files = files.saturating_add(volume.files);
            bytes = bytes.saturating_add(volume.bytes);
        }
        (files > limits.folder_files || bytes > limits.folder_bytes).then_some(Exceeded::Folder)
    }

    /// Copies what was built out of the folder that nobody else sees.
    fn hand_over(&self) -> std::result::Result<(), Exceeded> {
        let (Some(from), Some(to)) = (&self.written, &self.order.confinement.write) else { return Ok(()) };
        let limits = &self.order.confinement.limits;
        let most = Volume { files: limits.folder_files, bytes: limits.folder_bytes };
        copy_tree(from, to, most).map_err(|_| Exceeded::Folder)
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

    /// The program's own status, which process 1 tells before it ends.
    fn of_the_program(&mut self, status: ExitStatus) -> ExitStatus {
        if !self.has_namespaces() {
            self.refused = self.refusals.as_ref().and_then(Refusals::first);
            return status;
        }
        let mut told = Vec::new();
        let told: Option<first::Told> = match self.told.read_to_end(&mut told) {
            Ok(_) => serde_json::from_slice(&told).ok(),
            Err(_) => None,
        };
        let Some(told) = told.filter(|_| status.success()) else { return status };
        self.refused = told.refused;
        ExitStatus::from_raw(told.status)
    }

    /// Takes note of all that have ended; whether nobody is left.
    fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.status = Some(self.of_the_program(ExitStatus::from_raw(status.as_raw())));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => (),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    }
}

impl Confinement {
    /// Ends what a warden that is gone has left: the program and its group. With it process 1 of its namespaces has ended, and all in there.
    pub(in crate::candidate) fn end_without_warden(&self, warden: u32, program: Option<i32>) {
        if let Some(program) = program.and_then(Pid::from_raw) {
            // The group may be gone already.
            let _ = rustix::process::kill_process_group(program, Signal::KILL);
        }
        if let Some(groups) = &self.control_groups {
            Group::left_by(groups, warden, PROGRAM).end();
        }
    }
}

/// The limit for which the kernel ends a program.
fn by_the_kernel(status: ExitStatus) -> Option<Exceeded> {
    match status.signal() {
        Some(libc::SIGXCPU) => Some(Exceeded::CpuTime),
        Some(libc::SIGXFSZ) => Some(Exceeded::File),
        _ => None,
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status: {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => "it did not end".to_string(),
    }
}
