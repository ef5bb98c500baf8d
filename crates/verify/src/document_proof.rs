//! The proof of one document, before it is known which images in it will be used.
//!
//! A signature of an index covers everything that the index lists, but the policy may deny some of it. So a
//! [`VerifiedDocument`] is no [`VerifiedImage`] yet. Whoever wants one has to say which images will be used.

use countersign_oci::{Digest, Document, PinnedReference, Registry, ResolvedImage};
use countersign_policy::Policy;

use crate::error::Error;
use crate::evidence::Evidence;
use crate::proof::{NotCovered, VerifiedImage};

/// Proof that a signature which the policy accepts covers one document: an index, or a manifest.
///
/// Only [`verify_bundle`](crate::verify_bundle), [`verify_simple_signing`](crate::verify_simple_signing) and an
/// [`ImageVerifier`](crate::ImageVerifier) make one. It can't be cloned, defaulted or deserialised.
///
/// Nothing takes it for a proof of an image. [`whole`](Self::whole) makes one if nobody says which of an index's
/// images will be used. [`verify_platform`](crate::verify_platform) makes one for one platform.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct VerifiedDocument(VerifiedImage);

impl VerifiedDocument {
    /// A proof of exactly the document that the proof is of.
    pub(crate) fn new(proof: VerifiedImage) -> Self {
        Self(proof)
    }

    /// The proof of the image, if nobody says which of an index's images will be used: the policy may deny
    /// nothing that the index lists, also through the indexes in it. These are read, if the policy denies any
    /// digest.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::UnknownBelow`] if the registry does not have an index in the index;
    /// [`Error::Registry`] if one can't be read.
    pub async fn whole(self, registry: &Registry) -> Result<VerifiedImage, Error> {
        self.refuse_denied_below(registry).await?;
        Ok(self.0)
    }

    /// Refuses an index if the policy denies anything that it lists: see [`Self::whole`].
    ///
    /// # Errors
    /// As for [`Self::whole`].
    pub async fn refuse_denied_below(&self, registry: &Registry) -> Result<(), Error> {
        if self.policy().deny_digests().next().is_none() {
            return Ok(());
        }
        let below = registry.descendants(self.0.image()).await;
        let below = below.map_err(Error::Registry)?;
        for digest in below.digests {
            let child = self.reference().location().at(digest);
            self.0.refuse_denied(&child).map_err(Error::Denied)?;
        }
        match below.unread.into_iter().next() {
            None => Ok(()),
            Some(index) => Err(Error::UnknownBelow {
                image: self.reference().clone(),
                index,
            }),
        }
    }

    /// The proof that this index's signature gives for a document that it lists.
    ///
    /// # Errors
    /// [`NotCovered`] if the index does not list the child, or the policy denies it.
    pub fn child(&self, child: ResolvedImage) -> Result<Self, NotCovered> {
        self.0.child(child).map(Self)
    }

    /// The proof of the image, if the document is a manifest: there is nothing below it. `None` if it is an index.
    pub fn into_manifest(self) -> Option<VerifiedImage> {
        match self.0.document() {
            Document::Manifest(_) => Some(self.0),
            Document::Index(_) => None,
        }
    }

    /// The proof from which the walk to one platform's manifest begins.
    pub(crate) fn for_one_platform(&self) -> &VerifiedImage {
        &self.0
    }

    /// Where the document is, by digest.
    pub fn reference(&self) -> &PinnedReference {
        self.0.reference()
    }

    /// The digest of the document.
    pub fn digest(&self) -> &Digest {
        self.0.digest()
    }

    /// What was proven of the document, by whom and when. It says nothing of what an index lists.
    pub fn evidence(&self) -> &Evidence {
        self.0.evidence()
    }

    /// What was proven by the other proofs, if the policy requires several, in the policy's order.
    pub fn further_evidence(&self) -> &[Evidence] {
        self.0.further_evidence()
    }

    /// The JSON of the proven statement's predicate: see [`VerifiedImage::predicate`].
    pub fn predicate(&self) -> Option<&str> {
        self.0.predicate()
    }

    /// The policy that accepted the signature.
    pub fn policy(&self) -> &Policy {
        self.0.policy()
    }
}
