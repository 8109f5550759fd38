//! Process 1 of a program's own namespaces: starts the program, takes in orphans, and when it ends all end.

use super::super::order::Order;
use super::fork::{Namespaces, Side, fork};
use super::{confined, files, root};
use crate::error::Result;
use rustix::process::{Signal, WaitOptions};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};

/// What process 1 tells the warden: that its root is made, and at the end how the program ended.
pub(super) const READY: u8 = b'r';

/// Where a process stands in line when memory runs out: the program goes first.
const FIRST_TO_GO: &str = "1000";

/// Waits for the warden, makes the root, starts the program and waits for its end. In the copy that becomes the program it returns only with an error.
pub(super) fn run(order: &Order, mut warden: PipeReader, mut told: PipeWriter) -> Result<()> {
    let refused = |what: &'static str| move |e: std::io::Error| order.refused(format!("{what}: {e}"));
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| order.refused(format!("no end with its parent: {e}")))?;
    heard(&mut warden).map_err(refused("its warden is gone"))?;
    let found = files::program(order.command.first().map_or("", String::as_str), order);
    // By the /proc that is left behind: the new one is not to be written.
    let mut line = File::options().write(true).open("/proc/self/oom_score_adj").map_err(refused("no place in line"))?;
    root::enter(order, found.as_deref()).map_err(|e| order.refused(e))?;
    told.write_all(&[READY]).map_err(refused("its warden is gone"))?;
    heard(&mut warden).map_err(refused("its warden is gone"))?;
    line.write_all(FIRST_TO_GO.as_bytes()).map_err(refused("no place in line"))?;
    let program = match fork(Namespaces::Same).map_err(refused("no process"))? {
        Side::Copy => {
            drop((warden, told, line));
            return confined::become_program(order, found.as_deref());
        }
        Side::Original(program) => program,
    };
    // The program alone has its streams: they end with it.
    quiet().map_err(|e| order.refused(format!("no closing of streams: {e}")))?;
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == program => {
                // If the warden is gone, so is this process.
                let _ = told.write_all(&status.as_raw().to_ne_bytes());
                return Ok(());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(_) => return Ok(()),
        }
    }
}

/// Leaves the standard streams to others.
pub(super) fn quiet() -> std::io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

/// The warden said to go on.
fn heard(warden: &mut PipeReader) -> std::io::Result<()> {
    warden.read_exact(&mut [0])
}
