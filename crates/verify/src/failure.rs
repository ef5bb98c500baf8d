//! Why one candidate does not prove anything.
//!
//! A [`Failure`] is the first check that a candidate failed, with the expected and the found value. It
//! never holds anything from which a proof could be made.

mod part;

use countersign_oci::Digest;
use countersign_policy::{COSIGN_SIGN_PREDICATE, KeyFingerprint, OneOrMore, Violation};
use sigstore_verify::{CertificateError, TimestampError, TransparencyLogError};

use crate::kind::RefusalKind;

pub use part::{LogKind, MalformedPart};

/// The first check that a candidate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A signature in cosign's legacy form, which the policy does not accept.
    #[error(
        "a signature in cosign's legacy form (simple signing), and the policy accepts bundles only; sign again in the bundle form (`cosign sign --new-bundle-format`, version 2.6 or newer, or `countersign sign`), or accept the legacy form with `signature_formats: [bundle, simple_signing]`; cosign 2's `oci-1-1` mode does not help, because it stores the same form as a referrer"
    )]
    LegacySignature,
    /// An attestation in the form of cosign from before bundles, where the policy asks for an attestation.
    #[error(
        "an attestation in cosign's old form, which never counts; attest again in the bundle form (`cosign attest` of cosign 3, or `cosign attest --new-bundle-format`, version 2.6 or newer)"
    )]
    OldAttestation,
    /// The policy names its own Sigstore instance. The caller has not said that the trusted root is of
    /// that instance ([`TrustedRoot::for_trust`](crate::TrustedRoot::for_trust)).
    #[error(
        "the policy's `trust` names another Sigstore instance than the one whose trusted root is in use"
    )]
    OtherTrust,
    /// The bundle's statement has a type that does not count as a signature.
    #[error("{}: expected predicate type {}, found {found}", other_statement(.expected, .found), .expected.join(" or "))]
    Attestation {
        /// The predicate types that the policy accepts.
        expected: Vec<String>,
        /// The statement's.
        found: String,
    },
    /// Not a signature.
    #[error("not a signature: expected one layer with a Sigstore bundle, found {found}")]
    OtherArtifact {
        /// What the manifest calls itself or holds.
        found: String,
    },
    /// The registry answers, but the referrer's manifest or bundle is missing, too large, or does not
    /// have its digest.
    #[error("the manifest, or the signature in it, can't be read")]
    Unreadable(#[source] Box<countersign_oci::Error>),
    /// The referrer refers to another image.
    #[error("a signature of another image: expected subject {expected}, found {}", .found.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string))]
    OtherSubject {
        /// The image's digest.
        expected: Digest,
        /// The manifest's subject.
        found: Option<Digest>,
    },
    /// The manifest has more layers than the one bundle.
    #[error("the signature manifest is malformed: expected 1 layer, found {found}")]
    LayerCount {
        /// Number of layers.
        found: usize,
    },
    /// A legacy signature without an annotation that it needs.
    #[error("the layer of the signature has no annotation `{key}`")]
    MissingAnnotation {
        /// The annotation's key.
        key: &'static str,
    },
    /// Bytes that don't parse.
    #[error("the {part} is malformed: {detail}")]
    Malformed {
        /// What doesn't parse.
        part: MalformedPart,
        /// The parser's message.
        detail: String,
    },
    /// A list that is longer than in any honest bundle.
    #[error("too many {what}: found {found}, the limit is {limit}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// A field with more bytes than in any honest bundle.
    #[error("{what} is too large: found {found} bytes, the limit is {limit}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// Its size.
        found: usize,
    },
    /// The bundle states a value twice, and the two values differ.
    #[error("the bundle contradicts itself about the {what}: expected {expected}, found {found}")]
    Disagreement {
        /// Which value it is.
        what: &'static str,
        /// The value in the signed place.
        expected: String,
        /// The value in the other place.
        found: String,
    },
    /// The bundle's certificate, which was read, is not among what was checked. Nothing is proven then.
    #[error(
        "the certificate was lost during the check, which is a bug in this program; please report it"
    )]
    CertificateLost,
    /// The check panicked. Nothing is proven then.
    #[error("the check crashed, which is a bug in this program; please report it")]
    Aborted,
    /// The same item is there twice. It must not be counted twice.
    #[error("the same {what} is in the bundle twice")]
    Repeated {
        /// What repeats.
        what: &'static str,
    },
    /// Not a bundle of version 0.3.
    #[error("expected a bundle of type {expected}, found {found}")]
    BundleVersion {
        /// The required media type.
        expected: &'static str,
        /// The bundle's.
        found: String,
    },
    /// No DSSE envelope, or something besides it.
    #[error("expected a DSSE envelope in the bundle, found {found}")]
    Content {
        /// What is there.
        found: &'static str,
    },
    /// The bundle does not name one signer: neither by one certificate nor by a hint at one key.
    #[error("expected one certificate or one key hint in the bundle, found {found}")]
    NoKeyMaterial {
        /// What is in its place.
        found: &'static str,
    },
    /// A signature by a certificate, and the policy accepts keys only.
    #[error("a signature by a certificate, and the policy accepts signatures by a key only")]
    CertificateForKey,
    /// A signature by a key, and the policy accepts certificates only (GHSA-fx35-mq7g-6g98).
    #[error("a signature by a key, and the policy accepts signatures by a certificate only")]
    KeyForCertificate,
    /// A signature by a key that is none of the policy's, or no valid signature.
    #[error("the signature does not verify with {}", keys(.expected))]
    OtherKey {
        /// The policy's keys.
        expected: Vec<KeyFingerprint>,
    },
    /// The envelope's content is not an in-toto statement.
    #[error("expected a payload of type {expected}, found {found}")]
    PayloadType {
        /// The required payload type.
        expected: &'static str,
        /// The envelope's.
        found: String,
    },
    /// A statement of another version.
    #[error("expected a statement of type {}, found {found}", .expected.join(" or "))]
    StatementType {
        /// The accepted values of `_type`.
        expected: &'static [&'static str],
        /// The statement's.
        found: String,
    },
    /// No subject, or a signature with several.
    #[error("expected a statement about 1 subject, found {found}")]
    SubjectCount {
        /// How many there are.
        found: usize,
    },
    /// The statement is about another image.
    #[error(
        "a signature of another image: expected {expected} in the signed statement, found {found}"
    )]
    SubjectDigest {
        /// The image's digest.
        expected: Digest,
        /// The statement's.
        found: String,
    },
    /// The image is more than one of the statement's subjects.
    #[error("expected the image once among the subjects of the statement, found it {found} times")]
    SubjectRepeated {
        /// How many of the subjects are the image.
        found: usize,
    },
    /// The signature doesn't verify with the certificate's key.
    #[error("the signature is invalid: {detail}")]
    Signature {
        /// What is wrong with it.
        detail: String,
    },
    /// The certificate was not issued by a trusted authority, was not valid when the signature was made,
    /// or is not recorded in a certificate log.
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
        /// The names on the checkpoint's signatures. A signature of the log itself must have the name that
        /// the checkpoint gives the log.
        found: String,
    },
    /// The trusted root has the log that this signature needs, but its kind of key is not supported.
    #[error(
        "the {log} {id} can't be checked: its key in the trusted root is of a kind that is not supported ({kind})"
    )]
    UnsupportedLogKey {
        /// Which kind of log it is.
        log: LogKind,
        /// The log's ID, in hex.
        id: String,
        /// The kind of key, as the trusted root states it.
        kind: String,
    },
    /// No log entry, and the trusted root has a log.
    #[error(
        "expected a log entry in the bundle, found none; if GitHub signed it for a private repository, its own instance did, which has no log: then the policy needs `trust: github`"
    )]
    NoLogEntry,
    /// A signature by a key without a log entry, and the policy does not ignore the log.
    #[error(
        "the key's signature has no log entry, so nothing proves when it was made; to accept that, write `ignore_tlog: true` beside the key"
    )]
    KeyNotLogged,
    /// A log entry, and the trusted root has no log that could prove it.
    #[error(
        "expected no log entry, because the trusted root has no transparency log, found {found}"
    )]
    EntryWithoutLog {
        /// How many there are.
        found: usize,
    },
    /// An entry of Rekor v1 without the log's promise. Only the promise proves when it was logged.
    #[error(
        "log entry {index} (counted from 0) is of Rekor v1 and has no inclusion promise (signed entry timestamp)"
    )]
    NoInclusionPromise {
        /// Position in the bundle, from 0.
        index: usize,
    },
    /// The log entry of a legacy signature is of another kind than such signatures have.
    #[error("log entry {index} (counted from 0): expected {expected}, found {found}")]
    EntryKind {
        /// Position in the bundle, from 0.
        index: usize,
        /// The kind, with its version.
        expected: &'static str,
        /// The entry's.
        found: String,
    },
    /// The signature is judged at a time before the key of its log, by the trusted root, was in use.
    #[error(
        "no key of the transparency log {id} was in use at {at}, the time to judge at: by the trusted root, it began later"
    )]
    LogNotInUse {
        /// The log's ID, in hex.
        id: String,
        /// The time that the signature is judged at.
        at: jiff::Timestamp,
    },
    /// The log entry of a legacy signature is of a log that the trusted root does not name.
    #[error(
        "log entry {index} (counted from 0) is of a log that the trusted root does not name: {id}"
    )]
    UnknownLog {
        /// Position in the bundle, from 0.
        index: usize,
        /// The log's ID, in hex.
        id: String,
    },
    /// The certificate has no identity, or more than one.
    #[error("expected one identity in the certificate, an email address, a URI or a user name, found {}", if .found.is_empty() { "none".to_owned() } else { .found.join(", ") })]
    Identity {
        /// The names in the certificate.
        found: Vec<String>,
    },
    /// The certificate does not say which issuer confirmed the identity.
    #[error("the certificate names no OIDC issuer")]
    NoIssuer,
    /// Nothing proves when the signature was made.
    #[error(
        "nothing proves when the signature was made: there is no time from a log or a timestamp authority"
    )]
    NoVerifiedTime,
    /// `sigstore-verify` refused it for another reason.
    #[error("Sigstore's verification failed")]
    Sigstore(#[source] Box<sigstore_verify::Error>),
    /// A genuine signature that the policy does not accept.
    #[error("a genuine signature, but {0}")]
    Policy(Box<Violation>),
}

