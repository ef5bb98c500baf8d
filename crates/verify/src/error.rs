//! What can go wrong when verifying, besides a refusal of one candidate.

use std::time::Duration;

use countersign_oci::{Consequence, Digest, ErrorKind, PinnedReference, Platform};

use crate::denial::Denied;
use crate::proof::NotCovered;
use crate::refusal::Refusal;
use crate::trust::TrustError;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No candidate passed.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Neither a signature of the index nor one of the platform's manifest counts.
    #[error(
        "neither the index nor its image for {platform} is signed as the policy wants\n  index: {}\n  image: {}",
        nested(.index), nested(.manifest)
    )]
    BothRefused {
        /// The platform asked for.
        platform: Box<Platform>,
        /// Why no signature of the index counts.
        index: Box<Refusal>,
        /// Why no signature of the manifest counts.
        manifest: Box<Refusal>,
    },
    /// The policy's `deny_digests` refuses the image, or an index that lists it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A proof that is about another image than the one at hand.
    #[error("the verifier's proof is for another image: expected {expected}, found {found}")]
    OtherProof {
        /// Digest of the image at hand.
        expected: Digest,
        /// Digest that the proof is for.
        found: Digest,
    },
    /// A proof that was made by another policy than the one in use.
    #[error("the verifier's proof of {image} was made by another policy than the one in use")]
    OtherPolicy {
        /// The image at hand.
        image: PinnedReference,
    },
    /// A manifest that the verified index doesn't name.
    #[error(transparent)]
    NotCovered(#[from] NotCovered),
    /// The registry could not be asked, or a candidate could not be fetched for a reason that
    /// isn't the candidate's own (no network, no access) and no other one passed. Whether the
    /// image is signed is not known then.
    #[error(transparent)]
    Registry(countersign_oci::Error),
    /// The registry took longer over it all than [`Limits::total`](crate::Limits::total) allows.
    /// Whether the image is signed is not known then.
    #[error("verifying {image} timed out after {} s", .limit.as_secs())]
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
            Self::BothRefused {
                index, manifest, ..
            } => index.kind().max(manifest.kind()).into(),
            Self::Denied(_) => ErrorKind::Policy,
            Self::OtherProof { .. } | Self::OtherPolicy { .. } | Self::NotCovered(_) => {
                ErrorKind::Invalid
            }
            Self::Late { .. } => ErrorKind::Unreachable,
            Self::Trust(error) => error.kind(),
        }
    }

    /// What the error means for other sources of the same image. Every variant is named here: a new
    /// one has to be sorted in.
    pub fn consequence(&self) -> Consequence {
        match self {
            // Another copy may hold the signature that is missing, bad or late here.
            Self::Refused(_) | Self::BothRefused { .. } | Self::Late { .. } => {
                Consequence::TrySameDigest
            }
            Self::Registry(error) => error.consequence(),
            Self::Denied(_)
            | Self::OtherProof { .. }
            | Self::OtherPolicy { .. }
            | Self::NotCovered(_)
            | Self::Trust(_) => Consequence::End,
        }
    }
}

/// A refusal below a line of its own: its candidates stand further in than what they belong to.
fn nested(refusal: &Refusal) -> String {
    refusal.to_string().replace('\n', "\n  ")
}
