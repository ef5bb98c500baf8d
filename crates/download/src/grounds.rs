//! The grounds that content was admitted on: to be read, recorded and compared. They admit nothing.

use std::fmt;

use countersign_policy::{KeyFingerprint, OneSigner, PolicySummary};
use countersign_verify::{Evidence, SignedBy};
use serde::{Deserialize, Serialize};

/// What content was admitted on, for the record: to be read, not to be admitted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "grounds", rename_all = "snake_case")]
pub enum Grounds {
    /// A signature that the policy accepts.
    Signature {
        /// What was proven; its digest says whether of the index or of the manifest.
        evidence: Box<Evidence>,
        /// What the other proofs are, if the policy requires several, in the policy's order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        further_evidence: Vec<Evidence>,
        /// The policy that accepted it, in words.
        policy: PolicySummary,
    },
    /// Its bytes have the digest that the gallery's index names.
    Digest,
    /// Nothing: it is unverified, which permissive mode allows.
    Nothing,
}

impl Grounds {
    /// What was proven by a signature, if one was asked for.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Signature { evidence, .. } => Some(evidence),
            Self::Digest | Self::Nothing => None,
        }
    }

    /// What was proven, all of it: by the first proof that the policy requires, then by the others.
    pub fn all_evidence(&self) -> impl Iterator<Item = &Evidence> {
        let further = match self {
            Self::Signature {
                further_evidence, ..
            } => further_evidence.as_slice(),
            Self::Digest | Self::Nothing => &[],
        };
        self.evidence().into_iter().chain(further)
    }

    /// The earliest time that is stated of any of the signatures, for people. Which of two is the older is decided by
    /// other times.
    pub fn signed_at(&self) -> Option<jiff::Timestamp> {
        let times = self.all_evidence().flat_map(|one| &one.signed_at);
        times.min().copied()
    }

    /// The policy that accepted a signature, in words.
    pub fn policy(&self) -> Option<&PolicySummary> {
        match self {
            Self::Signature { policy, .. } => Some(policy),
            Self::Digest | Self::Nothing => None,
        }
    }

    /// Whether these prove less than `other`. A digest from a gallery's index is only the word of
    /// whoever serves the gallery; a signature is the signer's.
    pub(crate) fn weaker_than(&self, other: &Self) -> bool {
        self.strength() < other.strength()
    }

    fn strength(&self) -> Strength {
        match self {
            Self::Nothing => Strength::Nothing,
            Self::Digest => Strength::Digest,
            Self::Signature { .. } => Strength::Signature,
        }
    }
}

/// How much grounds prove, the least first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    Nothing,
    Digest,
    Signature,
}

/// In words, with its article.
impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature { .. } => "a signature",
            Self::Digest => "a digest of the gallery's index",
            Self::Nothing => "nothing",
        })
    }
}

/// Whose signature it was. Texts are compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LockedSigner {
    /// The holder of a certificate.
    Certificate {
        /// Who vouched for the identity: the OIDC issuer's URL.
        issuer: String,
        /// The certificate's subject alternative name.
        identity: String,
    },
    /// The holder of a key.
    Key {
        /// The key.
        key: KeyFingerprint,
    },
}

impl LockedSigner {
    pub(crate) fn of(evidence: &Evidence) -> Self {
        match &evidence.signer {
            SignedBy::Certificate(holder) => Self::Certificate {
                issuer: holder.issuer.clone(),
                identity: holder.identity.clone(),
            },
            SignedBy::Key { key } => Self::Key { key: key.clone() },
        }
    }

    /// The signer, to narrow a policy by.
    pub(crate) fn as_one(&self) -> OneSigner<'_> {
        match self {
            Self::Certificate { issuer, identity } => OneSigner::Certificate { issuer, identity },
            Self::Key { key } => OneSigner::Key(key),
        }
    }
}

/// One line, for a person.
impl fmt::Display for LockedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { issuer, identity } => {
                let [identity, issuer] =
                    [identity, issuer].map(|text| countersign_oci::excerpt(text));
                write!(f, "{identity} (issuer {issuer})")
            }
            Self::Key { key } => write!(f, "key {key}"),
        }
    }
}
