//! A root folder of its own: what a program may read, where it always is, and nothing else; one folder to write, with a size.

use super::super::order::Order;
use super::files;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use std::collections::VecDeque;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows on one way.
const LINKS: usize = 40;
/// Of the folders that lead to what is shown: no more than that is ever made there.
const LEADING: &str = "size=4m,nr_inodes=8192,mode=755";

/// What went wrong, in words.
type Wrong = String;

/// Makes the root and moves this process into it: in a namespace of mounts of its own, as process 1 of one of processes.
pub(super) fn enter(order: &Order, program: Option<&Path>) -> Result<(), Wrong> {
    let wrong = |what: &'static str| move |e: Errno| format!("{what}: {e}");
    // First nothing that is mounted from here on is seen outside.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(wrong("mounts cannot be made private"))?;
    let root = Root { at: order.scratch.clone() };
    let hidden = MountFlags::NOSUID | MountFlags::NODEV;
    memory("a root of its own", &root.at, hidden, LEADING)?;
    let mut shown: Vec<PathBuf> = Vec::new();
    let mut paths = files::readable(order, program);
    paths.extend(files::DEVICES.iter().map(PathBuf::from));
    // Above before below: what lies in a folder that is shown is shown with it.
    paths.sort_by_key(|path| path.components().count());
    for path in paths.iter().filter(|path| !path.starts_with("/proc")) {
        root.show(path, &mut shown).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let proc = root.made("/proc".as_ref())?;
    // Where C libraries put locks and memory that the processes of a program share: in its own folder it has a size.
    std::os::unix::fs::symlink(&order.scratch, root.inside("/dev/shm".as_ref()))
        .map_err(|e| format!("/dev/shm: {e}"))?;
    let flags = hidden | MountFlags::NOEXEC | MountFlags::RDONLY;
    rustix::mount::mount("proc", &proc, "proc", flags, None).map_err(wrong("a /proc of its own"))?;
    let limits = &order.confinement.limits;
    let size = format!("size={},nr_inodes={},mode=700", limits.folder_bytes, limits.folder_files.saturating_add(1));
    for folder in std::iter::once(&order.scratch).chain(&order.confinement.write) {
        memory("a folder to write", &root.made(folder)?, hidden, &size)?;
    }
    rustix::process::chdir(&root.at).map_err(wrong("the new root"))?;
    // The old root lies on top of the new one for a moment (pivot_root(2)), and is taken away.
    rustix::process::pivot_root(".", ".").map_err(wrong("the new root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(wrong("the old root"))?;
    rustix::process::chdir("/").map_err(wrong("the new root"))?;
    let tree = opened("/".as_ref(), OpenTreeFlags::empty()).map_err(wrong("the new root"))?;
    restrict(&tree, Sort::Folder, libc::AT_EMPTY_PATH).map_err(wrong("the new root"))
}

/// A file system in memory, of a size.
fn memory(what: &str, at: &Path, flags: MountFlags, options: &str) -> Result<(), Wrong> {
    let options = CString::new(options).map_err(|e| e.to_string())?;
    rustix::mount::mount("tmpfs", at, "tmpfs", flags, options.as_c_str()).map_err(|e| format!("{what}: {e}"))
}

fn opened(path: &Path, more: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    rustix::mount::open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLOEXEC | more)
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Folder,
    File,
    /// A device that works.
    Device,
}

/// From now on nothing below is written, no program there gains rights, and no device works but one that is shown.
fn restrict(tree: &OwnedFd, sort: Sort, at: i32) -> Result<(), Errno> {
    let mut attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    if sort != Sort::Device {
        attributes |= libc::MOUNT_ATTR_NODEV;
    }
    let wanted = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: The descriptor is open, the path is an empty C string, and the structure is read for its own size; all outlive the call.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            at,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    } != 0;
    if failed { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) } else { Ok(()) }
}

/// The new root, before it is entered.
struct Root {
    at: PathBuf,
}

impl Root {
    fn inside(&self, path: &Path) -> PathBuf {
        self.at.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A folder there, with all that lead to it.
    fn made(&self, path: &Path) -> Result<PathBuf, Wrong> {
        let inside = self.inside(path);
        fs::create_dir_all(&inside).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(inside)
    }

    /// Shows what is at `path`, by the same names and links. What is not there, or not to be read by this user, is not shown.
    fn show(&self, path: &Path, shown: &mut Vec<PathBuf>) -> Result<(), Wrong> {
        let mut left: VecDeque<PathBuf> = parts(path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part.as_os_str() == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&part);
            if shown.iter().any(|above| next.starts_with(above)) {
                // The links below it are there as well, and may lead out of it.
                here = next;
                match fs::read_link(&here) {
                    Ok(target) if links < LINKS => {
                        links += 1;
                        here = follow(here, &target, &mut left);
                    }
                    _ => (),
                }
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&next) else { return Ok(()) };
            let inside = self.inside(&next);
            if metadata.is_symlink() {
                links += 1;
                let Ok(target) = fs::read_link(&next) else { return Ok(()) };
                if links > LINKS {
                    return Ok(());
                }
                if fs::symlink_metadata(&inside).is_err() {
                    std::os::unix::fs::symlink(&target, &inside).map_err(|e| e.to_string())?;
                }
                here = follow(next, &target, &mut left);
                continue;
            }
            here = next;
            if left.is_empty() {
                self.mount(&here, &metadata)?;
                shown.push(here.clone());
            } else if fs::symlink_metadata(&inside).is_err() {
                rustix::fs::mkdir(&inside, Mode::from_raw_mode(0o755)).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    fn mount(&self, path: &Path, metadata: &fs::Metadata) -> Result<(), Wrong> {
        let inside = self.inside(path);
        let sort = match () {
            () if metadata.is_dir() => Sort::Folder,
            () if files::DEVICES.iter().any(|device| path == Path::new(device)) => Sort::Device,
            () => Sort::File,
        };
        if fs::symlink_metadata(&inside).is_err() {
            let made = if sort == Sort::Folder { fs::create_dir(&inside) } else { fs::File::create(&inside).map(drop) };
            made.map_err(|e| e.to_string())?;
        }
        let tree = match opened(path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE) {
            Ok(tree) => tree,
            // The program could not read it either.
            Err(Errno::ACCESS | Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e.to_string()),
        };
        restrict(&tree, sort, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE).map_err(|e| e.to_string())?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(tree.as_fd(), "", CWD, &inside, flags).map_err(|e| e.to_string())
    }
}

/// The names on the way.
fn parts(path: &Path) -> VecDeque<PathBuf> {
    let named = |component: Component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}

/// Where the way goes on behind a link; its own names come first.
fn follow(link: PathBuf, target: &Path, left: &mut VecDeque<PathBuf>) -> PathBuf {
    for part in parts(target).into_iter().rev() {
        left.push_front(part);
    }
    let mut folder = link;
    folder.pop();
    if target.is_absolute() { PathBuf::from("/") } else { folder }
}
