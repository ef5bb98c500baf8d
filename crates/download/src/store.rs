//! A directory of installations, each by its name.
//!
//! An installation is a directory in the store's directory, with our record in it. Other files and
//! directories that have a valid name are listed too, without a record. They are removed only on
//! request. Installing and upgrading are one function. Only content that meets the plan's requirement
//! replaces an installation, and the old one stays complete until then.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use countersign_oci::{ErrorKind, excerpt};

use crate::admitted::ImageVerifier;
use crate::blocking::blocking;
use crate::carry_out::{Outcome, PlanFailure, Preview};
use crate::error::Error;
use crate::events::Events;
use crate::hold::{hold, settled, stage};
use crate::install::Installer;
use crate::options::{RemoveOptions, Unrecorded};
use crate::record::{self, FoundRecord, Recorded};
use crate::request::InstallRequest;
use crate::target::{self, Above};

/// Most characters of a name. File names have at most 255 bytes, and ours are longer than the name.
const NAME_MAX: usize = 128;

/// A directory of installations.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The name of an installation: at most 128 letters, digits, `.`, `_`, `-` and `+`. The first is a letter
/// or a digit. So it is a file's name, and never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// An installation in a store, or what is there in the place of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installation {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub directory: PathBuf,
    /// Its record.
    pub record: RecordState,
    /// What is wrong with a record that can't be read, in one line; `None` for any other state.
    pub fault: Option<String>,
}

impl Installation {
    /// What its record says, where it can be read.
    pub fn recorded(&self) -> Option<&Recorded> {
        match &self.record {
            RecordState::Read(recorded) => Some(recorded),
            RecordState::Unreadable
            | RecordState::Unrecognised
            | RecordState::Later
            | RecordState::Missing
            | RecordState::Unfinished => None,
        }
    }
}

/// Whether a record says what something in a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// It has a record that was read.
    Read(Box<Recorded>),
    /// It has a record that can't be read: it is damaged, or the file system doesn't say.
    Unreadable,
    /// It has a file of that name which doesn't say that it is a record: it is cut, or somebody else's.
    Unrecognised,
    /// It has a record that a later version of this program wrote.
    Later,
    /// It has none: it was made by somebody else, or it lost its record.
    Missing,
    /// It is the working directory of a run that was killed, or is still at work.
    Unfinished,
}

impl Store {
    /// The store at `root`, which is made by the first installation.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of the installation with this name. It may not exist.
    pub fn directory(&self, name: &Name) -> PathBuf {
        self.root.join(&name.0)
    }

    /// Carries out the plan of `request`, in the directory of its name. An installation there is upgraded, if
    /// the options allow it. If its record has the verified digest already, nothing is fetched.
    ///
    /// # Errors
    /// [`StoreError`]. What was installed before has not changed.
    pub async fn install<V: ImageVerifier>(
        &self,
        installer: &Installer<V>,
        request: InstallRequest<'_>,
    ) -> Result<Outcome, StoreError> {
        let name: Name = request.plan.name().parse()?;
        let root = self.root.clone();
        let made = blocking(move || {
            fs::create_dir_all(&root).map_err(Error::io("make the directory", &root))
        });
        match made.await {
            // As `find` says it: another place has to be named.
            Err(Error::Io { path, source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists
                ) =>
            {
                return Err(StoreError::NotADirectory { path });
            }
            made => made?,
        }
        Ok(installer.install(request, &self.directory(&name)).await?)
    }

    /// Finds out what [`Self::install`] would do, and writes nothing.
    ///
    /// # Errors
    /// [`StoreError`], as the installation would fail.
    pub async fn preview<V: ImageVerifier>(
        &self,
        installer: &Installer<V>,
        request: InstallRequest<'_>,
    ) -> Result<Preview, StoreError> {
        let name: Name = request.plan.name().parse()?;
        let directory = self.directory(&name);
        Ok(installer
            .preview_at(request, &directory, Above::Made)
            .await?)
    }

    /// The installation of that name.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`]; [`StoreError::NoRecord`], if what has the name has no record. One that can't be read
    /// is a state of the installation.
    pub async fn installation(&self, name: &Name) -> Result<Installation, StoreError> {
        let found = self.removable(name, Unrecorded::Remove).await?;
        match found.record {
            RecordState::Missing => Err(StoreError::NoRecord {
                name: name.clone(),
                path: found.directory,
            }),
            RecordState::Read(_)
            | RecordState::Unreadable
            | RecordState::Unrecognised
            | RecordState::Later
            | RecordState::Unfinished => Ok(found),
        }
    }

    /// What [`Self::remove`] would remove by that name.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`]; [`StoreError::NoRecord`], if something else has the name and
    /// `unrecorded` doesn't allow its removal.
    pub async fn removable(
        &self,
        name: &Name,
        unrecorded: Unrecorded,
    ) -> Result<Installation, StoreError> {
        let wanted = name.clone();
        let found = self.find(move |one| *one == wanted).await?.pop();
        let found = found.ok_or_else(|| self.not_installed(name))?;
        let is_recorded = !matches!(
            found.record,
            RecordState::Missing | RecordState::Unrecognised
        );
        if !is_recorded && unrecorded == Unrecorded::Refuse {
            return Err(StoreError::NoRecord {
                name: name.clone(),
                path: found.directory,
            });
        }
        Ok(found)
    }

    /// Everything in the store that has an installation's name, sorted by name. A store whose directory
    /// doesn't exist is empty.
    ///
    /// # Errors
    /// [`StoreError::Installation`], if the directory can't be read.
    pub async fn list(&self) -> Result<Vec<Installation>, StoreError> {
        self.find(|_| true).await
    }

    /// Everything in the store whose name is `wanted`, sorted by name. No other record is read.
    async fn find(
        &self,
        wanted: impl Fn(&Name) -> bool + Send + 'static,
    ) -> Result<Vec<Installation>, StoreError> {
        let root = self.root.clone();
        match blocking(move || find(&root, wanted)).await {
            Err(Error::Io { path, source, .. })
                if source.kind() == io::ErrorKind::NotADirectory =>
            {
                Err(StoreError::NotADirectory { path })
            }
            found => Ok(found?),
        }
    }

    /// Removes the installation with this name in one step, and what killed runs left of it. At every
    /// moment all of it is there, or nothing.
    ///
    /// # Errors
    /// As [`Self::removable`]; [`Error::Busy`], if another run holds it and `options` don't say to
    /// wait; [`Error::Mounted`], if something is mounted inside.
    pub async fn remove(
        &self,
        name: &Name,
        options: RemoveOptions,
        events: Events<'_>,
    ) -> Result<Installation, StoreError> {
        let RemoveOptions { unrecorded, busy } = options;
        let before = self.removable(name, unrecorded).await?;
        let held = hold(&self.directory(name), busy, events).await?;
        // Looked up again: the run that we waited for may have installed or removed it.
        let installation = match self.removable(name, unrecorded).await {
            // Taking the lock cleared it away.
            Err(StoreError::NotInstalled { .. }) if before.record == RecordState::Unfinished => {
                return Ok(before);
            }
            found => found?,
        };
        if installation.record == RecordState::Unfinished {
            // Taking the lock didn't clear it away. The second attempt returns the error.
            let path = installation.directory.clone();
            blocking(move || held.clear(&path)).await?;
        } else {
            let taken_away = async {
                let staging = stage(&held).await?;
                blocking(move || staging.take_away(unrecorded)).await
            };
            settled(&held, taken_away).await?;
        }
        Ok(installation)
    }

    fn not_installed(&self, name: &Name) -> StoreError {
        StoreError::NotInstalled {
            name: name.clone(),
            store: self.root.clone(),
        }
    }
}

/// The names are compared as the directory lists them: a file system that takes two spellings for one doesn't decide.
fn find(root: &Path, wanted: impl Fn(&Name) -> bool) -> Result<Vec<Installation>, Error> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", root)(error)),
    };
    let name_of = |text: &OsStr| {
        let name = text.to_str().and_then(|name| name.parse::<Name>().ok());
        name.filter(&wanted)
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", root))?;
        let (file_name, directory) = (entry.file_name(), entry.path());
        if let Some(name) = target::staged(&file_name).and_then(name_of) {
            // What is installed counts, whichever of the two is listed first.
            found.entry(name.clone()).or_insert_with(|| Installation {
                name,
                directory,
                record: RecordState::Unfinished,
                fault: None,
            });
        } else if let Some(name) = name_of(&file_name) {
            found.insert(name.clone(), installation(name, directory));
        }
    }
    Ok(found.into_values().collect())
}

