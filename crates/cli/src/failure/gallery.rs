//! What is said of galleries, their indexes and their entries.

use countersign_download::{Bound, HttpError};
use countersign_oci::http::{HostKind, RedirectRefused};

use super::registry::redirect_hint;
use super::{Failure, Kind};
use crate::arguments::limits;

/// What to do about a tarball or an index that the web doesn't have for us. `bound` is the one of its
/// size.
pub(super) fn http_hint(error: &HttpError, bound: Bound) -> Option<&'static str> {
    match error {
        HttpError::NotFound { .. } => {
            Some("check the URL, or give the entry or the gallery `mirrors`")
        }
        HttpError::TooLarge { .. } => Some(limits::hint(bound)),
        HttpError::Redirect {
            reason: RedirectRefused::HttpsRequired,
            ..
        } => Some("name the URL that it leads to, if that is an https URL you trust"),
        HttpError::Redirect { reason, .. } => Some(redirect_hint(*reason)),
        HttpError::Configuration { .. } => Some("check --registry-ca and the proxy's variables"),
        // The usual hint says what there is to say: try again.
        _ => None,
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let hint = http_hint(&error, Bound::IndexBytes);
        Self::new(error.kind(), error).hinted(hint)
    }
}

impl From<countersign_download::GalleryError> for Failure {
    fn from(error: countersign_download::GalleryError) -> Self {
        use countersign_download::GalleryError;
        let kind = error.kind();
        let hint = match &error {
            GalleryError::NotFetched { .. } if kind == Kind::NotFound => Some(
                "correct the gallery's `url`, or give it `mirrors`; after `file:` stands a path from the directory of the file that names the gallery",
            ),
            GalleryError::NotFetched { .. } if kind == Kind::Unreachable => {
                Some("check the network and the proxy, or give the gallery `mirrors`")
            }
            GalleryError::NoFile { .. } => Some(
                "check the path after `file:`: it starts in the directory of the file that names the gallery",
            ),
            GalleryError::Http(http) => http_hint(http, Bound::IndexBytes),
            GalleryError::Index(_) | GalleryError::NotText { .. } => Some(
                "correct the index, or the gallery's `url` if that isn't an index's: a list of entries, each with `name` and `uri`",
            ),
            GalleryError::Location { .. } => Some(
                "correct the gallery's `url`; an index beside the file that names the gallery is `file:index.yaml`",
            ),
            GalleryError::File { .. } => Some("check the path, and who may read it"),
            _ => None,
        };
        Self::new(kind, error).hinted(hint)
    }
}

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
                EntryError::Unknown { .. } => "`--all --dry-run` shows every entry that there is",
                EntryError::NotForCapability { .. } => "choose one of these with --capability",
                EntryError::Ambiguous { .. } => "choose one of these names",
                _ => CORRECT_THE_INDEX,
            },
            PlanError::Local { .. } => {
                "to install from this machine, save the index as a file and name it by `url: file:…`"
            }
            PlanError::Inward { kind, .. } => match kind {
                HostKind::Private => {
                    "if you trust whoever serves the index, pass --allow-private-addresses"
                }
                _ => "to install from there, save the index as a file and name it by `url: file:…`",
            },
            PlanError::Requirement { source, .. } => match source {
                RequirementError::NoPolicy { .. } => {
                    "give the gallery a `verification` block that says who must have signed"
                }
                RequirementError::NoDigest { .. } => {
                    "add the tarball's `sha256` to the entry, or tell the gallery's maintainer"
                }
                _ => "publish it as a signed image, or tell the gallery's maintainer",
            },
            PlanError::UnknownGallery { .. } => "choose one of these galleries",
            PlanError::Ambiguous { .. } => {
                "write the gallery before the name: its policy decides who must have signed"
            }
            _ => CORRECT_THE_INDEX,
        };
        match error.kind() {
            Kind::Internal => Self::new(Kind::Internal, error),
            kind => Self::new(kind, error).hint(hint),
        }
    }
}
