//! What is told of an installation that succeeded, the same for `install` and `upgrade`.

use std::path::Path;

use countersign_download::Outcome;

use super::check;
use super::text::{outcome_text, warn};
use crate::arguments::replacing::ReplacingArguments;
use crate::failure::Failure;
use crate::json::installation::InstallResult;
use crate::output::Output;
use crate::printable;

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

/// An installation that succeeded.
pub(super) struct Told<'a> {
    pub(super) name: &'a str,
    pub(super) outcome: &'a Outcome,
    pub(super) directory: &'a Path,
    /// What has the same digest, if nothing was to do.
    pub(super) source: &'a str,
}

impl Told<'_> {
    /// Tells it, and checks the files of what is up to date if that is asked for. Returns the result with all
    /// that is known, and the failure if files are not as they were unpacked.
    pub(super) async fn tell(
        self,
        check: CheckFiles,
        result: InstallResult,
        output: &Output,
    ) -> (InstallResult, Result<(), Failure>) {
        let Self {
            name,
            outcome,
            directory,
            source,
        } = self;
        let result = result.with(outcome);
        let checked = match (outcome, check) {
            (Outcome::Unchanged { .. }, CheckFiles::Check) => {
                match check::files(name, directory, output).await {
                    Ok(checked) => Some(checked),
                    Err(error) => return (result, Err(error.into())),
                }
            }
            (Outcome::Unchanged { .. }, CheckFiles::Believe) | (Outcome::Installed { .. }, _) => {
                None
            }
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
