//! The public key or certificate by which a signature is checked before it is certified or logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use sigstore_crypto::{SigningScheme, verify_signature, verify_signature_prehashed};
use sigstore_types::{DerPublicKey, SignatureBytes};
use x509_cert::Certificate;

use super::error::ErrorAnswer;
use super::keys::pem;

/// A certificate or a bare public key, ECDSA P-256.
pub(super) struct Verifier {
    label: &'static str,
    der: Vec<u8>,
    spki: Vec<u8>,
}

impl Verifier {
    const CERTIFICATE: &'static str = "CERTIFICATE";
    const PUBLIC_KEY: &'static str = "PUBLIC KEY";

    /// From PEM text of either.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, ErrorAnswer> {
        let (label, der) = x509_cert::der::pem::decode_vec(text)
            .map_err(|error| ErrorAnswer::bad_request(format!("verifier: {error}")))?;
        match label {
            Self::CERTIFICATE => Self::from_certificate(der),
            Self::PUBLIC_KEY => Ok(Self::from_spki(der)),
            other => Err(ErrorAnswer::bad_request(format!(
                "verifier: expected a certificate or a public key, found {other}"
            ))),
        }
    }

    /// From a DER certificate.
    pub(super) fn from_certificate(der: Vec<u8>) -> Result<Self, ErrorAnswer> {
        let certificate = Certificate::from_der(&der)
            .map_err(|error| ErrorAnswer::bad_request(format!("certificate: {error}")))?;
        let spki = certificate.tbs_certificate.subject_public_key_info;
        Ok(Self {
            label: Self::CERTIFICATE,
            spki: spki.to_der()?,
            der,
        })
    }

    /// From a DER SubjectPublicKeyInfo.
    pub(super) fn from_spki(der: Vec<u8>) -> Self {
        Self {
            label: Self::PUBLIC_KEY,
            spki: der.clone(),
            der,
        }
    }

    /// PEM as Rekor canonicalises it.
    pub(super) fn canonical_pem(&self) -> String {
        pem(self.label, &self.der)
    }

    /// The DER SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Checks a DER signature over `message`.
    pub(super) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), ErrorAnswer> {
        verify_signature(
            &DerPublicKey::from_bytes(&self.spki),
            message,
            &SignatureBytes::from_bytes(signature),
            SigningScheme::EcdsaP256Sha256,
        )
        .map_err(|error| ErrorAnswer::bad_request(format!("signature: {error}")))
    }

    /// Checks a DER signature over the message whose SHA-256 is `digest`.
    pub(super) fn check_digest(&self, digest: &[u8], signature: &[u8]) -> Result<(), ErrorAnswer> {
        verify_signature_prehashed(
            &DerPublicKey::from_bytes(&self.spki),
            digest,
            &SignatureBytes::from_bytes(signature),
            SigningScheme::EcdsaP256Sha256,
        )
        .map_err(|error| ErrorAnswer::bad_request(format!("signature: {error}")))
    }
}

/// The bytes of a base64 field of a request.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, ErrorAnswer> {
    let decoded = STANDARD.decode(text);
    decoded.map_err(|error| ErrorAnswer::bad_request(format!("base64: {error}")))
}
