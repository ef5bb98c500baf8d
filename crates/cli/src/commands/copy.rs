//! `countersign copy`: an image that a policy accepts, carried to another registry with its proof.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_oci::{Reference, Repository};
use countersign_sign::{CopiedImage, Copy, CopyEvent, Destination};
use countersign_verify::Verifier;
use schemars::JsonSchema;
use serde::Serialize;

use super::text::evidence_text;
use crate::arguments::verification::VerificationArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json::evidence::JsonEvidence;
use crate::operand;
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::verification::Verification;

const EXAMPLE: &str = "\
Example: into a registry of your own, under the same tag
  countersign copy --policy policy.yaml ghcr.io/acme/app:v1 registry.internal/acme/app";

/// `countersign copy`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct CopyArguments {
    /// Image to copy
    ///
    /// The manifest or index that it names must be signed. `ocifile://PATH` is an OCI image layout: a
    /// directory or a tar archive.
    #[arg(value_name = "SOURCE", value_parser = operand::image)]
    pub(crate) source: Reference,

    /// Where to copy it to: NAME or NAME:TAG
    ///
    /// Without a tag, the copy gets the tag of the source. If the source is named by its digest, or is
    /// a layout, no tag is written.
    #[arg(value_name = "DESTINATION", value_parser = target)]
    pub(crate) destination: Target,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

/// Verifies, copies, verifies again, and writes the tag.
pub(crate) async fn run(
    arguments: CopyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let verification = Verification::new(&arguments.verification, environment).await?;
    let source = &arguments.source;
    let destination = arguments.destination.or_tag_of(source);
    let progress = Arc::new(Progress::new(output, format!("verifying {source}")));
    let copied = Copying {
        verification: &verification,
        progress: Arc::clone(&progress),
    }
    .image(source, &destination)
    .await?;
    drop(progress);
    for one in &copied.not_copied {
        output.warning(&format!("not copied: {}: {}", one.name, one.reason));
    }
    output.result(&text(source, &copied));
    output.document(&CopyOutput {
        results: vec![CopyResult::new(source, &copied)],
    });
    Ok(ExitCode::SUCCESS)
}

/// Where an image is copied to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    repository: Repository,
    tag: Option<String>,
}

/// Reads NAME or NAME:TAG. A name alone has no tag, where a reference would have `latest`.
fn target(text: &str) -> Result<Target, Box<dyn Error + Send + Sync>> {
    if text.contains('@') {
        return Err("leave the digest out: the copy has the digest of its source".into());
    }
    if let Ok(repository) = text.parse() {
        return Ok(Target {
            repository,
            tag: None,
        });
    }
    let reference: Reference = text.parse()?;
    Ok(Target {
        repository: reference.location().writable()?.clone(),
        tag: reference.tag().map(str::to_owned),
    })
}

impl Target {
    /// The same, with the source's tag if it has none of its own.
    fn or_tag_of(self, source: &Reference) -> Self {
        let tag = self.tag.or_else(|| source.tag().map(str::to_owned));
        Self { tag, ..self }
    }
}

/// What images are copied with.
struct Copying<'a> {
    verification: &'a Verification,
    progress: Arc<Progress>,
}

impl Copying<'_> {
    async fn image(
        &self,
        source: &Reference,
        destination: &Target,
    ) -> Result<CopiedImage, Failure> {
        let Verification {
            policy,
            registry,
            trusted_root,
        } = self.verification;
        let verifier = self.verification.verifier();
        let image = verifier.resolve(source, policy).await?;
        let proof = verifier.verify(&image, policy).await?;
        self.progress
            .say(format!("reading what refers to {source}"));
        let copy = Copy::plan(registry, proof, policy).await?;
        // What it is told is what anybody is told, and not what the first client knows already.
        let stranger = registry.anew()?;
        let verifier = Verifier::new(stranger.clone(), trusted_root.clone());
        let to = Destination {
            repository: &destination.repository,
            tag: destination.tag.as_deref(),
            stranger: &stranger,
            verifier: &verifier,
        };
        let progress = Arc::clone(&self.progress);
        let events: Arc<dyn Fn(CopyEvent) + Send + Sync> =
            Arc::new(move |event| progress.copying(&event));
        Ok(copy.write(&to, &events).await?)
    }
}

/// What `countersign copy` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CopyOutput {
    /// One for each image.
    results: Vec<CopyResult>,
}

/// An image that was copied.
#[derive(Debug, Serialize, JsonSchema)]
struct CopyResult {
    /// The source, as it was given.
    reference: String,
    /// The copy, by its digest.
    copy: String,
    /// The tag that names it now. Left out if none was to be written.
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
    fn new(source: &Reference, copied: &CopiedImage) -> Self {
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

fn text(source: &Reference, copied: &CopiedImage) -> String {
    let name = match &copied.tag {
        Some(tag) => tag.to_string(),
        None => copied.image.to_string(),
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
