//! Files in a directory that others may write to.
//!
//! A file is opened only if it is a regular file: a symbolic link is not followed, and a pipe does not block. No
//! more than the limit is read. A file is written under another name and renamed, so that readers see all of it
//! or nothing.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use countersign_oci::Digest;

use super::CacheLimits;

/// A directory of files, each with a digest for a name.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    path: PathBuf,
    limits: CacheLimits,
    /// How many files may be written before the directory is counted again. Clones share it.
    room: Arc<AtomicUsize>,
}

impl Directory {
    pub(super) fn new(path: PathBuf, limits: CacheLimits) -> Self {
        Self {
            path,
            limits,
            room: Arc::default(),
        }
    }

    pub(super) fn with_limits(self, limits: CacheLimits) -> Self {
        Self::new(self.path, limits)
    }

    /// The file with this name, if it is there and within the limit.
    pub(super) fn read(&self, name: &Digest) -> Option<Bytes> {
        let path = self.file(name);
        match self.read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "can't read a cached signature");
                None
            }
        }
    }

    /// Writes the file with this name, unless it is larger than the limit.
    pub(super) fn write(&self, name: &Digest, bytes: &[u8]) {
        if bytes.len() as u64 > self.limits.entry_bytes {
            return;
        }
        if let Err(error) = self.write_file(name, bytes) {
            tracing::warn!(%error, directory = %self.path.display(), "can't cache a signature");
        }
    }

    fn file(&self, name: &Digest) -> PathBuf {
        self.path.join(name.hex())
    }

    fn read_file(&self, path: &Path) -> io::Result<Option<Bytes>> {
        let Some(file) = open_without_following(path)? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let limit = self.limits.entry_bytes;
        if !metadata.is_file() || metadata.len() > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn write_file(&self, name: &Digest, bytes: &[u8]) -> io::Result<()> {
        create_directory(&self.path)?;
        self.make_room()?;
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(bytes)?;
        file.persist(self.file(name))?;
        Ok(())
    }

    /// Removes the oldest files if there are as many as the limit allows. The directory is counted at the first
    /// write, and again when half of the room is used: other processes write too.
    fn make_room(&self) -> io::Result<()> {
        let one_less = |room: usize| room.checked_sub(1);
        let (order, again) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.room.fetch_update(order, again, one_less).is_ok() {
            return Ok(());
        }
        let names: Vec<_> = fs::read_dir(&self.path)?.collect::<io::Result<_>>()?;
        let limit = self.limits.entries.max(1);
        let mut left = names.len();
        if left >= limit {
            // An eighth more than necessary, so that the next writes need not count.
            let kept = limit - 1 - limit / 8;
            let mut aged: Vec<_> = names
                .iter()
                .map(|entry| (modified(entry), entry.path()))
                .collect();
            aged.sort();
            for (_, path) in aged.iter().take(left - kept) {
                match fs::remove_file(path) {
                    Ok(()) => left -= 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => left -= 1,
                    Err(error) => return Err(error),
                }
            }
        }
        self.room.store((limit - left) / 2, Ordering::Relaxed);
        Ok(())
    }
}

/// Opens a file. `None` for a symbolic link. A pipe does not block.
#[cfg(unix)]
fn open_without_following(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(rustix::io::Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file. `None` for what is no regular file.
#[cfg(not(unix))]
fn open_without_following(path: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(path)?.is_file() {
        true => File::open(path).map(Some),
        false => Ok(None),
    }
}

/// Makes the directory, for this user alone.
#[cfg(unix)]
fn create_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Makes the directory.
#[cfg(not(unix))]
fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// When a file was written. One whose time can't be read counts as the oldest.
fn modified(entry: &fs::DirEntry) -> SystemTime {
    let metadata = entry.metadata().and_then(|metadata| metadata.modified());
    metadata.unwrap_or(SystemTime::UNIX_EPOCH)
}
