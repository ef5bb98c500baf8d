//! Which images may be fetched and unpacked.
//!
//! Trust follows digests: from a proof to the index or manifest that it is for, from a verified index
//! to the platform's manifest that it lists, from there to the configuration and the layers. An
//! [`AdmittedImage`] is the manifest: from there on only digests need to be checked. It is made from a
//! verifier's proof or from an [`UnverifiedPermit`], and keeps which of the two it was.

use countersign_oci::{Digest, Document, Manifest, PinnedReference, ResolvedImage, Selected};
pub use countersign_verify::ImageVerifier;
use countersign_verify::VerifiedImage;

use crate::error::Error;
use crate::grounds::Grounds;

/// Permission to install the content of one digest without any proof.
///
/// Only [`Requirement::permit`] makes one, and only where nothing is required: in permissive mode, of
/// content that no policy and no digest covers. A failed check has nothing to make one from. It is
/// neither `Clone` nor `Default` nor `Deserialize`, and admitting uses it up.
///
/// [`Requirement::permit`]: crate::Requirement::permit
#[derive(Debug)]
#[must_use = "dropping a permit permits nothing"]
pub struct UnverifiedPermit {
    digest: Digest,
}

impl UnverifiedPermit {
    /// To be called where nothing is required, and nowhere else.
    pub(crate) fn new(digest: Digest) -> Self {
        Self { digest }
    }

    /// The digest that it is for.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Uses it up for content of `digest`.
    pub(crate) fn redeem(self, digest: &Digest) -> Result<Grounds, Error> {
        if self.digest == *digest {
            return Ok(Grounds::Nothing);
        }
        Err(Error::OtherPermit {
            expected: digest.clone(),
            found: self.digest,
        })
    }
}

/// One platform's image that may be fetched and unpacked, and the [`Grounds`] for it.
///
/// Made from a verifier's proof or from a permit, which is used up. Neither `Clone` nor `Default`
/// nor `Deserialize`: there is no other way to one.
#[derive(Debug)]
pub struct AdmittedImage {
    reference: PinnedReference,
    manifest: Manifest,
    index: Option<Digest>,
    grounds: Grounds,
}

impl AdmittedImage {
    /// Admits the manifest that `proof` is of: that was signed itself, or that
    /// [`VerifiedImage::into_child`] led to. The proof says by which policy it was made, and by which
    /// index the manifest was found.
    ///
    /// # Errors
    /// [`Error::NotAnImage`] when the proof is of an index.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a proof is used up by what it admits"
    )]
    pub fn new(proof: VerifiedImage) -> Result<Self, Error> {
        let grounds = Grounds::Signature {
            evidence: Box::new(proof.evidence().clone()),
            further_evidence: proof.further_evidence().to_vec(),
            policy: proof.policy().summary(),
        };
        Self::of(proof.image(), proof.index().cloned(), grounds)
    }

    /// Admits an image that nothing proves: `resolved`, which the permit is for, or what was
    /// `selected` of it where it is an index.
    ///
    /// # Errors
    /// [`Error::OtherPermit`] when the permit is for something else, or what was selected isn't
    /// listed, step by step; [`Error::NotAnImage`] when what remains is an index.
    pub fn unverified(
        permit: UnverifiedPermit,
        resolved: &ResolvedImage,
        selected: Option<&Selected>,
    ) -> Result<Self, Error> {
        let permitted = permit.digest().clone();
        let grounds = permit.redeem(resolved.digest())?;
        let Some(selected) = selected else {
            return Self::of(resolved, None, grounds);
        };
        let mut parent = resolved;
        for step in selected.indexes.iter().chain([&selected.manifest]) {
            if !parent.document().lists(step.digest()) {
                return Err(Error::OtherPermit {
                    expected: step.digest().clone(),
                    found: permitted,
                });
            }
            parent = step;
        }
        Self::of(&selected.manifest, Some(permitted), grounds)
    }

    fn of(image: &ResolvedImage, index: Option<Digest>, grounds: Grounds) -> Result<Self, Error> {
        let Document::Manifest(manifest) = image.document() else {
            return Err(Error::NotAnImage {
                image: image.reference().clone(),
                found: image.document().media_type().into(),
            });
        };
        Ok(Self {
            reference: image.reference().clone(),
            manifest: manifest.clone(),
            index,
            grounds,
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

    /// What it was admitted on.
    pub fn grounds(&self) -> &Grounds {
        &self.grounds
    }
}
