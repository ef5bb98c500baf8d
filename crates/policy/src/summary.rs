//! A policy in a few words, for records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::{AcceptedSigner, CertificateSigner, KeySigner, LogUse, Policy};

/// A policy in words, for the record: to be read, not to be verified by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Whose signature it accepts, a sentence each.
    pub signers: Vec<String>,
    /// Since when the signature had to be there.
    pub not_before: Option<Timestamp>,
}

impl Policy {
    /// Says in a few words whose signatures this policy accepts. [`Policy::explain`] says everything.
    pub fn summary(&self) -> PolicySummary {
        let Self {
            signers,
            not_before,
            // It is over when something is installed.
            min_age: _,
            // Too long for a line; the policy itself has them.
            predicate_types: _,
            predicate: _,
            require: _,
            signature_formats: _,
            annotations: _,
            bind_name: _,
            trust: _,
            signature_sources: _,
            deny_digests: _,
        } = self;
        let sentence = |signer: &AcceptedSigner| match signer {
            AcceptedSigner::Certificate(CertificateSigner {
                issuer,
                identity,
                claims: _,
                not_before: _,
            }) => format!("the issuer is {issuer}, the identity is {identity}"),
            AcceptedSigner::Key(KeySigner {
                key,
                log,
                not_before: _,
            }) => {
                let undated = match log {
                    LogUse::Demanded => "",
                    LogUse::Ignored => ", its log entry is not read",
                };
                let from = key.origin();
                format!("the key is {}{from}{undated}", key.fingerprint())
            }
        };
        PolicySummary {
            signers: signers.iter().map(sentence).collect(),
            not_before: *not_before,
        }
    }
}
