//! A directory of installations, each by its name.
//!
//! An installation is a directory below the store's own that carries our record; anything else
//! there is neither listed nor touched. Installing and upgrading are one function: whatever takes
//! an installation's place met the plan's requirement, and the old one stays whole until it does.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use countersign_oci::{Platform, excerpt};
use serde::Serialize;

use crate::admitted::ImageVerifier;
use crate::error::Error;
use crate::fulfil::{Fulfilled, PlanFailure, Succession};
use crate::install::{Events, Installer};
use crate::plan::Plan;
use crate::record::{self, Recorded};
use crate::unpack::{self, blocking};

/// Characters of a name: a file name may have 255 bytes, and ours stand beside it.
const NAME_MAX: usize = 128;

/// A directory of installations.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The name of an installation: letters, digits, `.`, `_`, `-` and `+`, the first a letter or a
/// digit, 128 at most. So it is a file's name, and no path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// An installation in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Installation {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub directory: PathBuf,
    /// What its record tells; `None` where it can't be read: damaged, or of another version.
    #[serde(flatten)]
    pub recorded: Option<Recorded>,
}

impl Store {
    /// The store at `root`, which is made by the first installation.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where an installation of that name is or would be.
    pub fn directory(&self, name: &Name) -> PathBuf {
        self.root.join(&name.0)
    }

    /// Carries `plan` out, to the directory of its name. What is installed there is upgraded, if
    /// `succession` lets it be; where the verified digest is the same, nothing is fetched.
    ///
    /// # Errors
    /// [`StoreError`]; what was installed before is as it was.
    pub async fn install<V: ImageVerifier>(
        &self,
        installer: &Installer<V>,
        plan: &Plan,
        platform: &Platform,
        succession: Succession,
        events: Events<'_>,
    ) -> Result<Fulfilled, StoreError> {
        let name: Name = plan.name().parse()?;
        let root = self.root.clone();
        blocking(move || fs::create_dir_all(&root).map_err(Error::io("make the directory", &root)))
            .await?;
        let directory = self.directory(&name);
        Ok(installer
            .fulfil(plan, platform, &directory, succession, events)
            .await?)
    }

    /// The installation of that name.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`]
    pub async fn installation(&self, name: &Name) -> Result<Installation, StoreError> {
        let found = self.list().await?.into_iter().find(|one| one.name == *name);
        found.ok_or_else(|| self.not_installed(name))
    }

    /// Every installation, by name.
    ///
    /// # Errors
    /// [`StoreError::Installation`] when the directory can't be read. One that is not there has
    /// none.
    pub async fn list(&self) -> Result<Vec<Installation>, StoreError> {
        let root = self.root.clone();
        Ok(blocking(move || list(&root)).await?)
    }

    /// Removes the installation of that name, in one step: whoever looks sees all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::NotInstalled`], also for a directory that carries no record of ours.
    pub async fn remove(&self, name: &Name) -> Result<Installation, StoreError> {
        let installation = self.installation(name).await?;
        let staging = unpack::stage(&installation.directory).await?;
        blocking(move || staging.take_away()).await?;
        Ok(installation)
    }

    fn not_installed(&self, name: &Name) -> StoreError {
        StoreError::NotInstalled {
            name: name.clone(),
            store: self.root.clone(),
        }
    }
}

fn list(root: &Path) -> Result<Vec<Installation>, Error> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", root)(error)),
    };
    let mut installations = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", root))?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let directory = entry.path();
        if let (true, Some(name)) = (is_directory, name)
            && record::is_at(&directory)
        {
            installations.push(Installation {
                name,
                recorded: record::read(&directory),
                directory,
            });
        }
    }
    installations.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(installations)
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
    #[error("expected an installation of `{name}` in {}, found none", .store.display())]
    NotInstalled {
        /// The name.
        name: Name,
        /// The store's directory.
        store: PathBuf,
    },
    /// The store's directory, or an installation in it, can't be worked on.
    #[error(transparent)]
    Installation(#[from] Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for text in [
            "", ".", "..", ".hidden", "a/b", "/a", "a\\b", "-a", "a b", "é",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        assert!("a".repeat(NAME_MAX + 1).parse::<Name>().is_err());
        for text in ["cuda12-llama.cpp_x+1", "0", &"a".repeat(NAME_MAX)] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
        }
    }
}