/// What a statement is that is not of the expected type.
fn other_statement(expected: &[String], found: &str) -> &'static str {
    let signature = |name: &str| name == COSIGN_SIGN_PREDICATE;
    match (
        expected.iter().any(|name| signature(name)),
        signature(found),
    ) {
        (_, true) => "a signature, not the attestation that is asked for",
        (true, false) => "an attestation, not a signature",
        (false, false) => "another attestation than the one that is asked for",
    }
}

fn keys(expected: &[KeyFingerprint]) -> String {
    let names: Vec<String> = expected.iter().map(|key| format!("key {key}")).collect();
    match names.as_slice() {
        [only] => format!("the policy's {only}"),
        several => format!(
            "any of the policy's {} keys ({})",
            several.len(),
            several.join(", ")
        ),
    }
}

impl Failure {
    /// The failure of the one that passed the most checks, and of several such the first: so the order in which they
    /// are tried hides no reason.
    pub(crate) fn nearest(failures: OneOrMore<Self>) -> Self {
        let nearer = |nearest: Self, failure: Self| {
            if nearest.kind() < failure.kind() {
                failure
            } else {
                nearest
            }
        };
        let (first, rest) = failures.into_parts();
        rest.into_iter().fold(first, nearer)
    }

    /// The class of the failure. The order of [`RefusalKind`] says how many checks the candidate passed.
    /// The match names every variant, so a new one does not compile until it is added here.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::LegacySignature
            | Self::OldAttestation
            | Self::Attestation { .. }
            | Self::OtherArtifact { .. } => RefusalKind::Unsigned,
            Self::Policy(_) => RefusalKind::Policy,
            Self::CertificateForKey | Self::KeyForCertificate => RefusalKind::OtherSigner,
            Self::OtherTrust
            | Self::Unreadable(_)
            | Self::OtherSubject { .. }
            | Self::LayerCount { .. }
            | Self::MissingAnnotation { .. }
            | Self::Malformed { .. }
            | Self::TooMany { .. }
            | Self::TooLarge { .. }
            | Self::Disagreement { .. }
            | Self::CertificateLost
            | Self::Aborted
            | Self::Repeated { .. }
            | Self::BundleVersion { .. }
            | Self::Content { .. }
            | Self::NoKeyMaterial { .. }
            | Self::OtherKey { .. }
            | Self::PayloadType { .. }
            | Self::StatementType { .. }
            | Self::SubjectCount { .. }
            | Self::SubjectDigest { .. }
            | Self::SubjectRepeated { .. }
            | Self::Signature { .. }
            | Self::Certificate(_)
            | Self::TransparencyLog(_)
            | Self::Timestamp(_)
            | Self::NoInclusionProof { .. }
            | Self::CheckpointLog { .. }
            | Self::UnsupportedLogKey { .. }
            | Self::NoLogEntry
            | Self::KeyNotLogged
            | Self::EntryWithoutLog { .. }
            | Self::NoInclusionPromise { .. }
            | Self::EntryKind { .. }
            | Self::UnknownLog { .. }
            | Self::LogNotInUse { .. }
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
