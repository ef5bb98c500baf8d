//! What `countersign copy` prints of an image.

use std::fmt::Write as _;

use countersign_oci::{Location, Reference};
use countersign_sign::CopiedImage;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::text::evidence_text;
use crate::json::evidence::JsonEvidence;
use crate::output;

/// What `countersign copy` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CopyOutput {
    /// One for each image.
    pub(super) results: Vec<CopyResult>,
}

/// An image that was copied.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CopyResult {
    /// The source, as it was given.
    reference: String,
    /// The copy, by its digest.
    copy: String,
    /// The tag that names it now; in a layout, the name that it is listed by. Left out if it has neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// What was proven of the copy.
    evidence: JsonEvidence,
    /// How many manifests and indexes the image has.
    manifests: usize,
    /// How many manifests were copied that refer to these.
    attached: usize,
    blobs: CopiedBlobs,
    /// What refers to the image and was not copied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_copied: Vec<JsonNotCopied>,
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

impl CopyResult {
    pub(super) fn new(source: &Reference, copied: &CopiedImage) -> Self {
        let blobs = &copied.blobs;
        Self {
            reference: source.to_string(),
            copy: copied.image.to_string(),
            tag: copied.tag.as_ref().map(ToString::to_string),
            evidence: (&copied.evidence).into(),
            manifests: copied.manifests,
            attached: copied.attached,
            blobs: CopiedBlobs {
                sent: blobs.sent,
                sent_bytes: blobs.sent_bytes,
                mounted: blobs.mounted,
                present: blobs.present,
            },
            not_copied: copied
                .not_copied
                .iter()
                .map(|one| JsonNotCopied {
                    name: one.name.clone(),
                    reason: one.reason.clone(),
                })
                .collect(),
        }
    }
}

/// What a person is told of it.
pub(super) fn text(source: &Reference, copied: &CopiedImage) -> String {
    let name = match (&copied.tag, copied.image.location()) {
        (Some(tag), Location::Registry(_)) => tag.to_string(),
        (_, _) => copied.image.to_string(),
    };
    let mut text = format!(
        "copied {source} to {name}\n{}",
        evidence_text(&copied.evidence)
    );
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
