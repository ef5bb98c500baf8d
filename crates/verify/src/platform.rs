//! Verifies the image for one platform.
//!
//! `verify --platform` and `install` both use this, so they accept the same images.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use countersign_oci::{Document, Platform, PlatformEntry, Registry, ResolvedImage, Selected};
use countersign_policy::Policy;
use serde::{Deserialize, Serialize};

use crate::document_proof::VerifiedDocument;
use crate::error::Error;
use crate::limits::{Limits, in_time};
use crate::proof::VerifiedImage;
use crate::refusal::Refusal;

/// A verifier of images. Implement it to add your own check to [`Verifier`](crate::Verifier).
pub trait ImageVerifier: Send + Sync {
    /// Proves that `policy` accepts a signature of this document.
    ///
    /// # Errors
    /// [`Error::Refused`] if no signature is accepted. Then the caller may ask about another document of
    /// the same image. After any other error the caller stops.
    fn verify_document(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> impl Future<Output = Result<VerifiedDocument, Error>> + Send;

    /// The longest time of one verification, with all that is read around it: the manifest of a platform, and what
    /// an index lists. Default: that of [`Limits`].
    fn time_limit(&self) -> Duration {
        Limits::default().total
    }
}

/// The document of an image that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedDocument {
    /// The index. Its signature covers everything that it lists.
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

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
        }
    }
}

/// The manifest of one platform. A signature of it or of the index proves it.
///
/// Its configuration doesn't contradict the platform.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct VerifiedPlatform {
    proof: VerifiedImage,
    signed: SignedDocument,
}

impl VerifiedPlatform {
    /// The proof of the platform's manifest. If the reference names an index, the proof has it too
    /// ([`VerifiedImage::index`]).
    pub fn proof(&self) -> &VerifiedImage {
        &self.proof
    }

    /// As [`Self::proof`].
    pub fn into_proof(self) -> VerifiedImage {
        self.proof
    }

    /// Which of the two is signed.
    pub fn signed(&self) -> SignedDocument {
        self.signed
    }
}

/// The manifest that is selected for a platform, and proven. Its configuration wasn't compared with the platform yet, so
/// it may be the image of another one.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct SelectedProof {
    proof: VerifiedImage,
    signed: SignedDocument,
}

impl SelectedProof {
    /// Compares the image's configuration with the platform.
    ///
    /// # Errors
    /// [`Error::Registry`] if it is for another platform, or can't be fetched.
    pub async fn configured_for(
        self,
        registry: &Registry,
        platform: &Platform,
    ) -> Result<VerifiedPlatform, Error> {
        let configured = registry.require_platform(self.proof.image(), platform);
        configured.await.map_err(Error::Registry)?;
        let Self { proof, signed } = self;
        Ok(VerifiedPlatform { proof, signed })
    }

    /// The proof of the manifest, for whoever compares its configuration with the platform before anything is used.
    pub fn not_yet_compared(self) -> VerifiedImage {
        self.proof
    }
}

/// Verifies an image if nobody says for which platform: what it names must be signed, and the policy may deny
/// nothing that it lists.
///
/// # Errors
/// [`Error::Denied`] if the policy denies the image or anything that it lists; [`Error::Refused`] if no signature
/// is accepted; [`Error::UnknownBelow`] or [`Error::Registry`] if something can't be fetched; [`Error::Late`] after
/// [`ImageVerifier::time_limit`].
pub async fn verify_image<V: ImageVerifier>(
    registry: &Registry,
    verifier: &V,
    image: &ResolvedImage,
    policy: &Policy,
) -> Result<VerifiedImage, Error> {
    let verifying = async { prove(verifier, image, policy).await?.whole(registry).await };
    in_time(verifier.time_limit(), image, verifying).await
}

/// Selects the manifest for `platform` in `image` and verifies it. The index is verified first. Only if its
/// signatures are refused, the manifest is.
///
/// An index may say anything of its children, so the image's configuration is compared with the platform, too.
///
/// # Errors
/// [`Error::Denied`] if the policy denies the index, an index below it or the manifest;
/// [`Error::BothRefused`] or [`Error::Refused`] if no signature is accepted; [`Error::Registry`] if there is
/// no image for the platform, if its configuration names another one, or if it can't be fetched; [`Error::Late`] after
/// [`ImageVerifier::time_limit`].
pub async fn verify_platform<V: ImageVerifier>(
    registry: &Registry,
    verifier: &V,
    image: &ResolvedImage,
    platform: &Platform,
    policy: &Policy,
) -> Result<VerifiedPlatform, Error> {
    in_time(verifier.time_limit(), image, async {
        let ahead = verify_platform_ahead(registry, verifier, image, platform, policy, &|_| {});
        ahead.await?.configured_for(registry, platform).await
    })
    .await
}

