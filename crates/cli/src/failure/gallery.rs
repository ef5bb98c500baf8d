//! What is said of galleries, their indexes and their entries.
//!
//! A hint only advises: it never changes what failed.

use countersign_download::HttpError;
use countersign_oci::http::{HostKind, RedirectRefused, answers_without_tls};

use super::registry::redirect_hint;
use super::{Failure, Kind};
use crate::arguments::limits;

/// What to do about a tarball or an index that the web doesn't have for us. `too_large` is for one that
/// is.
pub(super) fn http_hint(error: &HttpError, too_large: &'static str) -> Option<&'static str> {
    match error {
        HttpError::NotFound { .. } => {
            Some("check the URL, or add `mirrors` to the entry or the gallery")
        }
        HttpError::TooLarge { .. } => Some(too_large),
        HttpError::Redirect {
            reason: RedirectRefused::HttpsRequired,
            ..
        } => Some("if the target is an https URL that you trust, use that URL"),
        HttpError::Redirect { reason, .. } => Some(redirect_hint(*reason)),
        HttpError::Configuration { .. } => Some("check --registry-ca and the proxy's variables"),
        // The usual hint says what there is to say: try again.
        _ => None,
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let hint = http_hint(&error, limits::INDEX_HINT);
        Self::new(error.kind(), error).hinted(hint)
    }
}

impl From<countersign_download::GalleryError> for Failure {
    fn from(error: countersign_download::GalleryError) -> Self {
        use countersign_download::GalleryError;
        let kind = error.kind();
        let hint = match &error {
            GalleryError::NotFetched { .. } if kind == Kind::NotFound => Some(
                "correct the gallery's `url`, or add `mirrors`; a path after `file:` is relative to the gallery file",
            ),
            GalleryError::NotFetched { .. } if kind == Kind::Unreachable => {
                Some("check the network and the proxy, or add `mirrors` to the gallery")
            }
            GalleryError::NoFile { .. } => {
                Some("check the path after `file:`: it is relative to the gallery file")
            }
            GalleryError::Http(http) => http_hint(http, limits::INDEX_HINT),
            GalleryError::Index(_) | GalleryError::NotText { .. } => Some(
                "correct the index, or the gallery's `url`; an index is a list of entries, each with `name` and `uri`",
            ),
            GalleryError::Location { .. } => Some(
                "correct the gallery's `url`; `file:index.yaml` is an index beside the gallery file",
            ),
            GalleryError::File { .. } => Some("check the path, and that you may read it"),
            _ => None,
        };
        let no_tls = match &error {
            GalleryError::NotFetched { skipped, .. } => {
                let mut errors = skipped.iter().map(|one| &one.error);
                errors.any(|error| answers_without_tls(error))
            }
            other => answers_without_tls(other),
        };
        let no_tls = no_tls.then_some(NO_TLS);
        Self::new(kind, error).hinted(hint).hinted(no_tls)
    }
}

const NO_TLS: &str = "the server answers without TLS: check the host and the port; `http://` is for servers on this machine alone";

/// What is wrong stands in the gallery's index, which may be the user's own.
const CORRECT_THE_INDEX: &str =
    "correct the entry in the gallery's index, or tell the gallery's maintainer";

impl From<countersign_download::PlanError> for Failure {
    fn from(error: countersign_download::PlanError) -> Self {
        use countersign_download::{EntryError, PlanError, RequirementError};
        if let PlanError::Locked(error) = error {
            return error.into();
        }
        let hint = match &error {
            PlanError::Entry { source, .. } => match source {
                EntryError::Unknown { .. } => "`countersign gallery show FILE` shows all entries",
                EntryError::NotForCapability { .. } => "choose one of these with --capability",
                EntryError::Ambiguous { .. } => "choose one of these names",
                _ => CORRECT_THE_INDEX,
            },
            PlanError::Local { location, .. } if location.starts_with("the kit") => {
                "to install from this machine, save the index as a file and use `url: file:…`, without a kit"
            }
            PlanError::Local { .. } => {
                "to install from this machine, save the index as a file and use `url: file:…`"
            }
            PlanError::Inward { kind, .. } => match kind {
                HostKind::Private => {
                    "if you trust the index's server, pass --allow-private-addresses"
                }
                HostKind::Public | HostKind::LinkLocal | HostKind::ThisMachine => {
                    "to install from there, save the index as a file and use `url: file:…`"
                }
            },
            PlanError::Requirement { source, .. } => match source {
                RequirementError::NoPolicy { .. } => {
                    "add a `verification` block to the gallery: it says who must have signed"
                }
                RequirementError::NoDigest { .. } => {
                    "add `sha256` to the entry, or tell the gallery's maintainer"
                }
                _ => "publish it as a signed image, or tell the gallery's maintainer",
            },
            PlanError::NoGallery => "pass --gallery FILE, with a file that has a gallery",
            PlanError::UnknownName { .. } => "`countersign gallery show FILE` shows all entries",
            PlanError::UnknownGallery { .. } => "choose one of these galleries: write GALLERY@NAME",
            PlanError::Ambiguous { .. } | PlanError::UnreadableName { .. } => {
                "write GALLERY@NAME: the gallery's policy decides who must have signed"
            }
            _ => CORRECT_THE_INDEX,
        };
        match error.kind() {
            Kind::Internal => Self::new(Kind::Internal, error),
            kind => Self::new(kind, error).hint(hint),
        }
    }
}
