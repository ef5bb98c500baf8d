//! Why images can't be merged.

use countersign_oci::{Digest, ErrorKind, PinnedReference, Platform, Reference};

/// Why images can't be joined into one, or a tag can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is no image to put into the index.
    #[error("there is nothing to merge: {found}")]
    Nothing {
        /// What there is instead.
        found: String,
    },
    /// Two images are for the same platform: which one a machine gets would depend on their order.
    #[error("two images are for {platform}: {first} and {second}")]
    SamePlatform {
        /// The platform.
        platform: Platform,
        /// The image that came first.
        first: Box<PinnedReference>,
        /// The other one.
        second: Box<PinnedReference>,
    },
    /// Neither the index that lists an image nor its configuration say what it is for.
    #[error("{image} is for no platform: {found}")]
    NoPlatform {
        /// The image.
        image: Box<PinnedReference>,
        /// What its configuration says.
        found: String,
    },
    /// An index lists something that can't be copied with it.
    #[error(
        "entry {position} of {index} can't be merged: expected an image, an index or an attestation, found {found}"
    )]
    Entry {
        /// The index that lists it.
        index: Box<PinnedReference>,
        /// Its place in the list, counted from 1.
        position: usize,
        /// What it is.
        found: String,
    },
    /// What should become the merged image's name is not a tag, or is given twice.
    #[error("{reference} can't be the merged image's name: expected {expected}")]
    Target {
        /// The reference.
        reference: Box<Reference>,
        /// What a name has to have.
        expected: &'static str,
    },
    /// The merged image is not what was pushed, by a client that looks for the first time.
    #[error("{image} is not what was pushed: expected {expected}")]
    Unproven {
        /// The manifest.
        image: Box<PinnedReference>,
        /// What should be there.
        expected: String,
    },
    /// A tag was written, and names something else now.
    #[error(
        "the tag {tag} was written, and does not name the merged image: expected {expected}, found {found}"
    )]
    TagMoved {
        /// The tag.
        tag: Box<Reference>,
        /// The index's digest.
        expected: Digest,
        /// What the registry says that the tag names.
        found: Digest,
    },
}

impl MergeError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Nothing { .. } | Self::SamePlatform { .. } | Self::Target { .. } => {
                ErrorKind::Usage
            }
            Self::NoPlatform { .. } | Self::Entry { .. } | Self::Unproven { .. } => {
                ErrorKind::Invalid
            }
            Self::TagMoved { .. } => ErrorKind::Unreachable,
        }
    }
}
