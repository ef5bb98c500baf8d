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

    /// The failure of planning it by `file`. If it is installed or locked, with what else to do. `store` is what `--store`
    /// names.
    pub(super) fn unplanned(
        &self,
        error: PlanError,
        file: Option<&Path>,
        store: Option<&Path>,
    ) -> Failure {
        let store = printable::option("--store", store);
        let hint = self.installed.as_ref();
        let hint =
            hint.and_then(|installed| self.hint_of_installed(installed, &error, file, &store));
        let left = match (&error, &self.lock) {
            (
                PlanError::UnknownName { .. }
                | PlanError::Entry {
                    source: EntryError::Unknown { .. },
                    ..
                },
                Some(_),
            ) => Some(format!(
                "if the gallery no longer has it, name the other entries, or take it out of the lock file: \
                 `countersign remove --lock=FILE{store} {}` (it also removes what is installed)",
                self.name.name()
            )),
            _ => None,
        };
        let swapped = match &error {
            PlanError::UnknownGallery { expected, found }
                if expected.iter().any(|one| one == self.name.name()) =>
            {
                Some(format!(
                    "the gallery comes first: write {}@{found}",
                    self.name.name()
                ))
            }
            _ => None,
        };
        // What is installed chose its gallery: there is nothing to choose.
        let has_no_choice = hint.is_some() && matches!(error, PlanError::UnknownGallery { .. });
        let failure = Failure::from(error);
        let failure = if has_no_choice {
            failure.without_hints()
        } else {
            failure
        };
        let failure = failure.hinted(swapped);
        match (hint, left) {
            (Some(hint), _) if has_no_choice => failure.hint(hint),
            (Some(hint), _) | (None, Some(hint)) => failure.also(hint),
            (None, None) => failure,
        }
    }

    fn hint_of_installed(
        &self,
        installed: &InstalledBy,
        error: &PlanError,
        file: Option<&Path>,
        store: &str,
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
                "`countersign remove{store} {name}` takes away what the galleries no longer have"
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
        let failure = requested.unplanned(error, None, None);
        let hints = failure.hints().join("\n");
        let says = "pass --gallery '/srv/two words;x.yaml'";
        assert!(hints.contains(says), "{hints}");
        // An upgrade can't choose.
        assert!(!hints.contains("choose one"), "{hints}");
    }

    #[test]
    fn a_name_that_stands_before_its_gallery_is_told_the_other_way_round() {
        let name = EntryName::in_gallery("chat", "acme");
        let requested = RequestedEntry::new(name, "linux/amd64".parse().unwrap());
        let error = PlanError::UnknownGallery {
            expected: vec!["acme".into()],
            found: "chat".into(),
        };
        let failure = requested.unplanned(error, None, None);
        let hints = failure.hints().join("\n");
        assert!(hints.contains("write acme@chat"), "{hints}");
    }

    /// Another store may have the same names.
    #[test]
    fn what_a_gallery_no_longer_has_is_removed_from_the_store_that_was_named() {
        let unknown = || PlanError::UnknownName {
            name: "chat".into(),
            galleries: vec!["acme".into()],
            nearest: None,
        };
        let name = || EntryName::in_gallery("acme", "chat");
        let platform = || "linux/amd64".parse().unwrap();
        let mut installed = RequestedEntry::new(name(), platform());
        installed.installed = Some(InstalledBy { file: None });
        let mut locked = RequestedEntry::new(name(), platform());
        locked.lock = Some(Arc::new(Lock::new()));
        let store = Some(Path::new("two"));
        for (requested, says) in [
            (installed, "`countersign remove --store two chat`"),
            (locked, "`countersign remove --lock=FILE --store two chat`"),
        ] {
            let failure = requested.unplanned(unknown(), None, store);
            let hints = failure.hints().join("\n");
            assert!(hints.contains(says), "{hints}");
        }
    }
}
