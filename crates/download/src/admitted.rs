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
    proof: VerifiedImage,
    manifest: Manifest,
    index: Option<Digest>,
}

impl AdmittedImage {
    /// Admits the manifest that `proof` is of: that was signed itself, or that
    /// [`VerifiedImage::into_child`] led to. `index` is the index it was found by, for the record.
    ///
    /// # Errors
    /// [`Error::NotAnImage`] when the proof is of an index.
    pub fn new(proof: VerifiedImage, index: Option<Digest>) -> Result<Self, Error> {
        let Document::Manifest(manifest) = proof.document() else {
            return Err(Error::NotAnImage {
                image: proof.reference().clone(),
                found: proof.document().media_type().into(),
            });
        };
        Ok(Self {
            manifest: manifest.clone(),
            proof,
            index,
        })
    }

    /// The platform's manifest, by digest.
    pub fn reference(&self) -> &PinnedReference {
        self.proof.reference()
    }

    /// The platform's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The index that named the manifest, if it was found by one.
    pub fn index(&self) -> Option<&Digest> {
        self.index.as_ref()
    }

    /// What was proven; its digest says whether of the index or of the manifest.
    pub fn evidence(&self) -> &Evidence {
        self.proof.evidence()
    }
}
