//! Policies: what must be true of a signature before it is accepted.
//!
//! A [`Policy`] is made only from a [`PolicySpec`] that was checked completely. It has at least one signer, and
//! each signer has an issuer and an identity, or a key. Patterns are compiled, times and digests are parsed. No
//! policy accepts everybody.

use std::collections::{BTreeMap, BTreeSet};

use countersign_oci::{Digest, Repository};
use jiff::Timestamp;
use url::Url;

use crate::age::Age;
use crate::claims::ClaimRule;
use crate::error::{KeyPath, PolicyError, Problem};
use crate::format::SignatureFormat;
use crate::instance::SigstoreInstance;
use crate::matcher::Matcher;
use crate::one_or_more::OneOrMore;
use crate::predicate::PredicateRule;
use crate::public_key::PublicKey;
use crate::spec::PolicySpec;

mod check;
mod key;
mod narrower;
mod require;
mod values;
mod weaker;

pub use narrower::OneSigner;

/// The predicate type of a cosign signature (`cosign sign`, bundle format).
pub const COSIGN_SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The checked content of `verification`. It has at least one signer, and each field can cause a refusal.
///
/// [`Policy::judge`] applies it. It and [`Policy::explain`] name every field, so a new field does not compile
/// until it is added there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) signers: OneOrMore<AcceptedSigner>,
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

/// One accepted signer. A signature by a certificate never counts for a key, and no key's for an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptedSigner {
    /// Whoever gets a certificate for an identity.
    Certificate(CertificateSigner),
    /// Whoever has a key.
    Key(KeySigner),
}

/// A signer by the identity in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSigner {
    /// The OIDC issuer, which confirms the identity.
    pub issuer: Matcher,
    /// The certificate's subject alternative name.
    pub identity: Matcher,
    /// Rules on the certificate's other claims; all must hold.
    pub claims: Vec<ClaimRule>,
    /// Signatures made before this time are refused, in addition to [`Policy::not_before`].
    pub not_before: Option<Timestamp>,
}

/// A signer by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySigner {
    /// The key.
    pub key: PublicKey,
    /// What must prove when a signature was made.
    pub log: LogUse,
    /// Signatures made before this time are refused, in addition to [`Policy::not_before`].
    pub not_before: Option<Timestamp>,
}

/// What is read of the log entries and timestamps of a key's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogUse {
    /// They are demanded, as of a certificate's signature.
    Demanded,
    /// They are not read. Nothing proves when a signature was made.
    Ignored,
}

/// Reads the file of a key. It gets the path as the policy has it.
pub type KeyReader<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// For texts whose files nobody reads.
pub(crate) fn no_key_files(_: &str) -> std::io::Result<String> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "files of keys are not read here; write the key itself, in PEM",
    ))
}

impl AcceptedSigner {
    /// Signatures made before this time are refused, in addition to [`Policy::not_before`].
    pub fn not_before(&self) -> Option<Timestamp> {
        match self {
            Self::Certificate(signer) => signer.not_before,
            Self::Key(signer) => signer.not_before,
        }
    }

    /// The key, if the signer is one.
    pub fn key(&self) -> Option<&KeySigner> {
        match self {
            Self::Certificate(_) => None,
            Self::Key(signer) => Some(signer),
        }
    }
}

/// Where the policy's trusted root comes from. Paths are as written: a relative path is relative to the policy
/// file. The caller reads the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// An instance whose TUF root is built into the program.
    Instance(SigstoreInstance),
    /// A `trusted_root.json`, or several, one a line.
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

impl Trust {
    /// Reads the URL of a TUF repository.
    ///
    /// # Errors
    /// [`Problem::Url`], if it is none, or neither http nor https.
    pub(crate) fn tuf_url(text: &str) -> Result<Url, Problem> {
        match text.parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
            Ok(_) | Err(_) => Err(Problem::Url {
                found: text.to_owned(),
            }),
        }
    }
}

impl Policy {
    /// The accepted signers. One match is enough.
    pub fn signers(&self) -> &OneOrMore<AcceptedSigner> {
        &self.signers
    }

    /// The accepted keys, in the order of [`Self::signers`].
    pub fn keys(&self) -> impl Iterator<Item = &KeySigner> {
        self.signers.iter().filter_map(AcceptedSigner::key)
    }

    /// Whether a signature by a certificate can be accepted.
    pub fn accepts_certificates(&self) -> bool {
        self.signers.iter().any(|signer| signer.key().is_none())
    }

    /// Whether judging takes a trusted root. It does not if all signers are keys whose log entries and
    /// timestamps are not read.
    pub fn needs_trusted_root(&self) -> bool {
        let ignores = |key: &KeySigner| key.log == LogUse::Ignored;
        !self
            .signers
            .iter()
            .all(|signer| signer.key().is_some_and(ignores))
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
        Self::check(&spec, &KeyPath::default(), &no_key_files)
    }
}
