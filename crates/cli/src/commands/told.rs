//! What is told of an installation that succeeded, the same for `install` and `upgrade`.

use std::path::Path;

use countersign_download::{CheckResult, Outcome};

use super::check;
use super::text::{outcome_text, warn};
use crate::arguments::replacing::ReplacingArguments;
use crate::failure::Failure;
use crate::json::installation::InstallResult;
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
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    pub(super) outcome: &'a Outcome,
    pub(super) directory: &'a Path,
    /// What has the same digest, if nothing was to do.
    pub(super) source: &'a str,
    pub(super) checked: Checked,
}

impl Told<'_> {
    /// Tells it. Returns the result with all that is known, and the failure if files are not as they were
    /// unpacked.
    pub(super) fn tell(
        self,
        result: InstallResult,
        output: &Output,
    ) -> (InstallResult, Result<(), Failure>) {
        let Self {
            name,
            outcome,
            directory,
            source,
            checked,
        } = self;
        let result = result.with(outcome);
        let checked = match checked {
            Ok(checked) => checked,
            Err(failure) => return (result, Err(failure)),
        };
        let result = InstallResult {
            check: checked.as_ref().map(Into::into),
            ..result
        };
        if let Some(checked) = &checked {
            let shown = printable::path(directory);
            if let Err(failure) = check::differences(name, &shown, checked, output) {
                return (result, Err(failure));
            }
        }
        output.result(&outcome_text(
            name,
            outcome,
            directory,
            source,
            checked.as_ref(),
        ));
        warn(output, name, outcome);
        (result, Ok(()))
    }
}
