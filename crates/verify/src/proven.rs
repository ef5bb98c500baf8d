//! A signature that passed every check, and the record of it.
//!
//! Each check returns a value that nothing else can make. [`Proven`] is made from all of these values, so
//! the code does not compile if a check is missing.

use countersign_oci::{Digest, Location};
use countersign_policy::{Accepted, Policy};
use serde_json::value::RawValue;

use crate::certificate_content::CertificateContent;
use crate::evidence::{CertificateHolder, Evidence, SignedBy};
use crate::genuine::SignedByKey;
use crate::log::LogProven;
use crate::log_and_times::LogAndTimes;
use crate::predicate::Predicate;

/// The values of the checks of one bundle.
pub(crate) struct Checks<'a> {
    /// Proof that the policy accepts the signature.
    pub(crate) accepted: Accepted<'a>,
    /// Where and when the signature was seen.
    pub(crate) log_and_times: LogAndTimes,
    /// With what the signature was verified.
    pub(crate) verified_with: VerifiedWith<'a>,
    /// The predicate that was signed, if there is a statement.
    pub(crate) predicate: Option<&'a Predicate>,
}

/// With what a signature was verified.
#[derive(Clone, Copy)]
pub(crate) enum VerifiedWith<'a> {
    /// With the key of a certificate, which says this.
    Certificate(&'a CertificateContent),
    /// With a key of the policy.
    Key(SignedByKey<'a>),
}

impl VerifiedWith<'_> {
    fn signed_by(self) -> SignedBy {
        match self {
            Self::Certificate(content) => {
                let claims = content.claims.iter();
                SignedBy::Certificate(CertificateHolder {
                    identity: content.identity.clone(),
                    issuer: content.issuer.clone(),
                    claims: claims
                        .map(|(claim, value)| (claim.to_string(), value.to_owned()))
                        .collect(),
                    certificate_not_before: content.not_before,
                    certificate_not_after: content.not_after,
                })
            }
            Self::Key(by_key) => SignedBy::Key {
                key: by_key.signer().key.fingerprint(),
            },
        }
    }
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
            log_and_times,
            verified_with,
            predicate,
        } = checks;
        let claimed = accepted.claimed();
        let logged = log_and_times.logged();
        let evidence = Evidence {
            digest: claimed.digest.clone(),
            repository: location.clone(),
            signer: verified_with.signed_by(),
            format: claimed.format,
            log_index: logged.map(LogProven::index),
            log_id: logged.map(|logged| logged.id().to_owned()),
            signed_at: log_and_times.into_times(),
            predicate_type: claimed.predicate_type.to_owned(),
            subject_name: claimed.subject_name.map(str::to_owned),
            signature_manifest: signature_manifest.cloned(),
            annotations: claimed.annotations.clone(),
            bound_name: accepted.bound_name(),
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
