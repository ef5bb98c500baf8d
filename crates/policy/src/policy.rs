//! Policies: what must be true of a signature before it is accepted.
//!
//! A [`Policy`] is made only from a [`PolicySpec`] that was checked completely. It has at least one signer, and
//! each signer has an issuer and an identity. Patterns are compiled, times and digests are parsed. No policy
//! accepts everybody.

use std::collections::{BTreeMap, BTreeSet};

use countersign_oci::{Digest, Repository};
use jiff::Timestamp;
use url::Url;

use crate::age::Age;
use crate::claims::ClaimRule;
use crate::error::{KeyPath, PolicyError};
use crate::format::SignatureFormat;
use crate::matcher::Matcher;
use crate::predicate::PredicateRule;
use crate::spec::PolicySpec;

mod check;
mod only;
mod require;

/// The predicate type of a cosign signature (`cosign sign`, bundle format).
pub const COSIGN_SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The checked content of `verification`. It has at least one signer, and each field can cause a refusal.
///
/// [`Policy::judge`] applies it. It and [`Policy::explain`] name every field, so a new field does not compile
/// until it is added there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) signers: Vec<Signer>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) min_age: Option<Age>,
    pub(crate) predicate_types: Vec<String>,
    pub(crate) predicate: Vec<PredicateRule>,
    /// The proofs of which all must be there, each as a policy of its own. Empty if one proof is required: then
    /// it is this policy's own.
    pub(crate) require: Vec<Policy>,
    pub(crate) signature_formats: BTreeSet<SignatureFormat>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) bind_name: bool,
    pub(crate) trust: Option<Trust>,
    pub(crate) signature_sources: Vec<Repository>,
    pub(crate) deny_digests: BTreeSet<Digest>,
}

/// One accepted signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The OIDC issuer, which confirms the identity.
    pub issuer: Matcher,
    /// The certificate's subject alternative name.
    pub identity: Matcher,
    /// Rules on the certificate's other claims; all must hold.
    pub claims: Vec<ClaimRule>,
    /// Signatures made before this time are refused, in addition to [`Policy::not_before`].
    pub not_before: Option<Timestamp>,
}

/// Where the policy's trusted root comes from. Paths are as written: a relative path is relative to the policy
/// file. The caller reads the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A `trusted_root.json`.
    TrustedRoot {
        /// Its path.
        file: String,
    },
    /// A TUF repository.
    Tuf {
        /// Its http or https URL.
        url: Url,
        /// Path of its initial `root.json`.
        root_file: String,
    },
}

impl Policy {
    /// The accepted signers. One match is enough. Never empty.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Signatures made before this time are refused.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// A younger signature is refused.
    pub fn min_age(&self) -> Option<Age> {
        self.min_age
    }

    /// Statement types that count as a signature. Never empty; [`COSIGN_SIGN_PREDICATE`] alone
    /// unless the policy says otherwise.
    pub fn predicate_types(&self) -> &[String] {
        &self.predicate_types
    }

    /// Rules on fields of the statement's predicate. All must hold.
    pub fn predicate(&self) -> &[PredicateRule] {
        &self.predicate
    }

    /// Whether a statement of this type counts as a signature.
    pub fn is_signature_type(&self, predicate_type: &str) -> bool {
        self.predicate_types
            .iter()
            .any(|accepted| accepted == predicate_type)
    }

    /// Whether a signature in this form is accepted.
    pub fn accepts_format(&self, format: SignatureFormat) -> bool {
        self.signature_formats.contains(&format)
    }

    /// The accepted forms of signatures, sorted. Never empty; [`SignatureFormat::Bundle`] alone unless the
    /// policy says otherwise.
    pub fn signature_formats(&self) -> impl Iterator<Item = SignatureFormat> {
        self.signature_formats.iter().copied()
    }

    /// Annotations that the signed statement must have.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Whether the signed statement must name the requested repository, and the tag if one was requested.
    /// For a mirror, the name of the original counts.
    pub fn bind_name(&self) -> bool {
        self.bind_name
    }

    /// Where the trusted root comes from, if the policy says it. The caller loads it. A verifier does not
    /// use any other root then.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// More repositories in which to look for signatures.
    pub fn signature_sources(&self) -> &[Repository] {
        &self.signature_sources
    }

    /// Whether `deny_digests` has this digest.
    pub fn denies(&self, digest: &Digest) -> bool {
        self.deny_digests.contains(digest)
    }

    /// The digests that are always refused, sorted.
    pub fn deny_digests(&self) -> impl Iterator<Item = &Digest> {
        self.deny_digests.iter()
    }
}

/// For flags and other programs. For the text of a file use [`crate::PolicyFile`]: its errors have line and
/// column.
impl TryFrom<PolicySpec> for Policy {
    type Error = PolicyError;

    fn try_from(spec: PolicySpec) -> Result<Self, PolicyError> {
        Self::check(&spec, &KeyPath::default())
    }
}
