//! How much is in a folder that a stranger writes, and how to get rid of it.
//!
//! Nothing here follows a link or goes down by recursion: folders may be nested deeper than a stack or a path allows.

use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files and bytes below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Volume {
    /// Files, links and folders.
    pub(super) files: u64,
    /// Bytes that they take on disk.
    pub(super) bytes: u64,
}

impl Volume {
    /// Of `folder`; counting ends soon after more than `most` files.
    #[cfg(target_os = "linux")]
    pub(super) fn of(folder: &Path, most: u64) -> Self {
        use std::os::unix::fs::MetadataExt;
        let mut volume = Self::default();
        let mut open = vec![folder.to_path_buf()];
        while let Some(folder) = open.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // Whatever went away meanwhile takes no room.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                // What is nested too deep, or closed, may hold anything.
                Err(_) => return Self { files: most.saturating_add(1), ..volume },
            };
            for entry in entries.flatten() {
                volume.files += 1;
                if volume.files > most {
                    return volume;
                }
                let Ok(metadata) = entry.metadata() else { continue };
                volume.bytes += metadata.blocks() * 512;
                if metadata.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        volume
    }
}

/// Folders in folders of what is copied.
#[cfg(target_os = "linux")]
const DEEP: usize = 64;

/// Copies what is below the open folder `from` into the folder `to`: plain files and folders, and links as links. Ends with an error where there is more
/// than `most`, counted by what files say that they hold: holes become bytes.
#[cfg(target_os = "linux")]
pub(super) fn copy_tree(from: &std::os::fd::OwnedFd, to: &Path, most: Volume) -> io::Result<()> {
    copy_into(from, to, &mut { most }, DEEP)
}

#[cfg(target_os = "linux")]
fn copy_into(from: &std::os::fd::OwnedFd, to: &Path, left: &mut Volume, deep: usize) -> io::Result<()> {
    use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    let too_much = || io::Error::other("there is more than may be copied");
    for entry in rustix::fs::Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        left.files = left.files.checked_sub(1).ok_or_else(too_much)?;
        let path = to.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let opened = |flags: OFlags| {
            openat(from, name, flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        };
        match FileType::from_raw_mode(statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
            FileType::Directory => {
                let deep = deep.checked_sub(1).ok_or_else(too_much)?;
                fs::create_dir(&path)?;
                copy_into(&opened(OFlags::DIRECTORY)?, &path, left, deep)?;
            }
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new())?;
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target.to_bytes()), &path)?;
            }
            FileType::RegularFile => {
                let file = fs::File::from(opened(OFlags::RDONLY)?);
                let copied = io::copy(&mut file.take(left.bytes.saturating_add(1)), &mut fs::File::create_new(&path)?)?;
                left.bytes = left.bytes.checked_sub(copied).ok_or_else(too_much)?;
                // Nobody sets modes in there; what was built may be a program.
                fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            }
            // Pipes and the like hold nothing.
            _ => (),
        }
    }
    Ok(())
}

/// What names of temporary folders begin with.
const PREFIX: &str = "goldref-";

/// A temporary folder that a stranger writes: nobody else reads it, and it is gone with this value, whatever was made in it.
#[derive(Debug)]
pub(crate) struct LentFolder {
    folder: TempDir,
    /// Open and locked for as long as somebody uses it.
    #[cfg(target_os = "linux")]
    _used: std::os::fd::OwnedFd,
}

impl LentFolder {
    /// What its name begins with follows `goldref-`.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let unmade = |e: io::Error| Error::ask(format!("no temporary folder can be made: {e}"));
        let prefix = format!("{PREFIX}{prefix}");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        // Without links: a confined program has it by the same name in a root of its own.
        let home = std::env::temp_dir().canonicalize().map_err(unmade)?;
        let folder = builder.tempdir_in(home).map_err(unmade)?;
        #[cfg(target_os = "linux")]
        let _used = locked(folder.path()).map_err(unmade)?;
        Ok(Self {
            folder,
            #[cfg(target_os = "linux")]
            _used,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Opens a folder and locks it, if nobody else has.
#[cfg(target_os = "linux")]
fn locked(folder: &Path) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// Removes temporary folders of a goldref that was ended from outside: those of this user that nobody holds.
#[cfg(target_os = "linux")]
pub(super) fn remove_left() {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let named = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        let own = entry.metadata().is_ok_and(|metadata| {
            // Who has just made one has not locked it yet.
            let old = metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > NEW));
            metadata.is_dir() && metadata.uid() == user && old
        });
        if named
            && own
            && let Ok(_held) = locked(&entry.path())
        {
            // Another one may be removing it.
            let _ = remove_tree(&entry.path());
        }
    }
}

/// How old a temporary folder is that is no longer being made.
#[cfg(target_os = "linux")]
const NEW: std::time::Duration = std::time::Duration::from_secs(10);

impl Drop for LentFolder {
    fn drop(&mut self) {
        // What a stranger made may be more than a plain removal manages.
        let _ = remove_tree(self.path());
    }
}

/// Removes `folder` and all that is in it.
pub(in crate::candidate) fn remove_tree(folder: &Path) -> io::Result<()> {
    let mut number = 0u64;
    loop {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_folder(&path) { folders.push(path) } else { fs::remove_file(&path)? }
        }
        if folders.is_empty() {
            return fs::remove_dir(folder);
        }
        for path in folders {
            readable(&path);
            // What is in it comes up to the top, where no path is long.
            for entry in fs::read_dir(&path)? {
                let inner = entry?.path();
                if is_folder(&inner) {
                    readable(&inner);
                    fs::rename(&inner, unused(folder, &mut number))?;
                } else {
                    fs::remove_file(&inner)?;
                }
            }
            fs::remove_dir(&path)?;
        }
    }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn unused(folder: &Path, number: &mut u64) -> PathBuf {
    loop {
        let path = folder.join(format!("raised-{number}"));
        *number += 1;
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// A folder can be made without rights for its owner.
fn readable(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // If it fails, so does what comes next, and that is told.
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
    #[cfg(not(unix))]
    let _ = folder;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_deep_tree_is_counted_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        fs::create_dir(&top).unwrap();
        std::os::unix::fs::symlink(home.path(), top.join("link")).unwrap();
        fs::write(home.path().join("outside"), "stays").unwrap();
        // Deeper than a path may be long: each folder is made in one that was moved up and is moved back below.
        let mut inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for depth in 0..600 {
            let outer = home.path().join(format!("outer-{depth}"));
            fs::create_dir(&outer).unwrap();
            fs::rename(&inner, outer.join("a-name-of-some-length")).unwrap();
            inner = outer;
        }
        fs::rename(&inner, top.join("deep")).unwrap();
        let closed = top.join("closed");
        fs::create_dir_all(closed.join("below")).unwrap();
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        assert_eq!(Volume::of(&top, 5).files, 6);
        // Deeper than a path may be named.
        assert_eq!(Volume::of(&top, 10_000).files, 10_001);
        fs::write(top.join("file"), vec![1; 100_000]).unwrap();
        let plain = home.path().join("plain");
        fs::create_dir(&plain).unwrap();
        fs::write(plain.join("file"), vec![1; 100_000]).unwrap();
        let volume = Volume::of(&plain, 10_000);
        assert!(volume.files == 1 && volume.bytes >= 100_000, "{volume:?}");
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert_eq!(fs::read_to_string(home.path().join("outside")).unwrap(), "stays");
    }
}
