//! What is said of galleries, their indexes and their entries.

use countersign_download::HttpError;

use super::{Failure, Kind};

pub(super) fn http_kind(error: &HttpError) -> Kind {
    match error {
        HttpError::NotFound { .. } => Kind::NotFound,
        HttpError::TooLarge { .. } => Kind::Invalid,
        HttpError::Configuration { .. } => Kind::Usage,
        _ => Kind::Unreachable,
    }
}

impl From<countersign_download::GalleryError> for Failure {
    fn from(error: countersign_download::GalleryError) -> Self {
        use countersign_download::GalleryError;
        match &error {
            GalleryError::Unserved { unserved, .. } => {
                let absent = |error: &GalleryError| {
                    matches!(
                        error,
                        GalleryError::NoFile { .. }
                            | GalleryError::Http(HttpError::NotFound { .. })
                    )
                };
                if unserved.iter().all(|one| absent(&one.error)) {
                    Self::new(Kind::NotFound, error)
                        .hint("correct the gallery's `url`, or give it `mirrors`; after `file:` stands a path from the directory of the file that names the gallery")
                } else {
                    Self::new(Kind::Unreachable, error)
                        .hint("check the network and the proxy, or give the gallery `mirrors`")
                }
            }
            GalleryError::NoFile { .. } => Self::new(Kind::NotFound, error),
            GalleryError::Http(http) => Self::new(http_kind(http), error),
            GalleryError::Index(_) | GalleryError::NotText { .. } => Self::new(Kind::Usage, error)
                .hint("correct the index, or the gallery's `url` if that isn't an index's: a list of entries, each with `name` and `uri`"),
            GalleryError::Location { .. } => Self::new(Kind::Usage, error)
                .hint("correct the gallery's `url`; an index beside the file that names the gallery is `file:index.yaml`"),
            GalleryError::File { .. } => Self::new(Kind::Usage, error),
            _ => Self::new(Kind::Internal, error),
        }
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
        match &error {
            PlanError::Entry { source, .. } => {
                match source {
                    EntryError::Unknown { .. } => Self::new(Kind::NotFound, error)
                        .hint("`--all --dry-run` shows every entry that there is"),
                    EntryError::NotForCapability { .. } => Self::new(Kind::NotFound, error)
                        .hint("choose one of these with --capability"),
                    EntryError::Ambiguous { .. } => {
                        Self::new(Kind::Usage, error).hint("choose one of these names")
                    }
                    _ => Self::new(Kind::Usage, error).hint(CORRECT_THE_INDEX),
                }
            }
            PlanError::UnknownGallery { .. } => {
                Self::new(Kind::Usage, error).hint("choose one of these galleries")
            }
            PlanError::Ambiguous { .. } => Self::new(Kind::Usage, error)
                .hint("write the gallery before the name: its policy decides who must have signed"),
            PlanError::Local { .. } => Self::new(Kind::Policy, error)
                .hint("to install from this machine, save the index as a file and name it by `url: file:…`"),
            PlanError::Source { .. } | PlanError::Mirrors { .. } => {
                Self::new(Kind::Usage, error).hint(CORRECT_THE_INDEX)
            }
            PlanError::Requirement { source, .. } => {
                let hint = match source {
                    RequirementError::NoPolicy { .. } => {
                        "give the gallery a `verification` block that says who must have signed"
                    }
                    RequirementError::NoDigest { .. } => {
                        "add the tarball's `sha256` to the entry, or tell the gallery's maintainer"
                    }
                    _ => "publish it as a signed image, or tell the gallery's maintainer",
                };
                Self::new(Kind::Policy, error).hint(hint)
            }
            _ => Self::new(Kind::Internal, error),
        }
    }
}
