//! What is said of content that is not installed.
//!
//! A hint names a flag only where that flag is the way to go on; none ever makes a
//! failure a success.

use countersign_download::{ArchiveError, Bound, Error as DownloadError};

use super::gallery::http_hint;
use super::{Failure, Kind};
use crate::arguments::limits;

/// For an archive, or a manifest, that we do not unpack.
const REFUSED_CONTENT: &str = "nothing was installed; report the message to the publisher, or build the image with another tool";

fn archive_hint(error: &ArchiveError) -> Option<&'static str> {
    match (error.kind(), error) {
        (Kind::Machine | Kind::Internal, _) => None,
        (_, ArchiveError::Limit { bound, .. }) => Some(limits::hint(*bound)),
        (_, ArchiveError::Write { .. }) => Some(
            "this file system can't store that name: install on another file system, or tell the publisher",
        ),
        _ => Some(REFUSED_CONTENT),
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        let kind = error.kind();
        match error {
            // What another library says, which knows more of it.
            DownloadError::Verify(error) => error.into(),
            DownloadError::Registry(error) => error.into(),
            DownloadError::Platform(error) => error.into(),
            DownloadError::Lock(error) => (*error).into(),
            DownloadError::Displaced { ref kept, .. } => {
                let hint = format!(
                    "the old installation is complete in {}; install again to put it back",
                    kept.display()
                );
                Self::new(kind, error).hint(hint)
            }
            // Bugs, and what the system itself says, have the usual hint of their kind.
            error => {
                let hint = history_hint(&error)
                    .or_else(|| source_hint(&error))
                    .or_else(|| content_hint(&error))
                    .or_else(|| directory_hint(&error));
                Self::new(kind, error).hinted(hint)
            }
        }
    }
}

/// What to do about content that is not what was locked or installed before.
fn history_hint(error: &DownloadError) -> Option<&'static str> {
    Some(match error {
        DownloadError::OtherSigner { .. } => {
            "find out why somebody else signed it; if the new signer is right, install with --lock again"
        }
        DownloadError::OtherContent { .. } => {
            "if somebody edited the lock file, restore it; if the new content is right, install with --lock again"
        }
        DownloadError::Older { other: Some(_), .. } => {
            "if you want it in the place of the other image, pass --allow-older; to keep both, install to another directory or store"
        }
        DownloadError::Older { .. } => {
            "somebody may have moved the tag back, or another tag is asked for than before; if you want the older image, pass --allow-older"
        }
        DownloadError::Undated { .. } => {
            "the policy's `ignore_tlog` leaves out what proves the time; if you are sure that the image is the newer one, pass --allow-older"
        }
        DownloadError::Weaker { .. } => {
            "if you want it anyway, remove what is installed first: delete its directory, or use `countersign remove` if it is from a gallery"
        }
        _ => return None,
    })
}

/// What to do about the place that a gallery's index names.
fn source_hint(error: &DownloadError) -> Option<&'static str> {
    match error {
        DownloadError::Unverifiable { .. } => {
            Some("publish it as a signed image, or tell the gallery's maintainer")
        }
        DownloadError::Checksum { .. } => Some(
            "do not use it: the file was changed, or the gallery has the `sha256` of another file",
        ),
        DownloadError::Http(http) => http_hint(http, limits::hint(Bound::CompressedBytes)),
        DownloadError::NotInLayout { .. } => {
            Some("install it from its gallery, with --gallery FILE: a kit holds images alone")
        }
        DownloadError::NoDirectory { .. } => {
            Some("check the path after `file://` in the gallery's index")
        }
        DownloadError::Directory { .. } => {
            Some("in the gallery's index, name a directory that can be read")
        }
        _ => None,
    }
}

/// What to do about an image or an archive that can't be installed.
fn content_hint(error: &DownloadError) -> Option<&'static str> {
    match error {
        DownloadError::WrongPlatform { .. } => {
            Some("pass the platform that the image has to --platform")
        }
        DownloadError::NotAnImage { .. } => Some(
            "name the image itself: signatures, attestations and Helm charts can't be installed",
        ),
        DownloadError::Configuration { .. }
        | DownloadError::LayerCount { .. }
        | DownloadError::LayerType { .. } => Some(REFUSED_CONTENT),
        DownloadError::Limit { bound, .. } => Some(limits::hint(*bound)),
        DownloadError::Layer { source, .. }
        | DownloadError::Archive { source, .. }
        | DownloadError::Tree(source) => archive_hint(source),
        _ => None,
    }
}

