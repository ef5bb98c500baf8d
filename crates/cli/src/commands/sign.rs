//! `countersign sign`: signs images and runs the consumer on what it pushed.

mod layers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use countersign_oci::{Reference, excerpt};
use countersign_sign::{Publication, Signer, Tags, require_digests};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;

use super::signing::report::{Notes, SigningReport};
use super::signing::{Client, Setup, SigningArguments, setup, steps};
use crate::environment::{Environment, Variable};
use crate::failure::{Failure, needing_digests};
use crate::json::error::Tags as TagsOfRun;
use crate::json::signing::SignResult;
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use layers::Layers;

const EXAMPLE: &str = "\
Example, in a GitHub Actions job with `permissions: { id-token: write }`, after the push:
  countersign sign ghcr.io/acme/app:v1@sha256:DIGEST";

/// `countersign sign`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct SignArguments {
    /// Images to sign: NAME@DIGEST or NAME:TAG@DIGEST
    ///
    /// With a tag, the signature names the tag too. If the image is an index, all images in it are
    /// signed.
    #[arg(required = true, value_name = "REFERENCE", value_parser = operand::to_sign)]
    pub(crate) references: Vec<Reference>,

    /// Accept a tag without a digest
    ///
    /// This signs whatever image the registry has at that tag.
    #[arg(long)]
    pub(crate) by_tag: bool,

    /// Do not check the tag beside a digest
    ///
    /// Use this if the tag is set after the image is signed. Not with --by-tag.
    #[arg(long, conflicts_with = "by_tag")]
    pub(crate) tag_later: bool,

    /// Tag to write when the image is signed: v1
    ///
    /// The tag is of the image's repository, and the signature names it. First, a new client, which has
    /// nothing cached, verifies the signatures. Then the tag is written and read back. If anything fails
    /// before, every tag stays as it was. May be given several times. Not with --by-tag and --tag-later.
    #[arg(
        long,
        value_name = "TAG",
        value_parser = operand::tag,
        conflicts_with_all = ["by_tag", "tag_later"],
    )]
    pub(crate) then_tag: Vec<String>,

    /// MiB of layers to read for warnings; 0 reads none
    ///
    /// `sign` warns of files that `install` would refuse.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    pub(crate) check_layers: u32,

    #[command(flatten)]
    pub(crate) signing: SigningArguments,
}

impl SignArguments {
    /// What is asked of the tags in the references.
    fn tags(&self) -> Tags {
        match (self.by_tag, self.tag_later) {
            (true, _) => Tags::Followed,
            (false, true) => Tags::Later,
            (false, false) if !self.then_tag.is_empty() => Tags::Later,
            (false, false) => Tags::Checked,
        }
    }

    /// The tags of `--then-tag`, before anything is begun.
    pub(super) fn tags_to_write(&self) -> Option<TagsOfRun> {
        let all = self.references.iter().flat_map(|image| {
            let tags = self.then_tag.iter();
            // `operand::tag` has let nothing else through.
            tags.filter_map(|tag| image.with_tag(tag).ok())
        });
        (!self.then_tag.is_empty()).then(|| TagsOfRun::planned(all))
    }
}

