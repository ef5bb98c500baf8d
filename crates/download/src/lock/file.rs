//! A lock file on disk: read whole, and written in one step. Processes that write one at once take turns.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_oci::{ErrorKind, MachineFault};

use super::{Lock, LockError, LockedEntry, LockedError};
use crate::blocking::aside;
use crate::file_lock::FileLock;
use crate::options::Downgrade;
use crate::whole_file;

/// How long another process may take to write a lock file. It takes milliseconds.
const TURN: Duration = Duration::from_secs(30);
/// Between two tries to write it.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock file, by its path. Processes that write one at once take turns, and none leaves half a file.
#[derive(Debug, Clone)]
pub struct LockFile {
    path: PathBuf,
}

/// Why a lock file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockFileError {
    /// It can't be read.
    #[error("the lock file {} can't be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It can't be written.
    #[error("the lock file {} can't be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its text is no lock's.
    #[error("{}:{}{fault}", .path.display(), if .fault.position().is_some() { "" } else { " " })]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: LockError,
    },
    /// An entry may not take the place of what is locked.
    #[error(transparent)]
    Locked(#[from] LockedError),
    /// The lock can't be written as a text.
    #[error(transparent)]
    Unwritten(LockError),
    /// Another process holds it.
    #[error("another run has been writing the lock file {} for {seconds} s", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long.
        seconds: u64,
    },
    /// The runtime ended before it was written.
    #[error("the lock file {} was not written: the runtime has ended", .path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },
}

impl LockFileError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { source, .. } => ErrorKind::of_input(source),
            Self::Write { source, .. } => match MachineFault::of(source) {
                None => ErrorKind::Usage,
                Some(_) => ErrorKind::Machine,
            },
            Self::Text { fault, .. } | Self::Unwritten(fault) => fault.kind(),
            Self::Locked(error) => error.kind(),
            Self::Busy { .. } => ErrorKind::Machine,
            Self::Cancelled { .. } => ErrorKind::Internal,
        }
    }
}

/// Whose turn it is to write a lock file.
enum Turn<T> {
    /// Ours, and it was used. With what the change returned.
    Ours(T),
    /// Another process writes it.
    Another,
}

