//! What `sign` and `merge` share: who signs, by which services, and how the signer is set up.

mod choices;
mod cosign;
pub(super) mod report;
mod services;
mod source;
pub(super) mod steps;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use clap::Args;
use countersign_oci::http::Connection;
use countersign_oci::{Patience, Registry};
use countersign_policy::{SignatureFormat, SigstoreInstance};
use countersign_sign::{Existing, IdentityToken, NotRenewed, Signer, Tags, WrittenFormats};
use url::Url;

use crate::arguments::annotations::{annotations, parse_signed_pair};
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::registry::{RegistryArguments, parse_duration, parse_url};
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::login::{LoginHow, Person};
use crate::policy;
use crate::progress::Progress;
use crate::trust::{self, Choice};
use choices::{Form, LogVersion, OtherVerifier};
use cosign::Cosign;
use services::{not_for_others, signing_services};
use source::{Origin, Source, source};

/// Flags of every command that signs.
#[derive(Debug, Args)]
pub(crate) struct SigningArguments {
    /// OIDC token that proves who signs, or @FILE
    ///
    /// Without this flag, the token comes from SIGSTORE_ID_TOKEN or from the CI (GitHub, GitLab,
    /// Buildkite, CircleCI).
    #[arg(long, value_name = "TOKEN|@FILE")]
    pub(crate) identity_token: Option<String>,

    /// How a person logs in if there is no token
    ///
    /// At a terminal, `browser` is the default if there is no token and no CI. If no browser can be
    /// opened, `device` prints a code to enter in a browser on any device. Otherwise, `never` is the
    /// default. Not with --identity-token.
    #[arg(
        long,
        value_name = "browser|device|never",
        hide_possible_values = true,
        conflicts_with = "identity_token"
    )]
    pub(crate) login: Option<LoginHow>,

    /// Key and value to put into the signatures
    ///
    /// May be given several times.
    #[arg(long = "annotation", short = 'a', alias = "annotations", value_name = "KEY=VALUE", value_parser = parse_signed_pair)]
    pub(crate) annotations: Vec<(String, String)>,

    /// As cosign has it. There is nothing to confirm.
    #[arg(long, short, hide = true)]
    pub(crate) yes: bool,

    /// As cosign has it. The images in an index are always signed too.
    #[arg(long, short, hide = true)]
    pub(crate) recursive: bool,

    /// Fail if the installer's policy file would refuse
    ///
    /// This is checked before a signature is sent to the log or the registry.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

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
        allow_negative_numbers = true,
        value_parser = at_once
    )]
    pub(crate) parallel: NonZeroUsize,

    /// Form: bundle, simple-signing or both
    ///
    /// Without this flag, signatures are bundles. `simple-signing` is the legacy form of cosign 2, for programs
    /// that read nothing else. It needs a log of Rekor version 1.
    #[arg(
        long,
        value_name = "FORM",
        default_value = "bundle",
        hide_possible_values = true
    )]
    pub(crate) format: Form,

    /// Program that must accept the signatures too: cosign
    ///
    /// `cosign verify` must accept each signature, after the installer's own verification and before a
    /// tag is written. cosign must be in a directory of PATH.
    #[arg(long, value_name = "PROGRAM", hide_possible_values = true)]
    pub(crate) also_verify_with: Option<OtherVerifier>,

    #[command(flatten)]
    pub(crate) services: ServiceArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

fn at_once(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    number.ok_or_else(|| format!("expected a number from 1 on, such as 16, found `{text}`"))
}

/// Which Sigstore services sign.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing services (default: public Sigstore)")]
pub(crate) struct ServiceArguments {
    /// Sigstore signing config: a signing_config.json (0.2)
    ///
    /// Not with --fulcio-url, --rekor-url and --tsa-url.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fulcio_url", "rekor_url", "tsa_url"])]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificate authority (Fulcio)
    #[arg(long, value_name = "URL", requires = "rekor_url", value_parser = parse_url)]
    pub(crate) fulcio_url: Option<Url>,

    /// Transparency log (Rekor)
    #[arg(long, value_name = "URL", requires = "fulcio_url", value_parser = parse_url)]
    pub(crate) rekor_url: Option<Url>,

    /// OIDC issuer at which a person logs in
    ///
    /// Without this flag, it is the one in the signing config.
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub(crate) oidc_issuer: Option<Url>,

    /// API version of the transparency log
    ///
    /// With a signing config, this selects one of its logs.
    #[arg(long, value_name = "1|2", hide_possible_values = true)]
    pub(crate) rekor_version: Option<LogVersion>,

    /// Timestamp authority; Rekor version 2 needs one
    #[arg(long, value_name = "URL", requires = "fulcio_url", value_parser = parse_url)]
    pub(crate) tsa_url: Option<Url>,
}

