//! A lock between processes: a file that one of them holds.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use crate::whole_file;

/// A lock file that this process holds. Dropping it removes the file and gives the lock up; so does
/// the end of the process, which leaves the file.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    _file: File,
}

impl FileLock {
    /// The lock of those that write the file at `path`: `.NAME.countersign.lock` beside it. Of a link, beside the file itself.
    ///
    /// # Errors
    /// The system's, where it doesn't say what the link leads to.
    pub fn beside(path: &Path) -> io::Result<PathBuf> {
        let path = whole_file::resolved(path)?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".countersign.lock");
        Ok(path.with_file_name(name))
    }

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
            if Self::is_at(path, &file.metadata()?)? {
                return Ok(Some(Self {
                    path: path.to_owned(),
                    _file: file,
                }));
            }
        }
    }

    /// Whether what is at `path` is still `opened`: another process may have put something else there. A link is not
    /// followed.
    ///
    /// # Errors
    /// The system's error where it doesn't say what is there.
    pub fn is_at(path: &Path, opened: &Metadata) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(there) => Ok(is_same(&there, opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether both are of one file or directory. A number alone is one of its file system.
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While we still hold it, or we would remove somebody else's.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "can't remove the lock file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_not_be_looked_at_is_an_error_and_one_that_is_gone_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let [ours, other] = ["ours", "other"].map(|name| directory.path().join(name));
        for path in [&ours, &other] {
            fs::write(path, "").unwrap();
        }
        let opened = fs::metadata(&ours).unwrap();
        for (name, expected) in [("ours", true), ("other", false), ("gone", false)] {
            let path = directory.path().join(name);
            assert_eq!(FileLock::is_at(&path, &opened).unwrap(), expected, "{name}");
        }
        let error = FileLock::is_at(&ours.join("below"), &opened).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
