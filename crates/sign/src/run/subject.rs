//! A manifest to sign, and what came of it.

use countersign_oci::{Digest, Reference};
use countersign_policy::SignatureFormat;
use countersign_verify::Evidence;

use crate::outcome::{Reached, Signed, SigningOutcome, Unsigned};
use crate::sessions::Halt;
use crate::tree::Leaf;

/// A manifest to sign, and the reference that led to it.
pub(crate) struct Subject<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) leaf: Leaf,
}

/// What came of one manifest, in all forms.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) signed: Vec<Signed>,
    pub(super) unsigned: Vec<Unsigned>,
    /// Why there are unsigned ones.
    pub(super) halt: Option<Halt>,
}

impl Subject<'_> {
    pub(super) fn signed(
        &self,
        outcome: SigningOutcome,
        signature_manifest: Digest,
        evidence: Evidence,
    ) -> Signed {
        Signed {
            reference: self.reference.clone(),
            platform: self.leaf.platform.clone(),
            digest: self.leaf.image.digest().clone(),
            outcome,
            signature_manifest,
            evidence,
        }
    }

    pub(super) fn unsigned(&self, format: SignatureFormat, reached: Reached) -> Unsigned {
        Unsigned {
            reference: self.reference.clone(),
            platform: self.leaf.platform.clone(),
            digest: self.leaf.image.digest().clone(),
            format,
            reached,
        }
    }
}
