//! What a signature proved.
//!
//! Made from the evidence of a proof, in a run or in a record. It is for people to read: nothing is installed by it.

use std::collections::BTreeMap;

use countersign_oci::Platform;
use countersign_policy::{BoundName, SignatureFormat};
use countersign_verify::SignedBy;
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
    /// Who signed: an email address or a URI, from the certificate. Left out if a key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// Who vouched for the identity: the OIDC issuer's URL. Left out if a key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The key that signed, in place of `identity` and `issuer`: `SHA-256:` and the hash of its
    /// `SubjectPublicKeyInfo` in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Every proven time of signing (RFC 3339), the earliest first. Empty only if a key signed and the policy
    /// says that its log entry and timestamps are not read.
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
    /// How much of the requested name the signature binds. Left out if the policy has no `bind_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_name: Option<JsonBoundName>,
    /// What the certificate claims of the CI workload, by the names of Fulcio's extensions.
    claims: BTreeMap<String, String>,
    /// Start of the certificate's validity (RFC 3339). Left out if a key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_not_before: Option<String>,
    /// End of the certificate's validity (RFC 3339). Left out if a key signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_not_after: Option<String>,
}

impl JsonEvidence {
    /// The identity, or the key.
    pub(crate) fn signer(&self) -> String {
        match (&self.identity, &self.key) {
            (Some(identity), _) => identity.clone(),
            (None, key) => format!("key {}", key.as_deref().unwrap_or_default()),
        }
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The proven times, in one line.
    pub(crate) fn times(&self) -> String {
        if self.signed_at.is_empty() {
            "not known: no log entry was checked".to_owned()
        } else {
            self.signed_at.join(", ")
        }
    }

    /// The name that the signer wrote.
    pub(crate) fn subject_name(&self) -> Option<&str> {
        self.subject_name.as_deref()
    }

    /// What the signer wrote beside it.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Whether it is in cosign's legacy form.
    pub(crate) fn is_legacy(&self) -> bool {
        self.format == JsonSignatureFormat::SimpleSigning
    }

    /// Whether the policy binds names, and the signature counts for every tag of the repository.
    pub(crate) fn counts_for_every_tag(&self) -> bool {
        self.bound_name == Some(JsonBoundName::Repository)
    }

    pub(crate) fn log_index(&self) -> Option<u64> {
        self.log_index
    }
}

impl From<&countersign_verify::Evidence> for JsonEvidence {
    fn from(evidence: &countersign_verify::Evidence) -> Self {
        let (holder, key) = match &evidence.signer {
            SignedBy::Certificate(holder) => (Some(holder), None),
            SignedBy::Key { key } => (None, Some(key.to_string())),
        };
        Self {
            digest: evidence.digest.to_string(),
            repository: evidence.repository.to_string(),
            identity: holder.map(|holder| holder.identity.clone()),
            issuer: holder.map(|holder| holder.issuer.clone()),
            key,
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
            bound_name: evidence.bound_name.map(Into::into),
            claims: holder
                .map(|holder| holder.claims.clone())
                .unwrap_or_default(),
            certificate_not_before: holder.map(|holder| holder.certificate_not_before.to_string()),
            certificate_not_after: holder.map(|holder| holder.certificate_not_after.to_string()),
        }
    }
}

/// How much of a name a signature binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BoundName")]
pub(crate) enum JsonBoundName {
    /// The repository, and the tag if one was requested.
    Whole,
    /// The repository only. The signature names no tag, so it counts for every tag of the repository.
    Repository,
}

impl From<BoundName> for JsonBoundName {
    fn from(bound: BoundName) -> Self {
        match bound {
            BoundName::Whole => Self::Whole,
            BoundName::Repository => Self::Repository,
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