/// What to do about the directory that is installed to.
fn directory_hint(error: &DownloadError) -> Option<&'static str> {
    Some(match error {
        DownloadError::Target { .. } => {
            "name a directory that is missing, empty or an earlier installation; the directory above it must exist"
        }
        DownloadError::Immovable { source, .. } => immovable_hint(source),
        DownloadError::Mounted { .. } => {
            "nothing was changed: unmount it (`umount`), run the same command again, and mount it again"
        }
        DownloadError::NoRecord { .. } => "name a directory that `countersign install` made",
        DownloadError::Inventory { .. } => {
            "nothing says what the files were; install it again with --reinstall"
        }
        DownloadError::UnreadableRecord { .. } => {
            "move the directory away or remove it, then install again; `countersign remove` removes what is in the store"
        }
        DownloadError::LaterRecord { .. } => {
            "update Countersign; or move the directory away or remove it, then install again"
        }
        DownloadError::Busy { .. } => "leave out --no-wait, or wait until the other run ends",
        _ => return None,
    })
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
    /// Hints are those of the decisive error; kind and text are of all sources.
    fn from(failure: countersign_download::PlanFailure) -> Self {
        // No source was asked: none has anything to do with it.
        if failure.before().is_some() {
            return Self::of_one_image(failure);
        }
        let message = failure.to_string();
        let (locked, kind) = (failure.locked().is_some(), failure.kind());
        let lacks_signatures = kind == Kind::Unreachable
            && failure
                .failures()
                .iter()
                .any(|one| one.error.kind() == Kind::Unsigned);
        let is_older = matches!(failure.decisive(), Some(DownloadError::Older { .. }));
        let is_for_another = matches!(
            failure.decisive(),
            Some(DownloadError::WrongPlatform { .. })
        );
        let Some(decisive) = failure.into_decisive().map(Self::from) else {
            return Self::new(Kind::Internal, message);
        };
        let mut hints = if locked && is_older {
            let hint = "the lock file pins an older image than is installed; if you want that one, pass --allow-older";
            vec![hint.to_owned()]
        } else if locked && kind == Kind::NotFound && !is_for_another {
            let hint = "the registries no longer have the locked digest: if you want what they have now, install with --lock again";
            vec![hint.to_owned()]
        } else {
            decisive
                .hints()
                .into_iter()
                .map(ToOwned::to_owned)
                .collect()
        };
        if lacks_signatures {
            hints.push(
                "a mirror lacks the signatures: `countersign copy` takes them along, and `signature_sources` of the policy names where else they are"
                    .to_owned(),
            );
        }
        Self {
            error: message.into(),
            kind,
            hints,
            mistakes: Box::default(),
            references: decisive.references,
            tags: decisive.tags,
            not_copied: decisive.not_copied,
            signal: None,
            usage: None,
        }
    }
}

impl Failure {
    /// The failure of a store. What it advises is for the store that `--store` names, if it names one: another may have the
    /// same names.
    pub(crate) fn of_store(
        error: countersign_download::StoreError,
        named: Option<&std::path::Path>,
    ) -> Self {
        use countersign_download::StoreError;
        let store = crate::printable::option("--store", named);
        match error {
            StoreError::Plan(failure) => failure.into(),
            StoreError::Installation(error) => error.into(),
            StoreError::Name(error) => error.into(),
            StoreError::NoRecord { ref name, .. } => {
                let hint = format!(
                    "look at it; if you don't need it, `countersign remove --unrecorded{store} {name}` removes it"
                );
                Self::new(error.kind(), error).hint(hint)
            }
            error @ StoreError::NotADirectory { .. } => Self::new(error.kind(), error).hint(
                "name the directory of installed entries: --store DIR, or COUNTERSIGN_STORE_DIR",
            ),
            error @ StoreError::NotInstalled { .. } => Self::new(error.kind(), error)
                .hint(format!("`countersign list{store}` shows what is installed")),
            other => Self::new(other.kind(), other),
        }
    }
}

impl From<countersign_download::StoreError> for Failure {
    fn from(error: countersign_download::StoreError) -> Self {
        Self::of_store(error, None)
    }
}

impl From<countersign_download::NameError> for Failure {
    fn from(error: countersign_download::NameError) -> Self {
        Self::new(error.kind(), error)
            .hint("`countersign list` shows the names of all installed entries")
    }
}
