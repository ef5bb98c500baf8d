//! Who must have signed: the flags, which carry the names of a policy file's fields.
//!
//! They are never mixed with a file: a flag beside `--policy` is refused.

use std::path::PathBuf;

use clap::Args;

use super::annotations::parse_signed_pair;

/// Who must have signed: a file, or the same fields as flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Policy (--policy, or an issuer and an identity, or a key)")]
pub(crate) struct PolicyArguments {
    /// Policy file, YAML or JSON
    ///
    /// The file has the fields of a `verification` block. The flags below have some of these fields: not with this
    /// one.
    #[arg(long, value_name = "FILE", conflicts_with = "policy_fields")]
    pub(crate) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: PolicyFields,
}

impl PolicyArguments {
    /// Whether any flag is of a policy.
    pub(crate) fn is_given(&self) -> bool {
        self.policy.is_some() || self.fields != PolicyFields::default()
    }
}

/// The fields of a policy file that have a flag. A flag of this struct is refused beside `--policy`.
#[derive(Debug, Default, PartialEq, Eq, Args)]
#[group(id = "policy_fields", multiple = true)]
pub(crate) struct PolicyFields {
    /// OIDC issuer in the certificate
    ///
    /// For example `https://token.actions.githubusercontent.com`. Not with --issuer-regex.
    #[arg(
        long,
        alias = "certificate-oidc-issuer",
        value_name = "URL",
        conflicts_with = "issuer_regex"
    )]
    pub(crate) issuer: Option<String>,

    /// Regular expression for the whole issuer
    #[arg(long, value_name = "REGEX")]
    pub(crate) issuer_regex: Option<String>,

    /// Identity in the certificate: a workflow's URI or an e-mail
    ///
    /// Not with --identity-regex.
    #[arg(
        long,
        alias = "certificate-identity",
        value_name = "IDENTITY",
        conflicts_with = "identity_regex"
    )]
    pub(crate) identity: Option<String>,

    /// Regular expression for the whole identity
    #[arg(long, value_name = "REGEX")]
    pub(crate) identity_regex: Option<String>,

    /// Public key in PEM, in place of an issuer and an identity
    ///
    /// For signatures of `cosign sign --key`. They need an entry in the transparency log, or `ignore_tlog` in a
    /// policy file. Not with --issuer, --issuer-regex, --identity and --identity-regex.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["issuer", "issuer_regex", "identity", "identity_regex"]
    )]
    pub(crate) key: Option<PathBuf>,

    /// Refuse signatures made before this time (RFC 3339)
    ///
    /// Use this to revoke older signatures.
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<String>,

    /// Key and value that the signature must contain
    ///
    /// May be given several times.
    #[arg(long = "annotation", short = 'a', alias = "annotations", value_name = "KEY=VALUE", value_parser = parse_signed_pair)]
    pub(crate) annotations: Vec<(String, String)>,
}
