//! `countersign list --check LOCK`: whether this machine has what a lock file says, by its records.
//!
//! It reads records and looks at no installed file: `countersign check` does that. What can't be read is never "as
//! locked".

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use countersign_download::{Grounds, Installation, Lock, LockedEntry, Name, RecordState, Recorded};
use countersign_oci::Platform;
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use super::unusable;
use crate::failure::{Failure, Kind};
use crate::json::error::JsonError;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::printable;

/// Compares what is installed with the lock file at `path`, for the platform `asked` for; without one, for that of what is
/// installed, or of this machine. Without names, all that it has for it.
pub(super) fn run(
    path: &Path,
    names: &[Name],
    asked: Option<&Platform>,
    installations: &[Installation],
    store: Option<&Path>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let lock = LockFile::new(path.to_owned()).read().map_err(|failure| {
        let is_installed = |one: &Installation| path.as_os_str() == one.name.to_string().as_str();
        if !path.exists() && installations.iter().any(is_installed) {
            let (name, default) = (printable::path(path), lock::DEFAULT);
            return failure.with_hints(|_| format!(
                "the word behind --check is the lock file; to compare `{name}` alone, write --check={default} {name}"
            ));
        }
        failure
    })?;
    let mut report = Report::new(output);
    let host = Platform::host();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|one| one.to_string() == name);
    let mut all: BTreeSet<&str> = lock.entries().map(|entry| entry.name.as_str()).collect();
    let named: Vec<String> = names.iter().map(ToString::to_string).collect();
    all.extend(named.iter().map(String::as_str));
    for name in all.into_iter().filter(|name| wanted(name)) {
        let installed = installations
            .iter()
            .find(|one| one.name.to_string() == name);
        let found = installed.and_then(Installation::recorded);
        // What is installed says for which platform it is, unless one is asked for.
        let platform = asked.or(found.map(|recorded| &recorded.platform));
        let platform = platform.unwrap_or(&host);
        let compared = compare(&lock, name, platform, installed);
        let Some(Compared { state, expected }) = compared else {
            continue;
        };
        let result = LockCheck {
            name: name.to_owned(),
            state,
            expected: expected.map(|entry| entry.digest.to_string()),
            found: found.map(|recorded| recorded.digest.to_string()),
            error: None,
        };
        match state {
            LockState::AsLocked => {
                output.answer(&format!("{name} is as locked\n"));
                report.done(result);
            }
            LockState::Differs | LockState::NotInstalled | LockState::NotLocked => {
                let asked = Asked {
                    path,
                    store,
                    platform,
                    is_named: asked.is_some(),
                };
                let both = expected.zip(found);
                let unreadable = expected.and_then(|_| unreadable(installed, store));
                let failure = unreadable.unwrap_or_else(|| failure(&result, asked, both));
                report.fail(&failure, |error| result.failed(error));
            }
        }
    }
    if names.is_empty() {
        note_unlocked(&lock, path, installations, output);
    }
    let (results, code) = report.end();
    if results.is_empty() {
        let message = format!(
            "{} has no entry for {}, so there is nothing to compare",
            printable::path(path),
            asked.unwrap_or(&host)
        );
        return Err(Failure::new(Kind::NotFound, message)
            .hint("pass the platform that it was locked for to --platform"));
    }
    output.document(&ListCheckOutput {
        lock: path.to_string_lossy().into_owned(),
        results,
    });
    Ok(code)
}

/// Says what is installed and has no entry in the lock file.
fn note_unlocked(lock: &Lock, path: &Path, installations: &[Installation], output: &Output) {
    let is_locked = |name: &str| lock.entries().any(|entry| entry.name == name);
    for installation in installations {
        let name = installation.name.to_string();
        if installation.recorded().is_some() && !is_locked(&name) {
            let shown = printable::path(path);
            output.note(&format!(
                "note: {name} is installed, and {shown} has no entry for it"
            ));
        }
    }
}

/// One name, compared.
struct Compared<'a> {
    state: LockState,
    expected: Option<&'a LockedEntry>,
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// The lock file.
    path: &'a Path,
    /// What `--store` names.
    store: Option<&'a Path>,
    /// The platform to compare.
    platform: &'a Platform,
    /// Whether `--platform` names it.
    is_named: bool,
}

/// `None` if nothing of that name is installed, and the lock has it for other platforms alone.
fn compare<'a>(
    lock: &'a Lock,
    name: &str,
    platform: &Platform,
    installed: Option<&'a Installation>,
) -> Option<Compared<'a>> {
    let found = installed.and_then(Installation::recorded);
    let expected = lock.entry(name, platform).ok();
    let is_known = lock.entries().any(|entry| entry.name == name);
    let state = match (expected, found) {
        (Some(entry), Some(recorded)) if entry.is_met_by(recorded) => LockState::AsLocked,
        (Some(_), Some(_)) => LockState::Differs,
        // Something is there, and its record can't be read.
        (Some(_), None) if installed.is_some() => LockState::Differs,
        (Some(_), None) => LockState::NotInstalled,
        (None, None) if is_known => return None,
        (None, _) => LockState::NotLocked,
    };
    Some(Compared { state, expected })
}

