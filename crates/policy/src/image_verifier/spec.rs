//! The configuration of the image verifier as written, before it is checked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::forms;
use crate::spec::{PolicySpec, filled, present};

/// Which images a node may pull: what its image verifier goes by.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ImageVerifier", transform = forms::one_of_each, extend("required" = ["rules"]))]
pub(super) struct ConfigSpec {
    /// What becomes of an image that no rule matches: `deny` (if this key is left out) or `allow`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::unmatched")]
    pub(super) default: Option<String>,
    /// `enforce` (if this key is left out), or `warn`: what would be refused is allowed, with a warning.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::mode")]
    pub(super) mode: Option<String>,
    /// A Sigstore instance by its name: `public-good` (if this key, `trusted_root` and `tuf` are left out) or
    /// `github`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::instance")]
    pub(super) trust: Option<String>,
    /// A `trusted_root.json`, in place of `trust`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) trusted_root: Option<String>,
    /// A TUF repository that has the trusted root, in place of `trust`.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "TufSpec")]
    pub(super) tuf: Option<TufSpec>,
    /// Logins for registries, as docker and podman keep them.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) login_file: Option<String>,
    /// More certificate authorities for TLS with registries (PEM).
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) ca_file: Option<String>,
    /// Copies of registries, which are asked first: for `HOST` or `HOST/PATH`, a list of the same.
    #[serde(deserialize_with = "filled")]
    #[schemars(schema_with = "forms::mirrors")]
    pub(super) mirrors: BTreeMap<String, Vec<String>>,
    /// How long a verdict may take, such as `8s` (if this key is left out). Less than containerd waits.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::deadline")]
    pub(super) deadline: Option<String>,
    /// The directory for the caches of trusted roots and signatures.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) state_directory: Option<String>,
    /// How long a signature that was found counts without asking a registry again: `24h` (if this key is left
    /// out), or `none`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::cache_age")]
    pub(super) cache_age: Option<String>,
    /// The file that each decision is written to, a line of JSON each.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) log_file: Option<String>,
    /// How many bytes that file may have before it is put aside. One that was put aside is kept.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::log_bytes")]
    pub(super) log_bytes: Option<u64>,
    /// The socket of systemd's journal, such as `/run/systemd/journal/socket`. Decisions go there, and to no file.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) journal_socket: Option<String>,
    /// The rules. The first that matches the image counts.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "Vec<RuleSpec>")]
    pub(super) rules: Option<Vec<RuleSpec>>,
}

/// A TUF repository with its initial root.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Tuf", extend("required" = ["url", "root"]))]
pub(super) struct TufSpec {
    /// Its URL.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::url")]
    pub(super) url: Option<String>,
    /// Its initial `root.json`: a file.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) root: Option<String>,
}

/// One rule: images, and what has to be true of them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Rule", transform = forms::one_answer, extend("required" = ["images"]))]
pub(super) struct RuleSpec {
    /// Patterns of images; one match is enough. `*` is within a part of the name, `**` is whole parts.
    #[serde(deserialize_with = "filled")]
    #[schemars(schema_with = "crate::forms::texts")]
    pub(super) images: Vec<String>,
    /// As above, for these images alone.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::mode")]
    pub(super) mode: Option<String>,
    /// Who must have signed.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "PolicySpec")]
    pub(super) verification: Option<PolicySpec>,
    /// `true`: these images need no signature. Needs `reason`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::yes")]
    pub(super) allow: Option<bool>,
    /// Why these images need no signature.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "crate::forms::text")]
    pub(super) reason: Option<String>,
}
