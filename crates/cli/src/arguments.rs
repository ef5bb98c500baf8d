//! The command line, as clap reads it. Names of flags are the policy file's names.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_download::Name;
use countersign_oci::{Platform, Reference};
use jiff::SignedDuration;
use url::Url;

use crate::commands::{GalleryArguments, PlanningArguments, ReplacingArguments, StoreArguments};
use crate::failure::{Failure, Kind, exit_codes_help};
use crate::limits::LimitArguments;

/// Sign container images in CI; install only what a signature and a policy prove.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = exit_codes_help())]
pub(crate) struct Arguments {
    /// How to print results: for a person, or as one JSON document on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const SIGN_EXAMPLE: &str = "\
Example, in a GitHub Actions job with `permissions: { id-token: write }`, after the push:
  countersign sign ghcr.io/acme/app:v1@sha256:DIGEST";

const VERIFY_EXAMPLE: &str = "\
Example: was this image signed by the release workflow of acme/app, for a tag?
  countersign verify \\
    --issuer https://token.actions.githubusercontent.com \\
    --identity-regex 'https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+' \\
    ghcr.io/acme/app:v1";

const INSTALL_EXAMPLE: &str = "\
Example: unpack the image into ./app, if it is signed as policy.yaml says
  countersign install --policy policy.yaml ghcr.io/acme/app:v1 ./app

Example: see where the entry `chat` of a gallery would come from, and on what proof
  countersign install --gallery galleries.yaml --dry-run chat

policy.yaml:
  verification:
    issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+";

const CASES_EXAMPLE: &str = "\
Example of a file of cases:
  cases:
    - name: a release is accepted
      manifest: image.json          # the image's manifest or index, as the registry has it
      bundle: release.sigstore.json # the signature: a Sigstore bundle
      expect: accepted
    - name: a fork's workflow is refused
      digest: sha256:DIGEST         # the image's digest serves as well
      bundle: fork.sigstore.json
      image: ghcr.io/acme/app:v1    # its name; only a policy with bind_name asks for it
      expect: refused_policy        # or refused_invalid, refused_unsigned; or refused, for any

Exit code 4 if a verdict is not the one expected.";

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for a person; progress on standard error if it is a terminal
    Human,
    /// One JSON document on standard output, for success and failure alike
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign images in a registry, an index with all its children, and check the result
    Sign(SignArguments),
    /// Prove that images are signed by the signer that a policy names
    Verify(VerifyArguments),
    /// Unpack an image into a directory, if and only if the policy's signer signed it
    Install(InstallArguments),
    /// Update what is installed to what its gallery has now, by the gallery's policy
    Upgrade(UpgradeArguments),
    /// Show what was installed from galleries, and on what evidence
    List(StoreArguments),
    /// Remove what was installed from galleries
    Remove(RemoveArguments),
    /// Understand and test policy files
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// `countersign policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say in words what a policy file asks for, and warn of what is weak in it
    Check(PolicyCheckArguments),
    /// Judge saved signatures by a policy file, and compare with the verdicts expected
    Test(PolicyTestArguments),
    /// Print the JSON Schema of policy files, for editors
    Schema,
}

impl Command {
    /// How long the whole run may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Sign(SignArguments { registry, .. })
            | Self::Verify(VerifyArguments { registry, .. })
            | Self::Install(InstallArguments { registry, .. })
            | Self::Upgrade(UpgradeArguments { registry, .. })
            | Self::Policy(PolicyCommand::Check(PolicyCheckArguments { registry, .. })) => {
                registry.timeout
            }
            Self::List(_)
            | Self::Remove(_)
            | Self::Policy(PolicyCommand::Test(_) | PolicyCommand::Schema) => None,
        }
    }
}

/// `countersign policy check`
#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArguments {
    /// The policy file, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// End with exit code 4 if there are warnings; without it, with 0. A file that can't be used
    /// is exit code 2 in any case
    #[arg(long)]
    pub(crate) strict: bool,

    /// Look up the policy's `deny_digests` in this repository, and print what the indexes among them
    /// list. May be given several times
    #[arg(long, value_name = "REPOSITORY", value_parser = crate::image::parse)]
    pub(crate) resolve: Vec<Reference>,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// `countersign policy test`
#[derive(Debug, Args)]
#[command(after_help = CASES_EXAMPLE)]
pub(crate) struct PolicyTestArguments {
    /// The policy file, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The cases, a YAML file; paths in it are relative to it
    #[arg(long = "case", value_name = "CASES")]
    pub(crate) cases: PathBuf,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,
}