/// Of one that is locked, if its record is of no use.
fn unreadable(installed: Option<&Installation>, store: Option<&Path>) -> Option<Failure> {
    let there = installed.filter(|one| one.record != RecordState::Unfinished)?;
    let way_out = unusable::way_out(there, store)?;
    let (name, wrong) = (&there.name, unusable::what_is_wrong(there)?);
    let message = format!("`{name}` is not as locked: its record {wrong}");
    Some(Failure::new(Kind::Differs, message).hint(way_out))
}

/// `both` is what is locked, and what is installed.
fn failure(
    result: &LockCheck,
    asked: Asked<'_>,
    both: Option<(&LockedEntry, &Recorded)>,
) -> Failure {
    let Asked {
        path,
        store,
        platform,
        is_named,
    } = asked;
    let LockCheck {
        name,
        expected,
        found,
        ..
    } = result;
    let shown = printable::path(path);
    let message = match (expected, found) {
        (Some(expected), Some(found)) if expected == found => {
            let how = both.map_or_else(String::new, |(locked, recorded)| how(locked, recorded));
            format!("`{name}` has the content that is locked, and was {how}")
        }
        (Some(expected), Some(found)) => {
            format!("`{name}` is not as locked: expected {expected}, found {found}")
        }
        (Some(_), None) => format!("`{name}` is locked and not installed"),
        (None, _) => format!("`{name}` is not in {shown} for {platform}"),
    };
    let store = printable::option("--store", store);
    let mut options = store.clone();
    if is_named {
        options.push_str(&format!(" --platform {platform}"));
    }
    // A name that stands for others by hardware leads to one of them.
    if both.is_some_and(|(locked, _)| locked.entry != locked.name) {
        options.push_str(" --capability CAPABILITY");
    }
    let hint = match expected {
        // The same content is not installed twice, unless that is asked for.
        Some(_) if expected == found => format!(
            "`countersign install --gallery FILE --from-lock={shown} --reinstall{options} {name}` installs it as it is locked; add \
             --allow-older if the locked signature is the older one"
        ),
        Some(_) if found.is_some() => format!(
            "`countersign install --gallery FILE --from-lock={shown}{options} {name}` installs what is locked; add --allow-older if \
             that is the older one"
        ),
        Some(_) => format!(
            "`countersign install --gallery FILE --from-lock={shown}{options} {name}` installs what is locked"
        ),
        None => {
            format!("`countersign install --gallery FILE --lock={shown}{options} {name}` adds it")
        }
    };
    let failure = Failure::new(Kind::Differs, message).hint(hint);
    if expected.is_some() && found.is_none() && result.state == LockState::NotInstalled {
        return failure.hint(format!(
            "if it is not wanted any more, `countersign remove --lock={shown}{store} {name}` takes it out of the lock file"
        ));
    }
    failure
}

/// How the locked content was installed, that is not as locked.
fn how(locked: &LockedEntry, recorded: &Recorded) -> String {
    match (&recorded.grounds, recorded.provenance.as_ref()) {
        (_, Some(found)) if found.entry != locked.entry => format!(
            "installed as another entry: expected {}, found {}",
            locked.entry, found.entry
        ),
        (_, Some(found)) if found.gallery != locked.gallery => format!(
            "installed from another gallery: expected {}, found {}",
            locked.gallery, found.gallery
        ),
        (Grounds::Nothing, _) => "installed unverified".to_owned(),
        (Grounds::Digest, _) => {
            "installed by the digest of a gallery's index, without a signature".to_owned()
        }
        (Grounds::Signature { .. }, _) => "installed by another signature".to_owned(),
    }
}

/// What `countersign list --check` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ListCheckOutput {
    /// The lock file.
    lock: String,
    /// One for each name that is compared.
    results: Vec<LockCheck>,
}

/// One name, compared with the lock file.
#[derive(Debug, Serialize, JsonSchema)]
struct LockCheck {
    name: String,
    state: LockState,
    /// The digest that is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// The digest that is installed, by its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    /// Left out if it is as locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// What the comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LockState {
    /// The record says what the lock file says.
    AsLocked,
    /// It says something else, or can't be read.
    Differs,
    /// The lock file has it, and it is not installed.
    NotInstalled,
    /// It was asked for by name, or is installed for another platform, and the lock file doesn't have it.
    NotLocked,
}

impl LockCheck {
    fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }
}
