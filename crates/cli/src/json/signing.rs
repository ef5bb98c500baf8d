//! What became of a manifest that was to be signed.

use countersign_sign::{Reached, Signed, SigningOutcome, Unsigned};
use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{JsonEvidence, JsonPlatform, JsonSignatureFormat};

/// A manifest that was to be signed in one form, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignResult {
    /// The reference that led to it.
    reference: String,
    /// Its platform, if an index says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<JsonPlatform>,
    /// Its digest.
    digest: String,
    /// The form of the signature.
    format: JsonSignatureFormat,
    outcome: SignOutcome,
    /// How far the run got with a manifest that is `unsigned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<SignReached>,
    /// Digest of the manifest that holds the signature. Left out if it is `unsigned`, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_manifest: Option<String>,
    /// What the consumer found proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<JsonEvidence>,
}

/// Whether a manifest is signed.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignOutcome {
    /// This run signed it.
    Signed,
    /// An earlier run by the same identity had signed it. Nothing was added.
    AlreadySigned,
    /// The run ended before it was proven to be signed.
    Unsigned,
}

/// How far a run got with a manifest that it didn't finish.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::enum_variant_names,
    reason = "they are what the document says, and the library too"
)]
pub(crate) enum SignReached {
    /// Nothing was pushed. The log may have an entry, which harms nobody.
    NotSigned,
    /// A signature was made, and pushing it failed: it may be there all the same.
    NotPushed,
    /// A signature was pushed, and the consumer doesn't accept it, or doesn't see it.
    NotVerified,
}

impl From<&Signed> for SignResult {
    fn from(signed: &Signed) -> Self {
        Self {
            reference: signed.reference.to_string(),
            platform: signed.platform.as_ref().map(Into::into),
            digest: signed.digest.to_string(),
            format: signed.evidence.format.into(),
            outcome: match signed.outcome {
                SigningOutcome::Signed => SignOutcome::Signed,
                SigningOutcome::AlreadySigned => SignOutcome::AlreadySigned,
            },
            reached: None,
            signature_manifest: Some(signed.signature_manifest.to_string()),
            evidence: Some((&signed.evidence).into()),
        }
    }
}

impl From<&Unsigned> for SignResult {
    fn from(unsigned: &Unsigned) -> Self {
        Self {
            reference: unsigned.reference.to_string(),
            platform: unsigned.platform.as_ref().map(Into::into),
            digest: unsigned.digest.to_string(),
            format: unsigned.format.into(),
            outcome: SignOutcome::Unsigned,
            reached: Some(match unsigned.reached {
                Reached::NotSigned => SignReached::NotSigned,
                Reached::NotPushed => SignReached::NotPushed,
                Reached::NotVerified => SignReached::NotVerified,
            }),
            signature_manifest: None,
            evidence: None,
        }
    }
}
