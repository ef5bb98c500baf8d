//! Sets permissions and times of what was written.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, Timespec, Timestamps, fchmod, fstat, futimens};
use rustix::io::Errno;

use super::{IMPLICIT, Root, children, write_error};
use crate::extract::archive::Metadata;
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryPath;
use crate::extract::resolve::open_child;

/// The permission to write for group and others.
pub(in crate::extract) const OTHERS_WRITE: u32 = 0o022;

impl Root {
    /// Sets the permissions and times of all directories, the innermost first. The owner always keeps
    /// all permissions on the root, because it has to be moved and replaced later.
    pub(in crate::extract) fn finish(mut self) -> Result<(), ArchiveError> {
        self.open.clear();
        if let Some(top) = self.directories.get_mut(&self.top.inode) {
            top.metadata.mode |= 0o700;
        }
        let top = Arc::clone(&self.top);
        self.finish_directory(&top.handle, top.inode)
    }

    fn finish_directory(&self, handle: &OwnedFd, inode: u64) -> Result<(), ArchiveError> {
        self.cancellation.check()?;
        let error = |leaf: &[u8], errno: Errno| write_error(leaf, errno);
        for (leaf, kind) in children(handle).map_err(|errno| error(b".", errno))? {
            if kind == FileType::Directory {
                let child = open_child(handle, &leaf).map_err(|errno| error(&leaf, errno))?;
                let inode = super::inode(&child).map_err(|errno| error(&leaf, errno))?;
                self.finish_directory(&child, inode)?;
            }
        }
        let planned = self.directories.get(&inode);
        let metadata = planned.map_or(IMPLICIT, |planned| planned.metadata);
        apply(handle, metadata).map_err(|errno| error(b".", errno))
    }
}

/// The permissions that a file or directory gets. Set-user-id, set-group-id and sticky bit are dropped. Only the
/// owner may write: the users and groups of the container are not those of this machine.
pub(super) fn permissions(metadata: Metadata) -> Mode {
    Mode::from_raw_mode((metadata.mode & 0o777 & !OTHERS_WRITE) as _)
}

/// Sets the permissions and time of a file after it was written. Returns its inode.
pub(in crate::extract) fn finish_file(
    file: &File,
    name: &EntryPath,
    metadata: Metadata,
) -> Result<u64, ArchiveError> {
    let finished = || {
        let stat = fstat(file)?;
        // Most files were created with their permissions, unless this process has an unusual mask.
        if Mode::from_raw_mode(stat.st_mode) != permissions(metadata) {
            fchmod(file, permissions(metadata))?;
        }
        set_time(file, metadata)?;
        Ok(stat.st_ino as _)
    };
    finished().map_err(|errno| write_error(name.as_bytes(), errno))
}

fn apply(handle: impl AsFd, metadata: Metadata) -> Result<(), Errno> {
    fchmod(&handle, permissions(metadata))?;
    set_time(handle, metadata)
}

/// Python needs the time, which it compares with that in its compiled files.
fn set_time(handle: impl AsFd, metadata: Metadata) -> Result<(), Errno> {
    let Some((seconds, nanos)) = metadata.mtime else {
        return Ok(());
    };
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    futimens(&handle, &times)
}
