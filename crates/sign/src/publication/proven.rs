//! What must be so before a tag is written.

use countersign_oci::ResolvedImage;
use countersign_verify::VerifiedImage;

use super::{PlannedTag, PublicationError};
use crate::outcome::Signed;

/// What was signed, with all that is required for each planned tag among it. [`AllSigned::of`] alone makes one.
pub(crate) struct AllSigned<'a>(&'a [Signed]);

impl<'a> AllSigned<'a> {
    /// # Errors
    /// [`PublicationError::Unsigned`].
    pub(super) fn of(
        planned: &[PlannedTag],
        signed: &'a [Signed],
    ) -> Result<Self, PublicationError> {
        for tag in planned {
            for digest in &tag.required {
                let is = |one: &Signed| {
                    one.digest == *digest
                        && one.reference.location() == tag.name.location()
                        && one.reference.tag() == tag.name.reference().tag()
                };
                if !signed.iter().any(is) {
                    return Err(tag.unsigned(digest));
                }
            }
        }
        Ok(Self(signed))
    }

    pub(crate) fn signed(&self) -> &'a [Signed] {
        self.0
    }
}

/// A planned tag with the proof of the image that it is to name.
pub(super) struct ProvenTag<'a> {
    pub(super) planned: &'a PlannedTag,
    proof: VerifiedImage,
}

impl<'a> ProvenTag<'a> {
    /// Each tag with a proof of its image by its name. Names are planned once.
    ///
    /// # Errors
    /// [`PublicationError::Unsigned`].
    pub(super) fn all(
        planned: &'a [PlannedTag],
        mut proofs: Vec<VerifiedImage>,
    ) -> Result<Vec<Self>, PublicationError> {
        let proven = planned.iter().map(|planned| {
            let digest = planned.image.digest();
            let name = planned.name.pinned_to(digest);
            let proof = proofs.iter().position(|proof| {
                proof.image().reference() == planned.image.reference()
                    && *proof.image().requested() == name
            });
            let proof = proof.ok_or_else(|| planned.unsigned(digest))?;
            let proof = proofs.swap_remove(proof);
            Ok(Self { planned, proof })
        });
        proven.collect()
    }

    pub(super) fn taggable(&self) -> Taggable<'_> {
        Taggable::of(&self.proof)
    }
}

/// An image that a tag may name: one that is proven.
#[derive(Clone, Copy)]
pub(crate) struct Taggable<'a>(&'a ResolvedImage);

impl<'a> Taggable<'a> {
    pub(crate) fn of(proof: &'a VerifiedImage) -> Self {
        Self(proof.image())
    }

    pub(super) fn image(self) -> &'a ResolvedImage {
        self.0
    }
}
