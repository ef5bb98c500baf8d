//! `countersign check`: whether installed files are as they were unpacked.
//!
//! It changes nothing. What nobody can compare is a failure too: only what was compared counts as intact.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_download::{
    Change, CheckResult, Difference, Error, Installation, Name, RecordState, Store,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use super::unusable::unusable;
use crate::arguments::store::{StoreArguments, store_directory};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::check::JsonCheck;
use crate::json::error::JsonError;
use crate::operand;
use crate::output::{self, Output};
use crate::printable;
use crate::progress::Progress;

/// Differences that a person is shown of one installation.
const SHOWN: usize = 50;

/// `countersign check`
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Installed entries, or directories, to check [default: all entries]
    ///
    /// With a `/` it is the directory of an installation, such as ./app.
    #[arg(value_name = "NAME|DIRECTORY")]
    pub(crate) names: Vec<OsString>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// An installation to check.
struct Checked {
    /// As it is shown.
    name: String,
    directory: PathBuf,
    /// In the store, why its record is of no use.
    unusable: Option<Failure>,
}

impl Checked {
    fn of_store(installation: Installation, store: Option<&Path>) -> Self {
        Self {
            unusable: unusable(&installation, store),
            name: installation.name.to_string(),
            directory: installation.directory,
        }
    }
}

pub(crate) async fn run(
    arguments: CheckArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let CheckArguments { names, store } = arguments;
    let mut report = Report::new(output);
    let mut subjects = Vec::new();
    for name in &names {
        subjects.push(if name.as_bytes().contains(&b'/') {
            Ok(Checked {
                name: printable::path(Path::new(name)),
                directory: name.into(),
                unusable: None,
            })
        } else {
            let found = entry(name, &store, environment).await;
            found.map_err(|failure| (printable::path(Path::new(name)), failure))
        });
    }
    if names.is_empty() {
        let all = entries(&store, environment).await?;
        subjects = all.into_iter().map(Ok).collect();
    }
    for subject in subjects {
        let Checked {
            name,
            directory,
            unusable,
        } = match subject {
            Ok(subject) => subject,
            Err((name, failure)) => {
                let unknown = CheckedInstallation::unknown(name);
                report.fail(&failure, |error| unknown.failed(error));
                continue;
            }
        };
        let checked = files(&name, &directory, output).await;
        let result = CheckedInstallation {
            name: name.clone(),
            directory: Some(directory.to_string_lossy().into_owned()),
            check: checked.as_ref().ok().map(Into::into),
            error: None,
        };
        let checked = checked.map_err(|error| match (&error, unusable) {
            (Error::UnreadableRecord { .. } | Error::LaterRecord { .. }, Some(failure)) => failure,
            _ => error.into(),
        });
        match checked.and_then(|check| {
            let shown = printable::path(&directory);
            differences(&name, &shown, &check, output)?;
            Ok((shown, check))
        }) {
            Ok((shown, check)) => {
                let counts = counts(&check);
                let place = if name == shown {
                    String::new()
                } else {
                    format!(" in {shown}")
                };
                output.answer(&format!("{name}{place} is as it was unpacked: {counts}\n"));
                report.done(result);
            }
            Err(failure) => report.fail(&failure, |error| result.failed(error)),
        }
    }
    let (results, code) = report.end();
    output.document(&CheckOutput { results });
    Ok(code)
}

/// What `countersign check` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CheckOutput {
    /// One for each installation.
    results: Vec<CheckedInstallation>,
}

/// An installation, and what its files are.
#[derive(Debug, Serialize, JsonSchema)]
struct CheckedInstallation {
    /// The entry's name, or the directory as it was given.
    name: String,
    /// Where it is. Left out if nothing is installed by that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    /// Left out if it could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<JsonCheck>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

impl CheckedInstallation {
    /// Of a name that nothing is installed by.
    fn unknown(name: String) -> Self {
        Self {
            name,
            directory: None,
            check: None,
            error: None,
        }
    }

    fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }
}

