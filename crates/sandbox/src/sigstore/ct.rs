//! A certificate transparency log, as far as certificates embed its promise.
//!
//! It signs certificate timestamps (RFC 6962, section 3.2) and keeps nothing: no verifier of
//! Sigstore asks such a log anything.

use jiff::Timestamp;
use x509_cert::ext::pkix::SignedCertificateTimestamp;
use x509_cert::ext::pkix::sct::{
    DigitallySigned, HashAlgorithm, LogId, SignatureAlgorithm, SignatureAndHashAlgorithm, Version,
};

use super::SigstoreError;
use super::keys::EcdsaKey;

/// A certificate transparency log.
pub(super) struct CtLog {
    key: EcdsaKey,
}

impl CtLog {
    pub(super) fn generate() -> Result<Self, SigstoreError> {
        Ok(Self {
            key: EcdsaKey::generate()?,
        })
    }

    pub(super) fn key(&self) -> &EcdsaKey {
        &self.key
    }

    /// The timestamp of a precertificate: `precertificate` is the DER TBSCertificate without the
    /// timestamp list, `issuer` the DER SubjectPublicKeyInfo of who signs the certificate.
    pub(super) fn timestamp(
        &self,
        precertificate: &[u8],
        issuer: &[u8],
        at: Timestamp,
    ) -> SignedCertificateTimestamp {
        let timestamp = at.as_millisecond().unsigned_abs();
        let signed = precert_entry(precertificate, issuer, timestamp);
        SignedCertificateTimestamp {
            version: Version::V1,
            log_id: LogId {
                key_id: self.key.id(),
            },
            timestamp,
            extensions: Vec::new().into(),
            signature: DigitallySigned {
                algorithm: SignatureAndHashAlgorithm {
                    hash: HashAlgorithm::Sha256,
                    signature: SignatureAlgorithm::Ecdsa,
                },
                signature: self.key.sign(&signed).into(),
            },
        }
    }
}

/// What a log signs for a precertificate (RFC 6962, section 3.2, `digitally-signed struct`).
fn precert_entry(precertificate: &[u8], issuer: &[u8], timestamp: u64) -> Vec<u8> {
    const V1: u8 = 0;
    const CERTIFICATE_TIMESTAMP: u8 = 0;
    const PRECERT_ENTRY: u16 = 1;
    const NO_EXTENSIONS: u16 = 0;

    let mut signed = vec![V1, CERTIFICATE_TIMESTAMP];
    signed.extend(timestamp.to_be_bytes());
    signed.extend(PRECERT_ENTRY.to_be_bytes());
    signed.extend(super::keys::digest(issuer));
    // A 24-bit length: the low three bytes of four.
    let length = u32::try_from(precertificate.len()).unwrap_or(u32::MAX);
    signed.extend(length.to_be_bytes().into_iter().skip(1));
    signed.extend(precertificate);
    signed.extend(NO_EXTENSIONS.to_be_bytes());
    signed
}