/// `countersign sign`
#[derive(Debug, Args)]
#[command(after_help = SIGN_EXAMPLE)]
pub(crate) struct SignArguments {
    /// The images to sign, by digest: `NAME@DIGEST`, or `NAME:TAG@DIGEST` to sign the tag's name too
    #[arg(required = true, value_name = "REFERENCE")]
    pub(crate) references: Vec<Reference>,

    /// Accept a tag without a digest: sign whatever the registry says that it names
    #[arg(long)]
    pub(crate) by_tag: bool,

    /// Don't check the tag beside a digest: it will be set after the image is signed
    #[arg(long, conflicts_with = "by_tag")]
    pub(crate) tag_later: bool,

    /// OIDC token that says who signs, or @FILE to read it from; without this flag it is taken from
    /// SIGSTORE_ID_TOKEN or requested from the CI (GitHub, GitLab, Buildkite, CircleCI)
    #[arg(long, value_name = "TOKEN|@FILE")]
    pub(crate) identity_token: Option<String>,

    /// A pair to put into the signed statement; may be given several times
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) annotations: Vec<(String, String)>,

    /// The installer's policy file: fail, before anything is recorded or pushed, if it would refuse
    /// the signature
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Read layers of up to so many MiB in all, and warn of what `install` would refuse in them; 0
    /// reads none
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub(crate) check_layers: u32,

    #[command(flatten)]
    pub(crate) services: ServiceArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// Which Sigstore services sign.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing services (default: the public-good instance)")]
pub(crate) struct ServiceArguments {
    /// Sigstore signing config: a signing_config.json of version 0.2
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fulcio_url", "rekor_url", "tsa_url"])]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificate authority that issues the signing certificate
    #[arg(long, value_name = "URL", requires = "rekor_url")]
    pub(crate) fulcio_url: Option<Url>,

    /// Transparency log that records the signature
    #[arg(long, value_name = "URL", requires = "fulcio_url")]
    pub(crate) rekor_url: Option<Url>,

    /// API version of the transparency log: with a signing config, which of its logs to use
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) rekor_version: Option<u8>,

    /// Timestamp authority; Rekor version 2 needs one
    #[arg(long, value_name = "URL", requires = "fulcio_url")]
    pub(crate) tsa_url: Option<Url>,
}

/// `countersign verify`
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLE)]
pub(crate) struct VerifyArguments {
    /// The images to verify: the very manifest or index that each names is judged. `ocifile://PATH` is
    /// the one in an OCI image layout, a directory or a tar archive
    #[arg(required = true, value_name = "REFERENCE", value_parser = crate::image::parse)]
    pub(crate) references: Vec<Reference>,

    /// Verify the image for this platform. A signature on the index or on the platform's manifest
    /// counts, as for `install`
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) policy: PolicyArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// `countersign install`
#[derive(Debug, Args)]
#[command(override_usage = INSTALL_USAGE, after_help = INSTALL_EXAMPLE)]
pub(crate) struct InstallArguments {
    /// REFERENCE: the image. DIRECTORY: where to unpack it; must be missing, empty, or an earlier
    /// installation. The index or the platform's manifest must be signed. With --gallery, the names
    /// of entries instead
    #[arg(
        value_name = "REFERENCE DIRECTORY|NAME",
        required_unless_present_any = ["all", "from_lock"]
    )]
    pub(crate) operands: Vec<OsString>,

    /// Which image of an index to install [default: this machine's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) replacing: ReplacingArguments,

    #[command(flatten)]
    pub(crate) gallery: GalleryArguments,

    #[command(flatten)]
    pub(crate) limits: LimitArguments,

    #[command(flatten)]
    pub(crate) policy: PolicyArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

const INSTALL_USAGE: &str = "\
countersign install [OPTIONS] REFERENCE DIRECTORY
       countersign install [OPTIONS] --gallery FILE NAME...
       countersign install [OPTIONS] --gallery FILE --from-lock[=FILE] [NAME...]
       countersign install [OPTIONS] --gallery FILE --dry-run {--all | NAME...}";

/// `countersign upgrade`
#[derive(Debug, Args)]
pub(crate) struct UpgradeArguments {
    /// Names of what is installed [default: all that came from galleries]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,

    /// File with galleries, as for `install`
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: PathBuf,

    #[command(flatten)]
    pub(crate) replacing: ReplacingArguments,

    #[command(flatten)]
    pub(crate) planning: PlanningArguments,

    #[command(flatten)]
    pub(crate) limits: LimitArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// `countersign remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// Names of what is installed
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<Name>,

    /// Also remove a file or directory that has one of these names but no record of an installation
    #[arg(long)]
    pub(crate) unrecorded: bool,

