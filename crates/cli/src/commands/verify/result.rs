//! What `countersign verify` prints as JSON.

use countersign_oci::{Digest, Platform, Reference};
use countersign_verify::SignedDocument;
use schemars::JsonSchema;
use serde::Serialize;

use super::Verified;
use crate::json::error::JsonError;
use crate::json::evidence::JsonEvidence;

/// What `countersign verify` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::commands) struct VerifyOutput {
    /// One for each reference, in their order.
    pub(super) results: Vec<VerifyResult>,
    /// If a signal or `--timeout` ended the run: then `results` has those that came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<JsonError>,
}

/// Whether one image is signed as the policy says.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::commands) struct VerifyResult {
    /// As it was given.
    reference: String,
    /// The platform that was verified, if one was asked for or with `--all-platforms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    verified: bool,
    /// Digest of what was verified: of the platform's manifest if a platform was asked for, else of what the reference
    /// names. Of an image that is refused too, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Which document the signature is of. Left out if nothing is proven, as are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<JsonSignedDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<JsonEvidence>,
    /// What the other proofs are, if the policy requires several, in the policy's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_evidence: Vec<JsonEvidence>,
    /// With `platform`: digest of the platform's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    /// Why it is not verified; or, of a verified image, why what was to be saved of it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// Which document of an image a signature is of.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SignedDocument")]
enum JsonSignedDocument {
    /// The index, whose signature covers what it lists.
    Index,
    /// The manifest of one platform.
    Manifest,
}

impl VerifyResult {
    /// What is verified, or nothing; then `digest` is what is known of the image.
    pub(super) fn new(
        reference: &Reference,
        platform: Option<&Platform>,
        digest: Option<&Digest>,
        verified: Option<&Verified>,
    ) -> Self {
        let proven = verified.map(|verified| verified.proven.digest());
        Self {
            reference: reference.to_string(),
            platform: platform.map(ToString::to_string),
            verified: verified.is_some(),
            digest: proven.or(digest).map(ToString::to_string),
            signed: verified.map(|verified| match verified.signed {
                SignedDocument::Index => JsonSignedDocument::Index,
                SignedDocument::Manifest => JsonSignedDocument::Manifest,
            }),
            evidence: verified.map(|verified| (&verified.evidence).into()),
            further_evidence: verified.map_or_else(Vec::new, |verified| {
                verified.further.iter().map(Into::into).collect()
            }),
            manifest: verified
                .and_then(|verified| verified.manifest.as_ref().map(ToString::to_string)),
            error: None,
        }
    }

    /// Why it is not verified, or why something of it is not saved.
    pub(super) fn failed(&mut self, error: JsonError) {
        self.error = Some(error);
    }
}
