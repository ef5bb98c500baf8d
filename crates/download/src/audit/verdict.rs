//! What an audit finds about an image.
//!
//! There is no "other": each way to fall short has a name, by which it is counted.

use countersign_oci::{Digest, ErrorKind};
use countersign_verify::Evidence;
use jiff::Timestamp;

/// What an audit found about one image. It is no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The policy accepts a signature.
    Proven(Box<Evidence>),
    /// No policy covers it, and the gallery's index names the digest of its bytes. An installation compares them.
    Digest(Digest),
    /// Signed by the right signer, but before the policy's `not_before`.
    Stale {
        /// The earliest verified time.
        signed_at: Timestamp,
        /// The policy's.
        not_before: Timestamp,
        /// In one line.
        reason: String,
    },
    /// Signed by the right signer, but another condition of the policy is not met.
    OtherCondition {
        /// In one line.
        reason: String,
    },
    /// Signed by somebody that the policy does not name.
    OtherSigner {
        /// What is known of the signer.
        found: FoundSigner,
        /// In one line.
        reason: String,
    },
    /// Only a signature in cosign's legacy form, which the policy does not accept.
    LegacyOnly {
        /// In one line.
        reason: String,
    },
    /// An attestation, but no signature.
    AttestationOnly {
        /// In one line.
        reason: String,
    },
    /// Nothing that is like a signature.
    Unsigned {
        /// In one line.
        reason: String,
    },
    /// There is a signature, and none that is genuine; or the content is damaged.
    Invalid {
        /// In one line.
        reason: String,
    },
    /// The policy's `deny_digests` has it, or an index that lists it.
    Denied {
        /// In one line.
        reason: String,
    },
    /// The registry does not have the image, its tag or the platform.
    Missing {
        /// In one line.
        reason: String,
    },
    /// The registry gave no clear answer, or refused access. Nobody knows whether the image is signed.
    Unreachable {
        /// In one line.
        reason: String,
    },
    /// No policy and no digest covers it.
    Uncovered {
        /// In one line.
        reason: String,
    },
    /// The line or the gallery's entry names nothing that could be installed.
    Unusable {
        /// In one line.
        reason: String,
    },
    /// This machine or this program failed. Nobody knows whether the image is signed.
    Failed {
        /// In one line.
        reason: String,
    },
}

/// What is known of a signer that the policy does not name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSigner {
    /// The issuer in the certificate, if the policy looked at it and did not accept it.
    pub issuer: Option<String>,
    /// The identity in the certificate, if the policy looked at it.
    pub identity: Option<String>,
}

/// The kind of a verdict, by which verdicts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// [`Verdict::Proven`]
    Proven,
    /// [`Verdict::Digest`]
    Digest,
    /// [`Verdict::Stale`]
    Stale,
    /// [`Verdict::OtherCondition`]
    OtherCondition,
    /// [`Verdict::OtherSigner`]
    OtherSigner,
    /// [`Verdict::LegacyOnly`]
    LegacyOnly,
    /// [`Verdict::AttestationOnly`]
    AttestationOnly,
    /// [`Verdict::Unsigned`]
    Unsigned,
    /// [`Verdict::Invalid`]
    Invalid,
    /// [`Verdict::Denied`]
    Denied,
    /// [`Verdict::Missing`]
    Missing,
    /// [`Verdict::Unreachable`]
    Unreachable,
    /// [`Verdict::Uncovered`]
    Uncovered,
    /// [`Verdict::Unusable`]
    Unusable,
    /// [`Verdict::Failed`]
    Failed,
}

impl State {
    /// All of them, the good ones first.
    pub const ALL: [Self; 15] = [
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
            Self::Unreachable => "not known: the registry gave no clear answer",
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
            Self::Unusable => Some(ErrorKind::Usage),
            Self::Failed => Some(ErrorKind::Machine),
        }
    }
}

impl Verdict {
    /// The same with more behind its reason.
    pub(super) fn with_more(mut self, more: &str) -> Self {
        match &mut self {
            Self::Proven(_) | Self::Digest(_) => {}
            Self::Stale { reason, .. }
            | Self::OtherCondition { reason }
            | Self::OtherSigner { reason, .. }
            | Self::LegacyOnly { reason }
            | Self::AttestationOnly { reason }
            | Self::Unsigned { reason }
            | Self::Invalid { reason }
            | Self::Denied { reason }
            | Self::Missing { reason }
            | Self::Unreachable { reason }
            | Self::Uncovered { reason }
            | Self::Unusable { reason }
            | Self::Failed { reason } => reason.push_str(more),
        }
        self
    }

    /// Its kind.
    pub fn state(&self) -> State {
        match self {
            Self::Proven(_) => State::Proven,
            Self::Digest(_) => State::Digest,
            Self::Stale { .. } => State::Stale,
            Self::OtherCondition { .. } => State::OtherCondition,
            Self::OtherSigner { .. } => State::OtherSigner,
            Self::LegacyOnly { .. } => State::LegacyOnly,
            Self::AttestationOnly { .. } => State::AttestationOnly,
            Self::Unsigned { .. } => State::Unsigned,
            Self::Invalid { .. } => State::Invalid,
            Self::Denied { .. } => State::Denied,
            Self::Missing { .. } => State::Missing,
            Self::Unreachable { .. } => State::Unreachable,
            Self::Uncovered { .. } => State::Uncovered,
            Self::Unusable { .. } => State::Unusable,
            Self::Failed { .. } => State::Failed,
        }
    }

    /// Why it falls short, in one line; `None` if it doesn't.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Proven(_) | Self::Digest(_) => None,
            Self::Stale { reason, .. }
            | Self::OtherCondition { reason }
            | Self::OtherSigner { reason, .. }
            | Self::LegacyOnly { reason }
            | Self::AttestationOnly { reason }
            | Self::Unsigned { reason }
            | Self::Invalid { reason }
            | Self::Denied { reason }
            | Self::Missing { reason }
            | Self::Unreachable { reason }
            | Self::Uncovered { reason }
            | Self::Unusable { reason }
            | Self::Failed { reason } => Some(reason),
        }
    }
}
