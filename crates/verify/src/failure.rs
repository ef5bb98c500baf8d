//! Why one candidate is no proof.
//!
//! A [`Failure`] is the first check that a candidate failed, with what was expected and what was
//! found. It never holds anything that could be turned into a proof.

use countersign_oci::Digest;
use countersign_policy::Violation;
use sigstore_verify::{CertificateError, TimestampError, TransparencyLogError};

use crate::kind::RefusalKind;

/// The first check that a candidate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A signature in cosign's old format, which has no bundle.
    #[error(
        "a signature in cosign's legacy format, which is not accepted; sign again with `cosign sign --new-bundle-format` (2.6 or newer) or `countersign sign`"
    )]
    LegacySignature,
    /// A policy that names a Sigstore instance of its own, and a trusted root that nobody said is
    /// that one's ([`TrustedRoot::for_trust`](crate::TrustedRoot::for_trust)).
    #[error(
        "the policy's `trust` names another Sigstore instance than the trusted root in use is of"
    )]
    OtherTrust,
    /// A bundle whose statement is of another type than a signature's.
    #[error("an attestation, which is no signature: expected predicate type {}, found {found}", .expected.join(" or "))]
    Attestation {
        /// The predicate types that the policy accepts.
        expected: Vec<String>,
        /// The statement's.
        found: String,
    },
    /// Something that isn't a signature at all.
    #[error("not a signature: expected one layer of a Sigstore bundle, found {found}")]
    OtherArtifact {
        /// What the manifest calls itself or holds.
        found: String,
    },
    /// The referrer's manifest or bundle can't be had from the registry, through a fault of its
    /// own: missing, too large, other bytes than its digest says.
    #[error("can't be read")]
    Unreadable(#[source] Box<countersign_oci::Error>),
    /// The referrer refers to another image.
    #[error("a signature of another image: expected subject {expected}, found {}", .found.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string))]
    OtherSubject {
        /// The image's digest.
        expected: Digest,
        /// The manifest's subject.
        found: Option<Digest>,
    },
    /// The manifest holds more than the one bundle.
    #[error("the signature manifest is malformed: expected 1 layer, found {found}")]
    LayerCount {
        /// Number of layers.
        found: usize,
    },
    /// Bytes that don't parse.
    #[error("the {part} is malformed: {detail}")]
    Malformed {
        /// `bundle`, `in-toto statement`, `certificate`, `checkpoint`, `timestamp`.
        part: &'static str,
        /// The parser's complaint.
        detail: String,
    },
    /// More of something than any honest bundle holds.
    #[error("expected at most {limit} {what}, found {found}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// More bytes of something than any honest bundle holds.
    #[error("expected at most {limit} bytes of {what}, found {found}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// Its size.
        found: usize,
    },
    /// Two places that have to say the same say different things.
    #[error("the {what} is stated twice, and differently: expected {expected}, found {found}")]
    Disagreement {
        /// What they are about.
        what: &'static str,
        /// What the signed place says.
        expected: String,
        /// What the other says.
        found: String,
    },
    /// The check broke off, through a fault of this program. Nothing is proven then.
    #[error("the check crashed, which is a bug in this program; please report it")]
    Aborted,
    /// Something that would be counted twice.
    #[error("expected each {what} once, found one repeated")]
    Repeated {
        /// What repeats.
        what: &'static str,
    },
    /// Not a bundle of version 0.3.
    #[error("expected a bundle of type {expected}, found {found}")]
    BundleVersion {
        /// The media type that there has to be.
        expected: &'static str,
        /// The bundle's.
        found: String,
    },
    /// Not a DSSE envelope, or not only one.
    #[error("expected a DSSE envelope in the bundle, found {found}")]
    Content {
        /// What is there.
        found: &'static str,
    },
    /// No certificate to name a signer: a raw key names nobody (GHSA-fx35-mq7g-6g98).
    #[error("expected one certificate in the bundle, found {found}")]
    NoCertificate {
        /// What is in its place.
        found: &'static str,
    },
    /// The envelope holds something else than an in-toto statement.
    #[error("expected a payload of type {expected}, found {found}")]
    PayloadType {
        /// The payload type that there has to be.
        expected: &'static str,
        /// The envelope's.
        found: String,
    },
    /// A statement of another version.
    #[error("expected a statement of type {expected}, found {found}")]
    StatementType {
        /// The `_type` that there has to be.
        expected: &'static str,
        /// The statement's.
        found: String,
    },
    /// None or several subjects.
    #[error("expected a statement about 1 subject, found {found}")]
    SubjectCount {
        /// How many there are.
        found: usize,
    },
    /// A genuine-looking signature of something else.
    #[error(
        "a signature of another image: expected {expected} in the signed statement, found {found}"
    )]
    SubjectDigest {
        /// The image's digest.
        expected: Digest,
        /// The statement's.
        found: String,
    },
    /// The signature doesn't verify with the certificate's key.
    #[error("the signature is invalid: {detail}")]
    Signature {
        /// What doesn't hold.
        detail: String,
    },
    /// The certificate isn't one of the trusted authority's, valid when the signature was made, and
    /// recorded in a certificate log.
    #[error("the certificate is not trusted")]
    Certificate(#[source] CertificateError),
    /// The log entry doesn't prove that the signature was recorded.
    #[error("the transparency log entry is not valid")]
    TransparencyLog(#[source] TransparencyLogError),
    /// The time of signing is not proven.
    #[error("the time of signing is not proven")]
    Timestamp(#[source] TimestampError),
    /// A log entry without a proof that the log includes it.
    #[error("log entry {index} (counted from 0) has no inclusion proof with a checkpoint")]
    NoInclusionProof {
        /// Position in the bundle, from 0.
        index: usize,
    },
    /// The checkpoint is signed, but not by the log that the entry names.
    #[error(
        "expected a checkpoint signed by the entry's own log {expected}, found one signed by {found}"
    )]
    CheckpointLog {
        /// The entry's log ID, in hex.
        expected: String,
        /// Names on the checkpoint's signatures. The log's own counts by the name that the checkpoint
        /// gives the log.
        found: String,
    },
    /// The trusted root has the log that this signature needs, but with a key that can't be used.
    #[error(
        "the {log} {id} can't be checked: its key in the trusted root is of a kind that isn't supported, {kind}"
    )]
    UnsupportedLogKey {
        /// `transparency log` or `certificate transparency log`.
        log: &'static str,
        /// The log's ID, in hex.
        id: String,
        /// The kind of key, as the trusted root states it.
        kind: String,
    },
    /// An entry of Rekor v1 without the log's promise, which alone proves when it was logged.
    #[error(
        "log entry {index} (counted from 0), which is of Rekor v1, has no inclusion promise (signed entry timestamp)"
    )]
    NoInclusionPromise {
        /// Position in the bundle, from 0.
        index: usize,
    },
    /// The certificate names nobody, or more than one.
    #[error("expected one identity in the certificate, an email address or a URI, found {}", if .found.is_empty() { "none".to_owned() } else { .found.join(", ") })]
    Identity {
        /// What the certificate names.
        found: Vec<String>,
    },
    /// The certificate doesn't say who vouched for the identity.
    #[error("the certificate names no OIDC issuer")]
    NoIssuer,
    /// Nothing proves when the signature was made.
    #[error("no log and no timestamp authority vouches for a time of signing")]
    NoVerifiedTime,
    /// Refused by Sigstore's verification for a reason of none of the kinds above.
    #[error("Sigstore's verification failed")]
    Sigstore(#[source] Box<sigstore_verify::Error>),
    /// Genuine, but not what the policy asks for.
    #[error("a genuine signature, but {0}")]
    Policy(Box<Violation>),
}

