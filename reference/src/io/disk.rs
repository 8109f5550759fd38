//! Opening regular files only, and writing files whole or not at all.
//!
//! The lowest part of `io`: it knows paths and bytes, and no format.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use super::wording::{io_reason, size};
use crate::error::{Error, Result};

/// Opens `path` for reading and gives its length; anything but a regular file is refused.
///
/// A pipe would block forever and a device never ends; both can stand where a stranger's program
/// was told to write its answer.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let regular = |metadata: std::fs::Metadata| {
        if metadata.is_file() {
            Ok(metadata.len())
        } else if metadata.is_dir() {
            Err(Error::read(path, "it is a folder; name a file in it"))
        } else {
            Err(Error::read(path, "it is not a regular file"))
        }
    };
    // Asked before opening as well, because opening a pipe already blocks.
    regular(std::fs::metadata(path).map_err(|e| Error::read(path, io_reason(&e)))?)?;
    let file = File::open(path).map_err(|e| Error::read(path, io_reason(&e)))?;
    let length = regular(file.metadata().map_err(|e| Error::read(path, io_reason(&e)))?)?;
    Ok((file, length))
}

/// The bytes of a file of at most `limit` bytes.
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let too_long = || {
        let limit = size(limit);
        Error::read(path, format!("it is longer than {limit}"))
    };
    if length > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    usize::try_from(length)
        .ok()
        .and_then(|length| bytes.try_reserve_exact(length).ok())
        .ok_or_else(|| Error::read(path, format!("there is no memory for its {length} bytes")))?;
    // The file may grow while it is read; the limit holds all the same.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| Error::read(path, io_reason(&e)))?;
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(bytes)
}

/// Writes a text file, whole or not at all.
///
/// # Errors
/// A folder that is not there, a path that is no regular file, a full disk.
pub fn write_text(path: impl AsRef<Path>, text: &str) -> Result<()> {
    write_bytes(path, text.as_bytes())
}

/// Writes the bytes to `path`, whole or not at all.
///
/// # Errors
/// As [`write_text`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomically(path.as_ref(), &|writer| writer.write_all(bytes))
}

/// What the names of files begin with that are not written to their end yet.
pub const HALF: &str = ".goldref-";

/// Writes `path` through `fill`, whole or not at all: into a file beside it that then takes its name.
pub fn write_atomically(path: &Path, fill: &dyn Fn(&mut BufWriter<&mut File>) -> std::io::Result<()>) -> Result<()> {
    let error = |e: std::io::Error| Error::write(path, io_reason(&e));
    if let Ok(metadata) = std::fs::metadata(path)
        && !metadata.is_file()
    {
        return Err(Error::write(path, "it exists and is not a regular file"));
    }
    // Through a symbolic link: the file it points to is replaced, the link stays.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let reason = format!("the folder {} does not exist", folder.display());
        return Err(Error::write(path, reason));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(HALF);
    #[cfg(unix)]
    {
        // Temporary files are private by default; this one becomes an ordinary file (less the umask).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder).map_err(|e| Error::write(path, cause(&e)))?;
    let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
    fill(&mut writer).map_err(error)?;
    writer.flush().map_err(error)?;
    drop(writer);
    temporary.persist(&target).map_err(|e| error(e.error))?;
    Ok(())
}

/// The reason alone: `tempfile` wraps it into a message that names its own path.
fn cause(error: &std::io::Error) -> String {
    io_reason(&std::io::Error::from(error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_refused_with_its_path_and_reason() {
        let error = open(Path::new("/nowhere/x.npy")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/x.npy: no such file or directory");
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("it is a folder; name a file in it"), "{error}");
        let error = write_atomically(folder.path(), &|_| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with("cannot write"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused_and_never_replaced() {
        let error = open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "cannot read /dev/zero: it is not a regular file");
        let error = write_atomically(Path::new("/dev/null"), &|_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "cannot write /dev/null: it exists and is not a regular file");
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        // Sparse: a terabyte that takes no place, and must take no memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read_whole(&path, 1 << 20).unwrap_err().to_string();
        assert!(error.ends_with("it is longer than 1 MiB"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npy");
        std::fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, &|w| {
            w.write_all(b"half")?;
            Err(std::io::Error::other("the disk burns"))
        });
        assert!(error.unwrap_err().to_string().ends_with("the disk burns"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomically(&path, &|w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_written_file_can_be_read_by_others_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let path = folder.path().join(name);
            std::fs::metadata(path).unwrap().permissions().mode()
        };
        std::fs::write(folder.path().join("plain"), "").unwrap();
        write_atomically(&folder.path().join("atomic"), &|_| Ok(())).unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }

    #[test]
    fn a_missing_folder_is_said_of_the_path_the_user_named() {
        let error = write_atomically(Path::new("/nowhere/x.npy"), &|_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot write /nowhere/x.npy: the folder /nowhere does not exist");
    }
}
