//! The record of what was proven. It is not a proof.

use std::collections::BTreeMap;
use std::fmt;

use countersign_oci::{Digest, Location};
use countersign_policy::{BoundName, KeyFingerprint, SignatureFormat};
use serde::{Deserialize, Deserializer, Serialize};

/// What was proven, for records and output. It is not a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The signed digest.
    pub digest: Digest,
    /// Where the image was found.
    #[serde(deserialize_with = "recorded")]
    pub repository: Location,
    /// Who signed.
    #[serde(flatten)]
    pub signer: SignedBy,
    /// Every proven time of signing, sorted, each once. Empty only of a signature by a key whose log entry and
    /// timestamps were not read. No time is before
    /// [`certificate_not_before`](CertificateHolder::certificate_not_before).
    pub signed_at: Vec<jiff::Timestamp>,
    /// The form in which the signature was stored. In [`SignatureFormat::SimpleSigning`] only the log's promise
    /// was checked, and no inclusion proof. Records of earlier versions lack it: they are of bundles.
    #[serde(default)]
    pub format: SignatureFormat,
    /// Index of the signature in the log. Records of earlier versions lack it if nothing proved it.
    pub log_index: Option<u64>,
    /// ID of the log, in hex: the SHA-256 of its key, or for Rekor v2 of its name and key.
    pub log_id: Option<String>,
    /// Predicate type of the signed statement. A legacy signature has no statement: then it is cosign's.
    pub predicate_type: String,
    /// Name of the signed subject, if the signer wrote one. Of a legacy signature, the `docker-reference`.
    pub subject_name: Option<String>,
    /// Digest of the manifest that holds the signature, if it came from a registry.
    pub signature_manifest: Option<Digest>,
    /// Annotations of the signed subject.
    pub annotations: BTreeMap<String, String>,
    /// How much of the requested name the signature binds. `None` if the policy has no `bind_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_name: Option<BoundName>,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SignedBy {
    /// The holder of a certificate.
    Certificate(CertificateHolder),
    /// The holder of a key that the policy names.
    Key {
        /// The key.
        key: KeyFingerprint,
    },
}

/// What a signing certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateHolder {
    /// The certificate's subject alternative name, an email address, a URI or a user name of Fulcio.
    pub identity: String,
    /// Who confirmed the identity: the OIDC issuer's URL.
    pub issuer: String,
    /// The certificate's claims about the CI job, by the names of Fulcio's extensions:
    /// `source_repository_uri`, `build_trigger`, `runner_environment` and so on.
    pub claims: BTreeMap<String, String>,
    /// Start of the signing certificate's validity.
    pub certificate_not_before: jiff::Timestamp,
    /// End of the signing certificate's validity.
    pub certificate_not_after: jiff::Timestamp,
}

impl SignedBy {
    /// What the certificate says, if there is one.
    pub fn certificate(&self) -> Option<&CertificateHolder> {
        match self {
            Self::Certificate(holder) => Some(holder),
            Self::Key { .. } => None,
        }
    }
}

/// The identity in the certificate, or the key.
impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(holder) => f.write_str(&holder.identity),
            Self::Key { key } => write!(f, "key {key}"),
        }
    }
}

impl Evidence {
    /// The time that counts when the ages of two signatures are compared: the earliest known time. The
    /// start of the certificate's validity is one of the known times. `None` if nothing proves a time.
    ///
    /// Nobody can change that start. The proven times of signing can be replaced by later ones: somebody
    /// can remove them from a bundle, and have another authority stamp the same signature later, while
    /// the certificate is valid. A signature by a key has no such start: its times can always be replaced.
    pub fn earliest(&self) -> Option<jiff::Timestamp> {
        let start = self.signer.certificate();
        earliest(
            &self.signed_at,
            start.map(|holder| holder.certificate_not_before),
        )
    }
}

/// The earliest known time of a signature.
pub(crate) fn earliest(
    signed_at: &[jiff::Timestamp],
    certificate_not_before: Option<jiff::Timestamp>,
) -> Option<jiff::Timestamp> {
    signed_at
        .iter()
        .copied()
        .chain(certificate_not_before)
        .min()
}

/// Evidence is read only from records. A record may be of an image layout.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Location, D::Error> {
    let text = String::deserialize(deserializer)?;
    Location::recorded(&text).map_err(serde::de::Error::custom)
}
