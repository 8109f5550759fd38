//! Process 1 of a program's own namespaces: starts the program, takes in orphans, and when it ends all end.

use super::super::order::Order;
use super::fork::{Namespaces, Side, fork};
use super::refusals::{self, Refusals, Refused};
use super::{confined, files, root};
use crate::error::Result;
use crate::io;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, WaitOptions};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What process 1 tells the warden: that its root is made, and at the end how the program ended.
pub(super) const READY: u8 = b'r';

/// And that, in a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// As wait(2) gives it.
    pub(super) status: i32,
    /// The first call that it was refused.
    pub(super) refused: Option<Refused>,
}

/// Between two looks at orphans that have ended.
const ORPHANS: Duration = Duration::from_millis(50);

/// Where a process stands in line when memory runs out: the program goes first.
pub(super) const FIRST_TO_GO: &str = "1000";

/// Waits for the warden, makes the root, starts the program and waits for its end. In the copy that becomes the program it returns only with an error.
pub(super) fn run(order: &Order, mut warden: PipeReader, mut told: PipeWriter) -> Result<()> {
    let refused = |what: &'static str| move |e: std::io::Error| order.refused(format!("{what}: {e}"));
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| order.refused(format!("no end with its parent: {e}")))?;
    heard(&mut warden).map_err(refused("its warden is gone"))?;
    let found = files::program(order);
    // By the /proc that is left behind: the new one is not to be written.
    let mut line = File::options().write(true).open("/proc/self/oom_score_adj").map_err(refused("no place in line"))?;
    root::enter(order, found.as_deref()).map_err(|e| order.refused(e))?;
    told.write_all(&[READY]).map_err(refused("its warden is gone"))?;
    heard(&mut warden).map_err(refused("its warden is gone"))?;
    line.write_all(FIRST_TO_GO.as_bytes()).map_err(refused("no place in line"))?;
    let (beginning, awaited) = refusals::beginning().map_err(refused("no pipe"))?;
    let program = match fork(Namespaces::Same).map_err(refused("no process"))? {
        Side::Copy => {
            drop((warden, told, line, awaited));
            return confined::become_program(order, found.as_deref(), beginning);
        }
        Side::Original(program) => program,
    };
    drop(beginning);
    let mut refusals = awaited.refusals(program);
    // The program alone has its streams: they end with it.
    quiet().map_err(|e| order.refused(format!("no closing of streams: {e}")))?;
    let ended = rustix::process::pidfd_open(program, PidfdFlags::empty())
        .map_err(|e| order.refused(format!("no watching: {e}")))?;
    let mut status = None;
    while status.is_none() {
        wait(&ended, refusals.as_mut());
        // Orphans end here as well.
        while let Ok(Some((process, how))) = rustix::process::wait(WaitOptions::NOHANG) {
            if process == program {
                status = Some(how.as_raw());
            }
        }
    }
    let status = status.unwrap_or_default();
    let told_of = Told { status, refused: refusals.and_then(|refusals| refusals.first()) };
    let line = io::json::line(&told_of).map_err(|e| order.refused(e))?;
    // If the warden is gone, so is this process.
    let _ = told.write_all(line.as_bytes());
    Ok(())
}

/// Waits for the program's end, but not for ever, and answers what the kernel asks meanwhile.
fn wait(ended: &OwnedFd, refusals: Option<&mut Refusals>) {
    let tick = Timespec { tv_sec: 0, tv_nsec: ORPHANS.subsec_nanos().into() };
    let ended = PollFd::new(ended, PollFlags::IN);
    // Whether it has ended is seen by who ended.
    let Some(refusals) = refusals else {
        let _ = poll(&mut [ended], Some(&tick));
        return;
    };
    let listener = refusals.listener();
    let mut waited = [ended, PollFd::new(&listener, PollFlags::IN)];
    let asks = poll(&mut waited, Some(&tick)).is_ok() && waited[1].revents().contains(PollFlags::IN);
    if asks {
        refusals.answer();
    }
}

/// Leaves the standard streams to others.
fn quiet() -> std::io::Result<()> {
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    silent()
}

/// Leaves those that are written to others: they end with them.
pub(super) fn silent() -> std::io::Result<()> {
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

/// The warden said to go on.
pub(super) fn heard(warden: &mut PipeReader) -> std::io::Result<()> {
    warden.read_exact(&mut [0])
}
