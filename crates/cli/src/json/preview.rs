//! What an installation would do.

use countersign_download::{Available, Preview};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::JsonError;
use super::evidence::JsonEvidence;
use super::installation::{InstallOutcome, JsonGrounds, JsonInstallation, JsonProvenance};
use super::wanted::Wanted;

/// What `countersign install --dry-run`, `upgrade --dry-run` and `outdated` print.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PreviewOutput {
    /// One for the image, or one for each name.
    pub(crate) results: Vec<PreviewResult>,
    /// If something ended the run, such as a signal or `--timeout`: then `results` has those that came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<JsonError>,
}

impl From<Vec<PreviewResult>> for PreviewOutput {
    fn from(results: Vec<PreviewResult>) -> Self {
        let error = None;
        Self { results, error }
    }
}

/// What would become of one image or one entry of a gallery.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct PreviewResult {
    #[serde(flatten)]
    pub(crate) wanted: Wanted,
    /// What the outcome of the installation would be. Left out if it would fail, and if nothing says what is in an
    /// archive before it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) would_be: Option<InstallOutcome>,
    /// What is there now, by its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<JsonInstallation>,
    /// What would be installed. Left out if nothing would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) available: Option<JsonAvailable>,
    /// If nothing says what is in an archive before it is fetched: where it would be from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provenance: Option<JsonProvenance>,
    /// Why it would fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<JsonError>,
}

/// What a source has, and the proof of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Available")]
pub(crate) struct JsonAvailable {
    /// Digest of the platform's manifest, or of the archive's bytes.
    digest: String,
    /// The image as the source names it. Left out for content that is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// Digest of the index that named the manifest, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    grounds: JsonGrounds,
    /// With the grounds `signature`: what was proven, one for each proof that the policy requires.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<JsonEvidence>,
    /// Which gallery it is from, and which source has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<JsonProvenance>,
}

impl PreviewResult {
    pub(crate) fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    pub(crate) fn with(self, preview: &Preview) -> Self {
        let installed = preview.installed().map(Into::into);
        let result = Self { installed, ..self };
        match preview {
            Preview::Install {
                found, replacement, ..
            } => Self {
                would_be: Some((*replacement).into()),
                available: Some(found.as_ref().into()),
                ..result
            },
            Preview::Unchanged { .. } => Self {
                would_be: Some(InstallOutcome::Unchanged),
                ..result
            },
            Preview::Unknown { provenance, .. } => Self {
                provenance: provenance.as_ref().map(Into::into),
                ..result
            },
        }
    }
}

impl From<&Available> for JsonAvailable {
    fn from(found: &Available) -> Self {
        Self {
            digest: found.digest.to_string(),
            reference: found.reference.as_ref().map(ToString::to_string),
            index: found.index.as_ref().map(ToString::to_string),
            grounds: JsonGrounds::from(&found.grounds),
            evidence: found.grounds.all_evidence().map(Into::into).collect(),
            provenance: found.provenance.as_ref().map(Into::into),
        }
    }
}
