//! `countersign merge`: one image of many platforms, signed and proven before a tag names it.

mod digests;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_oci::{Reference, Repository};
use countersign_sign::{Event, Merge, MergeEvent, Merged, Publication, Signer, Tags};
use serde_json::json;

use super::sign::{ServiceArguments, identity_token, signing_services};
use crate::arguments::annotations::{annotations, parse_pair};
use crate::arguments::registry::RegistryArguments;
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::policy;
use crate::progress::Progress;
use crate::trust;

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
    #[arg(value_name = "IMAGE", required_unless_present = "digests_from")]
    pub(crate) images: Vec<Reference>,

    /// Name of the merged image: NAME:TAG
    ///
    /// May be given several times, also for several registries. No tag is written before the image is
    /// signed and verified under all names.
    #[arg(long = "tag", value_name = "NAME:TAG", required = true)]
    pub(crate) tags: Vec<Reference>,

    /// Directory of files that are named by digest
    ///
    /// A file may be empty, with a name such as `sha256:...` or the 64 digits alone. Or it holds
    /// NAME@DIGEST. May be given several times.
    #[arg(long, value_name = "DIR")]
    pub(crate) digests_from: Vec<PathBuf>,

    /// Repository of the digests in --digests-from
    ///
    /// Without this flag, it is the repository of the first --tag.
    #[arg(long, value_name = "NAME", requires = "digests_from")]
    pub(crate) from: Option<Repository>,

    /// Print the index that would be written, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Key and value to put into the index
    ///
    /// May be given several times.
    #[arg(long = "index-annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) index_annotations: Vec<(String, String)>,

    /// Key and value to put into the signatures
    ///
    /// May be given several times.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) annotations: Vec<(String, String)>,

    /// OIDC token that proves who signs, or @FILE
    ///
    /// Without this flag, the token comes from SIGSTORE_ID_TOKEN or from the CI (GitHub, GitLab,
    /// Buildkite, CircleCI).
    #[arg(long, value_name = "TOKEN|@FILE")]
    pub(crate) identity_token: Option<String>,

    /// Fail if the installer's policy file would refuse
    ///
    /// This is checked before anything is sent to the log.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) services: ServiceArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

pub(crate) async fn run(
    arguments: MergeArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let signed_annotations = annotations(&arguments.annotations)?;
    let index_annotations = annotations(&arguments.index_annotations)?;
    let mut images = arguments.images;
    let first = arguments
        .tags
        .first()
        .map(|tag| tag.location().writable())
        .transpose()?;
    if let Some(repository) = arguments.from.as_ref().or(first) {
        for directory in &arguments.digests_from {
            images.extend(digests::read(directory, repository)?);
        }
    }
    let registry = connection::registry(&arguments.registry, environment)?;
    let progress = Progress::new(output, "reading the images");
    let merge = Merge::plan(&registry, &images, &index_annotations).await?;
    if arguments.dry_run {
        drop(progress);
        return show(&merge, &arguments.tags, output);
    }
    let consumer = arguments
        .policy
        .as_deref()
        .map(policy::from_file)
        .transpose()?;
    let connection = registry.connection().clone();
    let flag = arguments.identity_token.as_deref();
    let (token, _) = identity_token(flag, environment, &connection, None).await?;
    let instance = trust::instance(&arguments.trust, consumer.as_ref())?;
    let trusted_root = instance.trusted_root(environment, &connection).await?;
    let signing =
        signing_services(&arguments.services, &instance, environment, &connection).await?;
    let mut signer = Signer::new(registry.clone(), &signing, trusted_root)?.with_tags(Tags::Later);
    if let Some(consumer) = consumer {
        signer = signer.with_consumer_policy(consumer.policy);
    }
    // Its answers come from the registry, and not from what the first one knows already.
    let stranger = connection::registry(&arguments.registry, environment)?;
    let publication = Publication {
        registry: &registry,
        stranger: &stranger,
        signer: &signer,
        token: &token,
        annotations: &signed_annotations,
    };
    let events = |event: MergeEvent| match event {
        MergeEvent::Copied { blob, .. } => progress.say(format!("copied {blob}")),
        MergeEvent::Pushed { index } => progress.say(format!("signing {index}")),
        MergeEvent::Signing(Event::Signed { image }) => {
            progress.say(format!("pushing the signature of {image}"));
        }
        MergeEvent::Signing(Event::Pushed { image, .. }) => {
            progress.say(format!("verifying {image}"));
        }
        MergeEvent::Proven => progress.say("writing the tags"),
        MergeEvent::Tagged { tag } => progress.say(format!("tagged {tag}")),
        _ => {}
    };
    let merged = merge
        .publish(&publication, &arguments.tags, &events)
        .await?;
    drop(progress);
    output.result(&text(&merged));
    output.document(&json!(merged));
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
    let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
    output.result(&format!(
        "would push {} and, when it is signed and verified, write {}\n{index:#}\n",
        merge.digest(),
        names.join(" and "),
    ));
    output.document(&json!({
        "dry_run": true,
        "digest": merge.digest(),
        "media_type": merge.media_type(),
        "tags": names,
        "index": index,
    }));
    Ok(ExitCode::SUCCESS)
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
    rows.push((
        "signatures".to_owned(),
        format!("{}, verified", merged.signed.len()),
    ));
    if let Some(signed) = merged.signed.first() {
        rows.push(("signer".to_owned(), signed.evidence.identity.clone()));
        rows.push(("issuer".to_owned(), signed.evidence.issuer.clone()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    text
}
