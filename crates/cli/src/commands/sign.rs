//! `countersign sign`: signs images and runs the consumer on what it pushed.

mod layers;
mod report;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use countersign_oci::http::Connection;
use countersign_oci::{Patience, Reference, Registry};
use countersign_sign::{Event, Existing, IdentityToken, RekorVersion, Services, Signer, Tags};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;
use url::Url;

use crate::arguments::annotations::{annotations, parse_pair};
use crate::arguments::registry::{RegistryArguments, parse_duration};
use crate::arguments::trust::TrustArguments;
use crate::ci::Provider;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::json::signing::SignResult;
use crate::output::Output;
use crate::policy;
use crate::progress::Progress;
use crate::trust::{self, Choice, Instance};
use layers::Layers;
use report::Report;

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
    #[arg(required = true, value_name = "REFERENCE")]
    pub(crate) references: Vec<Reference>,

    /// Accept a tag without a digest
    ///
    /// This signs whatever image the registry has at that tag.
    #[arg(long)]
    pub(crate) by_tag: bool,

    /// Do not check the tag beside a digest
    ///
    /// Use this if the tag is set after the image is signed.
    #[arg(long, conflicts_with = "by_tag")]
    pub(crate) tag_later: bool,

    /// OIDC token that proves who signs, or @FILE
    ///
    /// Without this flag, the token comes from SIGSTORE_ID_TOKEN or from the CI (GitHub, GitLab,
    /// Buildkite, CircleCI).
    #[arg(long, value_name = "TOKEN|@FILE")]
    pub(crate) identity_token: Option<String>,

    /// Key and value to put into the signature
    ///
    /// May be given several times.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) annotations: Vec<(String, String)>,

    /// Fail if the installer's policy file would refuse
    ///
    /// This is checked before anything is sent to the log or the registry.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

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

    /// Sign again what is already signed
    ///
    /// Without this flag, images that the same identity has signed are skipped, if the installer's
    /// policy accepts the signature.
    #[arg(long)]
    pub(crate) force: bool,

    /// How long to wait for services that are down: 45m
    ///
    /// This is for the whole run. It covers the registry, Fulcio, Rekor, the timestamp authority and
    /// the CI's identity endpoint. Without this flag, each request is repeated for about half a minute.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) patience: Option<Duration>,

    /// Number of images to work on at the same time
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "16",
        allow_negative_numbers = true
    )]
    pub(crate) parallel: NonZeroUsize,

    #[command(flatten)]
    pub(crate) services: ServiceArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// Which Sigstore services sign.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing services (default: public Sigstore)")]
pub(crate) struct ServiceArguments {
    /// Sigstore signing config: a signing_config.json (0.2)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fulcio_url", "rekor_url", "tsa_url"])]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificate authority (Fulcio)
    #[arg(long, value_name = "URL", requires = "rekor_url")]
    pub(crate) fulcio_url: Option<Url>,

    /// Transparency log (Rekor)
    #[arg(long, value_name = "URL", requires = "fulcio_url")]
    pub(crate) rekor_url: Option<Url>,

    /// API version of the transparency log
    ///
    /// With a signing config, this selects one of its logs.
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) rekor_version: Option<u8>,

    /// Timestamp authority; Rekor version 2 needs one
    #[arg(long, value_name = "URL", requires = "fulcio_url")]
    pub(crate) tsa_url: Option<Url>,
}

