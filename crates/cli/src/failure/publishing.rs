//! What is said of merging, and of tags that are written once images are signed.

use countersign_sign::{CopyError, MergeError, NotCopied, PublicationError, PublicationFailure};

use super::{Failure, Kind};
use crate::json::error::Tags;

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        let kind = error.kind();
        let hint = match &error {
            MergeError::Nothing { .. } => {
                "name the images to merge, by digest: NAME@DIGEST, or --digests-from DIR"
            }
            MergeError::ByTag { pinned } => {
                let pinned: Vec<_> = pinned.iter().map(ToString::to_string).collect();
                let hint = format!(
                    "compare with the digest that the build printed; if they are the same, run `countersign merge {}` with the same flags",
                    pinned.join(" ")
                );
                return Self::new(kind, error).hint(hint).pinned(pinned);
            }
            MergeError::Twice { .. } => "name each image once; another image may be missing",
            MergeError::SamePlatform { .. } => "give one image for each platform",
            MergeError::NoPlatform { .. } => {
                "build the image with its platform, as `docker buildx build --platform` does"
            }
            MergeError::Entry { .. } => "merge the images of the index one by one, by digest",
            _ => return Self::new(kind, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl Failure {
    /// What refers to an image and was not copied with it, where the copy failed.
    pub(crate) fn not_copied(&self) -> &[NotCopied] {
        &self.not_copied
    }

    /// Whether it says where the tags are.
    pub(crate) fn tells_tags(&self) -> bool {
        self.tags.is_some()
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let kind = error.kind();
        let hint = match &error {
            CopyError::Limit { .. } => {
                "look at what is attached with `countersign tree`, or copy the images of the index one by one"
            }
            CopyError::Entry { .. } => "copy the images of the index one by one, by digest",
            CopyError::Platform { .. } => {
                "choose some of these with --platform, or leave it out to copy all"
            }
            CopyError::NoPlatforms { .. } => "leave --platform out",
            CopyError::Refused { not_copied, .. } if !not_copied.is_empty() => {
                let failure = Self {
                    not_copied: not_copied.clone().into(),
                    ..Self::new(kind, error)
                };
                return failure.hint(
                    "no tag was written, and no layout lists it; for what was not copied, the source is damaged there, or lacks it: copy the source again from where it came; if none of that is a signature, run the same command again",
                );
            }
            CopyError::Refused { .. } => {
                "no tag was written, and no layout lists it; if the destination lost what was pushed, run the same command again"
            }
            _ => return Self::new(kind, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<PublicationError> for Failure {
    fn from(error: PublicationError) -> Self {
        let kind = error.kind();
        let hint = match &error {
            PublicationError::NoTag => "pass --tag NAME:TAG to merge, or --then-tag TAG to sign",
            PublicationError::ByTag { pinned, .. } => {
                let pinned: Vec<_> = pinned.iter().map(ToString::to_string).collect();
                let hint = format!(
                    "compare with the digest that the push printed; if they are the same, run `countersign sign {}` with the same flags",
                    pinned.join(" ")
                );
                return Self::new(kind, error).hint(hint).pinned(pinned);
            }
            PublicationError::NotATag { .. } => "pass --then-tag TAG, such as `v1` or `latest`",
            PublicationError::Target { reference, .. } => match reference.digest() {
                Some(digest) => {
                    let image = reference.location().at(digest.clone());
                    return Self::new(kind, error.to_string()).hint(format!(
                        "name the image {image}, and pass each tag with --then-tag TAG"
                    ));
                }
                None => "pass --tag NAME:TAG",
            },
            PublicationError::OfSignatures { .. } => {
                "choose another tag, such as `v1`: the image is found by its digest without a tag"
            }
            PublicationError::SameTag { .. } => "sign one of the two images by itself",
            PublicationError::Unsigned { .. } => {
                "run the same command again; if it stays so, the registry did not keep what was pushed"
            }
            PublicationError::TagMoved { .. } => {
                "another job may have set the tag, or the registry shows old tags for a while: look at the tag, and run the same command again"
            }
            _ => return Self::new(kind, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<PublicationFailure> for Failure {
    fn from(failure: PublicationFailure) -> Self {
        let texts = |tags: &[countersign_oci::Reference]| -> Vec<String> {
            tags.iter().map(ToString::to_string).collect()
        };
        let PublicationFailure {
            error,
            moved,
            unclear,
            left,
            ..
        } = failure;
        let tags = Tags {
            written: texts(&moved),
            unclear: texts(unclear.as_slice()),
            not_written: texts(&left),
        };
        Self::from(error).with_tags(tags)
    }
}

/// Which tags name the signed image. A person who has to correct the command line takes it for granted that none does.
pub(super) fn tags_hint(kind: Kind, tags: &Tags) -> Option<String> {
    if tags.are_untouched() {
        let next = match kind {
            Kind::Usage => return None,
            Kind::Policy => {
                "; sign as the policy asks, or correct the policy, before you run it again"
            }
            // The same command would fail in the same way.
            Kind::NotFound | Kind::Rejected | Kind::Unsigned | Kind::Invalid | Kind::Differs => "",
            Kind::Unreachable | Kind::Machine | Kind::Internal => {
                "; run the same command again to go on from here"
            }
        };
        return Some(format!("no tag was changed{next}"));
    }
    let written = if tags.written.is_empty() {
        "none for certain".to_owned()
    } else {
        tags.written.join(", ")
    };
    let unclear = if tags.unclear.is_empty() {
        String::new()
    } else {
        format!("; perhaps also {}", tags.unclear.join(", "))
    };
    Some(format!(
        "tags that name the signed image now: {written}{unclear}; run the same command again for the others"
    ))
}
