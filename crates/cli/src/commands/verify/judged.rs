//! What became of a reference, or of one of its platforms.

use countersign_oci::{Digest, PinnedReference, Platform, ResolvedImage};
use countersign_verify::{Error as VerifyError, SignedDocument, VerifiedPlatform};

use super::Verified;
use crate::failure::Failure;

/// What became of a reference, or of one of its platforms.
pub(super) struct Judged {
    pub(super) platform: Option<Platform>,
    /// The document that the reference names, if that was judged.
    pub(super) image: Option<ResolvedImage>,
    /// What is judged, as far as it is known.
    pub(super) digest: Option<Digest>,
    pub(super) outcome: Result<Verified, Failure>,
}

fn manifest(verified: &VerifiedPlatform) -> Verified {
    let manifest = verified.proof().image();
    Verified {
        proven: manifest.reference().clone(),
        evidence: verified.proof().evidence().clone(),
        further: verified.proof().further_evidence().to_vec(),
        signed: verified.signed(),
        manifest: Some(manifest.digest().clone()),
        predicate: verified.proof().predicate().map(str::to_owned),
    }
}

/// The failure, which names `image` as it was asked for.
pub(super) fn refused(error: VerifyError, image: &ResolvedImage) -> Failure {
    Failure::from(error).naming(image)
}

impl Judged {
    /// Before anything was judged.
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            platform: None,
            image: None,
            digest: None,
            outcome: Err(failure),
        }
    }

    /// Of `platform` in `image`. `digest` is that of its manifest, if it is known already.
    pub(super) fn of_platform(
        platform: Platform,
        digest: Option<Digest>,
        image: &ResolvedImage,
        verified: Result<VerifiedPlatform, VerifyError>,
    ) -> Self {
        // An index has no digest of a platform.
        let is_one = |judged: &&PinnedReference| {
            SignedDocument::of(image) == SignedDocument::Manifest
                || judged.digest() != image.digest()
        };
        let judged = match &verified {
            Err(VerifyError::Refused(refusal)) => Some(&refusal.image),
            Err(VerifyError::BothRefused { manifest, .. }) => Some(&manifest.image),
            Err(VerifyError::Denied(denied)) => Some(&denied.image),
            Ok(_) | Err(_) => None,
        };
        let judged = judged.filter(is_one);
        let digest = digest.or_else(|| judged.map(|judged| judged.digest().clone()));
        Self {
            platform: Some(platform),
            image: None,
            digest,
            outcome: verified
                .map(|verified| manifest(&verified))
                .map_err(|error| refused(error, image)),
        }
    }
}