/// The same as [`verify_platform`]. `selected` is called as soon as the manifest is selected, while the signatures
/// are still being judged. Nothing is proven then: its content may be fetched to a quarantine, and may not be
/// looked at before the proof is there.
///
/// The image's configuration is not read: that is left to [`SelectedProof::configured_for`], or to whoever unpacks the
/// image.
///
/// # Errors
/// As for [`verify_platform`], without those of the configuration.
pub async fn verify_platform_ahead<V: ImageVerifier>(
    registry: &Registry,
    verifier: &V,
    image: &ResolvedImage,
    platform: &Platform,
    policy: &Policy,
    selected: &(dyn Fn(&ResolvedImage) + Send + Sync),
) -> Result<SelectedProof, Error> {
    if let Document::Manifest(_) = image.document() {
        selected(image);
        return Ok(SelectedProof {
            proof: verify_image(registry, verifier, image, policy).await?,
            signed: SignedDocument::Manifest,
        });
    }
    in_time(verifier.time_limit(), image, async {
        let selecting = Box::pin(async {
            let found = registry.select(image, platform).await?;
            selected(&found.manifest);
            Ok(found)
        });
        // The manifest is needed in both cases.
        let (index, found) = tokio::join!(judge_index(verifier, image, policy), selecting);
        let index = index?;
        let found = found.map_err(Error::Registry)?;
        index.selected(registry, verifier, platform, found).await
    })
    .await
}

/// The verdict on the signatures of an index. It serves all entries of the index.
#[derive(Debug)]
pub struct JudgedIndex<'a> {
    image: &'a ResolvedImage,
    policy: &'a Policy,
    verdict: Result<VerifiedDocument, Arc<Refusal>>,
}

/// Judges the signatures of an index once, for all of its entries.
///
/// # Errors
/// As for [`verify_platform`], except that a refusal is kept: an entry may have a signature of its own.
pub async fn judge_index<'a, V: ImageVerifier>(
    verifier: &V,
    image: &'a ResolvedImage,
    policy: &'a Policy,
) -> Result<JudgedIndex<'a>, Error> {
    let verdict = match prove(verifier, image, policy).await {
        Ok(proof) => Ok(proof),
        Err(Error::Refused(refusal)) => Err(Arc::from(refusal)),
        Err(error) => return Err(error),
    };
    Ok(JudgedIndex {
        image,
        policy,
        verdict,
    })
}

impl JudgedIndex<'_> {
    /// Verifies one entry of the index: also one that is never selected, because another comes first.
    ///
    /// # Errors
    /// As for [`verify_platform`].
    pub async fn entry<V: ImageVerifier>(
        &self,
        registry: &Registry,
        verifier: &V,
        entry: &PlatformEntry,
    ) -> Result<VerifiedPlatform, Error> {
        in_time(verifier.time_limit(), self.image, async {
            let selected = registry.selected_entry(self.image, entry).await;
            let selected = selected.map_err(Error::Registry)?;
            let verified = self.selected(registry, verifier, &entry.platform, selected);
            verified
                .await?
                .configured_for(registry, &entry.platform)
                .await
        })
        .await
    }

    async fn selected<V: ImageVerifier>(
        &self,
        registry: &Registry,
        verifier: &V,
        platform: &Platform,
        selected: Selected,
    ) -> Result<SelectedProof, Error> {
        let Selected { indexes, manifest } = selected;
        let (proof, signed) = match &self.verdict {
            Ok(index) => {
                let index = index.for_one_platform();
                let proof = match indexes.split_first() {
                    None => index.child(manifest)?,
                    Some((outermost, below)) => {
                        let mut proof = index.child(outermost.clone())?;
                        for step in below.iter().chain([&manifest]) {
                            proof = proof.into_child(step.clone())?;
                        }
                        proof
                    }
                };
                (proof, SignedDocument::Index)
            }
            Err(index) => {
                let proof = verify_image(registry, verifier, &manifest, self.policy).await;
                let proof = proof.map_err(|error| both_refused(platform, index, error))?;
                (proof, SignedDocument::Manifest)
            }
        };
        Ok(SelectedProof {
            proof: proof.found_by(self.image, &indexes)?,
            signed,
        })
    }
}

/// A proof of exactly this document, made with exactly this policy.
async fn prove<V: ImageVerifier>(
    verifier: &V,
    image: &ResolvedImage,
    policy: &Policy,
) -> Result<VerifiedDocument, Error> {
    let proof = verifier.verify_document(image, policy).await?;
    // A caller's own verifier could return the proof of another image.
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

/// Combines the refusals of the index and of the manifest. Any other error is returned as it is.
fn both_refused(platform: &Platform, index: &Arc<Refusal>, error: Error) -> Error {
    match error {
        Error::Refused(manifest) => Error::BothRefused {
            platform: Box::new(platform.clone()),
            index: Arc::clone(index),
            manifest,
        },
        other => other,
    }
}
