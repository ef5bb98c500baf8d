//! What `countersign copy` prints of an image.

use std::fmt::Write as _;

use countersign_oci::{Location, Reference};
use countersign_sign::{CopiedImage, NotCopied};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::text::proofs_text;
use crate::json::error::JsonError;
use crate::json::evidence::JsonEvidence;
use crate::output;

/// What `countersign copy` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CopyOutput {
    /// One for each image.
    pub(super) results: Vec<CopyResult>,
    /// With `--gallery` into a layout: the kit, by its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kit: Option<String>,
    /// If something ended the run, such as a signal or `--timeout`: then `results` has those that came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<JsonError>,
}

impl CopyOutput {
    /// What a run prints that came to its end.
    pub(super) fn new(results: Vec<CopyResult>, kit: Option<String>) -> Self {
        let error = None;
        Self {
            results,
            kit,
            error,
        }
    }
}

/// An image that was copied, or could not be.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct CopyResult {
    /// The entry of a gallery that names the image. Left out for an image that was named by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Other entries that name the same image, and ask the same of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<String>,
    /// The source, as it was given. Left out for an entry that is no image in a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The copy, by its digest. Left out if there is none, and so are the fields after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
    /// The tag that names it now; in a layout, the name that it is listed by. Left out if it has neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// What was proven of the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<JsonEvidence>,
    /// What the other proofs are, if the policy requires several, in the policy's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_evidence: Vec<JsonEvidence>,
    /// How many manifests and indexes the image has.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<usize>,
    /// How many manifests were copied that refer to these.
    #[serde(skip_serializing_if = "Option::is_none")]
    attached: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs: Option<CopiedBlobs>,
    /// What refers to the image and was not copied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_copied: Vec<JsonNotCopied>,
    /// Why it was not copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// How the blobs came to the destination. Each is counted once.
#[derive(Debug, Serialize, JsonSchema)]
struct CopiedBlobs {
    /// Copied.
    sent: usize,
    /// The bytes of those that were copied.
    sent_bytes: u64,
    /// Mounted from another repository of the registry.
    mounted: usize,
    /// There already.
    present: usize,
}

/// Something that refers to the image and was not copied.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NotCopied")]
struct JsonNotCopied {
    /// Its digest, or the tag it is found by.
    name: String,
    /// Why not.
    reason: String,
}

impl From<&NotCopied> for JsonNotCopied {
    fn from(one: &NotCopied) -> Self {
        Self {
            name: one.name.clone(),
            reason: one.reason.clone(),
        }
    }
}

impl CopyResult {
    pub(super) fn new(source: &Reference, copied: &CopiedImage) -> Self {
        let blobs = &copied.blobs;
        Self {
            reference: Some(source.to_string()),
            copy: Some(copied.image.to_string()),
            tag: copied.tag.as_ref().map(ToString::to_string),
            evidence: Some((&copied.evidence).into()),
            further_evidence: copied.further_evidence.iter().map(Into::into).collect(),
            manifests: Some(copied.manifests),
            attached: Some(copied.attached),
            blobs: Some(CopiedBlobs {
                sent: blobs.sent,
                sent_bytes: blobs.sent_bytes,
                mounted: blobs.mounted,
                present: blobs.present,
            }),
            not_copied: copied.not_copied.iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// As [`Self::new`], for the entry `name` of a gallery.
    pub(super) fn of_entry(name: &str, source: &Reference, copied: &CopiedImage) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..Self::new(source, copied)
        }
    }

    /// The same, also for these entries.
    pub(super) fn also(self, names: &[String]) -> Self {
        Self {
            also: names.to_vec(),
            ..self
        }
    }

    /// The same, with what refers to the image and was not copied.
    pub(super) fn with_not_copied(self, not_copied: &[NotCopied]) -> Self {
        Self {
            not_copied: not_copied.iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The entry `name` of a gallery that could not be copied.
    pub(super) fn failed(name: &str, source: Option<&Reference>, error: JsonError) -> Self {
        Self {
            name: Some(name.to_owned()),
            reference: source.map(ToString::to_string),
            error: Some(error),
            ..Self::default()
        }
    }

    /// An image that was named by itself and could not be copied.
    pub(super) fn refused(source: &Reference, error: JsonError) -> Self {
        Self {
            reference: Some(source.to_string()),
            error: Some(error),
            ..Self::default()
        }
    }

    pub(super) fn is_copied(&self) -> bool {
        self.error.is_none()
    }
}

/// What a person is told of it.
pub(super) fn text(source: &Reference, copied: &CopiedImage) -> String {
    let name = match (&copied.tag, copied.image.location()) {
        (Some(tag), Location::Registry(_)) => tag.to_string(),
        (_, _) => copied.image.to_string(),
    };
    let proofs = [&copied.evidence]
        .into_iter()
        .chain(&copied.further_evidence);
    let mut text = format!("copied {source} to {name}\n{}", proofs_text(proofs));
    let blobs = &copied.blobs;
    // Writing to a text does not fail.
    let _ = writeln!(
        text,
        "  manifests  {}, and {} attached\n  blobs      {} copied ({}), {} mounted, {} already there",
        copied.manifests,
        copied.attached,
        blobs.sent,
        output::bytes(blobs.sent_bytes),
        blobs.mounted,
        blobs.present,
    );
    text
}
