//! What passed every check, and what is recorded of it.
//!
//! Each check hands out a value that nothing else makes. [`Proven`] is made from all of them, so that
//! a check that is left out doesn't compile.

use countersign_oci::{Digest, Location};
use countersign_policy::{Accepted, Policy};

use crate::certified::Certified;
use crate::evidence::Evidence;
use crate::log::LogProven;
use crate::timestamp::SigningTimes;

/// The values of the checks of one bundle.
pub(crate) struct Checks<'a> {
    /// That the policy accepts what the signature claims.
    pub(crate) accepted: Accepted<'a>,
    /// That the log has the signature.
    pub(crate) logged: LogProven,
    /// When the signature was made.
    pub(crate) times: SigningTimes,
    /// What the certificate says that the signature holds by.
    pub(crate) certified: &'a Certified,
}

/// A signature that passed every check. Only [`Proven::by`] makes one.
#[derive(Debug)]
pub(crate) struct Proven {
    evidence: Evidence,
    policy: Policy,
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
        } = checks;
        let claimed = accepted.claimed();
        let claims = claimed.certificate.iter();
        let evidence = Evidence {
            digest: claimed.digest.clone(),
            repository: location.clone(),
            identity: claimed.identity.to_owned(),
            issuer: claimed.issuer.to_owned(),
            signed_at: times.into_inner(),
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
        }
    }

    /// The record alone, from which there is no way back.
    pub(crate) fn into_evidence(self) -> Evidence {
        self.evidence
    }

    /// The record, and the policy that accepts.
    pub(crate) fn into_parts(self) -> (Evidence, Policy) {
        (self.evidence, self.policy)
    }
}
