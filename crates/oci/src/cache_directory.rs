//! A cache on disk: files in a directory that others may write to.
//!
//! Only the cache's own files are counted and removed: regular files with the name of a digest, and what a
//! write has left that did not end. A file is opened only if it is a regular file: a symbolic link is not
//! followed, and a pipe does not block. No more than the limit is read. A file is written under another name
//! and renamed, so that readers see all of it or nothing.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;

use crate::digest::Digest;
use crate::lock::lock;

/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".countersign-";

/// Limits of a [`CacheDirectory`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheLimits {
    /// The most files. If there are more, the oldest are removed. Default 2,048.
    pub entries: usize,
    /// The most bytes of one file. What is larger is not kept. Default 128 KiB.
    pub entry_bytes: u64,
    /// The most bytes of all files. If there are more, the oldest are removed. Default: no limit but the two above.
    pub total_bytes: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 2_048,
            entry_bytes: 128 << 10,
            total_bytes: u64::MAX,
        }
    }
}

/// A directory of files, each named by a digest.
///
/// Several processes may share it. A file that can't be read counts as missing. A directory that can't be written
/// costs time, and is no error. What is in a file proves nothing: anybody may have written it.
///
/// Cloning is cheap, and clones share a count of what they wrote.
#[derive(Debug, Clone)]
pub struct CacheDirectory {
    path: PathBuf,
    /// What names end with.
    ending: &'static str,
    limits: CacheLimits,
    /// How many files may be written before the directory is counted again. Clones share it.
    room: Arc<AtomicUsize>,
    /// Held for a write, so that each counts what the others wrote. Clones share it.
    writing: Arc<Mutex<()>>,
    /// Why the first write failed, if one did. Clones share it.
    trouble: Arc<OnceLock<String>>,
}

impl CacheDirectory {
    /// The directory at `path`, which is made at the first write. The name of each file is the digits of a digest
    /// and `ending`, so that caches with other endings can share the directory.
    #[must_use]
    pub fn new(path: PathBuf, ending: &'static str, limits: CacheLimits) -> Self {
        Self {
            path,
            ending,
            limits,
            room: Arc::default(),
            writing: Arc::default(),
            trouble: Arc::default(),
        }
    }

    /// The same directory with other limits.
    #[must_use]
    pub fn with_limits(self, limits: CacheLimits) -> Self {
        Self::new(self.path, self.ending, limits)
    }

