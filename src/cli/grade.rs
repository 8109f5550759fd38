//! `goldref grade`, and `goldref merge`.

mod args;
mod class;
mod merge;
mod one;
mod trial;

pub(crate) use args::Args;
pub(crate) use merge::Args as MergeArgs;
pub(crate) use merge::main as merge;

use super::exit_code;
use super::report::say;
use crate::candidate::{Tried, tried};
use crate::error::{Error, Result};
use crate::grade::{Assignment, Course, Demand, Grading, Guard, Hints, Starter, write_starter};
use std::path::PathBuf;

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    if args.assignment.as_os_str() == "new" {
        return new(args);
    }
    if args.assignment.as_os_str() == "trial" {
        return trial::main(args);
    }
    let mut assignment = Assignment::open(&args.assignment)?;
    if let Some(hints) = args.hints {
        assignment.hints = Hints::from(hints);
    }
    args.refuse()?;
    let course = Course::open(assignment)?;
    // Found out before the first submission is asked.
    let guard = guard(args)?;
    let isolation = guard.isolation();
    let grading = Grading { course: &course, guard: &guard, isolation };
    match &args.submissions {
        Some(folder) => class::main(args, grading, folder),
        None => one::main(args, &grading),
    }
}

fn guard(args: &Args) -> Result<Guard> {
    if args.no_sandbox {
        return Ok(Guard::None);
    }
    let demand = if args.weak_sandbox { Demand::WhatThereIs } else { Demand::Everything };
    let (goldref, tried) = walls(args)?;
    Guard::sandbox(goldref, tried, demand)
}

/// goldref's own program, and the walls that stand around what it starts.
fn walls(args: &Args) -> Result<(PathBuf, Tried)> {
    let goldref =
        std::env::current_exe().map_err(|e| Error::ask(format!("goldref's own program is not found: {e}")))?;
    let left_out = args.without.iter().map(|wall| (*wall).into()).collect();
    let tried = tried(&goldref, &left_out)?;
    Ok((goldref, tried))
}

/// `goldref grade new DIR`.
fn new(args: &Args) -> Result<u8> {
    let Some(folder) = &args.folder else { return Err(Error::ask("name the folder to write: goldref grade new DIR")) };
    write_starter(folder, Starter { seed: args.seed })?;
    say(&format!("wrote {0}; {0}/README.md says what is what\n", folder.display()));
    Ok(exit_code::AGREED)
}

/// All points, or fewer.
fn exit_code_of(all: bool) -> u8 {
    if all { exit_code::AGREED } else { exit_code::DISAGREED }
}
