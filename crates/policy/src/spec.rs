//! The `verification` block as written, before it is checked.
//!
//! These types are the file format and the command line's flags; nothing is judged by them. An
//! empty collection means that the key is not there: in a file, a key that is there with nothing
//! in it is an error, because it would be a condition that silently isn't one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};

/// The keys of a `verification` block. [`crate::Policy`] is its checked form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySpec {
    /// The OIDC issuer, exactly; or `issuer_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// A pattern for the whole issuer.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub issuer_regex: Option<String>,
    /// The signer's identity (the certificate's subject alternative name: the workflow's URL with
    /// its ref, or an e-mail address), exactly; or `identity_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// A pattern for the whole identity.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub identity_regex: Option<String>,
    /// Every verified time of a signature must be at or after this (RFC 3339).
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Several acceptable signers in place of one `issuer` and `identity`; any one suffices.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<SignerSpec>,
    /// Rules on the certificate's claims, for every signer: a [`crate::Claim`]'s name, or the name
    /// with `_regex` after it.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub claims: BTreeMap<String, String>,
    /// Statement types that count as a signature; without it, cosign's alone.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    pub predicate_types: Vec<String>,
    /// Pairs that the signed statement's annotations must hold.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Whether the signed statement must name the repository asked for. A tag is compared only
    /// where the verifier knows which one was asked for ([`Claimed::tag`](crate::Claimed)).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bind_name: bool,
    /// Where the trusted root comes from, when not from the public-good instance.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustSpec>,
    /// Repositories where signatures are looked for too: `host/path`.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    pub signature_sources: Vec<String>,
    /// Images that are refused whoever signed them: `sha256:…`.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    pub deny_digests: Vec<String>,
}

/// One of the `identities`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignerSpec {
    /// As [`PolicySpec::issuer`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// As [`PolicySpec::issuer_regex`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub issuer_regex: Option<String>,
    /// As [`PolicySpec::identity`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// As [`PolicySpec::identity_regex`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub identity_regex: Option<String>,
    /// As [`PolicySpec::not_before`], for this signer alone and in addition to it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// As [`PolicySpec::claims`], for this signer alone and in addition to them.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub claims: BTreeMap<String, String>,
}

/// Where the trusted root comes from: a file, or a TUF repository with its initial root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustSpec {
    /// A `trusted_root.json`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<String>,
    /// A TUF repository's URL; needs `tuf_root`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tuf_url: Option<String>,
    /// The initial `root.json` of that repository.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tuf_root: Option<String>,
}

/// A key that is there has a value: `not_before:` with nothing after it must not read as no
/// condition.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A collection that is there has something in it.
pub(crate) fn filled<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    for<'t> &'t T: IntoIterator,
{
    let collection = T::deserialize(deserializer)?;
    if (&collection).into_iter().next().is_none() {
        return Err(D::Error::invalid_length(0, &"at least one entry"));
    }
    Ok(collection)
}
