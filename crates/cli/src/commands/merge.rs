//! `countersign merge`: one image of many platforms, signed and proven before a tag names it.

mod digests;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_oci::{Reference, Repository};
use countersign_sign::{Merge, Merged, MergedManifest, Publication, SigningOutcome, Tags};
use schemars::JsonSchema;
use serde::Serialize;

use super::signing::report::SigningReport;
use super::signing::{Client, Setup, SigningArguments, setup, steps};
use crate::arguments::annotations::{annotations, parse_pair};
use crate::environment::Environment;
use crate::failure::{Failure, Kind, needing_digests};
use crate::json::error::Tags as TagsOfRun;
use crate::json::evidence::JsonPlatform;
use crate::json::signing::SignResult;
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;

const EXAMPLE: &str = "\
Example, in the CI job that runs after the builds of all platforms:
  countersign merge --tag quay.io/acme/app:v1 --tag quay.io/acme/app:latest \\
    quay.io/acme/ci-cache@sha256:DIGEST quay.io/acme/ci-cache@sha256:DIGEST

Example: each build left an empty file in ./digests that is named by its image's digest
  countersign merge --tag quay.io/acme/app:v1 --digests-from ./digests --from quay.io/acme/ci-cache";

/// `countersign merge`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct MergeArguments {
    /// Images to merge, one or more for each platform: NAME@DIGEST
    ///
    /// Each is an image, or an index of images and their attestations. The platform comes from the
    /// index, else from the image's configuration.
    #[arg(value_name = "IMAGE", value_parser = operand::in_registry)]
    pub(crate) images: Vec<Reference>,

    /// Name of the merged image: NAME:TAG
    ///
    /// May be given several times, also for several registries. No tag is written before the image is
    /// signed and verified under all names.
    #[arg(long = "tag", value_name = "NAME:TAG", required = true, value_parser = parse_name)]
    pub(crate) tags: Vec<Reference>,

    /// Directory of files that are named by digest
    ///
    /// A file may be empty, with a name such as `sha256:...` or the 64 digits alone. Or it holds
    /// NAME@DIGEST, or the digest alone. May be given several times.
    #[arg(long, value_name = "DIR")]
    pub(crate) digests_from: Vec<PathBuf>,

    /// Repository of the digests in --digests-from
    ///
    /// Without this flag, it is the repository of the first --tag.
    #[arg(long, value_name = "NAME", value_parser = operand::repository, requires = "digests_from")]
    pub(crate) from: Option<Repository>,

    /// Print the index that would be written, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Key and value to put into the index
    ///
    /// May be given several times.
    #[arg(long = "index-annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) index_annotations: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) signing: SigningArguments,
}

impl MergeArguments {
    /// The tags, before anything is begun.
    pub(super) fn tags_to_write(&self) -> Option<TagsOfRun> {
        (!self.dry_run).then(|| TagsOfRun::planned(self.tags.iter().cloned()))
    }
}

/// A name to give: with a tag that is written out, and without a digest.
fn parse_name(text: &str) -> Result<Reference, String> {
    let expected = "expected NAME:TAG, such as quay.io/acme/app:v1";
    let reference: Reference = text
        .parse()
        .map_err(|error| format!("{expected}: {error}"))?;
    if reference.digest().is_some() {
        return Err(format!(
            "{expected}, found a digest: only the merge makes one"
        ));
    }
    if text.parse::<Repository>().is_ok() {
        return Err(format!("{expected}, found no tag"));
    }
    if let Some(tag) = reference.tag() {
        operand::refuse_tag_of_signatures(tag).map_err(|error| error.to_string())?;
    }
    Ok(reference)
}

pub(crate) async fn run(
    arguments: MergeArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let index_annotations = annotations(&arguments.index_annotations)?;
    let mut images = arguments.images;
    let first = arguments
        .tags
        .first()
        .map(|tag| tag.location().writable())
        .transpose()?;
    let from = arguments.from.as_ref();
    if let Some(repository) = from.or(first) {
        for directory in &arguments.digests_from {
            images.extend(digests::read(directory, repository)?);
        }
    }
    let progress = Arc::new(Progress::new(output, "reading the images"));
    let client = Client::new(&arguments.signing, environment, &progress)?;
    let merge = Merge::plan(&client.registry, &images, &index_annotations).await;
    let merge = merge.map_err(|error| {
        let failure = needing_digests(error, &images);
        // Nobody typed the name that was asked for.
        match (failure.kind, first) {
            (Kind::NotFound, Some(repository)) if from.is_none() && !arguments.digests_from.is_empty() => {
                failure.also(format!(
                    "images of --digests-from are looked for in {repository}, the repository of the first --tag; if \
                     they are in another, pass --from NAME"
                ))
            }
            _ => failure,
        }
    })?;
    if arguments.dry_run {
        drop(progress);
        return show(&merge, &arguments.tags, output);
    }
    let Setup {
        signer,
        token,
        annotations,
        // Each signature names a tag.
        binds_tag: _,
    } = setup(&arguments.signing, &client, Tags::Later, environment).await?;
    let publication = Publication::new(signer, &token, &annotations)?;
    // Whatever ends the run, it tells what was signed and what wasn't.
    let report = SigningReport::new(output);
    let noted = report.notes();
    let events = |event| steps::publishing(&progress, &noted, &event);
    let merged = merge
        .publish(&publication, &arguments.tags, &events)
        .await?;
    report.dismiss();
    drop(progress);
    output.result(&text(&merged));
    output.document(&MergeOutput::from(&merged));
    Ok(ExitCode::SUCCESS)
}

