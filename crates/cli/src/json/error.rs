//! A failure, as a program reads it.
//!
//! Made from a `Failure` alone, so that text and JSON never say different things.

use countersign_oci::{ErrorKind, Reference};
use schemars::JsonSchema;
use serde::Serialize;

use super::signing::SignResult;
use crate::failure::Mistake;

/// A run that failed as a whole: before it had any result, or by a signal.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailedRun {
    /// `sign`: one for each manifest, signed or not, if the run got so far. Else empty.
    pub(crate) results: Vec<SignResult>,
    pub(crate) error: JsonError,
}

/// Why something failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct JsonError {
    pub(crate) kind: JsonErrorKind,
    /// The exit code of this failure by itself.
    pub(crate) exit_code: u8,
    /// What happened, for a person.
    pub(crate) message: String,
    /// How the command is used, if the command line can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<String>,
    /// Why, the nearest cause first.
    pub(crate) causes: Vec<String>,
    /// What to do about it, the most helpful first. Never empty.
    pub(crate) hints: Vec<String>,
    /// A policy or gallery file that can't be used: everything that is wrong with it, in its order. The first is
    /// the message, which has the place before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mistakes: Vec<Mistake>,
    /// `sign`, where a tag was given without a digest: the same references with the digests that
    /// the tags name now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pinned_references: Option<Vec<String>>,
    /// `verify`, if a signal or `--timeout` ended it: the references that have no result, as they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_judged: Option<Vec<String>>,
    /// `merge` and `sign --then-tag`: tags that name the signed image now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags_written: Option<Vec<String>>,
    /// `merge` and `sign --then-tag`: tags of which it isn't known whether they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags_unclear: Option<Vec<String>>,
    /// `merge` and `sign --then-tag`: tags that are as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tags_not_written: Option<Vec<String>>,
}

/// What became of the tags of a run that failed.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    pub(crate) written: Vec<String>,
    pub(crate) unclear: Vec<String>,
    pub(crate) not_written: Vec<String>,
}

impl Tags {
    /// Before anything is begun: none of `tags` is written. Each is named once.
    pub(crate) fn planned(tags: impl Iterator<Item = Reference>) -> Self {
        let mut not_written: Vec<String> = Vec::new();
        for tag in tags.map(|tag| tag.to_string()) {
            if !not_written.contains(&tag) {
                not_written.push(tag);
            }
        }
        Self {
            written: Vec::new(),
            unclear: Vec::new(),
            not_written,
        }
    }

    /// Whether each is as it was.
    pub(crate) fn are_untouched(&self) -> bool {
        self.written.is_empty() && self.unclear.is_empty()
    }
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ErrorKind")]
pub(crate) enum JsonErrorKind {
    /// A bug in countersign.
    Internal,
    /// This machine: a full disk, no permission, no memory.
    Machine,
    /// The command line, a setting or an input file can't be used.
    Usage,
    /// No signature of a kind that counts.
    Unsigned,
    /// Not what the policy, the gallery or the lock file asks for.
    Policy,
    /// A signature, certificate, log entry, digest or archive does not hold.
    Invalid,
    /// No such image, tag, platform, entry or installation.
    NotFound,
    /// What is installed is not what its record or the lock file says.
    Differs,
    /// A registry or service would answer the same again: the login is missing or refused, the request is refused, or the
    /// answer is none that can be used.
    Rejected,
    /// A network, registry or service does not answer, or says that it can't now: the same run may work later.
    Unreachable,
    /// A signal ended the run.
    Stopped,
}

impl From<ErrorKind> for JsonErrorKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Internal => Self::Internal,
            ErrorKind::Machine => Self::Machine,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Unsigned => Self::Unsigned,
            ErrorKind::Policy => Self::Policy,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Differs => Self::Differs,
            ErrorKind::Rejected => Self::Rejected,
            ErrorKind::Unreachable => Self::Unreachable,
        }
    }
}