/// The entry `name` of the store.
async fn entry(
    name: &OsStr,
    store: &StoreArguments,
    environment: &Environment,
) -> Result<Checked, Failure> {
    let name: Name = operand::text(name.to_owned(), "name")?.parse()?;
    let named = store.store.as_deref();
    let store = Store::new(store_directory(named, environment)?);
    let installation = store.installation(&name).await.map_err(|error| {
        let failure = Failure::of_store(error, named);
        let here = name.to_string();
        match (Path::new(&here).is_file(), Path::new(&here).is_dir()) {
            (true, _) => failure.hint(format!(
                "to check a policy, run `countersign policy check {name}`"
            )),
            (_, true) => failure.hint(format!("for the directory {name} here, write ./{name}")),
            (false, false) => failure,
        }
    })?;
    Ok(Checked::of_store(installation, named))
}

/// All entries of the store. What has no record was not installed by us.
///
/// # Errors
/// If there are none: nothing was compared then.
async fn entries(
    store: &StoreArguments,
    environment: &Environment,
) -> Result<Vec<Checked>, Failure> {
    let directory = store_directory(store.store.as_deref(), environment)?;
    let found = Store::new(&directory).list().await?;
    let ours = found.into_iter().filter(|one| match one.record {
        RecordState::Read(_)
        | RecordState::Unreadable
        | RecordState::Unrecognised
        | RecordState::Later => true,
        RecordState::Missing | RecordState::Unfinished => false,
    });
    let named = store.store.as_deref();
    let subjects: Vec<Checked> = ours.map(|one| Checked::of_store(one, named)).collect();
    if subjects.is_empty() {
        let shown = printable::path(&directory);
        let message = if directory.exists() {
            format!("nothing is installed in {shown}, so there is nothing to check")
        } else {
            format!("there is nothing to check: the directory {shown} doesn't exist")
        };
        return Err(Failure::new(Kind::NotFound, message)
            .hint("name the store with --store, or a directory that `countersign install` made"));
    }
    Ok(subjects)
}

/// Compares the files of an installation with what was unpacked.
pub(super) async fn files(
    name: &str,
    directory: &Path,
    output: &Output,
) -> Result<CheckResult, Error> {
    let progress = Progress::new(output, format!("checking the files of {name}"));
    let checked = countersign_download::check(directory).await;
    drop(progress);
    checked
}

/// How much was compared.
pub(super) fn counts(check: &CheckResult) -> String {
    match check {
        CheckResult::Intact { files, bytes } => {
            let files = output::counted(*files, "file", "files");
            format!("{files}, {}", output::bytes(*bytes))
        }
        CheckResult::Changed { .. } | CheckResult::NoInventory => "not all".to_owned(),
    }
}

/// Shows what was changed.
///
/// # Errors
/// If anything was, or if nothing says what the files were.
pub(super) fn differences(
    name: &str,
    directory: &str,
    check: &CheckResult,
    output: &Output,
) -> Result<(), Failure> {
    let differences = match check {
        CheckResult::Intact { .. } => return Ok(()),
        CheckResult::Changed { differences } => differences,
        CheckResult::NoInventory => {
            let message = format!(
                "the files of {name} in {directory} can't be checked: an earlier Countersign wrote its record, \
                 without digests of files"
            );
            return Err(Failure::new(Kind::Differs, message)
                .hint("install it again with --reinstall; its record then has them"));
        }
    };
    let count = output::counted(differences.len() as u64, "difference", "differences");
    let place = if name == directory {
        name.to_owned()
    } else {
        format!("{name} in {directory}")
    };
    let mut text = format!("{place} has changed: {count}\n");
    for Difference { path, change, .. } in differences.iter().take(SHOWN) {
        let (verb, what) = words(*change);
        text.push_str(&format!("  {verb:<10} {}{what}\n", printable::path(path)));
    }
    if differences.len() > SHOWN {
        let more = differences.len() - SHOWN;
        text.push_str(&format!("  and {more} more; `--output json` has all\n"));
    }
    output.answer(&text);
    let message = format!("{name} is not as it was unpacked");
    Err(Failure::new(Kind::Differs, message)
        .hint("find out who changed it; --reinstall of `install` and `upgrade` fetches it again"))
}

fn words(change: Change) -> (&'static str, &'static str) {
    match change {
        Change::Added => ("added", ""),
        Change::Removed => ("removed", ""),
        Change::Content => ("changed", ""),
        Change::Permissions => ("changed", " (permissions)"),
        Change::Target => ("changed", " (target of the link)"),
        Change::Kind => ("changed", " (another kind of file)"),
        Change::Unreadable => ("unreadable", ""),
    }
}