    /// Fail if another run installs to the same directory, instead of waiting for it
    #[arg(long)]
    pub(crate) no_wait: bool,

    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// Who must have signed: a file, or the same fields as flags.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Policy: who must have signed (--policy, or an issuer and an identity)"
)]
#[group(id = "policy_flags", multiple = true)]
pub(crate) struct PolicyArguments {
    /// Policy file, YAML or JSON, with a `verification` block
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "issuer", "issuer_regex", "identity", "identity_regex", "not_before", "annotations",
    ])]
    pub(crate) policy: Option<PathBuf>,

    /// OIDC issuer that the certificate must name, such as `https://token.actions.githubusercontent.com`
    #[arg(long, value_name = "URL", conflicts_with = "issuer_regex")]
    pub(crate) issuer: Option<String>,

    /// Regular expression that the whole issuer must match
    #[arg(long, value_name = "REGEX")]
    pub(crate) issuer_regex: Option<String>,

    /// Identity that the certificate must name: a workflow's URI or an email address
    #[arg(long, value_name = "IDENTITY", conflicts_with = "identity_regex")]
    pub(crate) identity: Option<String>,

    /// Regular expression that the whole identity must match
    #[arg(long, value_name = "REGEX")]
    pub(crate) identity_regex: Option<String>,

    /// Refuse signatures made before this time (RFC 3339). This is how to revoke
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<String>,

    /// A pair that the signed statement must hold; may be given several times
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub(crate) annotations: Vec<(String, String)>,
}

/// Which Sigstore instance is trusted.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Trust root (default: the public-good instance, kept fresh through TUF)"
)]
pub(crate) struct TrustArguments {
    /// Trusted root: a trusted_root.json with the keys of CA, logs and timestamp authorities
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tuf_url", "tuf_root"])]
    pub(crate) trusted_root: Option<PathBuf>,

    /// TUF repository that distributes the trusted root
    #[arg(long, value_name = "URL", requires = "tuf_root")]
    pub(crate) tuf_url: Option<Url>,

    /// The TUF repository's initial root.json, obtained from somebody you trust
    #[arg(long, value_name = "FILE", requires = "tuf_url")]
    pub(crate) tuf_root: Option<PathBuf>,

    /// Ask no TUF repository: the trusted root is a file, or what an earlier run left in the cache
    /// and has not expired. Registries and signing services are asked all the same
    #[arg(long)]
    pub(crate) offline: bool,
}

/// How registries are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArguments {
    /// Speak plain http to every registry, not only to those on a loopback address
    #[arg(long)]
    pub(crate) plain_http: bool,

    /// Follow redirects from a public server into a private network (such as 10.0.0.0/8), where a
    /// registry has its storage behind a private link
    #[arg(long)]
    pub(crate) allow_private_redirects: bool,

    /// Certificates (PEM) of further authorities to trust for TLS
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca: Option<PathBuf>,

    /// Give up when the whole run takes longer: `90s`, `10m`, `1h 30m` [default: no limit but those
    /// of each request]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// A time as people write it.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    match duration.map(Duration::try_from) {
        Some(Ok(duration)) if !duration.is_zero() => Ok(duration),
        Some(_) => Err(format!("expected more than nothing, found `{text}`")),
        None => Err(format!(
            "expected a duration with its unit, such as 90s, 10m or `1h 30m`, found `{text}`"
        )),
    }
}

/// The pairs of a repeated `--annotation`. A key given twice would silently drop a condition.
pub(crate) fn annotations(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut annotations = BTreeMap::new();
    for (key, value) in pairs {
        if let Some(other) = annotations.insert(key.clone(), value.clone()) {
            let message =
                format!("the annotation `{key}` is given twice, as `{other}` and as `{value}`");
            return Err(Failure::new(Kind::Usage, message).hint("give each key once"));
        }
    }
    Ok(annotations)
}

/// `KEY=VALUE`, split at the first equals sign.
fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(format!("expected KEY=VALUE, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_duration_has_a_unit_and_is_more_than_nothing() {
        let minutes = |minutes: u64| Ok(Duration::from_secs(60 * minutes));
        assert_eq!(parse_duration("1h 30m"), minutes(90));
        assert_eq!(parse_duration("10m"), minutes(10));
        let nothing = |text: &str| Err(format!("expected more than nothing, found `{text}`"));
        assert_eq!(parse_duration("0s"), nothing("0s"));
        assert_eq!(parse_duration("-5s"), nothing("-5s"));
        for text in ["5", "soon", ""] {
            let says = "expected a duration with its unit, such as 90s, 10m or `1h 30m`, found";
            assert_eq!(parse_duration(text), Err(format!("{says} `{text}`")));
        }
    }

    #[test]
    fn a_pair_is_split_at_the_first_equals_sign() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_pair("a="), Ok(("a".into(), String::new())));
        assert!(parse_pair("=b").is_err());
        assert!(parse_pair("a").is_err());
    }
}
