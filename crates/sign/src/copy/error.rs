//! Why an image can't be copied.

use countersign_oci::{ErrorKind, PinnedReference, Platform};

/// Why an image can't be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// There is more to copy than is copied in one run.
    #[error("what is copied with {image} is over the limit of {limit} {unit}; nothing was copied")]
    Limit {
        /// The image.
        image: Box<PinnedReference>,
        /// The bound.
        limit: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// An index lists something without a digest or with one that can't be checked, so that it can't
    /// be copied as a whole.
    #[error(
        "{index} can't be copied as a whole: expected {expected} entries with a digest, found {found}"
    )]
    Entry {
        /// The index.
        index: Box<PinnedReference>,
        /// How many entries it has.
        expected: usize,
        /// How many of them name content by a digest.
        found: usize,
    },
    /// The image has nothing for a platform that was asked for.
    #[error(
        "{image} has no image for {wanted}: expected one of {}",
        .available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Platform {
        /// The index.
        image: Box<PinnedReference>,
        /// The platform.
        wanted: Box<Platform>,
        /// The platforms that it has.
        available: Vec<Platform>,
    },
    /// Platforms were asked for, and the image is not an index.
    #[error("{image} is an image for one platform, and not an index")]
    NoIndex {
        /// The image.
        image: Box<PinnedReference>,
    },
    /// The copy does not pass the policy that the source passed. No tag was written.
    #[error("{image} was copied, but the copy does not pass the policy")]
    Refused {
        /// The copy.
        image: Box<PinnedReference>,
        /// Why not.
        #[source]
        source: Box<countersign_verify::Error>,
    },
}

impl CopyError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Limit { .. } | Self::Entry { .. } => ErrorKind::Invalid,
            Self::Platform { .. } => ErrorKind::NotFound,
            Self::NoIndex { .. } => ErrorKind::Usage,
            Self::Refused { source, .. } => match source.kind() {
                // The image was there a moment ago.
                ErrorKind::NotFound => ErrorKind::Unreachable,
                kind => kind,
            },
        }
    }
}
