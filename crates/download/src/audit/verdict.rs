//! What an audit finds about an image.
//!
//! There is no "other": each way to fall short has a name, by which it is counted.

use countersign_oci::ErrorKind;
use countersign_verify::Evidence;
use jiff::Timestamp;

/// What an audit found about one image. It is no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    state: State,
    reason: Option<String>,
    found: Found,
}

/// What is known of the signature, by the state: a proof is whole, and of others a part is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Nothing,
    Evidence(Box<Evidence>),
    Signer(FoundSigner),
    SignedAt(Timestamp),
}

/// What is known of a signer that the policy does not name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSigner {
    /// The issuer in the certificate, if the policy looked at it and did not accept it.
    pub issuer: Option<String>,
    /// The identity in the certificate, if the policy looked at it.
    pub identity: Option<String>,
}

/// What a verdict comes to, by which verdicts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The policy accepts a signature.
    Proven,
    /// No policy covers it, and the gallery's index names the digest of its bytes. An installation compares them.
    Digest,
    /// Signed by the right signer, but before the policy's `not_before`.
    Stale,
    /// Signed by the right signer, but another condition of the policy is not met.
    OtherCondition,
    /// Signed by somebody that the policy does not name.
    OtherSigner,
    /// Only a signature in cosign's legacy form, which the policy does not accept.
    LegacyOnly,
    /// An attestation, but no signature.
    AttestationOnly,
    /// Nothing that is like a signature.
    Unsigned,
    /// There is a signature, and none that is genuine; or the content is damaged.
    Invalid,
    /// The policy's `deny_digests` has it, or an index that lists it.
    Denied,
    /// The registry does not have the image, its tag or the platform.
    Missing,
    /// The registry gave no answer now. Nobody knows whether the image is signed.
    Unreachable,
    /// The registry refused access, or answered nothing that can be used. Nobody knows whether the image is signed.
    Rejected,
    /// No policy and no digest covers it.
    Uncovered,
    /// The line or the gallery's entry names nothing that could be installed.
    Unusable,
    /// This machine or this program failed. Nobody knows whether the image is signed.
    Failed,
}

impl State {
    /// All of them, the good ones first.
    pub const ALL: [Self; 16] = [
        Self::Proven,
        Self::Digest,
        Self::Stale,
        Self::OtherCondition,
        Self::OtherSigner,
        Self::LegacyOnly,
        Self::AttestationOnly,
        Self::Unsigned,
        Self::Invalid,
        Self::Denied,
        Self::Missing,
        Self::Unreachable,
        Self::Rejected,
        Self::Uncovered,
        Self::Unusable,
        Self::Failed,
    ];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Digest => "digest",
            Self::Stale => "stale",
            Self::OtherCondition => "other_condition",
            Self::OtherSigner => "other_signer",
            Self::LegacyOnly => "legacy_only",
            Self::AttestationOnly => "attestation_only",
            Self::Unsigned => "unsigned",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Uncovered => "uncovered",
            Self::Unusable => "unusable",
            Self::Failed => "failed",
        }
    }

    /// What it means, in a few words after a number of images.
    pub fn words(self) -> &'static str {
        match self {
            Self::Proven => "signed as the policy requires",
            Self::Digest => "covered by a digest in the index",
            Self::Stale => "signed before the policy's not_before",
            Self::OtherCondition => "signed, but another condition of the policy is not met",
            Self::OtherSigner => "signed by somebody else",
            Self::LegacyOnly => "with a legacy signature only",
            Self::AttestationOnly => "with an attestation, but no signature",
            Self::Unsigned => "not signed",
            Self::Invalid => "with an invalid signature or content",
            Self::Denied => "denied by the policy",
            Self::Missing => "not in the registry",
            Self::Unreachable => "not known: the registry gave no answer",
            Self::Rejected => "not known: the registry refused access",
            Self::Uncovered => "covered by no policy",
            Self::Unusable => "not usable as they are written",
            Self::Failed => "not known: this machine failed",
        }
    }

    /// The kind of failure that it is; `None` if an installation that requires integrity would succeed.
    pub fn failure(self) -> Option<ErrorKind> {
        match self {
            Self::Proven | Self::Digest => None,
            Self::Stale
            | Self::OtherCondition
            | Self::OtherSigner
            | Self::Denied
            | Self::Uncovered => Some(ErrorKind::Policy),
            Self::LegacyOnly | Self::AttestationOnly | Self::Unsigned => Some(ErrorKind::Unsigned),
            Self::Invalid => Some(ErrorKind::Invalid),
            Self::Missing => Some(ErrorKind::NotFound),
            Self::Unreachable => Some(ErrorKind::Unreachable),
            Self::Rejected => Some(ErrorKind::Rejected),
            Self::Unusable => Some(ErrorKind::Usage),
            Self::Failed => Some(ErrorKind::Machine),
        }
    }
}

impl Verdict {
    /// The policy accepts the signature with this evidence.
    pub(super) fn proven(evidence: &Evidence) -> Self {
        Self {
            state: State::Proven,
            reason: None,
            found: Found::Evidence(Box::new(evidence.clone())),
        }
    }

    /// [`State::Digest`]
    pub(super) fn digest() -> Self {
        Self {
            state: State::Digest,
            reason: None,
            found: Found::Nothing,
        }
    }

    /// It falls short, and nothing is known of a signature.
    pub(super) fn short(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: Some(reason.into()),
            found: Found::Nothing,
        }
    }

    /// [`State::OtherSigner`]
    pub(super) fn by_other_signer(found: FoundSigner, reason: String) -> Self {
        Self {
            found: Found::Signer(found),
            ..Self::short(State::OtherSigner, reason)
        }
    }

    /// [`State::Stale`]
    pub(super) fn stale(signed_at: Timestamp, not_before: Timestamp) -> Self {
        let reason = format!("signed at {signed_at}, before the policy's not_before {not_before}");
        Self {
            found: Found::SignedAt(signed_at),
            ..Self::short(State::Stale, reason)
        }
    }

    /// The same with more behind its reason.
    pub(super) fn with_more(mut self, more: &str) -> Self {
        if let Some(reason) = &mut self.reason {
            reason.push_str(more);
        }
        self
    }

    /// By what it is counted.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it falls short, in one line; `None` if it doesn't.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What was proven, in the state [`State::Proven`].
    pub fn evidence(&self) -> Option<&Evidence> {
        match &self.found {
            Found::Evidence(evidence) => Some(evidence),
            Found::Signer(_) | Found::SignedAt(_) | Found::Nothing => None,
        }
    }

    /// What is known of the signer that the policy does not name, in the state [`State::OtherSigner`].
    pub fn other_signer(&self) -> Option<&FoundSigner> {
        match &self.found {
            Found::Signer(signer) => Some(signer),
            Found::Evidence(_) | Found::SignedAt(_) | Found::Nothing => None,
        }
    }

    /// The earliest verified time, in the states [`State::Proven`] and [`State::Stale`].
    pub fn signed_at(&self) -> Option<Timestamp> {
        match &self.found {
            Found::Evidence(evidence) => evidence.earliest(),
            Found::SignedAt(time) => Some(*time),
            Found::Signer(_) | Found::Nothing => None,
        }
    }
}