/// How long layers are looked at once everything is signed. What is not looked at by then is told.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) async fn run(
    arguments: SignArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let progress = Arc::new(Progress::new(output, "signing"));
    let tags = arguments.tags();
    let client = Client::new(&arguments.signing, environment, &progress)?;
    let looked_at = client.registry.clone();
    // What the command line itself shows comes before questions for tokens and services.
    if !arguments.by_tag && arguments.then_tag.is_empty() {
        digests_given(&client, &arguments.references).await?;
    }
    let Setup {
        signer,
        token,
        annotations,
        binds_tag,
    } = setup(&arguments.signing, &client, tags, environment).await?;

    // Whatever ends the run, it tells what was signed and what wasn't.
    let report = SigningReport::new(output);
    let noted = report.notes();
    let way = if arguments.then_tag.is_empty() {
        Way::Sign(signer)
    } else {
        Way::ThenTag(Publication::new(signer, &token, &annotations)?)
    };
    let (done, all_signed) = oneshot::channel();
    let sign = async {
        let references = &arguments.references;
        let written = match &way {
            Way::Sign(signer) => {
                let events = |event| steps::signing(&progress, &noted, &event);
                let signed = signer.sign(references, &token, &annotations, &events).await;
                signed.map_err(|stopped| ended(stopped.error, &noted, references))?;
                Vec::new()
            }
            Way::ThenTag(publication) => {
                let events = |event| steps::publishing(&progress, &noted, &event);
                let published = publication.sign_then_tag(references, &arguments.then_tag, &events);
                published.await?.tags
            }
        };
        // Nobody listens where the layers have been looked at.
        let _ = done.send(());
        Ok(written)
    };

    let mut layers = Layers::default();
    let look = async {
        let bound = u64::from(arguments.check_layers) << 20;
        tokio::select! {
            () = layers.look(&looked_at, &arguments.references, bound, environment) => {}
            () = grace(all_signed, started, arguments.signing.registry.timeout) => {}
        }
        Ok::<_, Failure>(())
    };
    // Side by side: layers are read while signing waits for its services.
    let (written, ()) = tokio::try_join!(sign, look)?;
    drop(progress);

    let untagged = binds_tag.then(|| report.without_tag());
    let warnings: Vec<String> = untagged
        .iter()
        .flatten()
        .map(without_tag)
        .chain(layers.warnings)
        .chain(beside_the_image(environment))
        .collect();
    let results = report.finish();
    for tag in &written {
        output.result(&format!("tagged {tag}\n"));
    }
    for warning in &warnings {
        output.warning(warning);
    }
    output.document(&SignOutput {
        results,
        tags: written.iter().map(ToString::to_string).collect(),
        warnings,
        layers_not_checked: layers.unchecked.iter().map(ToString::to_string).collect(),
    });
    Ok(ExitCode::SUCCESS)
}

/// What a policy with `bind_name` makes of a signature that names no tag.
fn without_tag(reference: &Reference) -> String {
    let repository = reference.location();
    let digest = reference
        .digest()
        .map_or_else(|| "DIGEST".to_owned(), ToString::to_string);
    format!(
        "the signature of {reference} names no tag, and the policy has `bind_name`: installs by tag will be \
         refused; sign {repository}:TAG@{digest} for each tag, or pass --then-tag TAG"
    )
}

/// What is said where one of several images can't be read.
const NONE_OF_SEVERAL_SIGNED: &str =
    "none of the images was signed by this run: all of them are read before the first is signed";

async fn digests_given(client: &Client, references: &[Reference]) -> Result<(), Failure> {
    let given = require_digests(&client.registry, references).await;
    given.map_err(|error| needing_digests(error, references))
}

/// What ended signing. Where nothing is known yet of what is to be signed, no list says that it isn't.
fn ended(error: countersign_sign::Error, noted: &Notes, references: &[Reference]) -> Failure {
    if noted.are_begun() || references.len() < 2 {
        error.into()
    } else {
        Failure::from(error).also(NONE_OF_SEVERAL_SIGNED)
    }
}

/// What is said to whoever has set cosign's variable for another place of signatures.
fn beside_the_image(environment: &Environment) -> Option<String> {
    let repository = excerpt(environment.variable(Variable::CosignRepository)?);
    Some(format!(
        "COSIGN_REPOSITORY is not used: the signatures are beside the images, and not in {repository}"
    ))
}

/// What is done with the images.
enum Way<'a> {
    Sign(Signer),
    /// Sign, and then write the tags of `--then-tag`.
    ThenTag(Publication<'a>),
}

/// What `countersign sign` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SignOutput {
    /// One for each manifest: of an index, its children's too.
    results: Vec<SignResult>,
    /// Tags that name the images now, by `--then-tag`. Else empty.
    tags: Vec<String>,
    /// What `install` will refuse, or refuse by a tag, and settings of cosign that are not used, a sentence each.
    warnings: Vec<String>,
    /// Digests of manifests whose layers were not looked at.
    layers_not_checked: Vec<String>,
}

/// Ends when layers have been looked at for long enough: some time after everything is signed, and
/// well before a `--timeout` would end the run and lose what it has to tell.
async fn grace(signed: oneshot::Receiver<()>, started: Instant, timeout: Option<Duration>) {
    // Without an answer signing has failed, and that ends the run.
    if signed.await.is_ok() {
        let rest = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()) / 2);
        tokio::time::sleep(rest.unwrap_or(GRACE).min(GRACE)).await;
    }
}