fn installation(name: Name, directory: PathBuf) -> Installation {
    let (record, fault) = match record::read(&directory) {
        Ok(FoundRecord::None) => (RecordState::Missing, None),
        Ok(FoundRecord::Read(recorded)) => (RecordState::Read(recorded), None),
        Ok(FoundRecord::Damaged { why }) => (RecordState::Unreadable, Some(why)),
        Err(error) => (RecordState::Unreadable, Some(error.to_string())),
        Ok(FoundRecord::Unrecognised { why }) => (RecordState::Unrecognised, Some(why)),
        Ok(FoundRecord::Later { .. }) => (RecordState::Later, None),
    };
    Installation {
        name,
        directory,
        record,
        fault,
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        if starts && text.len() <= NAME_MAX && text.chars().all(word) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError {
            found: excerpt(text),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a name of at most {NAME_MAX} letters, digits, `.`, `_`, `-` and `+` that begins with a letter or a digit, found `{found}`"
)]
pub struct NameError {
    found: String,
}

/// Why a store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A name that can't be an installation's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No source could serve what the plan asks for.
    #[error(transparent)]
    Plan(#[from] PlanFailure),
    /// Nothing of ours is installed by that name.
    #[error("`{name}` is not installed in {}", .store.display())]
    NotInstalled {
        /// The name.
        name: Name,
        /// The store's directory.
        store: PathBuf,
    },
    /// Something has the name, and no record of ours says what it is.
    #[error("{} has no record of an installation: expected a directory that `install` made", .path.display())]
    NoRecord {
        /// The name.
        name: Name,
        /// Where it is.
        path: PathBuf,
    },
    /// Where the store should be, there is something else.
    #[error("{} is not a directory", .path.display())]
    NotADirectory {
        /// Where it should be.
        path: PathBuf,
    },
    /// The store's directory, or an installation in it, can't be worked on.
    #[error(transparent)]
    Installation(#[from] Error),
}

impl NameError {
    /// What kind of failure it is: somebody wrote the name.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }
}

impl StoreError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(error) => error.kind(),
            Self::Plan(failure) => failure.kind(),
            Self::NotInstalled { .. } => ErrorKind::NotFound,
            Self::NoRecord { .. } | Self::NotADirectory { .. } => ErrorKind::Usage,
            Self::Installation(error) => error.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for text in [
            "", ".", "..", ".hidden", "a/b", "/a", "a\\b", "-a", "a b", "é",
        ] {
            assert_eq!(text.parse::<Name>().unwrap_err().found, excerpt(text));
        }
        let long = "a".repeat(NAME_MAX + 1);
        assert_eq!(long.parse::<Name>().unwrap_err().found, excerpt(&long));
        for text in ["cuda12-llama.cpp_x+1", "0", &"a".repeat(NAME_MAX)] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
    }
}
