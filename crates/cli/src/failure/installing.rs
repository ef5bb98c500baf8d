//! What is said of content that is not installed.

use super::gallery::http_kind;
use super::verification::refused;
use super::{Failure, Kind};

impl From<countersign_download::Error> for Failure {
    fn from(error: countersign_download::Error) -> Self {
        use countersign_download::Error as DownloadError;
        match error {
            DownloadError::Verify(error) => error.into(),
            DownloadError::Registry(error) => error.into(),
            DownloadError::Platform(error) => error.into(),
            DownloadError::Refused {
                ref index,
                ref manifest,
                ..
            } => {
                let kind = refused(index.kind().max(manifest.kind()));
                let repository = index.image.repository().clone();
                Self::new(kind, error).hinted_as_refused(kind, &repository)
            }
            DownloadError::Denied { .. } => Self::new(Kind::Policy, error),
            DownloadError::OtherSigner { .. } => Self::new(Kind::Policy, error).hint(
                "find out why somebody else signed it; if that is right, install it with --lock again",
            ),
            DownloadError::OtherContent { .. } => Self::new(Kind::Invalid, error).hint(
                "if the lock file was edited, restore it; if the content was, and that is right, install it with --lock again",
            ),
            DownloadError::Older { .. } => Self::new(Kind::Policy, error).hint(
                "somebody may have moved the tag back; if the older image is wanted, pass --allow-older",
            ),
            DownloadError::Weaker { .. } => Self::new(Kind::Policy, error).hint(
                "if it is wanted all the same, `countersign remove` what is installed first",
            ),
            DownloadError::Unverifiable { .. } => Self::new(Kind::Policy, error),
            DownloadError::Checksum { .. } => Self::new(Kind::Invalid, error).hint(
                "the file was changed, or the gallery's `sha256` is of another one; do not use it",
            ),
            DownloadError::Http(ref http) => Self::new(http_kind(http), error),
            DownloadError::NoDirectory { .. } => Self::new(Kind::NotFound, error),
            DownloadError::Directory { .. } => Self::new(Kind::Usage, error),
            DownloadError::WrongPlatform { .. } => Self::new(Kind::NotFound, error)
                .hint("ask for the platform that there is with --platform"),
            DownloadError::NotAnImage { .. } => Self::new(Kind::NotFound, error),
            DownloadError::OtherProof { .. }
            | DownloadError::OtherPermit { .. }
            | DownloadError::Configuration { .. }
            | DownloadError::LayerCount { .. }
            | DownloadError::LayerType { .. }
            | DownloadError::Layer { .. }
            | DownloadError::Archive { .. }
            | DownloadError::Tree(_)
            | DownloadError::Limit { .. } => Self::new(Kind::Invalid, error),
            DownloadError::Target { .. } => Self::new(Kind::Usage, error).hint(
                "name a directory that does not exist, is empty, or holds an earlier installation",
            ),
            DownloadError::Displaced { ref kept, .. } => {
                let hint = format!(
                    "the old installation is whole in {}; installing again puts it back first",
                    kept.display()
                );
                Self::new(Kind::Internal, error).hint(hint)
            }
            DownloadError::Immovable { ref source, .. } => {
                let hint = immovable_hint(source);
                Self::new(Kind::Usage, error).hint(hint)
            }
            DownloadError::UnreadableRecord { .. } => Self::new(Kind::Usage, error).hint(
                "move the directory away or remove it, then install again; `countersign remove` removes what is in the store",
            ),
            DownloadError::Busy { .. } => Self::new(Kind::Internal, error)
                .hint("leave out --no-wait, or wait for the other run to end"),
            DownloadError::NoVerifier { .. } => Self::new(Kind::Internal, error)
                .hint("report this: a plan that asks for a signature needs a verifier"),
            _ => Self::new(Kind::Internal, error),
        }
    }
}

/// What to do about a directory that the system refuses to move.
fn immovable_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ResourceBusy => {
            "something is mounted there: install to a directory below it, or unmount it first"
        }
        ErrorKind::CrossesDevices => {
            "it belongs to a lower layer of an overlay, such as a container's own image: remove it first, or name another directory"
        }
        ErrorKind::PermissionDenied => {
            "it belongs to another user, or is marked immutable: run this as its owner, or name another directory"
        }
        _ => "remove it first, or name another directory",
    }
}

impl Failure {
    /// The failure of a plan of one image: the error of its one source, which the user named.
    pub(crate) fn of_one_image(failure: countersign_download::PlanFailure) -> Self {
        let message = failure.to_string();
        failure
            .into_decisive()
            .map_or_else(|| Self::new(Kind::Internal, message), Self::from)
    }
}

impl From<countersign_download::PlanFailure> for Failure {
    /// Kind and hints are those of the decisive error; the text has those of all sources.
    fn from(failure: countersign_download::PlanFailure) -> Self {
        // No source was asked: none has anything to do with it.
        if failure.target().is_some() {
            return Self::of_one_image(failure);
        }
        let message = failure.to_string();
        let locked = failure.locked().is_some();
        let Some(decisive) = failure.into_decisive().map(Self::from) else {
            return Self::new(Kind::Internal, message);
        };
        let hints = if locked && decisive.kind == Kind::NotFound {
            let hint = "the locked digest is gone from the registries: if what is there now is wanted, install it with --lock again";
            vec![hint.to_owned()]
        } else {
            decisive.hints
        };
        Self {
            error: message.into(),
            kind: decisive.kind,
            hints,
            fields: decisive.fields,
        }
    }
}

impl From<countersign_download::StoreError> for Failure {
    fn from(error: countersign_download::StoreError) -> Self {
        use countersign_download::StoreError;
        match error {
            StoreError::Plan(failure) => failure.into(),
            StoreError::Installation(error) => error.into(),
            StoreError::Name(error) => Self::new(Kind::Usage, error),
            StoreError::NoRecord { .. } => Self::new(Kind::Usage, error).hint(
                "look at what it is; if it can go, `countersign remove --unrecorded` removes it",
            ),
            StoreError::NotInstalled { .. } => {
                Self::new(Kind::NotFound, error).hint("`countersign list` shows what is installed")
            }
            _ => Self::new(Kind::Internal, error),
        }
    }
}

impl From<countersign_download::NameError> for Failure {
    fn from(error: countersign_download::NameError) -> Self {
        Self::new(Kind::Usage, error)
    }
}
