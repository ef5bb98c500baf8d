//! Why an image can't be copied.

use countersign_oci::{ErrorKind, PinnedReference, Platform};

use super::NotCopied;

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
        /// The index, or an image for one platform.
        image: Box<PinnedReference>,
        /// The platform.
        wanted: Box<Platform>,
        /// The platforms that it has.
        available: Vec<Platform>,
    },
    /// Platforms were asked for, and the index lists nothing for any.
    #[error("{image} lists no image for any platform")]
    NoPlatforms {
        /// The index.
        image: Box<PinnedReference>,
    },
    /// The copy does not pass the policy that the source passed. No tag was written.
    #[error("{image} was copied{}, but the copy does not pass the policy", without(.not_copied))]
    Refused {
        /// The copy.
        image: Box<PinnedReference>,
        /// What refers to the image and was not copied. What would prove the copy may be among it.
        not_copied: Vec<NotCopied>,
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
            Self::NoPlatforms { .. } => ErrorKind::Usage,
            Self::Refused {
                source, not_copied, ..
            } => match source.kind() {
                // The image was there a moment ago.
                ErrorKind::NotFound => ErrorKind::Unreachable,
                // The image is signed: the source was proven. What proves it is missing or damaged there in part.
                ErrorKind::Unsigned if !not_copied.is_empty() => ErrorKind::Invalid,
                kind => kind,
            },
        }
    }
}

/// What the copy lacks, the first of it by name.
fn without(not_copied: &[NotCopied]) -> String {
    let Some((first, more)) = not_copied.split_first() else {
        return String::new();
    };
    let more = match more.len() {
        0 => String::new(),
        more => format!(", and without {more} more"),
    };
    format!(" without {} ({}){more}", first.name, first.reason)
}
