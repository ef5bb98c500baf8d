//! What is told of an installation that succeeded, the same for `install` and `upgrade`.

use std::path::Path;

use countersign_download::{CheckResult, LockedEntry, Outcome};
use countersign_oci::{Digest, excerpt};

use super::check;
use super::report::Report;
use super::text::{outcome_text, warn};
use crate::arguments::replacing::ReplacingArguments;
use crate::failure::Failure;
use crate::json::installation::{InstallResult, JsonLockedIn};
use crate::lock::LockFile;
use crate::output::Output;
use crate::printable;
use crate::progress::Progress;

/// Whether the files of what is up to date are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckFiles {
    Check,
    /// The record is believed.
    Believe,
}

impl CheckFiles {
    pub(super) fn asked(arguments: &ReplacingArguments) -> Self {
        if arguments.check {
            Self::Check
        } else {
            Self::Believe
        }
    }
}

/// The files of an installation, if they were looked at.
pub(super) type Checked = Result<Option<CheckResult>, Failure>;

/// The lock file that something was pinned in, if it was.
pub(super) type Pinned<'a> = Result<Option<PinnedIn<'a>>, Failure>;

/// Where something was pinned.
pub(super) struct PinnedIn<'a> {
    pub(super) file: &'a LockFile,
    /// What is locked there now.
    pub(super) entry: LockedEntry,
    /// What the name was locked to until now.
    pub(super) before: Option<LockedEntry>,
}

impl PinnedIn<'_> {
    /// The digest that was locked until now, if it is another.
    fn replaced(&self) -> Option<&Digest> {
        let before = self.before.as_ref().map(|before| &before.digest);
        before.filter(|digest| **digest != self.entry.digest)
    }

    fn tell(&self, name: &str, output: &Output) {
        let path = printable::path(self.file.path());
        let replaced = self.replaced();
        let replaced = replaced.map_or_else(String::new, |old| format!(", in place of {old}"));
        output.result(&format!("  locked in  {path}{replaced}\n"));
        let other = self.before.as_ref().map(|before| &before.entry);
        if let Some(other) = other.filter(|other| **other != self.entry.entry) {
            output.warning(&format!(
                "{name}: {path} had the entry `{}` for it until now; if that is for other hardware, use a lock file for \
                 each kind of hardware: --lock=FILE",
                excerpt(other)
            ));
        }
    }
}

impl From<PinnedIn<'_>> for JsonLockedIn {
    fn from(pinned: PinnedIn<'_>) -> Self {
        Self {
            file: pinned.file.path().to_string_lossy().into_owned(),
            replaced: pinned.replaced().map(ToString::to_string),
        }
    }
}

/// Looks at the files of what is up to date, if that is asked for.
pub(super) async fn check_files(
    outcome: &Outcome,
    check: CheckFiles,
    directory: &Path,
    progress: &Progress,
) -> Checked {
    match (outcome, check) {
        (Outcome::Unchanged { .. }, CheckFiles::Check) => {
            progress.say("checking the files");
            Ok(Some(countersign_download::check(directory).await?))
        }
        (Outcome::Unchanged { .. }, CheckFiles::Believe) | (Outcome::Installed { .. }, _) => {
            Ok(None)
        }
    }
}

/// An installation that succeeded.
pub(super) struct SuccessfulInstall<'a> {
    pub(super) name: &'a str,
    pub(super) outcome: &'a Outcome,
    pub(super) directory: &'a Path,
    /// What has the same digest, if nothing was to do.
    pub(super) source: &'a str,
    pub(super) checked: Checked,
    /// The lock file that it is in now, where one is written.
    pub(super) pinned: Pinned<'a>,
}

impl SuccessfulInstall<'_> {
    /// Tells it, and reports `result` with all that is known: as failed if files are not as they were unpacked, or if it
    /// is not in the lock file.
    pub(super) fn tell(
        self,
        result: InstallResult,
        report: &mut Report<'_, InstallResult>,
        output: &Output,
    ) {
        let mut result = result.with(self.outcome);
        match self.told(&mut result, output) {
            Ok(()) => report.done(result),
            Err(failure) => report.fail(&failure, |error| result.failed(error)),
        }
    }

    fn told(self, result: &mut InstallResult, output: &Output) -> Result<(), Failure> {
        let Self {
            name,
            outcome,
            directory,
            source,
            checked,
            pinned,
        } = self;
        let checked = checked?;
        if let Some(checked) = &checked {
            result.check = Some(checked.into());
            let shown = printable::path(directory);
            check::differences(name, &shown, checked, output)?;
        }
        output.result(&outcome_text(
            name,
            outcome,
            directory,
            source,
            checked.as_ref(),
        ));
        warn(output, name, outcome);
        if let Some(pinned) = pinned? {
            pinned.tell(name, output);
            result.locked_in = Some(pinned.into());
        }
        Ok(())
    }
}
