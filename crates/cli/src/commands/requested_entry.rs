//! Entries that are to be installed, by the file that names their galleries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_download::{EntryError, EntryName, Galleries, Lock, Plan, PlanError};
use countersign_oci::Platform;

use super::kit::is_of;
use crate::failure::Failure;
use crate::input::is_same_file;
use crate::printable;

/// An entry to install.
pub(super) struct RequestedEntry {
    pub(super) name: EntryName,
    pub(super) platform: Platform,
    /// What its plan is narrowed to.
    pub(super) lock: Option<Arc<Lock>>,
    /// The lock file of the kit: its plan is narrowed to what that has of the entry that the name leads to.
    pub(super) lock_of_kit: Option<Arc<Lock>>,
    /// The entry that is installed, which an upgrade stays with.
    pub(super) kept: Option<String>,
    /// What an upgrade knows of what is installed.
    pub(super) installed: Option<InstalledBy>,
}

/// What the record of an installed entry says of how it was installed.
pub(super) struct InstalledBy {
    /// By which gallery file, if it says that.
    pub(super) file: Option<PathBuf>,
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
    /// One that is narrowed to nothing, and that nothing is known of.
    pub(super) fn new(name: EntryName, platform: Platform) -> Self {
        Self {
            name,
            platform,
            lock: None,
            lock_of_kit: None,
            kept: None,
            installed: None,
        }
    }

    pub(super) fn plan(&self, galleries: &Galleries) -> Result<Plan, PlanError> {
        if let Some(lock) = &self.lock {
            return galleries.plan_locked(&self.name, lock, &self.platform);
        }
        let plan = match &self.kept {
            Some(kept) => galleries.plan_keeping(&self.name, kept)?,
            None => galleries.plan(&self.name)?,
        };
        match &self.lock_of_kit {
            Some(lock) if is_locked(lock, &plan, &self.platform) => {
                Ok(plan.locked(lock, &self.platform)?)
            }
            Some(_) | None => Ok(plan),
        }
    }

    /// The failure of planning it by `file`. If it is installed, with what else to do.
    pub(super) fn unplanned(&self, error: PlanError, file: Option<&Path>) -> Failure {
        let hint = self.installed.as_ref();
        let hint = hint.and_then(|installed| self.hint_of_installed(installed, &error, file));
        let failure = Failure::from(error);
        match hint {
            Some(hint) => failure.also(hint),
            None => failure,
        }
    }

    fn hint_of_installed(
        &self,
        installed: &InstalledBy,
        error: &PlanError,
        file: Option<&Path>,
    ) -> Option<String> {
        let name = self.name.name();
        match (error, &installed.file) {
            // What has no file in its record was installed by a file of configuration, or from a kit.
            (PlanError::UnknownGallery { .. }, None) => Some(format!(
                "`{name}` may have been installed by another gallery file: leave --gallery out to use `gallery` in countersign.toml, \
                 or pass the file that has its gallery"
            )),
            (PlanError::UnknownGallery { .. }, Some(by))
                if file.is_none_or(|file| !is_same_file(by, file)) =>
            {
                let (shown, word) = (printable::path(by), printable::word(by));
                Some(format!(
                    "`{name}` was installed by {shown}, as its record says; if that file is yours, pass --gallery {word}"
                ))
            }
            (
                PlanError::UnknownGallery { .. }
                | PlanError::UnknownName { .. }
                | PlanError::Entry {
                    source: EntryError::Unknown { .. },
                    ..
                },
                _,
            ) => Some(format!(
                "`countersign remove {name}` takes away what the galleries no longer have"
            )),
            _ => None,
        }
    }
}

fn is_locked(lock: &Lock, plan: &Plan, platform: &Platform) -> bool {
    let locked = lock.entry(plan.name(), platform);
    locked.is_ok_and(|locked| is_of(plan, locked))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// It is from a record that may be anybody's.
    #[test]
    fn a_recorded_file_is_one_word_of_the_command_line_to_type() {
        let requested = RequestedEntry {
            name: EntryName::in_gallery("acme", "chat"),
            platform: "linux/amd64".parse().unwrap(),
            lock: None,
            lock_of_kit: None,
            kept: None,
            installed: Some(InstalledBy {
                file: Some("/srv/two words;x.yaml".into()),
            }),
        };
        let error = PlanError::UnknownGallery {
            expected: vec!["ours".into()],
            found: "acme".into(),
        };
        let failure = requested.unplanned(error, None);
        let hints = failure.hints().join("\n");
        let says = "pass --gallery '/srv/two words;x.yaml'";
        assert!(hints.contains(says), "{hints}");
    }
}
