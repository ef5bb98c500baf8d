//! The lock file: read whole before anything is installed, written in one step after each
//! installation.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_download::{FileLock, Lock, LockedEntry};

use crate::blocking::blocking;
use crate::failure::{Failure, Kind, lock_hint};
use crate::input::text_of;
use crate::whole_file;

/// The name of a lock file where none is given.
pub(crate) const DEFAULT: &str = "countersign.lock";

/// How long another process may take to write a lock file. It takes milliseconds.
const TURN: Duration = Duration::from_secs(30);
/// Between two tries to write it.
const PAUSE: Duration = Duration::from_millis(20);

/// The file that a process holds while it writes the file at `path`.
pub(crate) fn beside(path: &Path) -> io::Result<PathBuf> {
    let path = whole_file::resolved(path)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".countersign.lock");
    Ok(path.with_file_name(name))
}

/// A lock file, by its path. Processes that write one at once take turns, and none leaves half a file.
#[derive(Debug, Clone)]
pub(crate) struct LockFile {
    path: PathBuf,
}

/// Whose turn it is to write a lock file.
enum Turn {
    /// Ours, and it was used. With the other entry that the name and the platform had until now, if it was another.
    Ours(Option<String>),
    /// Another process writes it.
    Another,
}

impl LockFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the file can be read, if it is there, and written.
    pub(crate) fn require(&self) -> Result<(), Failure> {
        self.read_if_there()?;
        // It is written by a new file beside it.
        whole_file::require_writable(&self.path).map_err(|error| self.unwritable(error))
    }

    /// What it says.
    pub(crate) fn read(&self) -> Result<Lock, Failure> {
        match self.text() {
            Ok(text) => self.parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let shown = self.path.display();
                let failure = Failure::new(Kind::Usage, format!("there is no lock file {shown}"));
                Err(failure.hint(format!(
                    "`countersign install --gallery FILE --lock={shown} NAME` writes it"
                )))
            }
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// What it says; nothing where it isn't there yet.
    pub(crate) fn read_if_there(&self) -> Result<Lock, Failure> {
        match self.text() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::new()),
            Ok(text) => self.parse(&text),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Puts `entry` in, keeps the others, and changes nothing where that is what it says already. Returns the entry that the
    /// name led to until now, if it was another: one for other hardware, say.
    pub(crate) async fn record(&self, entry: &LockedEntry) -> Result<Option<String>, Failure> {
        let since = Instant::now();
        loop {
            let (file, entry) = (self.clone(), entry.clone());
            match blocking(move || file.record_now(&entry)).await?? {
                Turn::Ours(before) => return Ok(before),
                Turn::Another if since.elapsed() < TURN => tokio::time::sleep(PAUSE).await,
                Turn::Another => {
                    let message = format!(
                        "another run has been writing the lock file {} for {} s",
                        self.path.display(),
                        TURN.as_secs()
                    );
                    return Err(Failure::new(Kind::Machine, message)
                        .hint("wait until the other run ends, then run this again"));
                }
            }
        }
    }

    /// As [`Self::record`], unless another process writes the file now.
    fn record_now(&self, entry: &LockedEntry) -> Result<Turn, Failure> {
        if self.with(entry)?.is_none() {
            return Ok(Turn::Ours(None));
        }
        let unwritable = |error| self.unwritable(error);
        let beside = beside(&self.path).map_err(unwritable)?;
        let Some(_turn) = FileLock::try_take(&beside).map_err(unwritable)? else {
            return Ok(Turn::Another);
        };
        // What was read before may have changed before it was our turn.
        let Some((lock, before)) = self.with(entry)? else {
            return Ok(Turn::Ours(None));
        };
        let text = lock.to_yaml()?;
        whole_file::write(&self.path, text.as_bytes()).map_err(unwritable)?;
        Ok(Turn::Ours(before))
    }

    /// What it says with `entry`, and the other entry that this takes the place of; `None` where that is what it says
    /// already.
    fn with(&self, entry: &LockedEntry) -> Result<Option<(Lock, Option<String>)>, Failure> {
        let before = self.read_if_there()?;
        let mut lock = before.clone();
        lock.insert(entry.clone());
        let other = before.entry(&entry.name, &entry.platform).ok();
        let other = other.filter(|other| other.entry != entry.entry);
        let other = other.map(|other| other.entry.clone());
        Ok((lock != before).then_some((lock, other)))
    }

    fn unwritable(&self, error: io::Error) -> Failure {
        Failure::unwritable(&self.path, "lock file", error)
    }

    fn text(&self) -> io::Result<String> {
        text_of(File::open(&self.path), Lock::BYTES_MAX as u64)
    }

    fn parse(&self, text: &str) -> Result<Lock, Failure> {
        Lock::parse(text).map_err(|error| {
            let (path, colon) = (
                self.path.display(),
                if error.position().is_some() {
                    ":"
                } else {
                    ": "
                },
            );
            let hint = lock_hint(&error);
            Failure::new(error.kind(), format!("{path}{colon}{error}")).hint(hint)
        })
    }

    fn unreadable(&self, error: io::Error) -> Failure {
        Failure::unreadable(&self.path, "lock file", error)
    }
}

/// Refuses a lock file among the names: `flag` takes it after an equals sign alone, because what
/// follows a blank is a name.
pub(crate) fn refuse_files(names: &[OsString], flag: &str) -> Result<(), Failure> {
    let is_file = |name: &&OsString| Path::new(name).extension().is_some_and(|end| end == "lock");
    match names.iter().find(is_file) {
        None => Ok(()),
        Some(file) => {
            let file = file.to_string_lossy();
            let message = format!("expected names of entries, found `{file}`");
            Err(Failure::new(Kind::Usage, message)
                .hint(format!("to use a lock file, write {flag}={file}")))
        }
    }
}
