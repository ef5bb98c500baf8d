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

/// Makes [`State`] and all that is said of its values from one table.
macro_rules! states {
    ($($meaning:literal $state:ident = $name:literal, $words:literal, $knowledge:ident, $failure:expr;)+) => {
        /// What a verdict comes to, by which verdicts are counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum State {
            $(#[doc = $meaning] $state,)+
        }

        impl State {
            /// All of them, the good ones first.
            pub const ALL: &'static [Self] = &[$(Self::$state,)+];

            /// Its name in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$state => $name,)+ }
            }

            /// What it means, in sentences.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$state => $meaning,)+ }
            }

            /// What it means, in a few words after a number of images.
            pub fn words(self) -> &'static str {
                match self { $(Self::$state => $words,)+ }
            }

            /// The kind of failure that it is; `None` if an installation that requires integrity would succeed.
            pub fn failure(self) -> Option<ErrorKind> {
                match self { $(Self::$state => $failure,)+ }
            }

            /// Whether it says something of the image. Else the registry or this machine failed, and another
            /// try may come to something else.
            pub fn is_known(self) -> bool {
                match self { $(Self::$state => Knowledge::$knowledge == Knowledge::Known,)+ }
            }
        }
    };
}

/// Whether a state says something of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    Known,
    Unknown,
}

states! {
    "The policy accepts a signature."
    Proven = "proven", "signed as the policy requires", Known, None;
    "No policy covers it, and the gallery's index names the digest of its bytes."
    Digest = "digest", "covered by a digest in the index", Known, None;
    "Signed by the right signer, before the policy's `not_before`."
    Stale = "stale", "signed before the policy's not_before", Known, Some(ErrorKind::Policy);
    "Signed by the right signer; another condition of the policy is not met."
    OtherCondition = "other_condition", "signed, but another condition of the policy is not met", Known, Some(ErrorKind::Policy);
    "Signed by somebody that the policy does not name."
    OtherSigner = "other_signer", "signed by somebody else", Known, Some(ErrorKind::Policy);
    "Only a signature in cosign's legacy form, which the policy does not accept."
    LegacyOnly = "legacy_only", "with a legacy signature only", Known, Some(ErrorKind::Unsigned);
    "An attestation, but no signature."
    AttestationOnly = "attestation_only", "with an attestation, but no signature", Known, Some(ErrorKind::Unsigned);
    "Nothing that is like a signature."
    Unsigned = "unsigned", "not signed", Known, Some(ErrorKind::Unsigned);
    "A signature that is not genuine, or damaged content."
    Invalid = "invalid", "with an invalid signature or content", Known, Some(ErrorKind::Invalid);
    "Denied by the policy's `deny_digests`, by its own digest or by that of an index that lists it."
    Denied = "denied", "denied by the policy", Known, Some(ErrorKind::Policy);
    "The registry does not have the image, its tag or the platform."
    Missing = "missing", "not in the registry", Known, Some(ErrorKind::NotFound);
    "The registry gave no answer now. Nobody knows whether the image is signed."
    Unreachable = "unreachable", "not known: the registry gave no answer", Unknown, Some(ErrorKind::Unreachable);
    "The registry refused access, or answered nothing that can be used. Nobody knows whether the image is signed."
    Rejected = "rejected", "not known: the registry refused access", Unknown, Some(ErrorKind::Rejected);
    "No policy and no digest covers it."
    Uncovered = "uncovered", "covered by no policy", Known, Some(ErrorKind::Policy);
    "The line or the gallery's entry names nothing that could be installed."
    Unusable = "unusable", "not usable as they are written", Known, Some(ErrorKind::Usage);
    "This machine or this program failed. Nobody knows whether the image is signed."
    Failed = "failed", "not known: this machine failed", Unknown, Some(ErrorKind::Machine);
}

impl State {
    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == name)
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
