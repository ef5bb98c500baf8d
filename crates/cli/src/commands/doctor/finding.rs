//! What a check found.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::Serialize;

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

/// What a check found, and what to do.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) status: Status,
    pub(super) found: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            hint: None,
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
        Self {
            status: Status::Failed,
            ..Self::warning(check, found, hint)
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

    pub(super) fn to_json(&self) -> DoctorCheck {
        DoctorCheck {
            check: self.check.to_owned(),
            status: self.status,
            found: self.found.clone(),
            hint: self.hint.clone(),
        }
    }
}

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DoctorCheck {
    /// What was checked.
    check: String,
    status: Status,
    /// What was found, for a person.
    found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Who can write there decides what is pulled. What is not there is no finding here.
pub(super) fn check_permissions(check: &'static str, path: &Path) -> Vec<Finding> {
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
    if file.mode() & 0o022 != 0 {
        let found = format!("{shown} can be written by others than its owner");
        findings.push(Finding::failed(
            check,
            found,
            "chmod go-w, and let root own it",
        ));
    }
    let owner = file.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        let found = format!("{shown} belongs to user {owner}, who can write it");
        findings.push(Finding::failed(check, found, "let root own it"));
    }
    findings
}
