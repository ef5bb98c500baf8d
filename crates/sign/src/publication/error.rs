//! Why tags can't be written.

use countersign_oci::{Digest, ErrorKind, PinnedReference, Reference};

/// Why tags can't be written, or are not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicationError {
    /// No tag is given.
    #[error("no tag is given for the signed image")]
    NoTag,
    /// An image is named without its digest: a registry would decide what is signed.
    #[error(
        "expected the digest of each image, found none in {}: the registry decides what a tag names, and would decide what is signed",
        .given.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    )]
    ByTag {
        /// The images, as they were given.
        given: Vec<Reference>,
        /// Each by the digest that its tag names now.
        pinned: Vec<Reference>,
    },
    /// A text that is no tag.
    #[error("`{}` can't become a tag", countersign_oci::excerpt(.tag))]
    NotATag {
        /// The text.
        tag: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What should become the signed image's name has more or less than a tag.
    #[error("{reference} can't be used to write a tag: expected {expected}")]
    Target {
        /// The reference.
        reference: Box<Reference>,
        /// What it has to have.
        expected: &'static str,
    },
    /// Clients look for signatures at the tag: writing it would lose those that are there.
    #[error(
        "{tag} can't be written: clients look for signatures at a tag that is made of a digest, and those that are there would be lost"
    )]
    OfSignatures {
        /// The tag.
        tag: Box<Reference>,
    },
    /// One tag is to name two images.
    #[error(
        "the tag {tag} can name one image only: expected one digest, found {first} and {second}"
    )]
    SameTag {
        /// The tag.
        tag: Box<Reference>,
        /// The image that came first.
        first: Digest,
        /// The other one.
        second: Digest,
    },
    /// An image has no signature for a tag that is to name it.
    #[error(
        "{image} has no signature for the tag {tag}: expected one for each tag that is written, found none; nothing was tagged"
    )]
    Unsigned {
        /// The manifest.
        image: Box<PinnedReference>,
        /// The tag.
        tag: Box<Reference>,
    },
    /// A tag was written, and names something else now.
    #[error(
        "the tag {tag} was written, and does not name the signed image: expected {expected}, found {found}"
    )]
    TagMoved {
        /// The tag.
        tag: Box<Reference>,
        /// The image's digest.
        expected: Digest,
        /// What the registry says that the tag names.
        found: Digest,
    },
}

impl PublicationError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTag
            | Self::ByTag { .. }
            | Self::NotATag { .. }
            | Self::Target { .. }
            | Self::OfSignatures { .. }
            | Self::SameTag { .. } => ErrorKind::Usage,
            Self::Unsigned { .. } => ErrorKind::Invalid,
            Self::TagMoved { .. } => ErrorKind::Unreachable,
        }
    }
}
