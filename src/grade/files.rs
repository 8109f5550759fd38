//! What is asked of the files of strangers.

use std::path::{Path, PathBuf};

/// No link, nor anything else that only looks like a file.
pub(super) fn is_plain_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The plain file of this name in `folder`, if no link is on the way to it: one could lead to somebody else's.
pub(super) fn own_file(folder: &Path, name: &Path) -> Option<PathBuf> {
    let path = folder.canonicalize().ok()?.join(name);
    let real = path.canonicalize().is_ok_and(|real| real == path);
    (real && is_plain_file(&path)).then_some(path)
}
