//! `countersign trust`: whose keys signatures are checked with, and until when.
//!
//! Nothing is judged here.

mod text;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use countersign_verify::{
    AuthorityDescription, LogDescription, RootDescription, TufMetadata, TufNetwork, Validity,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::registry::parse_duration;
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::policy;
use crate::trust::{Instance, instance};

/// `countersign trust`
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Show the trusted root: its authorities and logs, and when each of them counts
    ///
    /// It is the one that `countersign verify` uses with the same flags.
    Show(TrustShowArguments),
    /// Fetch the trusted root now, however fresh the one on the disk is
    ///
    /// Without this command, a TUF repository is asked once a day.
    Update(TrustShowArguments),
}

impl TrustCommand {
    /// How long the whole run may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let (Self::Show(arguments) | Self::Update(arguments)) = self;
        arguments.timeout
    }

    /// The flag of the files of configuration.
    pub(super) fn configuration(&self) -> &ConfigurationArguments {
        let (Self::Show(arguments) | Self::Update(arguments)) = self;
        &arguments.configuration
    }
}

/// `countersign trust show`, and `countersign trust update`
#[derive(Debug, Args)]
pub(crate) struct TrustShowArguments {
    /// The trusted root that this policy names
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Time limit for the whole run: 90s, 10m, `1h 30m`
    ///
    /// Without this flag, only each request has a time limit.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    trust: TrustArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

impl TrustShowArguments {
    /// The instance whose trusted root is meant. `None` if it is the policy's, and the policy needs none.
    fn instance(&self, environment: &Environment) -> Result<Option<Instance>, Failure> {
        let policy = self.policy.as_deref().map(policy::from_file).transpose()?;
        let found = instance(&self.trust, policy.as_ref(), environment)?;
        let needed = policy.is_none_or(|loaded| loaded.policy.needs_trusted_root());
        Ok((needed || self.trust.name_an_instance()).then_some(found))
    }
}

pub(super) async fn run(
    command: TrustCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let connection = connection::without_registries(environment)?;
    let (TrustCommand::Show(arguments) | TrustCommand::Update(arguments)) = &command;
    let Some(instance) = arguments.instance(environment)? else {
        output.answer(NOT_NEEDED);
        output.document(&TrustOutput {
            not_needed: true,
            results: Vec::new(),
        });
        return Ok(ExitCode::SUCCESS);
    };
    match command {
        TrustCommand::Show(_) => {
            let root = instance.trusted_root(environment, &connection).await?;
            let results = results(&instance, environment, &root.describe(), root.metadata())?;
            output.answer(&text::shown(&results, Timestamp::now()));
            output.document(&TrustOutput::of(results));
        }
        TrustCommand::Update(_) => {
            if instance.network == TufNetwork::Offline {
                return Err(Failure::new(
                    Kind::Usage,
                    "`trust update` asks the TUF repository, and --offline says not to",
                )
                .hint("leave out --offline, or run `countersign trust show --offline`"));
            }
            let root = instance.update(environment, &connection).await?;
            let results = results(&instance, environment, &root.describe(), root.metadata())?;
            output.answer(&text::updated(&instance.name(), &results));
            output.document(&TrustOutput::of(results));
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NOT_NEEDED: &str = "\
The policy needs no trusted root: it accepts keys alone, and `ignore_tlog` reads no log. Nothing was asked.
";

/// What `countersign trust` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TrustOutput {
    /// Whether the policy needs no trusted root, since it accepts keys alone and reads no log. Then `results` is
    /// empty, and nothing was read or asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    not_needed: bool,
    /// One for each trusted root: several, if a file has several.
    results: Vec<TrustResult>,
}

impl TrustOutput {
    fn of(results: Vec<TrustResult>) -> Self {
        Self {
            not_needed: false,
            results,
        }
    }
}

/// A trusted root.
#[derive(Debug, Serialize, JsonSchema)]
struct TrustResult {
    /// Where it is from: a file, a URL, or the name of an instance.
    source: String,
    /// The TUF repository's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuf_url: Option<String>,
    /// The directory with the verified metadata of the TUF repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<String>,
    /// The metadata of the TUF repository. Empty for a file.
    metadata: Vec<JsonMetadata>,
    certificate_authorities: Vec<JsonAuthority>,
    /// Logs of certificates. If there are none, a certificate need not be logged.
    certificate_logs: Vec<JsonLog>,
    /// Logs of signatures. If there are none, a signature needs a timestamp.
    transparency_logs: Vec<JsonLog>,
    timestamp_authorities: Vec<JsonAuthority>,
}

/// One metadata file of a TUF repository.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TufMetadata")]
struct JsonMetadata {
    /// `root`, `timestamp`, `snapshot` or `targets`.
    role: &'static str,
    version: u64,
    /// RFC 3339.
    #[schemars(with = "String")]
    expires: Timestamp,
}

/// An authority that issues certificates or timestamps.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrustedAuthority")]
struct JsonAuthority {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The organisation that the trusted root names.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(flatten)]
    validity: JsonValidity,
}

/// A log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrustedLog")]
struct JsonLog {
    url: String,
    /// The log's ID, in hex.
    id: String,
    /// The kind of its key, such as `PKIX_ECDSA_P256_SHA_256`.
    key: String,
    /// Whether this program can check signatures by that key.
    supported: bool,
    #[serde(flatten)]
    validity: JsonValidity,
}

/// When something counts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrustedTime")]
struct JsonValidity {
    /// The first moment, RFC 3339. Left out if there is no such bound, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    from: Option<Timestamp>,
    /// The last moment, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    until: Option<Timestamp>,
}

fn results(
    instance: &Instance,
    environment: &Environment,
    roots: &[RootDescription],
    metadata: &[TufMetadata],
) -> Result<Vec<TrustResult>, Failure> {
    let tuf = instance.tuf(environment)?;
    let result = |root: &RootDescription| TrustResult {
        source: instance.name(),
        tuf_url: tuf.as_ref().map(|(url, _)| url.clone()),
        cache: tuf
            .as_ref()
            .map(|(_, cache)| cache.to_string_lossy().into_owned()),
        metadata: metadata.iter().map(Into::into).collect(),
        certificate_authorities: root
            .certificate_authorities
            .iter()
            .map(Into::into)
            .collect(),
        certificate_logs: root.certificate_logs.iter().map(Into::into).collect(),
        transparency_logs: root.transparency_logs.iter().map(Into::into).collect(),
        timestamp_authorities: root.timestamp_authorities.iter().map(Into::into).collect(),
    };
    Ok(roots.iter().map(result).collect())
}

impl From<&TufMetadata> for JsonMetadata {
    fn from(metadata: &TufMetadata) -> Self {
        Self {
            role: metadata.role,
            version: metadata.version,
            expires: metadata.expires,
        }
    }
}

impl From<&AuthorityDescription> for JsonAuthority {
    fn from(authority: &AuthorityDescription) -> Self {
        Self {
            url: authority.url.clone(),
            organization: authority.organization.clone(),
            validity: authority.validity.into(),
        }
    }
}

impl From<&LogDescription> for JsonLog {
    fn from(log: &LogDescription) -> Self {
        Self {
            url: log.url.clone(),
            id: log.id.clone(),
            key: log.key.clone(),
            supported: log.supported,
            validity: log.validity.into(),
        }
    }
}

impl From<Validity> for JsonValidity {
    fn from(validity: Validity) -> Self {
        Self {
            from: validity.from,
            until: validity.until,
        }
    }
}
