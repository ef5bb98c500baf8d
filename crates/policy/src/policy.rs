//! Policies: what has to be true of a signature before it counts.
//!
//! A [`Policy`] is only made from a [`PolicySpec`] that was checked whole: it has at least one
//! signer, each with an issuer and an identity, its patterns are compiled, its times and digests
//! parsed. There is no policy that accepts anybody.

use std::collections::{BTreeMap, BTreeSet};

use countersign_oci::{Digest, Repository};
use jiff::Timestamp;
use url::Url;

use crate::claims::ClaimRule;
use crate::error::{KeyPath, PolicyError};
use crate::matcher::Matcher;
use crate::spec::PolicySpec;

mod check;
mod only;

/// The predicate type of a cosign signature (`cosign sign`, bundle format).
pub const COSIGN_SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What `verification` says, checked: at least one signer; everything here can refuse on its own.
///
/// [`Policy::judge`] applies it. It and [`Policy::explain`] take the fields apart one by one, so that
/// a field that is added and forgotten there doesn't compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) signers: Vec<Signer>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) predicate_types: Vec<String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) bind_name: bool,
    pub(crate) trust: Option<Trust>,
    pub(crate) signature_sources: Vec<Repository>,
    pub(crate) deny_digests: BTreeSet<Digest>,
}

/// One acceptable signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Who vouches for the identity.
    pub issuer: Matcher,
    /// The certificate's subject alternative name.
    pub identity: Matcher,
    /// Rules on the certificate's other claims; all must hold.
    pub claims: Vec<ClaimRule>,
    /// Every verified time must be at or after this, besides [`Policy::not_before`].
    pub not_before: Option<Timestamp>,
}

/// Where the policy's trusted root comes from. Paths are as written: a relative one is relative to
/// the policy file, and reading it is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    /// The acceptable signers, any one of which suffices; never empty.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Every verified time of a signature must be at or after this.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// Statement types that count as a signature. Never empty; [`COSIGN_SIGN_PREDICATE`] alone
    /// unless the policy says otherwise.
    pub fn predicate_types(&self) -> &[String] {
        &self.predicate_types
    }

    /// Whether a statement of this type counts as a signature.
    pub fn is_signature_type(&self, predicate_type: &str) -> bool {
        self.predicate_types
            .iter()
            .any(|accepted| accepted == predicate_type)
    }

    /// Pairs that the signed statement's subject annotations must hold.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Whether the signed statement must name the repository asked for, and the tag where the image
    /// was asked for by one. Content from a mirror was asked for by its primary's name.
    pub fn bind_name(&self) -> bool {
        self.bind_name
    }

    /// Where the trusted root comes from, when the policy says it. Loading it is the caller's; a
    /// verifier refuses to judge by any other.
    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// Where else than beside the image to look for signatures.
    pub fn signature_sources(&self) -> &[Repository] {
        &self.signature_sources
    }

    /// Whether the image of this digest is refused whoever signed it.
    pub fn denies(&self, digest: &Digest) -> bool {
        self.deny_digests.contains(digest)
    }

    /// The digests that are refused whoever signed them, in order.
    pub fn deny_digests(&self) -> impl Iterator<Item = &Digest> {
        self.deny_digests.iter()
    }
}

/// For flags and other programs; a file's text goes through [`crate::PolicyFile`], whose errors
/// know line and column.
impl TryFrom<PolicySpec> for Policy {
    type Error = PolicyError;

    fn try_from(spec: PolicySpec) -> Result<Self, PolicyError> {
        Self::check(&spec, &KeyPath::default())
    }
}
