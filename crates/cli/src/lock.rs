//! The lock file: read whole before anything is installed, written in one step after each
//! installation.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_download::{Downgrade, FileLock, Lock, LockedEntry};

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
enum Turn<T> {
    /// Ours, and it was used. With what the change returned.
    Ours(T),
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

    /// Puts `entry` in, keeps the others, and changes nothing where that is what it says already. Returns what the name was
    /// locked to until now.
    ///
    /// # Errors
    /// Also if `entry` may not take the place of what another run has locked meanwhile.
    pub(crate) async fn record(
        &self,
        entry: &LockedEntry,
        downgrade: Downgrade,
    ) -> Result<Option<LockedEntry>, Failure> {
        let entry = entry.clone();
        self.change(move |lock| Ok(lock.insert(entry.clone(), downgrade)?))
            .await
    }

    /// Takes out all entries of this name. Returns whether there was one.
    pub(crate) async fn take_out(&self, name: &str) -> Result<bool, Failure> {
        let name = name.to_owned();
        self.change(move |lock| Ok(!lock.remove(&name).is_empty()))
            .await
    }

    /// Changes what it says, when it is our turn, and writes it if it is something else then.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, Failure> + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let since = Instant::now();
        loop {
            let (file, change) = (self.clone(), change.clone());
            match blocking(move || file.change_now(change)).await?? {
                Turn::Ours(changed) => return Ok(changed),
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

    /// As [`Self::change`], unless another process writes the file now.
    fn change_now<T>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, Failure>,
    ) -> Result<Turn<T>, Failure> {
        if let (changed, None) = self.changed(&change)? {
            return Ok(Turn::Ours(changed));
        }
        let unwritable = |error| self.unwritable(error);
        let beside = beside(&self.path).map_err(unwritable)?;
        let Some(_turn) = FileLock::try_take(&beside).map_err(unwritable)? else {
            return Ok(Turn::Another);
        };
        // What was read before may have changed before it was our turn.
        let (changed, lock) = self.changed(&change)?;
        if let Some(lock) = lock {
            let text = lock.to_yaml()?;
            whole_file::write(&self.path, text.as_bytes()).map_err(unwritable)?;
        }
        Ok(Turn::Ours(changed))
    }

    /// What the change returns, and what the file is to say then; `None` where that is what it says already.
    fn changed<T>(
        &self,
        change: impl Fn(&mut Lock) -> Result<T, Failure>,
    ) -> Result<(T, Option<Lock>), Failure> {
        let before = self.read_if_there()?;
        let mut lock = before.clone();
        let changed = change(&mut lock)?;
        Ok((changed, (lock != before).then_some(lock)))
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
