//! A signature that passed every check, and the record of it.
//!
//! Each check returns a value that nothing else can make. [`Proven`] is made from all of these values, so
//! the code does not compile if a check is missing.

use countersign_oci::{Digest, Location};
use countersign_policy::{Accepted, Policy};
use serde_json::value::RawValue;

use crate::certified::Certified;
use crate::evidence::Evidence;
use crate::log::LogProven;
use crate::predicate::Predicate;
use crate::timestamp::SigningTimes;

/// The values of the checks of one bundle.
pub(crate) struct Checks<'a> {
    /// Proof that the policy accepts the signature.
    pub(crate) accepted: Accepted<'a>,
    /// Proof that the log has the signature.
    pub(crate) logged: LogProven,
    /// When the signature was made.
    pub(crate) times: SigningTimes,
    /// The content of the certificate that the signature was verified with.
    pub(crate) certified: &'a Certified,
    /// The predicate that was signed, if there is a statement.
    pub(crate) predicate: Option<&'a Predicate>,
}

/// A signature that passed every check. Only [`Proven::by`] makes one.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) evidence: Evidence,
    pub(crate) policy: Policy,
    pub(crate) predicate: Option<Box<RawValue>>,
}

impl Proven {
    /// What `checks` prove of an image at `location`, by a bundle that `signature_manifest` holds.
    pub(crate) fn by(
        checks: Checks<'_>,
        location: &Location,
        signature_manifest: Option<&Digest>,
    ) -> Self {
        let Checks {
            accepted,
            logged,
            times,
            certified,
            predicate,
        } = checks;
        let claimed = accepted.claimed();
        let claims = claimed.certificate.iter();
        let evidence = Evidence {
            digest: claimed.digest.clone(),
            repository: location.clone(),
            identity: claimed.identity.to_owned(),
            issuer: claimed.issuer.to_owned(),
            signed_at: times.into_inner(),
            format: claimed.format,
            log_index: Some(logged.index()),
            log_id: Some(logged.id().to_owned()),
            predicate_type: claimed.predicate_type.to_owned(),
            subject_name: claimed.subject_name.map(str::to_owned),
            signature_manifest: signature_manifest.cloned(),
            annotations: claimed.annotations.clone(),
            claims: claims
                .map(|(claim, value)| (claim.to_string(), value.to_owned()))
                .collect(),
            certificate_not_before: certified.not_before,
            certificate_not_after: certified.not_after,
        };
        Self {
            evidence,
            policy: accepted.policy().clone(),
            predicate: predicate.map(|predicate| predicate.json().to_owned()),
        }
    }

    /// The record alone. Nothing can turn it back into a proof.
    pub(crate) fn into_evidence(self) -> Evidence {
        self.evidence
    }
}