impl Failure {
    /// The class that the failure belongs to; also how far the candidate came, by the order of
    /// [`RefusalKind`]. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::LegacySignature | Self::Attestation { .. } | Self::OtherArtifact { .. } => {
                RefusalKind::Unsigned
            }
            Self::Policy(_) => RefusalKind::Policy,
            Self::OtherTrust
            | Self::Unreadable(_)
            | Self::OtherSubject { .. }
            | Self::LayerCount { .. }
            | Self::Malformed { .. }
            | Self::TooMany { .. }
            | Self::TooLarge { .. }
            | Self::Disagreement { .. }
            | Self::Aborted
            | Self::Repeated { .. }
            | Self::BundleVersion { .. }
            | Self::Content { .. }
            | Self::NoCertificate { .. }
            | Self::PayloadType { .. }
            | Self::StatementType { .. }
            | Self::SubjectCount { .. }
            | Self::SubjectDigest { .. }
            | Self::Signature { .. }
            | Self::Certificate(_)
            | Self::TransparencyLog(_)
            | Self::Timestamp(_)
            | Self::NoInclusionProof { .. }
            | Self::CheckpointLog { .. }
            | Self::UnsupportedLogKey { .. }
            | Self::NoInclusionPromise { .. }
            | Self::Identity { .. }
            | Self::NoIssuer
            | Self::NoVerifiedTime
            | Self::Sigstore(_) => RefusalKind::Invalid,
        }
    }
}

impl From<sigstore_verify::Error> for Failure {
    fn from(error: sigstore_verify::Error) -> Self {
        use sigstore_verify::Error;
        match error {
            Error::Certificate(source) => Self::Certificate(source),
            Error::TransparencyLog(source) => Self::TransparencyLog(source),
            Error::Timestamp(source) => Self::Timestamp(source),
            Error::SignatureInvalid(detail) => Self::Signature { detail },
            other => Self::Sigstore(Box::new(other)),
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Policy(Box::new(violation))
    }
}
