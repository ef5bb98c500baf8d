//! One platform's image out of what a reference names, verified.
//!
//! `verify --platform` and `install` both go this way, so that they accept the same images.

use std::future::Future;

use countersign_oci::{Document, Platform, Registry, ResolvedImage};
use countersign_policy::Policy;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::proof::VerifiedImage;
use crate::refusal::Refusal;
use crate::verifier::Verifier;

/// What is asked of a verifier; implement it to stack a check of one's own on [`Verifier`].
pub trait ImageVerifier: Send + Sync {
    /// Proves that a signature which `policy` accepts covers `image`.
    ///
    /// # Errors
    /// [`Error::Refused`] when no signature counts: the caller may then ask about another document
    /// of the same image. Any other error ends it.
    fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> impl Future<Output = Result<VerifiedImage, Error>> + Send;
}

impl ImageVerifier for Verifier {
    async fn verify(&self, image: &ResolvedImage, policy: &Policy) -> Result<VerifiedImage, Error> {
        Self::verify(self, image, policy).await
    }
}

/// Which document of an image a signature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedDocument {
    /// The index, whose signature covers what it lists.
    Index,
    /// The manifest of one platform.
    Manifest,
}

impl SignedDocument {
    /// Which of the two `image` is.
    pub fn of(image: &ResolvedImage) -> Self {
        match image.document() {
            Document::Index(_) => Self::Index,
            Document::Manifest(_) => Self::Manifest,
        }
    }

    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
        }
    }
}

/// One platform's manifest, proven by a signature of its own or of the index.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct VerifiedPlatform {
    /// The proof, of the platform's manifest. It names the index that the reference names, if it
    /// names one ([`VerifiedImage::index`]).
    pub proof: VerifiedImage,
    /// Which of the two is signed.
    pub signed: SignedDocument,
}

/// Selects the manifest for `platform` out of `image` and has it verified: the index is asked about
/// first, and only where its signatures are refused the manifest.
///
/// The configuration is not looked at: [`Registry::require_platform`] holds it against the platform,
/// and so does whoever reads it to unpack the image.
///
/// # Errors
/// [`Error::Denied`] when the policy denies the index, an index below it or the manifest, whichever
/// is signed; [`Error::BothRefused`] or [`Error::Refused`] when no signature counts;
/// [`Error::Registry`] when there is nothing for the platform, or when it can't be fetched.
pub async fn verify_platform<V: ImageVerifier>(
    registry: &Registry,
    verifier: &V,
    image: &ResolvedImage,
    platform: &Platform,
    policy: &Policy,
) -> Result<VerifiedPlatform, Error> {
    if let Document::Manifest(_) = image.document() {
        return Ok(VerifiedPlatform {
            proof: prove(verifier, image, policy).await?,
            signed: SignedDocument::Manifest,
        });
    }
    // The manifest is needed whichever of the two is signed.
    let (by_index, selected) = tokio::join!(
        prove(verifier, image, policy),
        registry.select(image, platform),
    );
    let (proof, signed, selected) = match by_index {
        Ok(mut proof) => {
            let selected = selected.map_err(Error::Registry)?;
            for step in selected.indexes.iter().chain([&selected.manifest]) {
                proof.refuse_denied(step.reference())?;
                proof = proof.into_child(step.clone())?;
            }
            (proof, SignedDocument::Index, selected)
        }
        Err(Error::Refused(index)) => {
            let selected = selected.map_err(Error::Registry)?;
            let proof = prove(verifier, &selected.manifest, policy).await;
            let proof = proof.map_err(|error| both_refused(platform, index, error))?;
            (proof, SignedDocument::Manifest, selected)
        }
        Err(error) => return Err(error),
    };
    Ok(VerifiedPlatform {
        proof: proof.found_by(image, &selected.indexes)?,
        signed,
    })
}

/// A proof of this very image by this very policy.
async fn prove<V: ImageVerifier>(
    verifier: &V,
    image: &ResolvedImage,
    policy: &Policy,
) -> Result<VerifiedImage, Error> {
    let proof = verifier.verify(image, policy).await?;
    // A verifier of the caller's own could hand on what it got for another image.
    if proof.digest() != image.digest() {
        return Err(Error::OtherProof {
            expected: image.digest().clone(),
            found: proof.digest().clone(),
        });
    }
    if proof.policy() != policy {
        return Err(Error::OtherPolicy {
            image: image.reference().clone(),
        });
    }
    Ok(proof)
}

/// The index was refused, then the manifest: both refusals matter. Any other error stands for itself.
fn both_refused(platform: &Platform, index: Box<Refusal>, error: Error) -> Error {
    match error {
        Error::Refused(manifest) => Error::BothRefused {
            platform: Box::new(platform.clone()),
            index,
            manifest,
        },
        other => other,
    }
}