/// What `--dry-run` prints.
fn show(merge: &Merge, tags: &[Reference], output: &Output) -> Result<ExitCode, Failure> {
    let index: serde_json::Value = serde_json::from_slice(merge.bytes()).map_err(|error| {
        Failure::caused(
            Kind::Internal,
            "the index can't be printed".to_owned(),
            error,
        )
    })?;
    let mut names: Vec<String> = Vec::new();
    for tag in tags.iter().map(ToString::to_string) {
        // As in a real run, one that is named again is counted once.
        if !names.contains(&tag) {
            names.push(tag);
        }
    }
    output.answer(&format!(
        "would push {} and, when it is signed and verified, write {}\n{index:#}\n",
        merge.digest(),
        names.join(" and "),
    ));
    output.document(&MergeDryRunOutput {
        dry_run: true,
        results: Vec::new(),
        digest: merge.digest().to_string(),
        media_type: merge.media_type().to_owned(),
        tags: names,
        index,
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign merge` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MergeOutput {
    /// One for each signature: of the index and of everything in it, for each name.
    results: Vec<SignResult>,
    /// Digest of the index.
    digest: String,
    /// Media type of the index.
    media_type: String,
    /// What the index lists, in its order.
    manifests: Vec<JsonMergedManifest>,
    /// The tags that name it now.
    tags: Vec<String>,
}

/// A manifest in a merged index.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MergedManifest")]
struct JsonMergedManifest {
    /// Its digest.
    digest: String,
    /// Its platform. Left out if it is no image: an attestation, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<JsonPlatform>,
    /// Where it was merged from, by digest.
    source: String,
}

/// What `countersign merge --dry-run` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MergeDryRunOutput {
    /// `true`.
    dry_run: bool,
    /// Empty: nothing is signed.
    results: Vec<SignResult>,
    /// Digest of the index that would be pushed.
    digest: String,
    /// Media type of the index.
    media_type: String,
    /// The tags that would be written.
    tags: Vec<String>,
    /// The index that would be pushed.
    index: serde_json::Value,
}

impl From<&Merged> for MergeOutput {
    fn from(merged: &Merged) -> Self {
        Self {
            results: merged.signed.iter().map(Into::into).collect(),
            digest: merged.digest.to_string(),
            media_type: merged.media_type.clone(),
            manifests: merged.manifests.iter().map(Into::into).collect(),
            tags: merged.tags.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&MergedManifest> for JsonMergedManifest {
    fn from(manifest: &MergedManifest) -> Self {
        Self {
            digest: manifest.digest.to_string(),
            platform: manifest.platform.as_ref().map(Into::into),
            source: manifest.source.to_string(),
        }
    }
}

fn text(merged: &Merged) -> String {
    let mut text = String::new();
    for tag in &merged.tags {
        // Writing to a text does not fail.
        let _ = writeln!(text, "merged {tag}");
    }
    let rows = merged.manifests.iter().map(|manifest| {
        let platform = manifest.platform.as_ref().map(ToString::to_string);
        let platform = platform.unwrap_or_else(|| "attestation".to_owned());
        (platform, manifest.digest.to_string())
    });
    let mut rows: Vec<(String, String)> = rows.collect();
    rows.insert(0, ("digest".to_owned(), merged.digest.to_string()));
    let there = merged.signed.iter();
    let there = there.filter(|one| one.outcome == SigningOutcome::AlreadySigned);
    let there = match (there.count(), merged.signed.len()) {
        (0, _) => String::new(),
        (1, 1) => "; it was there already".to_owned(),
        (there, all) if there == all => "; all of them were there already".to_owned(),
        (1, _) => "; 1 of them was there already".to_owned(),
        (there, _) => format!("; {there} of them were there already"),
    };
    rows.push((
        "signatures".to_owned(),
        format!("{}, verified{there}", merged.signed.len()),
    ));
    if let Some(signed) = merged.signed.first() {
        rows.push(("signer".to_owned(), signed.evidence.signer.to_string()));
        if let Some(holder) = signed.evidence.signer.certificate() {
            rows.push(("issuer".to_owned(), holder.issuer.clone()));
        }
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    text
}
