//! What an audit prints of each image. Everything else that is made of an audit is made from these records.

use countersign_download::{Audited, FoundSigner, State, Subject, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditState")]
pub(in crate::commands) enum JsonState {
    /// The policy accepts a signature.
    Proven,
    /// No policy covers it, and the gallery's index names the digest of its bytes.
    Digest,
    /// Signed by the right signer, before the policy's `not_before`.
    Stale,
    /// Signed by the right signer; another condition of the policy is not met.
    OtherCondition,
    /// Signed by somebody that the policy does not name.
    OtherSigner,
    /// Only a signature in cosign's legacy form, which the policy does not accept.
    LegacyOnly,
    /// An attestation, but no signature.
    AttestationOnly,
    /// Nothing that is like a signature.
    Unsigned,
    /// A signature that is not genuine, or damaged content.
    Invalid,
    /// Denied by the policy's `deny_digests`.
    Denied,
    /// The registry does not have the image, its tag or the platform.
    Missing,
    /// The registry gave no answer now.
    Unreachable,
    /// The registry refused access, or answered nothing that can be used.
    Rejected,
    /// No policy and no digest covers it.
    Uncovered,
    /// Names nothing that could be installed.
    Unusable,
    /// This machine failed.
    Failed,
}

impl From<State> for JsonState {
    fn from(state: State) -> Self {
        match state {
            State::Proven => Self::Proven,
            State::Digest => Self::Digest,
            State::Stale => Self::Stale,
            State::OtherCondition => Self::OtherCondition,
            State::OtherSigner => Self::OtherSigner,
            State::LegacyOnly => Self::LegacyOnly,
            State::AttestationOnly => Self::AttestationOnly,
            State::Unsigned => Self::Unsigned,
            State::Invalid => Self::Invalid,
            State::Denied => Self::Denied,
            State::Missing => Self::Missing,
            State::Unreachable => Self::Unreachable,
            State::Rejected => Self::Rejected,
            State::Uncovered => Self::Uncovered,
            State::Unusable => Self::Unusable,
            State::Failed => Self::Failed,
        }
    }
}

impl From<JsonState> for State {
    fn from(state: JsonState) -> Self {
        match state {
            JsonState::Proven => Self::Proven,
            JsonState::Digest => Self::Digest,
            JsonState::Stale => Self::Stale,
            JsonState::OtherCondition => Self::OtherCondition,
            JsonState::OtherSigner => Self::OtherSigner,
            JsonState::LegacyOnly => Self::LegacyOnly,
            JsonState::AttestationOnly => Self::AttestationOnly,
            JsonState::Unsigned => Self::Unsigned,
            JsonState::Invalid => Self::Invalid,
            JsonState::Denied => Self::Denied,
            JsonState::Missing => Self::Missing,
            JsonState::Unreachable => Self::Unreachable,
            JsonState::Rejected => Self::Rejected,
            JsonState::Uncovered => Self::Uncovered,
            JsonState::Unusable => Self::Unusable,
            JsonState::Failed => Self::Failed,
        }
    }
}

impl AuditResult {
    pub(super) fn new(subject: &Subject, audited: &Audited) -> Self {
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
        }
    }
}

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
