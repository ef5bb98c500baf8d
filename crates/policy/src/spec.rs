//! The `verification` block as written, before it is checked.
//!
//! These types are the file format and the command line's flags; nothing is judged by them. An
//! empty collection means that the key is not there: in a file, a key that is there with nothing
//! in it is an error, because it would be a condition that silently isn't one.
//!
//! The JSON Schema is derived from the same types, with their docstrings as its descriptions. What
//! the types alone don't say (`deserialize_with`, the rules that `Policy::check` makes) stands
//! beside each field as a `schemars` attribute or in [`crate::forms`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::forms;

mod requirement;
mod trust;

pub use requirement::{AttestationSpec, RequirementSpec};
pub use trust::{TrustFilesSpec, TrustSpec};

/// The keys of a `verification` block: who must have signed, and what else has to be true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Verification", transform = forms::one_signer_or_identities, extend("dependentRequired" = { "predicate": ["predicate_types"] }))]
pub struct PolicySpec {
    /// The OIDC issuer, exactly; or `issuer_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub issuer: Option<String>,
    /// A pattern for the whole issuer.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub issuer_regex: Option<String>,
    /// The signer's identity (the certificate's subject alternative name: the workflow's URL with
    /// its ref, or an e-mail address), exactly; or `identity_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub identity: Option<String>,
    /// A pattern for the whole identity.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub identity_regex: Option<String>,
    /// A public key instead of an issuer and an identity: its PEM, or the path of a PEM file, relative to
    /// the policy file. ECDSA P-256 or P-384, Ed25519, or RSA from 2048 bits.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub key: Option<String>,
    /// Whether log entries and timestamps of the key's signatures are not read. Then nothing proves when a
    /// signature was made. Only with `key`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_tlog: bool,
    /// Signatures made before this time (RFC 3339) are refused.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::instant")]
    pub not_before: Option<String>,
    /// A signature younger than this is refused: `30m`, `24h`, `7d`. Its latest verified time counts.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::age")]
    pub min_age: Option<String>,
    /// Several signers instead of one `issuer` and `identity`. One match is enough.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub identities: Vec<SignerSpec>,
    /// Rules on the certificate's claims, for every signer: a claim's name with its value, or the
    /// name and `_regex` with a pattern for the whole value.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::claims")]
    pub claims: BTreeMap<String, String>,
    /// Statement types that count as a signature. Default: cosign's signature type only.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::texts")]
    pub predicate_types: Vec<String>,
    /// Rules on fields of the predicate: a field's JSON pointer (`/buildDefinition/buildType`) with its value, or
    /// the pointer and `_regex` with a pattern for the whole value. Needs `predicate_types`.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::predicate")]
    pub predicate: BTreeMap<String, String>,
    /// Proofs of which all must be there, instead of `predicate_types`: `signature`, or an attestation by its
    /// `predicate_type`. What stands beside `require` holds for each of them.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "requirement::schema")]
    pub require: Vec<RequirementSpec>,
    /// Forms in which a signature may be stored: `bundle`, `simple_signing` (the legacy form of cosign, which
    /// is weaker). Default: `bundle` only.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::signature_formats")]
    pub signature_formats: Vec<String>,
    /// Annotations that the signed statement must have.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Whether the signed statement must name the repository asked for, and the tag where the image
    /// was asked for by one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bind_name: bool,
    /// Where the trusted root comes from: `public-good` (the default), `github` (GitHub's own instance, for
    /// private repositories), or your own instance.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "trust::schema")]
    pub trust: Option<TrustSpec>,
    /// More repositories in which to look for signatures: `host/path`.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::signature_sources")]
    pub signature_sources: Vec<String>,
    /// Images that are refused whoever signed them: `sha256:…`. An index also denies what it lists, where
    /// the image's repository has that index.
    #[serde(deserialize_with = "filled", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "forms::digests")]
    pub deny_digests: Vec<String>,
}

/// One of the `identities`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Signer", transform = forms::one_of_each_pair)]
pub struct SignerSpec {
    /// The OIDC issuer, exactly; or `issuer_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub issuer: Option<String>,
    /// A pattern for the whole issuer.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub issuer_regex: Option<String>,
    /// The signer's identity (the certificate's subject alternative name: the workflow's URL with
    /// its ref, or an e-mail address), exactly; or `identity_regex`.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub identity: Option<String>,
    /// A pattern for the whole identity.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub identity_regex: Option<String>,
    /// A public key instead of an issuer and an identity: its PEM, or the path of a PEM file, relative to
    /// the policy file. ECDSA P-256 or P-384, Ed25519, or RSA from 2048 bits.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::string")]
    pub key: Option<String>,
    /// Whether log entries and timestamps of the key's signatures are not read. Then nothing proves when a
    /// signature was made. Only with `key`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_tlog: bool,
    /// Every verified time of a signature must be at or after this (RFC 3339), for this signer alone
    /// and in addition to the `not_before` around it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "forms::instant")]
    pub not_before: Option<String>,
    /// Rules on the certificate's claims, for this signer alone and in addition to the `claims`
    /// around it.
    #[serde(
        deserialize_with = "filled",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "forms::claims")]
    pub claims: BTreeMap<String, String>,
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