/// How long layers are looked at once everything is signed. What is not looked at by then is told.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) async fn run(
    arguments: SignArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let annotations = annotations(&arguments.annotations)?;
    let consumer = arguments
        .policy
        .as_deref()
        .map(policy::from_file)
        .transpose()?;
    let progress = Arc::new(Progress::new(output, "signing"));
    let patience = arguments
        .patience
        .map(|patience| patience_of(patience, &progress));
    let mut options = connection::options(&arguments.registry, environment)?;
    options.retries.patience.clone_from(&patience);
    let registry = Registry::new(options)?;
    let looked_at = registry.clone();
    let connection = registry.connection().clone();
    let flag = arguments.identity_token.as_deref();
    let (token, origin) = identity_token(flag, environment, &connection, patience.as_ref()).await?;
    let instance = trust::instance(&arguments.trust, consumer.as_ref())?;
    let trusted_root = instance.trusted_root(environment, &connection).await?;
    let signing =
        signing_services(&arguments.services, &instance, environment, &connection).await?;
    let tags = match (arguments.by_tag, arguments.tag_later) {
        (true, _) => Tags::Followed,
        (_, true) => Tags::Later,
        _ => Tags::Checked,
    };
    let existing = match arguments.force {
        true => Existing::SignAgain,
        false => Existing::Keep,
    };
    let mut signer = Signer::new(registry, &signing, trusted_root)?
        .with_tags(tags)
        .with_existing(existing)
        .with_concurrency(arguments.parallel);
    if let Some(consumer) = consumer {
        signer = signer.with_consumer_policy(consumer.policy);
    }
    if let Some(patience) = &patience {
        signer = signer.with_patience(patience.clone());
    }
    match origin {
        Origin::Given => {}
        Origin::Ci(ci) => {
            let environment = Arc::new(environment.clone());
            signer = signer.with_renewal(move || {
                let (environment, patience) = (Arc::clone(&environment), patience.clone());
                let connection = connection.clone();
                Box::pin(async move {
                    let token = ci.token(&environment, &connection, patience.as_ref());
                    token.await.map_err(|failure| failure.line().into())
                })
            });
        }
    }

    // Whatever ends the run, it tells what was signed and what wasn't.
    let report = Report::new(output);
    let noted = report.notes();
    let events = |event: Event| {
        noted.take(&event);
        match event {
            Event::Signed { image } => progress.say(format!("pushing the signature of {image}")),
            Event::Pushed { image, .. } => progress.say(format!("verifying {image}")),
            Event::Verified { .. } => progress.say("signing"),
            _ => {}
        }
    };
    let (done, all_signed) = oneshot::channel();
    let sign = async {
        let references = &arguments.references;
        let signed = signer.sign(references, &token, &annotations, &events).await;
        signed.map_err(|stopped| Failure::from(stopped.error))?;
        // Nobody listens where the layers have been looked at.
        let _ = done.send(());
        Ok(())
    };

    let mut layers = Layers::default();
    let look = async {
        let bound = u64::from(arguments.check_layers) << 20;
        tokio::select! {
            () = layers.look(&looked_at, &arguments.references, bound) => {}
            () = grace(all_signed, started, arguments.registry.timeout) => {}
        }
        Ok::<_, Failure>(())
    };
    // Side by side: layers are read while signing waits for its services.
    tokio::try_join!(sign, look)?;
    drop(progress);

    let results = report.finish();
    for warning in &layers.warnings {
        output.warning(warning);
    }
    output.document(&SignOutput {
        results,
        warnings: layers.warnings,
        layers_not_checked: layers.unchecked.iter().map(ToString::to_string).collect(),
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign sign` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SignOutput {
    /// One for each manifest: of an index, its children's too.
    results: Vec<SignResult>,
    /// What `install` will refuse, a sentence each.
    warnings: Vec<String>,
    /// Digests of manifests whose layers were not looked at.
    layers_not_checked: Vec<String>,
}

/// Patience from now on, which tells what it waits for beside the progress.
fn patience_of(time: Duration, progress: &Arc<Progress>) -> Patience {
    let progress = Arc::downgrade(progress);
    Patience::until(tokio::time::Instant::now() + time, move |failed| {
        if let Some(progress) = progress.upgrade() {
            progress.tell(&format!("waiting: {failed}"));
        }
    })
}

/// Where an identity token comes from, and so whether there is another when it ends.
pub(super) enum Origin {
    Given,
    Ci(Provider),
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

/// The token of the flag, of `SIGSTORE_ID_TOKEN`, or of the CI that this runs in.
pub(super) async fn identity_token(
    flag: Option<&str>,
    environment: &Environment,
    connection: &Connection,
    patience: Option<&Patience>,
) -> Result<(IdentityToken, Origin), Failure> {
    if let Some(flag) = flag {
        let token = match flag.strip_prefix('@') {
            Some(file) => IdentityToken::from_jwt(&read_text(file.as_ref(), "identity token")?)?,
            None => IdentityToken::from_jwt(flag)?,
        };
        return Ok((token, Origin::Given));
    }
    if let Some(token) = environment.variable("SIGSTORE_ID_TOKEN") {
        return Ok((IdentityToken::from_jwt(token)?, Origin::Given));
    }
    match Provider::detect(environment) {
        Some(ci) => {
            let token = ci.token(environment, connection, patience).await?;
            Ok((token, Origin::Ci(ci)))
        }
        None => Err(Failure::new(
            Kind::Usage,
            "there is no identity token, and this is not a CI that has one",
        )
        .hint("pass --identity-token TOKEN or @FILE, or set SIGSTORE_ID_TOKEN")),
    }
}

pub(super) async fn signing_services(
    named: &ServiceArguments,
    instance: &Instance,
    environment: &Environment,
    connection: &Connection,
) -> Result<Services, Failure> {
    let rekor_version = named.rekor_version.map(|version| match version {
        1 => RekorVersion::V1,
        _ => RekorVersion::V2,
    });
    if let Some(path) = &named.signing_config {
        let json = read_text(path, "signing config")?;
        return Ok(Services::from_signing_config(&json, rekor_version)?);
    }
    if let (Some(fulcio), Some(rekor)) = (&named.fulcio_url, &named.rekor_url) {
        return Ok(Services {
            fulcio: fulcio.clone(),
            rekor: rekor.clone(),
            rekor_version: rekor_version.unwrap_or(RekorVersion::V1),
            tsa: named.tsa_url.clone(),
        });
    }
    let unnamed = |why| {
        Failure::new(Kind::Usage, why)
            .hint("pass --signing-config FILE, or --fulcio-url URL with --rekor-url URL")
    };
    Ok(match &instance.choice {
        Choice::File(_) => {
            return Err(unnamed(
                "no flag names the signing services: --trusted-root does not",
            ));
        }
        _ if instance.offline => {
            return Err(unnamed(
                "no flag names the signing services, and --offline does not ask a TUF repository",
            ));
        }
        Choice::Tuf { url, root } => {
            let root = trust::read_root(root)?;
            let cache = trust::tuf_cache(environment, url, &root)?.join("signing-config");
            Services::tuf(connection, url, &root, cache, rekor_version).await?
        }
        Choice::PublicGood => {
            let cache = trust::cache(environment, "public-good")?.join("signing-config");
            Services::public_good(connection, cache, rekor_version).await?
        }
    })
}