impl LockFile {
    /// The lock file at `path`. Nothing is read yet, and it need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; `None` if it isn't there. It blocks, for a file of [`Lock::BYTES_MAX`] at most.
    ///
    /// # Errors
    /// [`LockFileError::Read`]; [`LockFileError::Text`], if it is not understood whole.
    pub fn read(&self) -> Result<Option<Lock>, LockFileError> {
        let unreadable = |source| LockFileError::Read {
            path: self.path.clone(),
            source,
        };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(unreadable)?,
        };
        let text = text_of(file).map_err(unreadable)?;
        let lock = Lock::parse(&text).map_err(|fault| LockFileError::Text {
            path: self.path.clone(),
            fault,
        })?;
        Ok(Some(lock))
    }

    /// Checks that it can be written, by a new file beside it, which is removed.
    ///
    /// # Errors
    /// [`LockFileError::Write`]
    pub fn require_writable(&self) -> Result<(), LockFileError> {
        whole_file::require_writable(&self.path).map_err(|source| self.unwritable(source))
    }

    /// Puts `entry` in, keeps the others, and writes the file. It is made if it is missing, and left alone if it says that
    /// already. Returns what the name was locked to until now.
    ///
    /// # Errors
    /// Those of [`Self::read`]; [`LockFileError::Locked`], if `entry` may not take the place of what is locked, as
    /// [`Lock::insert`] says; [`LockFileError::Write`]; [`LockFileError::Busy`], if another process writes it for 30
    /// seconds. Nothing is changed then.
    pub async fn insert(
        &self,
        entry: &LockedEntry,
        downgrade: Downgrade,
    ) -> Result<Option<LockedEntry>, LockFileError> {
        let entry = entry.clone();
        self.change(move |lock| Ok(lock.insert(entry.clone(), downgrade)?))
            .await
    }

    /// Takes out all entries of this name, one for each platform, and returns them.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub async fn remove(&self, name: &str) -> Result<Vec<LockedEntry>, LockFileError> {
        let name = name.to_owned();
        self.change(move |lock| Ok(lock.remove(&name))).await
    }

    /// Changes what it says, when it is our turn, and writes it if it is something else then.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, LockFileError> + Clone + Send + 'static,
    ) -> Result<T, LockFileError> {
        let since = Instant::now();
        loop {
            let (file, change) = (self.clone(), change.clone());
            let turn = aside(move || file.change_now(change)).await;
            let path = || self.path.clone();
            match turn.ok_or_else(|| LockFileError::Cancelled { path: path() })?? {
                Turn::Ours(changed) => return Ok(changed),
                Turn::Another if since.elapsed() < TURN => tokio::time::sleep(PAUSE).await,
                Turn::Another => {
                    let seconds = TURN.as_secs();
                    return Err(LockFileError::Busy {
                        path: path(),
                        seconds,
                    });
                }
            }
        }
    }

    /// As [`Self::change`], unless another process writes the file now.
    fn change_now<T>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, LockFileError>,
    ) -> Result<Turn<T>, LockFileError> {
        if let (changed, None) = self.changed(&change)? {
            return Ok(Turn::Ours(changed));
        }
        let unwritable = |source| self.unwritable(source);
        let beside = FileLock::beside(&self.path).map_err(unwritable)?;
        let Some(_turn) = FileLock::try_take(&beside).map_err(unwritable)? else {
            return Ok(Turn::Another);
        };
        // What was read before may have changed before it was our turn.
        let (changed, lock) = self.changed(&change)?;
        if let Some(lock) = lock {
            let text = lock.to_yaml().map_err(LockFileError::Unwritten)?;
            whole_file::write(&self.path, text.as_bytes()).map_err(unwritable)?;
        }
        Ok(Turn::Ours(changed))
    }

    /// What the change returns, and what the file is to say then; `None` where that is what it says already.
    fn changed<T>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, LockFileError>,
    ) -> Result<(T, Option<Lock>), LockFileError> {
        let before = self.read()?.unwrap_or_default();
        let mut lock = before.clone();
        let changed = change(&mut lock)?;
        Ok((changed, (lock != before).then_some(lock)))
    }

    fn unwritable(&self, source: io::Error) -> LockFileError {
        LockFileError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// All that is in the file, if that is no more than a lock may have.
fn text_of(file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    // One byte more than there may be, so that what is too long is seen to be.
    file.take(Lock::BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    let wrong = |detail: String| io::Error::new(io::ErrorKind::InvalidData, detail);
    if bytes.len() > Lock::BYTES_MAX {
        let most = Lock::BYTES_MAX;
        return Err(wrong(format!("expected at most {most} bytes, found more")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!(
            "expected text in UTF-8, found another byte at {at}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use countersign_oci::Digest;

    use super::*;
    use crate::lock::LockedGrounds;

    fn entry(content: &str) -> LockedEntry {
        LockedEntry {
            name: "chat".to_owned(),
            platform: "linux/amd64".parse().unwrap(),
            gallery: "acme".to_owned(),
            entry: "chat".to_owned(),
            source: "quay.io/acme/chat:1".to_owned(),
            index: None,
            digest: Digest::sha256(content.as_bytes()),
            grounds: LockedGrounds::Nothing,
        }
    }

    #[tokio::test]
    async fn a_file_is_made_by_the_first_entry_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = LockFile::new(directory.path().join("x.lock"));
        assert_eq!(file.read().unwrap(), None);
        file.require_writable().unwrap();
        let (one, other) = (entry("one"), entry("other"));
        let before = file.insert(&one, Downgrade::Refuse).await.unwrap();
        assert_eq!(before, None);
        let before = file.insert(&other, Downgrade::Refuse).await.unwrap();
        assert_eq!(before.as_ref(), Some(&one));
        let read = file.read().unwrap().unwrap();
        assert_eq!(read.entries().collect::<Vec<_>>(), [&other]);
        assert_eq!(file.remove("chat").await.unwrap(), [other]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_is_no_lock_is_neither_read_nor_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = LockFile::new(directory.path().join("x.lock"));
        for text in [&b"version: 9\n"[..], b"\xff", b"- :"] {
            std::fs::write(file.path(), text).unwrap();
            let error = file.insert(&entry("one"), Downgrade::Allow).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
            assert_eq!(std::fs::read(file.path()).unwrap(), text);
        }
        let nowhere = LockFile::new(directory.path().join("no/x.lock"));
        let error = nowhere.insert(&entry("one"), Downgrade::Allow).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LockFileError::Write { .. }), "{error}");
    }
}
