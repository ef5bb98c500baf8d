//! The record of what was proven, which is itself no proof.

use std::collections::BTreeMap;

use countersign_oci::{Digest, Location};
use serde::{Deserialize, Deserializer, Serialize};

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
        earliest(&self.signed_at, self.certificate_not_before)
    }
}

/// The earliest of all times that are known of a signature.
pub(crate) fn earliest(
    signed_at: &[jiff::Timestamp],
    certificate_not_before: jiff::Timestamp,
) -> jiff::Timestamp {
    let times = signed_at.iter().copied();
    times.fold(certificate_not_before, jiff::Timestamp::min)
}

/// Evidence is read back from records alone, which may be of image layouts.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Location, D::Error> {
    let text = String::deserialize(deserializer)?;
    Location::recorded(&text).map_err(serde::de::Error::custom)
}
