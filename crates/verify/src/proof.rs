//! Proofs.
//!
//! A [`VerifiedImage`] exists only if the policy accepts a signature of the image. Nothing else makes one. A
//! record ([`Evidence`]) can't be turned back into one.

use countersign_oci::{Digest, Document, PinnedReference, ResolvedImage};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};
use serde_json::value::RawValue;

use crate::denial::{Denied, DeniedChildren, NotDenied};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::gathered::Complete;
use crate::not_listed::NotListed;

/// Proof that a signature which the policy accepts covers this image. The policy denies neither the image nor,
/// if it is an index, anything that it lists.
///
/// Only a [`VerifiedDocument`](crate::VerifiedDocument) becomes one. It holds the bytes that were proven. Read
/// the image from [`document`](Self::document): its descriptors name everything else by digest.
///
/// A proof can't be cloned, defaulted or deserialised. So whoever has one has run the checks. [`Evidence`] is
/// the record that you can keep and copy. The proof keeps the policy that accepted the signature, and the
/// index that led to the image.
#[derive(Debug)]
#[must_use = "dropping a proof discards the verification"]
pub struct VerifiedImage {
    image: NotDenied,
    evidence: Evidence,
    /// Of the other proofs, if the policy requires several.
    further: Vec<Evidence>,
    /// The policy that accepted the signature. Its denials apply to the children too.
    policy: Policy,
    predicate: Option<Box<RawValue>>,
    denied_children: DeniedChildren,
    index: Option<Box<NotDenied>>,
}

impl VerifiedImage {
    /// A proof of `image`, from the checks in `complete`: of each requirement of the policy.
    pub(crate) fn new(
        image: NotDenied,
        complete: Complete,
        denied_children: DeniedChildren,
    ) -> Self {
        let Complete {
            first,
            further,
            policy,
        } = complete;
        let attestation = std::iter::once(&first)
            .chain(&further)
            .find(|one| one.evidence.predicate_type != COSIGN_SIGN_PREDICATE);
        let predicate = attestation.unwrap_or(&first).predicate.clone();
        let evidence = first.evidence;
        let further = further.into_iter().map(|one| one.evidence).collect();
        Self {
            image,
            evidence,
            further,
            policy,
            predicate,
            denied_children,
            index: None,
        }
    }

    /// Refuses a digest that the policy denies.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) fn refuse_denied(&self, image: &PinnedReference) -> Result<(), Denied> {
        self.denied_children.refuse_digest(&self.policy, image)
    }

    /// The image, unless the policy denies it.
    fn not_denied(&self, image: ResolvedImage) -> Result<NotDenied, Denied> {
        self.denied_children.refuse(&self.policy, image)
    }

    /// The same proof, with the index that led to the image, and the indexes `below` it. These need no
    /// signature, but none of them may be denied.
    ///
    /// # Errors
    /// [`Denied`] for the first of them that the policy denies.
    pub(crate) fn found_by(
        self,
        index: &ResolvedImage,
        below: &[ResolvedImage],
    ) -> Result<Self, Denied> {
        let index = Box::new(self.not_denied(index.clone())?);
        for step in below {
            self.refuse_denied(step.reference())?;
        }
        Ok(Self {
            index: Some(index),
            ..self
        })
    }

    /// The policy that accepted the signature.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The index that led to the image, if there is one. Of several, it is the outermost. Either this index
    /// or something that it lists is signed.
    pub fn index(&self) -> Option<&Digest> {
        self.index.as_ref().map(|index| index.image().digest())
    }

    /// Where the image is, by digest.
    pub fn reference(&self) -> &PinnedReference {
        self.image().reference()
    }

    /// The digest of the proven manifest or index. After [`Self::into_child`] it is the child's digest;
    /// [`Evidence::digest`] is still the signed one.
    pub fn digest(&self) -> &Digest {
        self.image().digest()
    }

    /// What was proven, by whom and when. If the policy requires several proofs, this is the first of them.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What was proven by the other proofs, if the policy requires several, in the policy's order.
    pub fn further_evidence(&self) -> &[Evidence] {
        &self.further
    }

    /// The JSON of the proven statement's predicate, byte for byte as it was signed. `None` of a legacy
    /// signature, which has no statement. If the policy requires several proofs, it is that of the first attestation
    /// that is not a cosign signature.
    pub fn predicate(&self) -> Option<&str> {
        self.predicate.as_deref().map(RawValue::get)
    }

    /// The proven manifest or index.
    pub fn document(&self) -> &Document {
        self.image().document()
    }

    /// The proven manifest or index with its bytes.
    pub fn image(&self) -> &ResolvedImage {
        self.image.image()
    }

    /// Whether this proof covers `child`: it is the proven document, or the proven index lists its digest.
    /// For a child of a child, go step by step.
    pub fn covers(&self, child: &ResolvedImage) -> bool {
        child.digest() == self.digest() || self.document().lists(child.digest())
    }

    /// The proof that this index's signature gives for one of its children. The proof of the index stays: it
    /// serves all children.
    ///
    /// # Errors
    /// [`NotCovered`] if the index does not list the child, or the policy denies it.
    pub(crate) fn child(&self, child: ResolvedImage) -> Result<Self, NotCovered> {
        if !self.document().lists(child.digest()) {
            return Err(self.not_listed(&child).into());
        }
        let same = Self {
            image: self.image.clone(),
            evidence: self.evidence.clone(),
            further: self.further.clone(),
            policy: self.policy.clone(),
            denied_children: self.denied_children.clone(),
            index: self.index.clone(),
            predicate: self.predicate.clone(),
        };
        same.into_child(child)
    }

    /// Goes from a proven index to one of its children: the same proof, now of the child.
    ///
    /// # Errors
    /// [`NotCovered`].
    pub fn into_child(self, child: ResolvedImage) -> Result<Self, NotCovered> {
        if !self.covers(&child) {
            return Err(self.not_listed(&child).into());
        }
        let is_itself = self.digest() == child.digest();
        let child = self.not_denied(child)?;
        let above = (!is_itself).then(|| Box::new(self.image));
        Ok(Self {
            image: child,
            index: self.index.or(above),
            ..self
        })
    }

    fn not_listed(&self, other: &ResolvedImage) -> NotListed {
        NotListed {
            signed: self.digest().clone(),
            found: other.digest().clone(),
        }
    }
}

/// Why a proof of an index is none of another document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// The proven index does not list it.
    #[error(transparent)]
    NotListed(#[from] NotListed),
    /// The index lists it, but the policy denies it.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<NotCovered> for Error {
    fn from(error: NotCovered) -> Self {
        match error {
            NotCovered::NotListed(other) => Self::NotListed(other),
            NotCovered::Denied(denied) => Self::Denied(denied),
        }
    }
}
