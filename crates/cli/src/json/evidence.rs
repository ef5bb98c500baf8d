//! What a signature proved.
//!
//! Made from the evidence of a proof, in a run or in a record. It is for people to read: nothing is installed by it.

use std::collections::BTreeMap;

use countersign_oci::Platform;
use countersign_policy::SignatureFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was proven about a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Evidence")]
pub(crate) struct JsonEvidence {
    /// The digest that the signer signed.
    digest: String,
    /// Where the image was found.
    repository: String,
    /// Who signed: an email address or a URI, from the certificate.
    identity: String,
    /// Who vouched for the identity: the OIDC issuer's URL.
    issuer: String,
    /// Every proven time of signing (RFC 3339), the earliest first. Never empty.
    signed_at: Vec<String>,
    /// Where in the transparency log the signature stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
    /// ID of the log, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_id: Option<String>,
    /// Form of the signature: a Sigstore bundle, or the legacy form of cosign.
    format: JsonSignatureFormat,
    /// Predicate type of the signed statement. Cosign's for `simple_signing`, which has no statement.
    predicate_type: String,
    /// Name of the signed subject, if the signer wrote one.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_name: Option<String>,
    /// Digest of the manifest that holds the signature, if a registry has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_manifest: Option<String>,
    /// Annotations of the signed subject.
    annotations: BTreeMap<String, String>,
    /// What the certificate claims of the CI workload, by the names of Fulcio's extensions.
    claims: BTreeMap<String, String>,
    /// Start of the certificate's validity (RFC 3339).
    certificate_not_before: String,
    /// End of the certificate's validity (RFC 3339).
    certificate_not_after: String,
}

impl JsonEvidence {
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The proven times, in one line.
    pub(crate) fn times(&self) -> String {
        self.signed_at.join(", ")
    }

    pub(crate) fn log_index(&self) -> Option<u64> {
        self.log_index
    }
}

impl From<&countersign_verify::Evidence> for JsonEvidence {
    fn from(evidence: &countersign_verify::Evidence) -> Self {
        Self {
            digest: evidence.digest.to_string(),
            repository: evidence.repository.to_string(),
            identity: evidence.identity.clone(),
            issuer: evidence.issuer.clone(),
            signed_at: evidence.signed_at.iter().map(ToString::to_string).collect(),
            log_index: evidence.log_index,
            log_id: evidence.log_id.clone(),
            format: evidence.format.into(),
            predicate_type: evidence.predicate_type.clone(),
            subject_name: evidence.subject_name.clone(),
            signature_manifest: evidence
                .signature_manifest
                .as_ref()
                .map(ToString::to_string),
            annotations: evidence.annotations.clone(),
            claims: evidence.claims.clone(),
            certificate_not_before: evidence.certificate_not_before.to_string(),
            certificate_not_after: evidence.certificate_not_after.to_string(),
        }
    }
}

/// The form of a signature.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignatureFormat")]
pub(crate) enum JsonSignatureFormat {
    /// A Sigstore bundle.
    Bundle,
    /// The legacy form of cosign. No inclusion proof of the log was checked, only its promise.
    SimpleSigning,
}

impl From<SignatureFormat> for JsonSignatureFormat {
    fn from(format: SignatureFormat) -> Self {
        match format {
            SignatureFormat::Bundle => Self::Bundle,
            SignatureFormat::SimpleSigning => Self::SimpleSigning,
        }
    }
}

/// A platform, in the names of Go's `GOOS` and `GOARCH`. What is not known is left out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Platform")]
pub(crate) struct JsonPlatform {
    #[serde(skip_serializing_if = "String::is_empty", default)]
    os: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    os_version: Option<String>,
}

impl From<&Platform> for JsonPlatform {
    fn from(platform: &Platform) -> Self {
        let Platform {
            os,
            architecture,
            variant,
            os_version,
        } = platform.clone();
        Self {
            os,
            architecture,
            variant,
            os_version,
        }
    }
}
