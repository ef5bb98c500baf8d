//! What to issue without HTTP: a good bundle, or one with exactly one flaw.

use jiff::Timestamp;

use super::RekorVersion;
use super::signing_key::SigningKey;

/// The media type of the bundles made here, and of the referrers that hold them.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A bundle to be made by [`Sigstore::issue`](super::Sigstore::issue): what is signed, by whom,
/// when, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct BundleSpec {
    pub(super) payload: Vec<u8>,
    pub(super) payload_type: String,
    pub(super) identity: String,
    pub(super) issuer: Option<String>,
    pub(super) claims: Vec<(u32, String)>,
    pub(super) key: Option<SigningKey>,
    pub(super) rekor: RekorVersion,
    pub(super) signed_at: Option<Timestamp>,
    pub(super) logged_at: Option<Timestamp>,
    pub(super) timestamped_at: Option<Timestamp>,
    pub(super) without_logs: bool,
    pub(super) flaw: Option<Flaw>,
}

impl BundleSpec {
    /// A good bundle, signed now, logged by Rekor v1: `payload` is a [`Statement`](super::Statement)
    /// or any bytes, `identity` a URI or an email address.
    pub fn new(payload: impl Into<Vec<u8>>, identity: impl Into<String>) -> Self {
        Self {
            payload: payload.into(),
            payload_type: "application/vnd.in-toto+json".into(),
            identity: identity.into(),
            issuer: None,
            claims: Vec::new(),
            key: None,
            rekor: RekorVersion::V1,
            signed_at: None,
            logged_at: None,
            timestamped_at: None,
            without_logs: false,
            flaw: None,
        }
    }

    /// Logs to this generation of Rekor. With [`RekorVersion::V2`] the time comes from the
    /// timestamp authority.
    #[must_use]
    pub fn rekor(self, rekor: RekorVersion) -> Self {
        Self { rekor, ..self }
    }

    /// Certifies the identity for this issuer instead of the sandbox's.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            ..self
        }
    }

    /// Adds a Fulcio extension: its number in the arc 1.3.6.1.4.1.57264.1 (12 is the source
    /// repository's URI, say) and its value.
    #[must_use]
    pub fn claim(mut self, number: u32, value: impl Into<String>) -> Self {
        self.claims.push((number, value.into()));
        self
    }

    /// Signs with this key and without a certificate: `identity` and claims are nowhere then.
    #[must_use]
    pub fn signed_with(self, key: &SigningKey) -> Self {
        Self {
            key: Some(key.clone()),
            ..self
        }
    }

    /// Replaces the DSSE payload type.
    #[must_use]
    pub fn payload_type(self, payload_type: impl Into<String>) -> Self {
        Self {
            payload_type: payload_type.into(),
            ..self
        }
    }

    /// When the certificate begins; log and timestamp say the same unless told otherwise. At most
    /// four years ago: the authorities are five years old.
    #[must_use]
    pub fn signed_at(self, time: Timestamp) -> Self {
        Self {
            signed_at: Some(time),
            ..self
        }
    }

    /// When Rekor v1 says that it logged the entry. Rekor v2 says nothing.
    #[must_use]
    pub fn logged_at(self, time: Timestamp) -> Self {
        Self {
            logged_at: Some(time),
            ..self
        }
    }

    /// Adds a timestamp of this time, or, with Rekor v2, gives its timestamp this time.
    #[must_use]
    pub fn timestamped_at(self, time: Timestamp) -> Self {
        Self {
            timestamped_at: Some(time),
            ..self
        }
    }

    /// Signs as GitHub's own instance does: nothing is logged, neither the signature nor the certificate, and the
    /// time comes from the timestamp authority.
    #[must_use]
    pub fn without_logs(self) -> Self {
        Self {
            without_logs: true,
            ..self
        }
    }

    /// Breaks one thing.
    #[must_use]
    pub fn flaw(self, flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            ..self
        }
    }
}

/// The one thing that is wrong with a bundle. Everything else in it is right, except that a certificate without logs
/// has a log's timestamp then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// The signature is of another payload; the log has it beside this one.
    SignatureOfAnotherPayload,
    /// There is no certificate: the signer's public key is named by a hint instead.
    PublicKey,
    /// The certificate comes from an authority that the trusted root doesn't have.
    UnknownCertificateAuthority,
    /// The certificate had expired an hour before the log and the timestamp saw the signature.
    ExpiredCertificate,
    /// The certificate embeds no timestamp of a certificate transparency log.
    NoCertificateTimestamp,
    /// The certificate embeds the timestamp of a log that the trusted root doesn't have.
    CertificateTimestampOfUnknownLog,
    /// The embedded timestamp is of another certificate.
    CertificateTimestampOfAnotherCertificate,
    /// There is no log entry.
    NoEntry,
    /// The log entry, genuine, is of another payload that the same certificate signed.
    EntryOfAnotherPayload,
    /// The log entry is there this often.
    RepeatedEntry(usize),
    /// Rekor v1's promise is left out. Rekor v2 has none to leave out.
    NoPromise,
    /// Rekor v1's promise is for another time. Rekor v2 has none to break.
    PromiseOfAnotherTime,
    /// The inclusion proof is left out.
    NoInclusionProof,
    /// The inclusion proof has one wrong hash.
    WrongInclusionProof,
    /// The checkpoint's signature is wrong.
    WrongCheckpointSignature,
    /// The checkpoint is signed by a log that the trusted root doesn't have.
    CheckpointOfUnknownLog,
    /// The checkpoint is signed by the other log of the trusted root, the other generation's.
    CheckpointOfOtherTrustedLog,
    /// The timestamp is left out. Without effect on a Rekor v1 bundle that has none.
    NoTimestamp,
    /// The timestamp comes from an authority that the trusted root doesn't have.
    TimestampOfUnknownAuthority,
    /// The timestamp is signed by somebody's key, and first in its bag is a certificate for that
    /// key which bears the authority's name and serial number; the authority's own comes after it.
    TimestampOfForgedCertificate,
    /// The timestamp is of another signature.
    TimestampOfAnotherSignature,
    /// The timestamp is there this often.
    RepeatedTimestamp(usize),
}
