//! What an audit prints of each image. Everything else that is made of an audit is made from these records.

use std::borrow::Cow;

use countersign_download::{AuditSubject, Audited, FoundSigner, State, Verdict};
use countersign_oci::excerpt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::failure::Failure;
use crate::json::error::JsonError;
use crate::json::evidence::JsonSignatureFormat;
use crate::json::installation::JsonRole;

/// The verdict on one image. With `--output jsonl` it is a line.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::commands) struct AuditResult {
    /// What was asked, as it was written.
    pub(super) reference: String,
    /// The gallery that lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gallery: Option<String>,
    /// Its name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entry: Option<String>,
    /// Why the entry names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<JsonRole>,
    /// The platform, with `--platform` and `--all-platforms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    /// What the reference resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    pub(super) state: JsonState,
    /// Who signed, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signer: Option<JsonSigner>,
    /// The earliest known time of the signature (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signed_at: Option<String>,
    /// Where in the transparency log the signature stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_index: Option<u64>,
    /// Form of the signature that the policy accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<JsonSignatureFormat>,
    /// Why it falls short, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// With `--since`: the state that it had before, if that was another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<JsonState>,
    /// The same as `state` and `reason`, as a failure of any command. Left out if an installation that requires
    /// integrity would succeed. `--fail-on` changes nothing about it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "made_anew"
    )]
    pub(super) error: Option<Box<JsonError>>,
}

/// Nothing: it is made of the other fields whenever it is printed.
fn made_anew<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<JsonError>>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| None)
}

/// A signer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Signer")]
pub(in crate::commands) struct JsonSigner {
    /// The OIDC issuer's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    /// An email address or a URI, from the certificate. If a key signed: `key` and its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<String>,
}

/// What was found about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct JsonState(State);

impl Serialize for JsonState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for JsonState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        let state = State::named(&name).ok_or_else(|| {
            let found = excerpt(&name);
            D::Error::custom(format_args!(
                "expected the state of an audit, found `{found}`"
            ))
        });
        state.map(Self)
    }
}

impl JsonSchema for JsonState {
    fn schema_name() -> Cow<'static, str> {
        "AuditState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let states = State::ALL.iter().map(|state| {
            json!({
                "type": "string",
                "const": state.as_str(),
                "description": state.meaning(),
            })
        });
        json_schema!({
            "oneOf": states.collect::<Vec<_>>(),
            "description": "What was found about an image.",
        })
    }
}

impl From<State> for JsonState {
    fn from(state: State) -> Self {
        Self(state)
    }
}

impl From<JsonState> for State {
    fn from(state: JsonState) -> Self {
        state.0
    }
}

impl AuditResult {
    pub(super) fn new(subject: &AuditSubject, audited: &Audited) -> Self {
        let Audited {
            role,
            source,
            platform,
            digest,
            verdict,
        } = audited;
        let evidence = verdict.evidence();
        Self {
            reference: source.clone(),
            gallery: subject.gallery().map(ToOwned::to_owned),
            entry: subject.entry().map(ToOwned::to_owned),
            role: role.map(Into::into),
            platform: platform.as_ref().map(ToString::to_string),
            digest: digest.as_ref().map(ToString::to_string),
            state: verdict.state().into(),
            signer: signer(verdict),
            signed_at: verdict.signed_at().map(|time| time.to_string()),
            log_index: evidence.and_then(|evidence| evidence.log_index),
            format: evidence.map(|evidence| evidence.format.into()),
            reason: verdict.reason().map(ToOwned::to_owned),
            was: None,
            error: None,
        }
    }

    /// Says by `error` what its state says. If it has one, it takes the `hints`.
    pub(super) fn tell_error(&mut self, hints: &mut Vec<String>) {
        let state = State::from(self.state);
        self.error = state.failure().map(|kind| {
            let reason = self.reason.clone();
            let failure = Failure::new(kind, reason.unwrap_or_else(|| state.words().to_owned()));
            let failure = match state {
                State::Uncovered if self.reference.starts_with("file://") => {
                    failure.hint(DIRECTORY)
                }
                State::Uncovered => failure.hint(UNCOVERED),
                _ => failure,
            };
            let mut error = failure.to_json();
            error.hints.append(hints);
            Box::new(error)
        });
    }
}

/// What to do about what no policy covers.
const UNCOVERED: &str =
    "add a `verification` block to the gallery; for a tarball, its `sha256` to the index";

/// The same, of a directory.
const DIRECTORY: &str = "publish it as a signed image: a directory can't have a signature";

/// Who signed, as far as the audit found it out.
fn signer(verdict: &Verdict) -> Option<JsonSigner> {
    let proven = verdict.evidence().map(|evidence| JsonSigner {
        issuer: evidence
            .signer
            .certificate()
            .map(|holder| holder.issuer.clone()),
        identity: Some(evidence.signer.to_string()),
    });
    proven.or_else(|| {
        let FoundSigner { issuer, identity } = verdict.other_signer()?;
        Some(JsonSigner {
            issuer: issuer.clone(),
            identity: identity.clone(),
        })
    })
}
