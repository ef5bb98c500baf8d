//! Entries that are to be installed, by the file that names their galleries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_download::{EntryName, Galleries, Lock, Plan, PlanError};
use countersign_oci::Platform;

use crate::failure::Failure;

/// An entry to install.
pub(super) struct RequestedEntry {
    pub(super) name: EntryName,
    pub(super) platform: Platform,
    /// What its plan is narrowed to.
    pub(super) lock: Option<Arc<Lock>>,
    /// The entry that is installed, which an upgrade stays with.
    pub(super) kept: Option<String>,
}

/// Entries of the galleries of one file.
pub(super) struct Group {
    /// The file that names the galleries; `None` where a kit names them.
    pub(super) file: Option<PathBuf>,
    /// Whether the file is recorded with what is installed, so that `upgrade` finds it. It is if the user named it. What a
    /// file of configuration names is found there again.
    pub(super) recorded: bool,
    /// Why there are none, where that is the failure of each entry.
    pub(super) galleries: Result<Galleries, Failure>,
    pub(super) requested: Vec<RequestedEntry>,
}

impl RequestedEntry {
    pub(super) fn plan(&self, galleries: &Galleries) -> Result<Plan, PlanError> {
        let plan = match &self.kept {
            Some(kept) => galleries.plan_keeping(&self.name, kept)?,
            None => galleries.plan(&self.name)?,
        };
        match &self.lock {
            Some(lock) => Ok(plan.locked(lock, &self.platform)?),
            None => Ok(plan),
        }
    }
}

impl Group {
    /// The file as it is recorded: whole, since the working directory will be another. `None` for what is no file the
    /// next time.
    pub(super) fn recorded_file(&self) -> Option<String> {
        let file = self.file.as_deref().filter(|_| self.recorded)?;
        let passes = ["/dev", "/proc"]
            .iter()
            .any(|passing| file.starts_with(passing));
        let absolute = std::path::absolute(file).ok()?;
        let text = absolute.to_str().map(ToOwned::to_owned);
        text.filter(|_| !passes && Path::is_file(file))
    }
}
