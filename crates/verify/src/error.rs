//! The errors of a verification. Why one candidate is refused is in [`crate::failure`].

use std::sync::Arc;
use std::time::Duration;

use countersign_oci::{Consequence, Digest, ErrorKind, PinnedReference, Platform};
use countersign_policy::PolicyError;

use crate::denial::Denied;
use crate::not_listed::NotListed;
use crate::refusal::Refusal;
use crate::trust::TrustError;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No candidate passed all checks.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The policy accepts neither a signature of the index nor one of the platform's manifest.
    #[error(
        "neither the index nor its image for {platform} has a signature that the policy accepts\n  index: {}\n  image: {}",
        nested(.index), nested(.manifest)
    )]
    BothRefused {
        /// The platform asked for.
        platform: Box<Platform>,
        /// Why no signature of the index is accepted.
        index: Arc<Refusal>,
        /// Why no signature of the manifest is accepted.
        manifest: Box<Refusal>,
    },
    /// The policy's `deny_digests` refuses the image, or an index that lists it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The image lists an index that its repository does not have, and the policy denies digests. So it is not
    /// known whether the image has something that is denied.
    #[error(
        "{image} lists the index {index}, which its repository does not have: it may list what the policy denies"
    )]
    UnknownBelow {
        /// The index that was asked about.
        image: PinnedReference,
        /// The index that is missing.
        index: Digest,
    },
    /// The verifier gave a proof of another image.
    #[error("the verifier's proof is for another image: expected {expected}, found {found}")]
    OtherProof {
        /// Digest of the image that was asked about.
        expected: Digest,
        /// Digest of the image in the proof.
        found: Digest,
    },
    /// The verifier gave a proof that was made with another policy.
    #[error("the verifier's proof of {image} was made with another policy than the one in use")]
    OtherPolicy {
        /// The image that was asked about.
        image: PinnedReference,
    },
    /// A manifest that the verified index does not list.
    #[error(transparent)]
    NotListed(#[from] NotListed),
    /// The registry could not be reached, or a candidate could not be fetched (no network, no access), and
    /// no other candidate passed. So it is not known whether the image is signed.
    #[error(transparent)]
    Registry(countersign_oci::Error),
    /// The verification took longer than [`Limits::total`](crate::Limits::total). So it is not known
    /// whether the image is signed.
    #[error("verifying {image} timed out after {} s", .limit.as_secs())]
    Late {
        /// The image asked about.
        image: PinnedReference,
        /// The bound.
        limit: Duration,
    },
    /// The policy that accepts a signature by anybody, for [`Verifier::survey`](crate::Verifier::survey), could not be
    /// made. That is a bug.
    #[error("the policy that accepts a signature by anybody can't be made")]
    AnybodyPolicy(#[source] PolicyError),
    /// The trusted root could not be loaded.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Error {
    /// What kind of failure it is. The match names every variant, so a new one does not
    /// compile until it is added here.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refusal) => refusal.kind().into(),
            Self::Registry(error) => error.kind(),
            Self::BothRefused {
                index, manifest, ..
            } => index.kind().max(manifest.kind()).into(),
            Self::Denied(_) => ErrorKind::Policy,
            Self::UnknownBelow { .. }
            | Self::OtherProof { .. }
            | Self::OtherPolicy { .. }
            | Self::NotListed(_) => ErrorKind::Invalid,
            Self::Late { .. } => ErrorKind::Unreachable,
            Self::AnybodyPolicy(_) => ErrorKind::Internal,
            Self::Trust(error) => error.kind(),
        }
    }

    /// Whether signatures were judged, and the policy accepts none of them.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) | Self::BothRefused { .. } => true,
            Self::Denied(_)
            | Self::UnknownBelow { .. }
            | Self::OtherProof { .. }
            | Self::OtherPolicy { .. }
            | Self::NotListed(_)
            | Self::Registry(_)
            | Self::Late { .. }
            | Self::AnybodyPolicy(_)
            | Self::Trust(_) => false,
        }
    }

    /// What the error means for other sources of the same image. The match names every
    /// variant, so a new one does not compile until it is added here.
    pub fn consequence(&self) -> Consequence {
        match self {
            // Another source may have a good signature of the same digest.
            Self::Refused(_)
            | Self::BothRefused { .. }
            | Self::UnknownBelow { .. }
            | Self::Late { .. } => Consequence::TrySameDigest,
            Self::Registry(error) => error.consequence(),
            Self::Denied(_)
            | Self::OtherProof { .. }
            | Self::OtherPolicy { .. }
            | Self::NotListed(_)
            | Self::AnybodyPolicy(_)
            | Self::Trust(_) => Consequence::End,
        }
    }
}

/// A refusal inside another message: its lines are indented by two more spaces.
fn nested(refusal: &Refusal) -> String {
    refusal.to_string().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    /// What each error means for exit codes, and for whoever has another source to ask.
    #[test]
    fn every_error_is_sorted() {
        let lines = crate::samples::errors().into_iter().map(|error| {
            countersign_oci::samples::sorted_line(error.kind(), error.consequence(), &error)
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
