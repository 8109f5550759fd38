//! Which files a confined program may read and write: Landlock.

use super::super::order::Order;
use super::super::walls::Wall;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::path::{Path, PathBuf};

/// Programs, libraries and what they must read to start. Of `/etc` no more than that: it has secrets.
const SYSTEM: [&str; 23] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/python3",
    "/etc/perl",
    "/etc/R",
    "/etc/ssl/openssl.cnf",
    "/sys/devices/system",
];
/// What the kernel says of the machine, and of the program itself. Not all of `/proc`: it has other processes.
const KERNEL: [&str; 8] = [
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/version",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/osrelease",
];
/// Devices that work. Not `/dev/zero`: mapped, it is memory that processes share and that
/// nobody need have mapped.
pub(super) const DEVICES: [&str; 4] = ["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"];
/// Those that take what is written and keep nothing.
const SINKS: [&str; 2] = ["/dev/null", "/dev/full"];

/// Confines this thread, and whatever it becomes.
pub(super) fn confine(order: &Order, program: Option<&Path>) -> Result<(), String> {
    let words = |e: landlock::RulesetError| format!("this kernel lacks a part of Landlock that Linux 6.12 has ({e})");
    // Where it need not stand, what there is of it is the second wall.
    let everything = order.confinement.walls.contains(&Wall::Landlock);
    let level = if everything { CompatLevel::HardRequirement } else { CompatLevel::BestEffort };
    let (read, all) = (AccessFs::from_read(ABI::V5), AccessFs::from_all(ABI::V5));
    let mut rules = Ruleset::default()
        .set_compatibility(level)
        .handle_access(all)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .map_err(words)?;
    let readable = readable(order, program).into_iter().map(|path| (path, read));
    let devices = DEVICES.iter().map(|path| {
        let access = if SINKS.contains(path) { read | AccessFs::WriteFile } else { read };
        (PathBuf::from(path), access)
    });
    // Devices cannot be made, whatever rights root has.
    let own = std::iter::once(&order.scratch).chain(&order.confinement.write);
    let scratch = own.map(|path| (path.clone(), all & !(AccessFs::MakeChar | AccessFs::MakeBlock)));
    for (path, access) in readable.chain(devices).chain(scratch) {
        // What is not there needs no rule.
        let Ok(opened) = PathFd::new(&path) else { continue };
        rules = rules.add_rule(PathBeneath::new(opened, fitting(&path, access))).map_err(words)?;
    }
    let status = rules.restrict_self().map_err(words)?;
    if everything && status.ruleset != RulesetStatus::FullyEnforced {
        return Err("this kernel does not enforce all of Landlock".to_string());
    }
    Ok(())
}

/// All that may be read.
pub(in super::super) fn readable(order: &Order, program: Option<&Path>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SYSTEM.iter().chain(&KERNEL).map(PathBuf::from).collect();
    // Debian keeps what a Java runtime needs to start in folders with its version.
    let java = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"java-"));
    paths.extend(std::fs::read_dir("/etc").into_iter().flatten().flatten().map(|entry| entry.path()).filter(java));
    // A link in a submission, or in what it has built, could name anything; what it may read is those folders.
    let own = [Some(&order.folder), order.confinement.built.as_ref(), order.confinement.write.as_ref()];
    let is_own = |program: &&Path| own.iter().flatten().any(|folder| program.starts_with(folder));
    paths.extend(program.filter(|program| !is_own(program)).map(own_folders).unwrap_or_default());
    paths.extend(order.confinement.read.iter().chain(&order.confinement.built).cloned());
    paths.push(order.folder.clone());
    paths
}

/// A file has no entries to make or list.
fn fitting(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V5) }
}

/// The program's file: as named, or by the `PATH` of its environment.
pub(in super::super) fn program(order: &Order) -> Option<PathBuf> {
    let name = order.command.first()?;
    if name.contains('/') {
        return Some(order.folder.join(name));
    }
    let path = order.environment.get("PATH")?;
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Folders whose programs have their libraries, or the programs that they stand for (pyenv), in the folder above; and what that has in it then, so that
/// a `bin` in somebody's home does not open the home.
const BESIDE: [(&str, &str); 2] = [("bin", "lib"), ("shims", "libexec")];

/// The root of pyenv, if `program` is one of its scripts, which look for it in the home folder otherwise.
pub(super) fn pyenv_root(program: &Path) -> Option<PathBuf> {
    let shims = program.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "shims"))?;
    shims.parent().map(Path::to_path_buf)
}

/// The folders that a program's own files are in: each link on the way to it, and of a `bin` the folder above.
fn own_folders(program: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut at = program.to_path_buf();
    // As many links as the kernel follows.
    for _ in 0..40 {
        let Some(folder) = at.parent() else { break };
        if let Ok(folder) = folder.canonicalize() {
            folders.push(at.clone());
            let fits = |above: &&Path| {
                let name = folder.file_name();
                BESIDE.iter().any(|&(own, other)| name.is_some_and(|name| name == own) && above.join(other).is_dir())
            };
            folders.extend(folder.parent().filter(fits).map(Path::to_path_buf));
        }
        match std::fs::read_link(&at) {
            Ok(target) => at = folder.join(target),
            Err(_) => break,
        }
    }
    folders
}
