//! A lock between processes: a file that one of them holds.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

/// A lock file that this process holds. Dropping it removes the file and gives the lock up; so does
/// the end of the process, which leaves the file.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    _file: File,
}

impl FileLock {
    /// Takes the lock of the file at `path`, which is created if it is missing; `None` while another
    /// process holds it.
    ///
    /// # Errors
    /// The system's error where the file can't be made or locked.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file: File = open(path, flags, Mode::RUSR | Mode::WUSR)?.into();
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            // Whoever held it may have removed it after we opened it and before it was ours.
            let ours = file.metadata()?;
            match fs::symlink_metadata(path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Some(Self {
                        path: path.to_owned(),
                        _file: file,
                    }));
                }
                _ => continue,
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While we still hold it, or we would remove somebody else's.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "can't remove the lock file");
        }
    }
}