/// A client that waits for outages as long as `--patience` says.
pub(super) struct Client {
    /// Reads and writes images.
    pub(super) registry: Registry,
    patience: Option<Patience>,
    /// Where a person is told how to log in.
    progress: Weak<Progress>,
}

impl Client {
    /// Patience counts from now on, and is told of beside `progress`.
    pub(super) fn new(
        arguments: &SigningArguments,
        environment: &Environment,
        progress: &Arc<Progress>,
    ) -> Result<Self, Failure> {
        let patience = arguments
            .patience
            .map(|patience| patience_of(patience, progress));
        let mut options = connection::options(&arguments.registry, environment)?;
        options.retries.patience.clone_from(&patience);
        Ok(Self {
            registry: Registry::new(options)?,
            patience,
            progress: Arc::downgrade(progress),
        })
    }
}

/// What signs, and what is signed besides the images.
pub(super) struct Setup {
    pub(super) signer: Signer,
    pub(super) token: IdentityToken,
    pub(super) annotations: BTreeMap<String, String>,
    /// Whether the installer's policy refuses a tag that the signature doesn't name.
    pub(super) binds_tag: bool,
}

/// Gets the identity token, the trusted root and the services, and makes the signer.
pub(super) async fn setup(
    arguments: &SigningArguments,
    client: &Client,
    tags: Tags,
    environment: &Environment,
) -> Result<Setup, Failure> {
    let annotations = annotations(&arguments.annotations)?;
    let consumer = arguments
        .policy
        .as_deref()
        .map(policy::from_file)
        .transpose()?;
    let patience = client.patience.clone();
    let connection = client.registry.connection().clone();
    let source = source(arguments, environment, &connection, patience.as_ref()).await?;
    let instance = trust::instance(&arguments.trust, consumer.as_ref(), environment)?;
    if let Choice::Named(SigstoreInstance::GitHub) = instance.choice {
        return Err(not_for_others());
    }
    let formats = WrittenFormats::from(arguments.format);
    let cosign = match arguments.also_verify_with {
        Some(OtherVerifier::Cosign) => Some(Cosign::find(environment, &instance, formats)?),
        None => None,
    };
    let trusted_root = instance.trusted_root(environment, &connection).await?;
    let signing = signing_services(
        &arguments.services,
        formats,
        &instance,
        environment,
        &connection,
    )
    .await?;
    let (token, origin) = match source {
        Source::Token(token, origin) => (*token, origin),
        Source::Person(browser) => {
            let issuer = signing.oidc_issuer.as_ref();
            let progress = Weak::clone(&client.progress);
            let person = Person::new(&connection, issuer, browser, progress)?;
            (person.log_in().await?, Origin::Person(Arc::new(person)))
        }
    };
    let existing = if arguments.force {
        Existing::SignAgain
    } else {
        Existing::Keep
    };
    let signer = Signer::new(client.registry.clone(), &signing, trusted_root)?
        .with_tags(tags)
        .with_existing(existing)
        .with_formats(formats)
        .with_concurrency(arguments.parallel);
    let binds_tag = consumer.as_ref().is_some_and(|consumer| {
        let policy = &consumer.policy;
        // Of this form, a signature without a tag counts for every tag.
        let untagged = SignatureFormat::SimpleSigning;
        policy.bind_name() && !(formats.contains(untagged) && policy.accepts_format(untagged))
    });
    let signer = match consumer {
        Some(consumer) => signer.with_consumer_policy(consumer.policy),
        None => signer,
    };
    let signer = match cosign {
        Some(cosign) => {
            signer.with_further_check(move |signed| Box::pin(cosign.clone().verify(signed)))
        }
        None => signer,
    };
    let signer = match &patience {
        Some(patience) => signer.with_patience(patience.clone()),
        None => signer,
    };
    Ok(Setup {
        signer: with_renewal(signer, origin, environment, connection, patience),
        token,
        annotations,
        binds_tag,
    })
}

/// The signer that gets another token when the one of `origin` ends, if there is another.
fn with_renewal(
    signer: Signer,
    origin: Origin,
    environment: &Environment,
    connection: Connection,
    patience: Option<Patience>,
) -> Signer {
    match origin {
        Origin::Given => signer,
        Origin::Ci(ci) => {
            let environment = Arc::new(environment.clone());
            signer.with_renewal(move || {
                let (environment, patience) = (Arc::clone(&environment), patience.clone());
                let connection = connection.clone();
                Box::pin(async move {
                    let token = ci.token(&environment, &connection, patience.as_ref());
                    token.await.map_err(|failure| not_renewed(&failure))
                })
            })
        }
        Origin::Person(person) => signer.with_renewal(move || {
            let person = Arc::clone(&person);
            Box::pin(async move {
                let token = person.log_in().await;
                token.map_err(|failure| not_renewed(&failure))
            })
        }),
    }
}

fn not_renewed(failure: &Failure) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(NotRenewed {
        kind: failure.kind,
        message: failure.line(),
    })
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
