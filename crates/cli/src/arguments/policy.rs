//! Who must have signed: the flags, which carry the names of a policy file's fields.

use std::path::PathBuf;

use clap::Args;

use super::annotations::parse_pair;

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