    /// The file with this name, if it is there and within the limit. Waits for the disk.
    #[must_use]
    pub fn read(&self, name: &Digest) -> Option<Bytes> {
        let path = self.file(name);
        match self.read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "can't read a file of the cache");
                None
            }
        }
    }

    /// Opens the file with this name, if it is there and within the limit. Waits for the disk.
    #[must_use]
    pub fn open(&self, name: &Digest) -> Option<File> {
        let path = self.file(name);
        match self.open_file(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "can't open a file of the cache");
                None
            }
        }
    }

    /// Writes the file with this name, unless it is larger than the limit. Waits for the disk.
    pub fn write(&self, name: &Digest, bytes: &[u8]) {
        self.write_from(name, &mut &*bytes, bytes.len() as u64);
    }

    /// The same with all that `content` has, which is `size` bytes.
    pub fn write_from(&self, name: &Digest, content: &mut dyn io::Read, size: u64) {
        if size > self.limits.entry_bytes {
            return;
        }
        if let Err(error) = self.write_file(name, content, size) {
            tracing::warn!(%error, directory = %self.path.display(), "can't write to the cache");
            let directory = self.path.display();
            let said = || format!("the directory {directory} can't be written: {error}");
            self.trouble.get_or_init(said);
        }
    }

    /// Why the first write failed, if one did: in words, and with the directory.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Makes an open file the one that is removed last.
    pub fn mark_as_used(&self, file: &File) {
        if let Err(error) = file.set_modified(SystemTime::now()) {
            tracing::debug!(%error, directory = %self.path.display(), "can't mark a file of the cache as used");
        }
    }

    /// Removes the file with this name, if it is there.
    pub fn remove(&self, name: &Digest) {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "can't remove a file of the cache");
            }
        }
    }

    /// The path of the file with this name.
    #[must_use]
    pub fn file(&self, name: &Digest) -> PathBuf {
        self.path.join(format!("{}{}", name.hex(), self.ending))
    }

    fn read_file(&self, path: &Path) -> io::Result<Option<Bytes>> {
        let Some(file) = self.open_file(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(self.limits.entry_bytes).read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn open_file(&self, path: &Path) -> io::Result<Option<File>> {
        let Some(file) = open_without_following(path)? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let within = metadata.is_file() && metadata.len() <= self.limits.entry_bytes;
        Ok(within.then_some(file))
    }

    fn write_file(&self, name: &Digest, content: &mut dyn io::Read, size: u64) -> io::Result<()> {
        let _writing = lock(&self.writing);
        create_directory(&self.path)?;
        self.make_room(size)?;
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .suffix(self.ending)
            .tempfile_in(&self.path)?;
        io::copy(content, &mut file)?;
        file.persist(self.file(name))?;
        Ok(())
    }

    /// Removes the oldest files if there are as many as the limit allows, or if `size` bytes more would be too many.
    /// The directory is counted at the first write, and again when half of the room is used: other processes write
    /// too. Where all bytes together have a limit, it is counted at each write.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let one_less = |room: usize| room.checked_sub(1);
        let (order, again) = (Ordering::Relaxed, Ordering::Relaxed);
        let counted = self.room.fetch_update(order, again, one_less).is_ok();
        if counted && self.limits.total_bytes == u64::MAX {
            return Ok(());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if self.is_ours(&entry)? {
                files.push(Aged::of(&entry));
            }
        }
        files.sort();
        let limit = self.limits.entries.max(1);
        let mut left = files.len();
        // An eighth more than necessary, so that the next writes need not count.
        let kept = if left < limit {
            limit - 1
        } else {
            limit - 1 - limit / 8
        };
        let sizes = files.iter().map(|file| file.size);
        let mut total = sizes.fold(size, u64::saturating_add);
        for file in &files {
            if left <= kept && total <= self.limits.total_bytes {
                break;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            left -= 1;
            total = total.saturating_sub(file.size);
        }
        self.room.store((limit - left) / 2, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the cache wrote this, by what it is and by its name.
    fn is_ours(&self, entry: &fs::DirEntry) -> io::Result<bool> {
        let name = entry.file_name();
        let name = name
            .to_str()
            .and_then(|name| name.strip_suffix(self.ending));
        let named = name.is_some_and(|name| {
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let digits = matches!(name.len(), 64 | 128) && name.bytes().all(hex);
            name.starts_with(UNFINISHED) || digits
        });
        Ok(named && entry.file_type()?.is_file())
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
    if fs::symlink_metadata(path)?.is_file() {
        File::open(path).map(Some)
    } else {
        Ok(None)
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

/// A file of the cache. The oldest comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Aged {
    modified: SystemTime,
    path: PathBuf,
    size: u64,
}

impl Aged {
    /// A file whose time can't be read counts as the oldest.
    fn of(entry: &fs::DirEntry) -> Self {
        let metadata = entry.metadata().ok();
        let modified = metadata.as_ref().and_then(|found| found.modified().ok());
        Self {
            modified: modified.unwrap_or(SystemTime::UNIX_EPOCH),
            path: entry.path(),
            size: metadata.map_or(0, |found| found.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_the_cache_s_own_is_neither_counted_nor_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let digits = "0".repeat(64);
        let others = [
            "notes.txt".to_owned(),
            format!("{digits}.other"),
            digits.to_uppercase().replace('0', "A") + ".x",
            format!("{}.x", &digits[1..]),
        ];
        for name in &others {
            fs::write(path.join(name), "theirs").unwrap();
        }
        fs::create_dir(path.join(format!("{digits}.x"))).unwrap();
        let limits = CacheLimits {
            entries: 3,
            ..CacheLimits::default()
        };
        let names_of = |number: u8| Digest::sha256(&[number]);
        for number in 0..20 {
            let cache = CacheDirectory::new(path.to_owned(), ".x", limits.clone());
            cache.write(&names_of(number), b"ours");
            assert_eq!(cache.read(&names_of(number)).as_deref(), Some(&b"ours"[..]));
        }
        let left = names(path);
        for name in &others {
            assert!(left.contains(name), "{name} is gone: {left:?}");
        }
        assert!(left.contains(&format!("{digits}.x")), "{left:?}");
        assert!(left.len() <= others.len() + 1 + limits.entries, "{left:?}");
    }

    #[test]
    fn what_an_ended_write_left_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let limits = CacheLimits {
            entries: 2,
            ..CacheLimits::default()
        };
        for number in 0..3 {
            let left = directory.path().join(format!("{UNFINISHED}{number}"));
            fs::write(left, "half").unwrap();
        }
        let cache = CacheDirectory::new(directory.path().to_owned(), "", limits);
        cache.write(&Digest::sha256(b"a"), b"ours");
        assert_eq!(
            cache.read(&Digest::sha256(b"a")).as_deref(),
            Some(&b"ours"[..])
        );
        assert!(names(directory.path()).len() <= 2);
    }
}
