//! The folder that a program writes, as goldref reads it: held open, so that no name on the way to it is looked up twice.
//!
//! Whatever stands there may be a link, a pipe, a folder, or a file that grows. Only a plain file is read, nothing that is opened waits for anybody, and no
//! more is read than was asked for.

use std::io;
use std::path::Path;

/// What is wrong with a file that was to be there.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Nothing, or no plain file.
    NoFile,
    /// More bytes than are read.
    TooLong(u64),
    /// It cannot be read.
    Unread(io::Error),
}

/// The folder.
#[derive(Debug)]
pub(super) struct Scratch {
    #[cfg(target_os = "linux")]
    folder: std::os::fd::OwnedFd,
    #[cfg(not(target_os = "linux"))]
    folder: std::path::PathBuf,
}

#[cfg(target_os = "linux")]
mod held {
    use super::{Path, Scratch, Unfit, io};
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
    use std::fs::File;

    impl Scratch {
        pub(in super::super) fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok(Self { folder: openat(CWD, path, flags, Mode::empty())? })
        }

        /// The file of this name.
        pub(super) fn file(&self, name: &str) -> Result<File, Unfit> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            // A link, a pipe without a reader, a socket, a lease: none of them is an answer.
            openat(&self.folder, name, flags, Mode::empty()).map(File::from).map_err(|_| Unfit::NoFile)
        }

        pub(super) fn remove(&self, name: &str) {
            // A folder can stand there as well. It goes with all others, and no later question has its name.
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod held {
    use super::{Path, Scratch, Unfit, io};
    use std::fs::File;

    impl Scratch {
        pub(in super::super) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self { folder: path.canonicalize()? })
        }

        /// The file of this name.
        pub(super) fn file(&self, name: &str) -> Result<File, Unfit> {
            let path = self.folder.join(name);
            let is_file = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            if is_file { File::open(path).map_err(Unfit::Unread) } else { Err(Unfit::NoFile) }
        }

        pub(super) fn remove(&self, name: &str) {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }
}

impl Scratch {
    /// The bytes of the plain file `name`, of which there may be `most`; it is removed, whatever it is.
    pub(super) fn take(&self, name: &str, most: u64) -> Result<Vec<u8>, Unfit> {
        use std::io::Read;
        let read = || {
            let file = self.file(name)?;
            let metadata = file.metadata().map_err(Unfit::Unread)?;
            if !metadata.is_file() {
                return Err(Unfit::NoFile);
            }
            if metadata.len() > most {
                return Err(Unfit::TooLong(metadata.len()));
            }
            let mut bytes = Vec::new();
            // It may grow meanwhile.
            file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Unfit::Unread)?;
            if bytes.len() as u64 > most { Err(Unfit::TooLong(bytes.len() as u64)) } else { Ok(bytes) }
        };
        let taken = read();
        self.remove(name);
        taken
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_plain_file_is_read_and_nothing_waits() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("scratch");
        fs::create_dir(&folder).unwrap();
        let scratch = Scratch::open(&folder).unwrap();
        let secret = home.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        fs::write(folder.join("plain"), "answer").unwrap();
        fs::create_dir(folder.join("folder")).unwrap();
        symlink(&secret, folder.join("link")).unwrap();
        symlink("plain", folder.join("link to its own")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
        assert!(made.success());
        let socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        let sparse = fs::File::create(folder.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        for name in ["folder", "link", "link to its own", "pipe", "socket", "none", "../secret/", "."] {
            assert!(matches!(scratch.take(name, 100), Err(Unfit::NoFile)), "{name}");
        }
        assert!(matches!(scratch.take("sparse", 1 << 20), Err(Unfit::TooLong(length)) if length == 1 << 40));
        assert_eq!(scratch.take("plain", 6).unwrap(), b"answer");
        assert!(matches!(scratch.take("plain", 6), Err(Unfit::NoFile)));
        // The folder is the one that was opened, whatever has its name now.
        fs::rename(&folder, home.path().join("elsewhere")).unwrap();
        symlink("/etc", &folder).unwrap();
        assert!(matches!(scratch.take("passwd", 1 << 20), Err(Unfit::NoFile)));
        fs::write(home.path().join("elsewhere/late"), "late").unwrap();
        assert_eq!(scratch.take("late", 6).unwrap(), b"late");
        drop(socket);
    }
}
