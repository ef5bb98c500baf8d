//! Removes trees, including read-only directories, but nothing that is mounted in them.
//!
//! Permissions are changed through handles. Other users may be able to write to a directory of an old
//! installation. They could replace a directory by a link after we have looked at it, and a change
//! by path would then follow the link.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, chmodat, fchmod, fstat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::{Claim, OLD, QUARANTINE, ROOT};
use crate::directory::{file_type, is_dot, lacks_openat2};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A staging directory that is removed when this is dropped.
pub(super) struct Removal {
    path: PathBuf,
    // Dropped after the directory was removed.
    _claim: Option<Claim>,
}

impl Removal {
    pub(super) fn of(path: PathBuf, claim: Option<Claim>) -> Self {
        Self {
            path,
            _claim: claim,
        }
    }

    fn remove(&self) -> io::Result<()> {
        // What can't be looked at may be there.
        let is_there = |path: &Path| !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
        // If the old and the new installation are both here, none is at the target. Then keep the old one.
        let root = self.path.join(ROOT);
        if is_there(&self.path.join(OLD)) && is_there(&root) {
            let rest = [self.path.join(QUARANTINE), root];
            rest.iter().try_for_each(|path| remove_tree(path))
        } else {
            remove_tree(&self.path)
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::error!(%error, path = %self.path.display(), "can't remove the staging directory: the next run tries again");
        }
    }
}

/// Removes a directory and everything in it, if it exists. Mounts in it stay, with their content.
///
/// # Errors
/// The system's error, if something can't be removed; [`io::ErrorKind::CrossesDevices`] at a mount.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_removable(path)?;
            remove(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    empty(openat(CWD, path, DIRECTORY, Mode::empty())?)?;
    fs::remove_dir(path)
}

fn empty(directory: OwnedFd) -> io::Result<()> {
    let mut directory = Dir::new(directory)?;
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let (within, leaf) = (directory.fd()?, entry.file_name());
        if is_dot(&entry) {
            continue;
        }
        if is_directory(within, &entry)? {
            empty(open_within(within, leaf)?)?;
            unlinkat(within, leaf, AtFlags::REMOVEDIR)?;
        } else {
            unlinkat(within, leaf, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Gives the owner all rights to a directory and to all directories in it.
pub(super) fn make_removable(path: &Path) -> io::Result<()> {
    open_up(openat(CWD, path, DIRECTORY, Mode::empty())?)
}

fn open_up(directory: OwnedFd) -> io::Result<()> {
    // From here on nobody else can replace anything in it.
    fchmod(&directory, Mode::RWXU)?;
    let mut directory = Dir::new(directory)?;
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let within = directory.fd()?;
        if !is_dot(&entry) && is_directory(within, &entry)? {
            open_up(open_closed(within, entry.file_name())?)?;
        }
    }
    Ok(())
}

/// Opens a directory in `directory`, which is ours alone.
fn open_closed(directory: impl AsFd + Copy, leaf: &CStr) -> io::Result<OwnedFd> {
    match open_within(directory, leaf) {
        // Not even its owner may read it. So there is no handle yet, and it is changed by its name.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            chmodat(directory, leaf, Mode::RWXU, AtFlags::empty())?;
            open_within(directory, leaf)
        }
        result => result,
    }
}

/// Opens a directory in another one, on the same mount. A mount is reported even if we may not read
/// the directory.
fn open_within(directory: impl AsFd + Copy, leaf: &CStr) -> io::Result<OwnedFd> {
    let mounted = || {
        let leaf = leaf.to_string_lossy();
        let found = format!("something is mounted at `{}`", leaf.escape_default());
        io::Error::new(io::ErrorKind::CrossesDevices, found)
    };
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        // This also finds a mount of another directory of the same file system.
        match openat2(
            directory,
            leaf,
            DIRECTORY,
            Mode::empty(),
            ResolveFlags::NO_XDEV,
        ) {
            Err(errno) if lacks_openat2(errno) => {}
            Err(Errno::XDEV) => return Err(mounted()),
            result => return Ok(result?),
        }
    }
    let here = fstat(directory)?.st_dev;
    if statat(directory, leaf, AtFlags::SYMLINK_NOFOLLOW)?.st_dev != here {
        return Err(mounted());
    }
    let child = openat(directory, leaf, DIRECTORY, Mode::empty())?;
    if fstat(&child)?.st_dev != here {
        return Err(mounted());
    }
    Ok(child)
}

fn is_directory(directory: impl AsFd, entry: &DirEntry) -> io::Result<bool> {
    Ok(file_type(directory, entry)? == FileType::Directory)
}
