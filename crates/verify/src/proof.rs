//! Proofs, and the record of what was proven.
//!
//! A [`VerifiedImage`] exists only where a signature that the policy accepts was found to cover
//! the image; nothing else makes one, and no record can be turned back into one.

use std::collections::BTreeMap;

use countersign_oci::{
    Descriptor, Digest, Document, Location, NoSuchPlatform, PinnedReference, Platform,
    ResolvedImage,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::denial::Denials;

/// Proof that a signature which the policy accepts covers this image.
///
/// Made by [`Verifier`](crate::Verifier) and [`verify_bundle`](crate::verify_bundle) alone. It
/// holds the very bytes that were proven: what is read on from here should be read from
/// [`document`](Self::document), whose descriptors name everything else by digest.
///
/// A proof can't be cloned, defaulted or deserialised: whoever holds one was handed it by a check
/// that was run. [`Evidence`] is the record that may be kept and copied.
#[derive(Debug)]
#[must_use = "a proof that nobody asks for protects nothing"]
pub struct VerifiedImage {
    image: ResolvedImage,
    evidence: Evidence,
    /// What the policy denies: it holds for the children too.
    denials: Denials,
}

impl VerifiedImage {
    /// To be called where every check has passed, and nowhere else.
    pub(crate) fn new(image: ResolvedImage, evidence: Evidence, denials: Denials) -> Self {
        Self {
            image,
            evidence,
            denials,
        }
    }

    /// What the policy that accepted the signature denies.
    pub(crate) fn denials(&self) -> &Denials {
        &self.denials
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
        child.digest() == self.digest()
            || match self.document() {
                Document::Index(index) => index
                    .manifests
                    .iter()
                    .any(|listed| listed.digest == *child.digest()),
                Document::Manifest(_) => false,
            }
    }

    /// Follows the digest edge from a proven index to one of its children: the same proof, now of
    /// the child.
    ///
    /// # Errors
    /// [`NotCovered`], with this proof given back, when the index doesn't list the child, or the
    /// policy denies it.
    pub fn into_child(self, child: ResolvedImage) -> Result<Self, NotCovered> {
        if self.covers(&child) && !self.denials.contains(child.digest()) {
            Ok(Self {
                image: child,
                ..self
            })
        } else {
            Err(NotCovered {
                found: child.digest().clone(),
                proof: Box::new(self),
            })
        }
    }
}

/// A manifest that the proven document doesn't lead to, or that the policy denies.
#[derive(Debug, thiserror::Error)]
#[error(
    "the signature does not cover {found}: expected {} or a child that it lists and that the policy does not deny",
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

/// What was proven, for records and output: not itself a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The digest that the signer signed.
    pub digest: Digest,
    /// Where the image was found.
    #[serde(deserialize_with = "recorded")]
    pub repository: Location,
    /// Who signed: the certificate's subject alternative name, an email address or a URI.
    pub identity: String,
    /// Who vouched for the identity: the OIDC issuer's URL.
    pub issuer: String,
    /// Every proven time of signing, in order, without repetition. Never empty. None is before
    /// [`certificate_not_before`](Self::certificate_not_before).
    pub signed_at: Vec<jiff::Timestamp>,
    /// Where in the log the signature stands. Records of earlier versions lack it where nothing
    /// proved it.
    pub log_index: Option<u64>,
    /// ID of the log, in hex: the SHA-256 of its key, or for Rekor v2 of its name and key.
    pub log_id: Option<String>,
    /// Predicate type of the signed statement.
    pub predicate_type: String,
    /// Name of the signed subject, where the signer wrote one.
    pub subject_name: Option<String>,
    /// Digest of the manifest that holds the signature, where it came from a registry.
    pub signature_manifest: Option<Digest>,
    /// Annotations of the signed subject.
    pub annotations: BTreeMap<String, String>,
    /// What the certificate claims of the CI workload, by the names of Fulcio's extensions:
    /// `source_repository_uri`, `build_trigger`, `runner_environment` and so on.
    pub claims: BTreeMap<String, String>,
    /// Start of the signing certificate's validity.
    pub certificate_not_before: jiff::Timestamp,
    /// End of the signing certificate's validity.
    pub certificate_not_after: jiff::Timestamp,
}

impl Evidence {
    /// The time by which signatures are told older from newer: the earliest of all that is known,
    /// the start of the certificate's validity included.
    ///
    /// That start is what the signer was certified with, so nobody else can move it. The proven
    /// times of signing can be moved forward: whoever leaves them out of a bundle can have another
    /// authority stamp the same signature later, as long as the certificate is valid.
    pub fn earliest(&self) -> jiff::Timestamp {
        let times = self.signed_at.iter().copied();
        times.fold(self.certificate_not_before, jiff::Timestamp::min)
    }
}

/// Evidence is read back from records alone, which may be of image layouts.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Location, D::Error> {
    let text = String::deserialize(deserializer)?;
    Location::recorded(&text).map_err(serde::de::Error::custom)
}
