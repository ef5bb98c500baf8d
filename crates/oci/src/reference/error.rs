//! Why a text is not a reference.

use super::grammar::{NAME_MAX, TAG_MAX};
use crate::digest::DigestError;

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an image reference (registry/repository:tag or registry/repository@sha256:…): {reason}"
)]
pub struct ReferenceError {
    text: String,
    pub(super) reason: Reason,
}

impl ReferenceError {
    pub(super) fn new(text: &str, reason: Reason) -> Self {
        Self {
            text: text.into(),
            reason,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("write it without `{0}://`")]
    Scheme(String),
    #[error("expected an image in a registry, found an image layout")]
    Layout,
    #[error("`{0}` is not a host name with an optional port")]
    Host(String),
    #[error(
        "some read `{0}` as a host, and others as a name on Docker Hub: write small letters for the Hub, or a port for a host (`{port}`)",
        port = format!("{}:443", .0.to_ascii_lowercase())
    )]
    OneWord(String),
    #[error("the repository name has {0} characters, at most {NAME_MAX} are allowed")]
    NameTooLong(usize),
    #[error("repository names are lower-case, `{0}` is not")]
    Uppercase(String),
    #[error(
        "`{0}` is not a repository path component (a-z, 0-9, separated by `.`, `_`, `__` or dashes)"
    )]
    Component(String),
    #[error(
        "`{0}` is not a tag (up to {TAG_MAX} letters, digits, `_`, `.` or `-`, the first not `.` or `-`)"
    )]
    Tag(String),
    #[error("a digest alone names no repository: write it behind one, NAME@DIGEST")]
    DigestAlone,
    #[error("`{0}` is a path; for an image layout on this machine write `ocifile://{0}`")]
    Path(String),
    #[error("`{0}` of {whose} is written `ocifile://{path}`", whose = whose(.0), path = path_of(.0))]
    LayoutTransport(String),
    #[error(
        "`{0}:` of skopeo and podman holds no signatures that could be read: name the image in its registry, or a layout as `ocifile://DIR`"
    )]
    Transport(String),
    #[error(transparent)]
    Digest(DigestError),
}

/// The path of `TRANSPORT:PATH[:NAME]`, as skopeo has it, or of `oci-layout://PATH[:NAME]`.
fn path_of(text: &str) -> &str {
    let path = text.split(':').nth(1).unwrap_or(text);
    path.strip_prefix("//").unwrap_or(path)
}

/// Who writes it so.
fn whose(text: &str) -> &'static str {
    match text.split_once(':') {
        Some(("oci-layout", _)) => "oras and flux",
        Some(_) | None => "skopeo and podman",
    }
}
