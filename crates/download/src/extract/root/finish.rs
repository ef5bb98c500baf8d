//! Gives what was written its permissions and times.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, Timespec, Timestamps, fchmod, futimens};
use rustix::io::Errno;

use super::{IMPLICIT, Root, children, write_error};
use crate::extract::archive::Metadata;
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryName;
use crate::extract::resolve::open_child;

/// The right to write of everybody but the owner.
pub(in crate::extract) const OTHERS_WRITE: u32 = 0o022;

impl Root {
    /// Gives every directory its permissions and time, from the leaves up. The root's owner keeps
    /// the right to write to it, without which it could not be moved or replaced later.
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

/// Gives a file that was written its permissions and time.
pub(in crate::extract) fn finish_file(
    file: &File,
    name: &EntryName,
    metadata: Metadata,
) -> Result<(), ArchiveError> {
    apply(file, metadata).map_err(|errno| write_error(name.as_bytes(), errno))
}

/// Permissions without set-user-id, set-group-id and sticky bit, with the right to write for the
/// owner at most: in the container others can write to what is theirs, here whoever has their
/// number could. And the time, which Python holds against its byte code.
fn apply(handle: impl AsFd, metadata: Metadata) -> Result<(), Errno> {
    let mode = metadata.mode & 0o777 & !OTHERS_WRITE;
    fchmod(&handle, Mode::from_raw_mode(mode as _))?;
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
