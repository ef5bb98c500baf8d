//! Why images can't be merged.

use countersign_oci::{ErrorKind, PinnedReference, Platform, Reference};

/// Why images can't be joined into one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is no image to put into the index.
    #[error("there is nothing to merge: {found}")]
    Nothing {
        /// What there is instead.
        found: String,
    },
    /// An image is named without its digest: a registry would decide what is merged.
    #[error(
        "expected a digest in each image, found none in {}: the registry decides what a tag names, and would decide what is merged",
        .pinned.iter().map(|one| one.without_digest().to_string()).collect::<Vec<_>>().join(" and ")
    )]
    ByTag {
        /// Each of them with the digest that its tag names now.
        pinned: Vec<Reference>,
    },
    /// One image is given twice. The second was meant to be another.
    #[error("the same image is given twice: {first} and {second}")]
    Twice {
        /// The image, as it was given first.
        first: Box<PinnedReference>,
        /// The image, as it was given again.
        second: Box<PinnedReference>,
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
    #[error("expected {image} to be for a platform, found {found}")]
    NoPlatform {
        /// The image.
        image: Box<PinnedReference>,
        /// What it is, or what its configuration says.
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
}

impl MergeError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Nothing { .. }
            | Self::ByTag { .. }
            | Self::Twice { .. }
            | Self::SamePlatform { .. } => ErrorKind::Usage,
            Self::NoPlatform { .. } | Self::Entry { .. } => ErrorKind::Invalid,
        }
    }
}
