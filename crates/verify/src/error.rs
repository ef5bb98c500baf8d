//! What can go wrong when verifying, besides a refusal of one candidate.

use std::time::Duration;

use countersign_oci::{Consequence, ErrorKind, PinnedReference};

use crate::refusal::Refusal;
use crate::trust::TrustError;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No candidate passed.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The registry could not be asked, or a candidate could not be fetched for a reason that
    /// isn't the candidate's own (no network, no access) and no other one passed. Whether the
    /// image is signed is not known then.
    #[error(transparent)]
    Registry(countersign_oci::Error),
    /// The registry took longer over it all than [`Limits::total`](crate::Limits::total) allows.
    /// Whether the image is signed is not known then.
    #[error("the signatures of {image} could not be had: expected an end after {} s, found none", .limit.as_secs())]
    Late {
        /// The image asked about.
        image: PinnedReference,
        /// The bound.
        limit: Duration,
    },
    /// There is no trusted root to verify by.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Error {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refusal) => refusal.kind().into(),
            Self::Registry(error) => error.kind(),
            Self::Late { .. } => ErrorKind::Unreachable,
            Self::Trust(error) => error.kind(),
        }
    }

    /// What the error means for other sources of the same image. Every variant is named here: a new
    /// one has to be sorted in.
    pub fn consequence(&self) -> Consequence {
        match self {
            // Another copy may hold the signature that is missing, bad or late here.
            Self::Refused(_) | Self::Late { .. } => Consequence::TrySameDigest,
            Self::Registry(error) => error.consequence(),
            Self::Trust(_) => Consequence::End,
        }
    }
}
