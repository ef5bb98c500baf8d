//! What a check found.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::json::error::JsonError;
use crate::ownership::{Others, ROOT, Writers, me};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DoctorStatus")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// Weaker than it could be.
    Warning,
    /// Images are pulled without a verdict, or none can be pulled.
    Failed,
}

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DoctorCheck")]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    pub(super) status: Status,
    /// What was found, for a person.
    pub(super) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// If it failed: `found` and `hint`, as a failure of any command.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            hint: None,
            error: None,
        }
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Warning,
            hint: Some(hint.into()),
            ..Self::ok(check, found)
        }
    }

    pub(super) fn failed(
        check: &'static str,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let weak = Self::warning(check, found, hint);
        let failure = Failure::new(Kind::Policy, weak.found.clone()).hinted(weak.hint.as_deref());
        Self {
            status: Status::Failed,
            error: Some(failure.to_json()),
            ..weak
        }
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "FAILED ",
        };
        let mut text = format!("{status} {}: {}\n", self.check, self.found);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("        {hint}\n"));
        }
        text
    }
}

/// Who can write there decides what is pulled. What is not there is no finding here.
pub(super) fn check_permissions(check: &'static str, path: &Path) -> Vec<Finding> {
    check_permissions_in(None, check, path)
}

/// The same for a file in a directory that was checked already, which is not told again.
pub(super) fn check_permissions_in(
    checked: Option<&Path>,
    check: &'static str,
    path: &Path,
) -> Vec<Finding> {
    let shown = path.display();
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let found = format!("{shown} can't be looked at: {error}");
            return vec![Finding::warning(check, found, "run this as root")];
        }
    };
    let mut findings = Vec::new();
    let writers = Writers::of(&file, &[ROOT, me()]);
    if written_by_others(&writers) {
        let found = format!("{shown} can be written by others than its owner");
        findings.push(Finding::failed(
            check,
            found,
            "chmod go-w, and let root own it",
        ));
    }
    if let Some(owner) = writers.stranger {
        let found = format!("{shown} belongs to user {owner}, who can write it");
        findings.push(Finding::failed(check, found, "let root own it"));
    }
    findings.extend(check_directories(checked, check, path));
    findings
}

/// Who can write a directory can put another file in the place of one in it. In a sticky directory only who owns the file
/// can. A link leads to a file in another directory, which is looked at too.
fn check_directories(checked: Option<&Path>, check: &'static str, path: &Path) -> Vec<Finding> {
    let checked = checked.and_then(|directory| directory.canonicalize().ok());
    let target = path.canonicalize().ok();
    let directories = [Some(path), target.as_deref()].map(|path| {
        let parent = path?.parent()?;
        // Of a bare name.
        let parent = if parent == Path::new("") {
            Path::new(".")
        } else {
            parent
        };
        parent.canonicalize().ok()
    });
    let directories: BTreeSet<PathBuf> = directories.into_iter().flatten().collect();
    let mut findings = Vec::new();
    for directory in directories {
        if checked.as_ref() == Some(&directory) {
            continue;
        }
        let Ok(metadata) = fs::metadata(&directory) else {
            continue;
        };
        let writers = Writers::of(&metadata, &[ROOT, me()]);
        if let Some(owner) = writers.stranger {
            let found = format!(
                "{} can be replaced by another: the directory {} belongs to user {owner}",
                path.display(),
                directory.display()
            );
            findings.push(Finding::failed(check, found, "let root own it"));
        }
        if written_by_others(&writers) && !writers.only_new {
            let found = format!(
                "{} can be replaced by others: the directory {} can be written by others than its owner",
                path.display(),
                directory.display()
            );
            findings.push(Finding::failed(
                check,
                found,
                "chmod go-w, and let root own it",
            ));
        }
    }
    findings
}

/// Whether others than its owner can write it. On a node no group is taken for a user's own.
fn written_by_others(writers: &Writers) -> bool {
    match writers.others {
        None => false,
        Some(Others::OwnGroup | Others::Group | Others::Everybody) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_only_as_safe_as_its_directory_and_that_of_what_a_link_leads_to() {
        let place = tempfile::tempdir().unwrap();
        let mode = |name: &str, mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(place.path().join(name), mode).unwrap();
        };
        for name in ["here", "there"] {
            fs::create_dir(place.path().join(name)).unwrap();
            mode(name, 0o755);
        }
        let (link, file) = (
            place.path().join("here/key"),
            place.path().join("there/key"),
        );
        fs::write(&file, "key").unwrap();
        mode("there/key", 0o644);
        symlink(&file, &link).unwrap();
        let failed = |path: &Path| check_permissions("key", path).len();
        assert_eq!((failed(&link), failed(&file)), (0, 0));
        mode("there", 0o777);
        assert_eq!((failed(&link), failed(&file)), (1, 1));
        mode("there", 0o1777);
        assert_eq!((failed(&link), failed(&file)), (0, 0));
        mode("there", 0o755);
        mode("here", 0o775);
        assert_eq!((failed(&link), failed(&file)), (1, 0));
    }
}
