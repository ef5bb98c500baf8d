//! Removes trees, also where directories were made read-only.
//!
//! Permissions are changed through handles: others may have been allowed to write to a directory of
//! an old installation, and what was a directory when we looked could be a link to one of ours by
//! the time we change it.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, fchmod, openat, statat};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Removes a directory and everything in it. It's fine if there is none.
///
/// # Errors
/// The system's, where something stays.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_removable(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Gives us every right to a directory, and to every directory in it.
pub(super) fn make_removable(path: &Path) -> io::Result<()> {
    open_up(&openat(CWD, path, DIRECTORY, Mode::empty())?)
}

fn open_up(directory: &OwnedFd) -> io::Result<()> {
    // From here on nobody else can put anything else in the place of what is in it.
    fchmod(directory, Mode::RWXU)?;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let leaf = entry.file_name();
        if matches!(leaf.to_bytes(), b"." | b"..") {
            continue;
        }
        if let Some(child) = open_child(directory, leaf)? {
            open_up(&child)?;
        }
    }
    Ok(())
}

/// Opens what is `leaf` in `directory`, which is ours alone, if it is a directory itself.
fn open_child(directory: &OwnedFd, leaf: &CStr) -> io::Result<Option<OwnedFd>> {
    let stat = statat(directory, leaf, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(None);
    }
    let open = || openat(directory, leaf, DIRECTORY, Mode::empty());
    let child = match open() {
        // Not even its owner may read it, and without reading there is no handle to change it by.
        Err(Errno::ACCESS) => {
            chmodat(directory, leaf, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        result => result?,
    };
    Ok(Some(child))
}
