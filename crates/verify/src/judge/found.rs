//! Several signatures of one image, judged together when only its digest is known.

use countersign_oci::{Digest, Reference};
use countersign_policy::Policy;
use jiff::Timestamp;

use super::{ExpectedImage, Judge};
use crate::denial::DeniedChildren;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::failure::Failure;
use crate::gathered::Gathered;
use crate::proven::Proven;
use crate::refusal::{Candidate, Refusal};
use crate::seen_signatures::FoundSignature;
use crate::signature::SignatureToCheck;
use crate::simple_signing::SimpleSigning;
use crate::trust::TrustedRoot;

/// Judges signatures as a [`Verifier`](crate::Verifier) judges those that it finds: for each proof that the policy
/// requires, one of them is enough. There is no input or output.
///
/// As of [`judge_digest`](crate::judge_digest), the result is a record, and no proof. What an index lists is not known
/// here, so the policy's `deny_digests` is held against `digest` alone.
///
/// # Errors
/// [`Error::Denied`], or [`Error::Refused`] with each signature, named by the digest of its bytes.
pub fn judge_found(
    digest: &Digest,
    requested: &Reference,
    found: &[FoundSignature],
    trusted_root: &TrustedRoot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Evidence>, Error> {
    let location = requested.location();
    let image = location.at(digest.clone());
    DeniedChildren::not_asked().refuse_digest(policy, &image)?;
    let subject = ExpectedImage {
        digest,
        location,
        requested,
    };
    let mut gathered = Gathered::none(policy);
    let mut candidates = Vec::new();
    for signature in found {
        let judged = gathered
            .unmet()
            .judged_by(|policy| Judge::by(trusted_root, policy, now).found(subject, signature));
        for (position, failure) in gathered.take(judged) {
            candidates.push(Candidate {
                manifest: Digest::sha256(signature.bytes()),
                failure,
                requirement: Some(position),
            });
        }
        if let Some(complete) = gathered.complete() {
            let proofs = [complete.first].into_iter().chain(complete.further);
            return Ok(proofs.map(Proven::into_evidence).collect());
        }
    }
    Err(Error::Refused(Box::new(Refusal {
        image,
        requirements: gathered.states(),
        candidates,
        untried: 0,
        unsearched: 0,
    })))
}

impl Judge<'_> {
    fn found(
        self,
        subject: ExpectedImage<'_>,
        signature: &FoundSignature,
    ) -> Result<Proven, Failure> {
        match signature.layer() {
            None => self.judge(subject, None, &SignatureToCheck::Bundle(signature.bytes())),
            Some(layer) => {
                let payload = signature.bytes().clone();
                let stored = SimpleSigning::new(layer, payload, self.policy)?;
                self.judge(subject, None, &SignatureToCheck::SimpleSigning(stored))
            }
        }
    }
}
