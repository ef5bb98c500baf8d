//! Proofs.
//!
//! A [`VerifiedImage`] exists only where a signature that the policy accepts was found to cover
//! the image; nothing else makes one, and no record ([`Evidence`]) can be turned back into one.

use countersign_oci::{
    Descriptor, Digest, Document, NoSuchPlatform, PinnedReference, Platform, ResolvedImage,
};
use countersign_policy::Policy;

use crate::denial::{Denied, DeniedChildren};
use crate::evidence::Evidence;
use crate::proven::Proven;

/// Proof that a signature which the policy accepts covers this image.
///
/// Made by [`Verifier`](crate::Verifier) and [`verify_bundle`](crate::verify_bundle) alone. It
/// holds the very bytes that were proven: what is read on from here should be read from
/// [`document`](Self::document), whose descriptors name everything else by digest.
///
/// A proof can't be cloned, defaulted or deserialised: whoever holds one was handed it by a check
/// that was run. [`Evidence`] is the record that may be kept and copied. The proof keeps the policy
/// that it was made by, and the index by which its image was found.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct VerifiedImage {
    image: ResolvedImage,
    evidence: Evidence,
    /// The policy that accepted the signature. What it denies, it denies of the children too.
    policy: Policy,
    denied_children: DeniedChildren,
    index: Option<Digest>,
}

impl VerifiedImage {
    /// What `proven` proves is of `image`.
    pub(crate) fn new(
        image: ResolvedImage,
        proven: Proven,
        denied_children: DeniedChildren,
    ) -> Self {
        let (evidence, policy) = proven.into_parts();
        Self {
            image,
            evidence,
            policy,
            denied_children,
            index: None,
        }
    }

    /// Refuses an image that the policy denies, whether or not anybody signed it.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn refuse_denied(&self, image: &PinnedReference) -> Result<(), Denied> {
        self.denied_children.refuse(&self.policy, image)
    }

    /// The same proof, of an image that was found by `index` and the indexes `below` it, which nobody
    /// signed. A denial holds for those too.
    ///
    /// # Errors
    /// [`Denied`] for the first of them that the policy denies.
    pub(crate) fn found_by(
        self,
        index: &ResolvedImage,
        below: &[ResolvedImage],
    ) -> Result<Self, Denied> {
        for step in [index].into_iter().chain(below) {
            self.refuse_denied(step.reference())?;
        }
        Ok(Self {
            index: Some(index.digest().clone()),
            ..self
        })
    }

    /// The policy that accepted the signature.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The index by which the image was found, if there is one: the outermost of several. It is
    /// signed, or lists what is.
    pub fn index(&self) -> Option<&Digest> {
        self.index.as_ref()
    }

    /// Where the image is, by digest.
    pub fn reference(&self) -> &PinnedReference {
        self.image.reference()
    }

    /// The digest of the proven manifest or index. After [`Self::into_child`] it is the child's,
    /// and [`Evidence::digest`] remains the one that the signer signed.
    pub fn digest(&self) -> &Digest {
        self.image.digest()
    }

    /// What was proven, by whom and when.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The proven manifest or index.
    pub fn document(&self) -> &Document {
        self.image.document()
    }

    /// The proven manifest or index with its bytes.
    pub fn image(&self) -> &ResolvedImage {
        &self.image
    }

    /// The child of a proven index that serves `platform` best; `None` where the proof is of one
    /// image, which then is what there is for every platform.
    ///
    /// # Errors
    /// With the platforms that there are, when none serves.
    pub fn select(&self, platform: &Platform) -> Result<Option<&Descriptor>, NoSuchPlatform> {
        match self.document() {
            Document::Index(index) => index.select(platform).map(Some),
            Document::Manifest(_) => Ok(None),
        }
    }

    /// Whether this proof extends to `child`: it is the proven document itself, or one that a
    /// proven index lists by digest. Grandchildren don't count: go there step by step.
    pub fn covers(&self, child: &ResolvedImage) -> bool {
        child.digest() == self.digest() || self.document().lists(child.digest())
    }

    /// Follows the digest edge from a proven index to one of its children: the same proof, now of
    /// the child.
    ///
    /// # Errors
    /// [`NotCovered`], with this proof given back, when the index doesn't list the child, or the
    /// policy denies it.
    pub fn into_child(self, child: ResolvedImage) -> Result<Self, NotCovered> {
        if !self.covers(&child) || self.refuse_denied(child.reference()).is_err() {
            return Err(NotCovered {
                found: child.digest().clone(),
                proof: Box::new(self),
            });
        }
        let index = if self.digest() == child.digest() {
            self.index
        } else {
            self.index.or_else(|| Some(self.image.digest().clone()))
        };
        Ok(Self {
            image: child,
            index,
            ..self
        })
    }
}

/// A manifest that the proven document doesn't lead to, or that the policy denies.
#[derive(Debug, thiserror::Error)]
#[error(
    "the signature of {} does not cover {found}: the index does not list it, or the policy denies it",
    .proof.digest()
)]
pub struct NotCovered {
    found: Digest,
    proof: Box<VerifiedImage>,
}

impl NotCovered {
    /// The proof, which holds as before.
    pub fn into_proof(self) -> VerifiedImage {
        *self.proof
    }
}
