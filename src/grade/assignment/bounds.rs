//! What an assignment may ask for: limits that a system can keep, and a command that it can start.
//!
//! Whatever no system can do is refused when the assignment is opened: found out at the first submission, it would cost each of them its points.

use super::Limits;
use super::fields::{AskedFields, LimitsFields};
use crate::candidate::SandboxLimits;
use crate::error::{Error, Result};
use crate::grade::quantity::Unit;
use std::time::Duration;

/// A question, or a build, ends within a week.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// CPU time is counted in whole seconds, and the kernel's own limit lies a few behind it.
const YEAR_SECONDS: u64 = 366 * 24 * 3600;
/// Memory and files: an interpreter does not start with less memory, and no machine has more of either.
const LEAST_MEMORY: u64 = 1 << 20;
const MOST_BYTES: u64 = 1 << 50;
/// Processes and threads: Linux has no larger number of them.
const MOST_TASKS: u64 = 1 << 22;
const MOST_THREADS: u64 = 1 << 16;
const MOST_FILES: u64 = 1 << 40;
/// A command and its variables are handed over as one text of at most 128 KiB; the other half is left for folders and `PATH`.
const COMMAND_BYTES: usize = 64 << 10;
/// What a placeholder such as `{submission}` is taken to become.
const FOLDER_BYTES: usize = 512;
/// Tokens of a measured speed-up, and runs of it.
const MOST_TOKENS: usize = 1 << 20;
const MOST_REPEATS: usize = 1000;

/// The limits, each within what a system can keep.
pub(super) fn limits_of(fields: LimitsFields) -> Result<Limits> {
    let usual = Limits::default();
    if fields.slow_factor.is_some_and(|factor| !(factor.is_finite() && factor >= 1.0)) {
        return Err(Error::ask("[limits] slow_factor must be a number from 1 on"));
    }
    let of = usual.sandbox;
    Ok(Limits {
        seconds: seconds("seconds", fields.seconds, usual.seconds)?,
        slow_factor: fields.slow_factor,
        build_seconds: seconds("build_seconds", fields.build_seconds, usual.build_seconds)?,
        threads: count("threads", fields.threads, usual.threads, MOST_THREADS)?,
        sandbox: SandboxLimits {
            memory_bytes: bytes("memory", fields.memory, of.memory_bytes, LEAST_MEMORY)?,
            cpu_seconds: count("cpu_seconds", fields.cpu_seconds, of.cpu_seconds, YEAR_SECONDS)?,
            tasks: count("tasks", fields.tasks, of.tasks, MOST_TASKS)?,
            file_bytes: bytes("file", fields.file, of.file_bytes, 1)?,
            folder_bytes: bytes("disk", fields.disk, of.folder_bytes, 1)?,
            folder_files: count("files", fields.files, of.folder_files, MOST_FILES)?,
            output_bytes: bytes("output", fields.output, of.output_bytes, 1)?,
        },
    })
}

fn seconds(name: &str, given: Option<f64>, usual: Duration) -> Result<Duration> {
    let Some(given) = given else { return Ok(usual) };
    let limit = Duration::try_from_secs_f64(given).ok().filter(|limit| !limit.is_zero() && *limit <= WEEK);
    limit.ok_or_else(|| {
        let most = WEEK.as_secs();
        Error::ask(format!("[limits] {name} is {given:?}; it must be a number above 0 and at most {most}, a week"))
    })
}

fn count(name: &str, given: Option<u64>, usual: u64, most: u64) -> Result<u64> {
    match given {
        None => Ok(usual),
        Some(given) if (1..=most).contains(&given) => Ok(given),
        Some(given) => Err(Error::ask(format!("[limits] {name} is {given}; it must be from 1 to {most}"))),
    }
}

fn bytes(name: &str, given: Option<String>, usual: u64, least: u64) -> Result<u64> {
    let Some(text) = given else { return Ok(usual) };
    let bytes = Unit::Bytes.read(&text).map_err(|e| Error::ask(format!("[limits] {name}: {e}")))?;
    if bytes >= least as f64 && bytes <= MOST_BYTES as f64 {
        return Ok(bytes as u64);
    }
    let least = if least == 1 { "1 byte".to_string() } else { format!("{} MiB", least >> 20) };
    let most = MOST_BYTES >> 40;
    Err(Error::ask(format!("[limits] {name} is \"{}\"; it must be from {least} to {most} TiB", shown(&text))))
}

/// Refuses a command and an environment that no program can be started with. (Texts with a NUL are refused where they are read.)
pub(super) fn can_be_started(asked: &AskedFields) -> Result<()> {
    if asked.command.is_empty() {
        return Err(Error::ask("[candidate] has an empty command; write [\"python3\", \"candidate.py\"]"));
    }
    for (what, words) in [("command", &asked.command), ("build", &asked.build)] {
        if words.first().is_some_and(|program| program.trim().is_empty()) {
            return Err(Error::ask(format!("[candidate] {what} begins with an empty word; it must name a program")));
        }
    }
    if let Some(name) = asked.environment.keys().find(|name| name.is_empty() || name.contains('=')) {
        let name = shown(name);
        return Err(Error::ask(format!(
            "[candidate] environment has a variable \"{name}\"; a name has at least one character and no ="
        )));
    }
    let variables = asked.environment.iter().map(|(name, value)| text_bytes(name) + text_bytes(value)).sum::<usize>();
    let paths = asked.read.iter().map(|path| text_bytes(&path.to_string_lossy()) + FOLDER_BYTES).sum::<usize>();
    for (what, words) in [("command", &asked.command), ("build", &asked.build)] {
        let bytes = words.iter().map(|word| text_bytes(word)).sum::<usize>() + variables + paths;
        if bytes > COMMAND_BYTES {
            return Err(Error::ask(format!(
                "[candidate] {what}, environment and read have {bytes} bytes together; a program is started with at most {COMMAND_BYTES}"
            )));
        }
    }
    Ok(())
}

/// The bytes that a text takes in an order: escaped, with its placeholders filled.
fn text_bytes(text: &str) -> usize {
    let folders = ["{submission}", "{assignment}", "{build}"].iter().map(|name| text.matches(name).count());
    let escaped = serde_json::to_string(text).map_or(usize::MAX / 2, |text| text.len());
    escaped.saturating_add(FOLDER_BYTES * folders.sum::<usize>())
}

/// Refuses a speed-up that nobody waits for.
pub(super) fn can_be_measured(prompts: &[usize], generate: usize, repeats: Option<usize>) -> Result<()> {
    let of = |what: &str, given: usize, most: usize| match given {
        given if (1..=most).contains(&given) => Ok(()),
        given => Err(Error::ask(format!("its {what} is {given}; it must be from 1 to {most}"))),
    };
    for &prompt in prompts {
        of("prompt", prompt, MOST_TOKENS)?;
    }
    of("generate", generate, MOST_TOKENS)?;
    of("repeats", repeats.unwrap_or(1), MOST_REPEATS)
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
