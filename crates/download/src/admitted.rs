//! Which images may be fetched and unpacked.
//!
//! Trust follows digest edges: from a proof to the index or manifest it is about, from a verified
//! index to the platform's manifest that it names by digest, from there to configuration and
//! layers. An [`AdmittedImage`] stands at the manifest; whoever holds one needs to check nothing
//! but digests from there on.

use std::future::Future;

use countersign_oci::{Digest, Document, Manifest, PinnedReference, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{Error as VerifyError, Evidence, VerifiedImage, Verifier};

use crate::error::Error;

/// What an installer asks of a verifier; implement it to stack a check of one's own on [`Verifier`].
pub trait ImageVerifier: Send + Sync {
    /// Proves that a signature which `policy` accepts covers `image`.
    ///
    /// # Errors
    /// [`VerifyError::Refused`] when no signature counts: the caller may then ask about another
    /// document of the same image. Any other error ends the installation.
    fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> impl Future<Output = Result<VerifiedImage, VerifyError>> + Send;
}

impl ImageVerifier for Verifier {
    async fn verify(
        &self,
        image: &ResolvedImage,
        policy: &Policy,
    ) -> Result<VerifiedImage, VerifyError> {
        Self::verify(self, image, policy).await
    }
}

/// One platform's image that may be fetched and unpacked, with the evidence for it.
///
/// Made from a verifier's proof, which is used up. Neither `Clone` nor `Default` nor
/// `Deserialize`: there is no other way to one.
#[derive(Debug)]
pub struct AdmittedImage {
    reference: PinnedReference,
    manifest: Manifest,
    index: Option<Digest>,
    proof: VerifiedImage,
}

impl AdmittedImage {
    /// Admits the manifest that `proof` is about. `index` is the index it was found by, for the
    /// record only.
    ///
    /// # Errors
    /// When the proof is about something else, or the document isn't a manifest.
    pub fn of_manifest(
        proof: VerifiedImage,
        manifest: &ResolvedImage,
        index: Option<&ResolvedImage>,
    ) -> Result<Self, Error> {
        expect_about(&proof, manifest)?;
        Self::new(proof, manifest, index)
    }

    /// Admits a manifest that the index names which `proof` is about.
    ///
    /// # Errors
    /// When the proof is about something else, the index doesn't name the manifest, or the
    /// document isn't a manifest.
    pub fn of_index(
        proof: VerifiedImage,
        index: &ResolvedImage,
        manifest: &ResolvedImage,
    ) -> Result<Self, Error> {
        expect_about(&proof, index)?;
        let named = match index.document() {
            Document::Index(document) => document
                .manifests
                .iter()
                .any(|child| child.digest == *manifest.digest()),
            Document::Manifest(_) => false,
        };
        if !named {
            return Err(Error::NotInIndex {
                index: index.digest().clone(),
                found: manifest.digest().clone(),
            });
        }
        Self::new(proof, manifest, Some(index))
    }

    fn new(
        proof: VerifiedImage,
        manifest: &ResolvedImage,
        index: Option<&ResolvedImage>,
    ) -> Result<Self, Error> {
        let Document::Manifest(document) = manifest.document() else {
            return Err(Error::NotAnImage {
                image: manifest.reference().clone(),
                found: "an index".into(),
            });
        };
        Ok(Self {
            reference: manifest.reference().clone(),
            manifest: document.clone(),
            index: index.map(|index| index.digest().clone()),
            proof,
        })
    }

    /// The platform's manifest, by digest.
    pub fn reference(&self) -> &PinnedReference {
        &self.reference
    }

    /// The platform's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The index that named the manifest, if it was found by one.
    pub fn index(&self) -> Option<&Digest> {
        self.index.as_ref()
    }

    /// What was proven; its digest says whether about the index or about the manifest.
    pub fn evidence(&self) -> &Evidence {
        self.proof.evidence()
    }
}

/// A verifier of one's own could hand on a proof that it got for another image.
fn expect_about(proof: &VerifiedImage, image: &ResolvedImage) -> Result<(), Error> {
    if proof.digest() != image.digest() {
        return Err(Error::OtherProof {
            expected: image.digest().clone(),
            found: proof.digest().clone(),
        });
    }
    Ok(())
}
