//! Writes an installation to the disk, and as little else as possible.
//!
//! Each file and each directory is synced by itself, on several threads, so that the disk takes together
//! what waits for it. One call for the whole file system would also wait for everything that other
//! programs have written.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{Dir, FileType, Mode, OFlags, fsync, openat};

use crate::directory::{file_type, is_dot};

/// Threads that wait for the disk at once.
const THREADS: usize = 16;
/// Names that may wait for a thread.
const WAITING: usize = 1024;

/// Syncs all files and directories below `root`, which nobody else writes to, and `root` itself.
///
/// # Errors
/// The first error of the file system.
pub(super) fn sync_tree(root: &OwnedFd) -> io::Result<()> {
    if is_in_memory(root)? {
        return Ok(());
    }
    sync_all(root, &open, sync_everything)
}

/// How a file or a directory below the root is opened.
type Opener = dyn Fn(&OwnedFd, &Path) -> io::Result<OwnedFd> + Sync;

fn sync_all(
    root: &OwnedFd,
    open: &Opener,
    sync_everything: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<()> {
    match sync_each(root, open) {
        // What not even its owner may open can't be synced by itself.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sync_everything(root),
        result => result,
    }
}

fn sync_each(root: &OwnedFd, open: &Opener) -> io::Result<()> {
    let (names, waiting) = sync_channel(WAITING);
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        let start = |_| {
            let work = || sync_names(root, open, &waiting);
            thread::Builder::new().spawn_scoped(scope, work)
        };
        let first = start(0)?;
        // If the system has no more threads, fewer do.
        let more: Vec<_> = (1..THREADS)
            .map_while(|number| start(number).ok())
            .collect();
        let walked = walk(root, &names);
        drop(names);
        for thread in more.into_iter().chain([first]) {
            let synced = thread.join();
            synced.map_err(|_| io::Error::other("a thread ended before its work"))??;
        }
        walked
    })?;
    Ok(fsync(root)?)
}

/// Sends the names of all files and directories below `root`.
fn walk(root: &OwnedFd, names: &SyncSender<PathBuf>) -> io::Result<()> {
    let mut directories = vec![PathBuf::from(".")];
    while let Some(directory) = directories.pop() {
        let handle = open(root, &directory)?;
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            if is_dot(&entry) {
                continue;
            }
            let leaf = entry.file_name().to_bytes();
            let kind = file_type(&handle, &entry)?;
            let path = directory.join(OsStr::from_bytes(leaf));
            if kind == FileType::Directory {
                directories.push(path.clone());
            }
            // A symbolic link has no content: its directory has all of it.
            if matches!(kind, FileType::Directory | FileType::RegularFile) {
                let sent = names.send(path);
                sent.map_err(|_| io::Error::other("no thread is left"))?;
            }
        }
    }
    Ok(())
}

/// Syncs what is sent, until nothing is. After an error it only takes the names.
fn sync_names(root: &OwnedFd, open: &Opener, waiting: &Mutex<Receiver<PathBuf>>) -> io::Result<()> {
    let mut result = Ok(());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv()
    };
    while let Ok(name) = next() {
        if result.is_ok() {
            result = open(root, &name).and_then(|handle| Ok(fsync(handle)?));
        }
    }
    result
}

fn open(root: &OwnedFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(root, name, flags, Mode::empty())?)
}

/// Syncs the whole file system.
fn sync_everything(root: &OwnedFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(root)?);
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        Ok(fsync(root)?)
    }
}

/// Whether nothing of the file system is on a disk.
#[cfg(target_os = "linux")]
fn is_in_memory(root: &OwnedFd) -> io::Result<bool> {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    // Its type differs from machine to machine. The numbers have 32 bits.
    let kind = rustix::fs::fstatfs(root)?.f_type as u32;
    Ok(matches!(kind, TMPFS | RAMFS))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &OwnedFd) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for directory in 0..3 {
            let path = tree.path().join(format!("{directory}/inner"));
            fs::create_dir_all(&path).unwrap();
            for file in 0..500 {
                fs::write(path.join(file.to_string()), "content").unwrap();
            }
        }
        std::os::unix::fs::symlink("nowhere", tree.path().join("link")).unwrap();
        tree
    }

    fn handle(path: &Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    #[test]
    fn every_file_and_directory_is_sent_once_and_links_are_not() {
        let tree = tree();
        let (names, sent) = sync_channel(2000);
        walk(&handle(tree.path()), &names).unwrap();
        drop(names);
        let mut sent: Vec<_> = sent.iter().collect();
        assert_eq!(sent.len(), 3 * (2 + 500));
        sent.sort();
        sent.dedup();
        assert_eq!(sent.len(), 3 * (2 + 500));
        assert!(sent.contains(&PathBuf::from("./2/inner/499")));
        assert!(!sent.contains(&PathBuf::from("./link")));
    }

    #[test]
    fn more_names_than_may_wait_are_synced_and_an_error_ends_it() {
        let tree = tree();
        sync_each(&handle(tree.path()), &open).unwrap();
        sync_tree(&handle(&tree.path().join("0"))).unwrap();
        let (names, waiting) = sync_channel(2);
        names.send("0/inner/1".into()).unwrap();
        names.send("missing".into()).unwrap();
        drop(names);
        let error = sync_names(&handle(tree.path()), &open, &Mutex::new(waiting));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    /// A stand-in refuses, since root may open everything.
    #[test]
    fn where_a_file_may_not_be_opened_everything_is_synced() {
        let tree = tree();
        for (refused, expected) in [
            (io::ErrorKind::PermissionDenied, Ok(1)),
            (
                io::ErrorKind::ResourceBusy,
                Err(io::ErrorKind::ResourceBusy),
            ),
        ] {
            let opener = move |root: &OwnedFd, path: &Path| {
                if path.ends_with("0/inner/0") {
                    Err(refused.into())
                } else {
                    open(root, path)
                }
            };
            let mut everything = 0;
            let synced = sync_all(&handle(tree.path()), &opener, |_| {
                everything += 1;
                Ok(())
            });
            let found = synced.map(|()| everything).map_err(|error| error.kind());
            assert_eq!(found, expected);
        }
        sync_everything(&handle(tree.path())).unwrap();
    }
}
