//! The lock file, as commands use it: read whole before anything is installed, written in one step after each
//! installation.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use countersign_download::{Downgrade, Lock, LockedEntry};

use crate::failure::{Failure, Kind};

/// The name of a lock file where none is given.
pub(crate) const DEFAULT: &str = "countersign.lock";

/// A lock file, by its path. Its failures say what to do.
#[derive(Debug, Clone)]
pub(crate) struct LockFile(countersign_download::LockFile);

impl LockFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(countersign_download::LockFile::new(path))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What it says, as [`Self::read_if_there`], if it can be written too.
    pub(crate) fn require(&self) -> Result<Lock, Failure> {
        let lock = self.read_if_there()?;
        self.0.require_writable()?;
        Ok(lock)
    }

    /// What it says.
    pub(crate) fn read(&self) -> Result<Lock, Failure> {
        self.0.read()?.ok_or_else(|| {
            let shown = self.path().display();
            let failure = Failure::new(Kind::Usage, format!("there is no lock file {shown}"));
            failure.hint(format!(
                "`countersign install --gallery FILE --lock={shown} NAME` writes it"
            ))
        })
    }

    /// As [`Self::read`], for an installation.
    pub(crate) fn read_to_install(&self) -> Result<Lock, Failure> {
        self.read().map_err(|failure| {
            if self.path().exists() {
                return failure;
            }
            failure.hint(
                "with --from, leave --from-lock out: the lock file that a kit was made by counts without it",
            )
        })
    }

    /// What it says; nothing where it isn't there yet.
    pub(crate) fn read_if_there(&self) -> Result<Lock, Failure> {
        Ok(self.0.read()?.unwrap_or_default())
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
        Ok(self.0.insert(entry, downgrade).await?)
    }

    /// Takes out all entries of this name. Returns whether there was one.
    pub(crate) async fn take_out(&self, name: &str) -> Result<bool, Failure> {
        Ok(!self.0.remove(name).await?.is_empty())
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
