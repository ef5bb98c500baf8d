//! Which images may be fetched and unpacked.
//!
//! Trust follows digest edges: from a proof to the index or manifest it is about, from a verified
//! index to the platform's manifest that it names by digest, from there to configuration and
//! layers. An [`AdmittedImage`] stands at the manifest; whoever holds one needs to check nothing
//! but digests from there on.

use std::future::Future;

use countersign_oci::{Digest, Document, Manifest, PinnedReference, ResolvedImage};
use countersign_policy::{Policy, Signer};
use countersign_verify::{Error as VerifyError, Evidence, VerifiedImage, Verifier};
use serde::{Deserialize, Serialize};

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
    policy: PolicySummary,
}

impl AdmittedImage {
    /// Admits the manifest that `proof` is of: that was signed itself, or that
    /// [`VerifiedImage::into_child`] led to. `policy` is the one that the proof was made by, and
    /// `index` the index that the manifest was found by, for the record.
    ///
    /// # Errors
    /// [`Error::Denied`] when the policy denies the index or the manifest, whichever of the two is
    /// signed and by whomever; [`Error::NotAnImage`] when the proof is of an index.
    pub fn new(
        proof: VerifiedImage,
        policy: &Policy,
        index: Option<Digest>,
    ) -> Result<Self, Error> {
        if let Some(index) = &index {
            refuse_denied(policy, &proof.reference().sibling(index.clone()))?;
        }
        refuse_denied(policy, proof.reference())?;
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
            policy: PolicySummary::of(policy),
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

    /// The policy that admitted it, in words.
    pub fn policy(&self) -> &PolicySummary {
        &self.policy
    }
}

/// Refuses what the policy forbids by digest. A verifier asks this of the document that a signature
/// is for; trust also comes by way of documents that nobody signed, and a denial holds for those.
pub(crate) fn refuse_denied(policy: &Policy, image: &PinnedReference) -> Result<(), Error> {
    if policy.denies(image.digest()) {
        return Err(Error::Denied {
            image: image.clone(),
        });
    }
    Ok(())
}

/// A policy in words, for the record: to be read, not to be verified by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PolicySummary {
    /// Whose signature it accepts, a sentence each.
    pub signers: Vec<String>,
    /// Since when the signature had to be there.
    pub not_before: Option<jiff::Timestamp>,
}

impl PolicySummary {
    fn of(policy: &Policy) -> Self {
        let signers = policy.signers().iter();
        let sentence = |signer: &Signer| {
            let Signer {
                issuer, identity, ..
            } = signer;
            format!("the issuer is {issuer}, the identity is {identity}")
        };
        Self {
            signers: signers.map(sentence).collect(),
            not_before: policy.not_before(),
        }
    }
}
