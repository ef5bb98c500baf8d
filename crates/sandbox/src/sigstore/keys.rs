//! Keys made at run time: ECDSA over P-256, and Ed25519 for the Rekor v2 log.
//!
//! No private key is ever written, sent or shown.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use der::asn1::{BitString, ObjectIdentifier, Uint};
use der::{Decode, Encode, Sequence};
use sigstore_crypto::{KeyPair, sha256};
use x509_cert::der::pem::LineEnding;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::SigstoreError;

/// An ECDSA P-256 key pair, signing with SHA-256.
pub(super) struct EcdsaKey {
    pair: KeyPair,
    spki: Vec<u8>,
}

impl EcdsaKey {
    pub(super) fn generate() -> Result<Self, SigstoreError> {
        let pair = KeyPair::generate_ecdsa_p256()?;
        let spki = pair.public_key_der()?.as_bytes().to_vec();
        Ok(Self { pair, spki })
    }

    /// The signature of `message`: an ASN.1 DER `Ecdsa-Sig-Value` (RFC 3279, section 2.2.3).
    #[expect(
        clippy::expect_used,
        reason = "signing with a key that was just generated fails only where the system has no randomness, and no test server can go on without"
    )]
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(message);
        signature.expect("the system has randomness").into_bytes()
    }

    /// The signature of `message` as JSON Web Signatures have it: `r ‖ s`, 32 bytes each
    /// (RFC 7518, section 3.4).
    #[expect(
        clippy::expect_used,
        reason = "the signature was encoded by the line before"
    )]
    pub(super) fn sign_fixed_width(&self, message: &[u8]) -> [u8; 64] {
        fixed_width(&self.sign(message)).expect("a DER signature")
    }

    /// The public key: a DER SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The public key in PEM, lines ended by LF.
    pub(super) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// The RFC 6962 key id: SHA-256 of the SubjectPublicKeyInfo.
    pub(super) fn id(&self) -> [u8; 32] {
        digest(&self.spki)
    }

    /// The affine coordinates of the public point, 32 bytes each.
    pub(super) fn coordinates(&self) -> (&[u8], &[u8]) {
        let point = self.pair.public_key_bytes();
        let (_, coordinates) = point.split_at(point.len() % 2);
        coordinates.split_at(coordinates.len() / 2)
    }
}

/// An Ed25519 key pair.
pub(super) struct Ed25519Key(Ed25519KeyPair);

impl Ed25519Key {
    pub(super) fn generate() -> Result<Self, SigstoreError> {
        Ed25519KeyPair::generate()
            .map(Self)
            .map_err(|_| SigstoreError::Randomness)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// The 32 bytes of the public key.
    pub(super) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public key: a DER SubjectPublicKeyInfo (RFC 8410).
    pub(super) fn spki(&self) -> Result<Vec<u8>, SigstoreError> {
        let spki = SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new_unwrap("1.3.101.112"),
                parameters: None,
            },
            subject_public_key: BitString::from_bytes(self.public())?,
        };
        Ok(spki.to_der()?)
    }
}

/// SHA-256.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    *sha256(bytes).as_bytes()
}

/// PEM as Go writes it: lines of 64 characters, ended by LF. Independent verifiers compare a log
/// entry's certificate as text.
#[expect(
    clippy::expect_used,
    reason = "the labels are constants of this crate and the buffer grows"
)]
pub(super) fn pem(label: &'static str, der: &[u8]) -> String {
    x509_cert::der::pem::encode_string(label, LineEnding::LF, der).expect("a valid label")
}

/// Random bytes for serial numbers.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SigstoreError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SigstoreError::Randomness)?;
    Ok(bytes)
}

/// `Ecdsa-Sig-Value` (RFC 3279, section 2.2.3).
#[derive(Sequence)]
struct EcdsaSignature {
    r: Uint,
    s: Uint,
}

/// The 64 bytes `r ‖ s` of a DER signature.
fn fixed_width(signature: &[u8]) -> Result<[u8; 64], SigstoreError> {
    let signature = EcdsaSignature::from_der(signature)?;
    let mut fixed = [0; 64];
    let (r, s) = fixed.split_at_mut(32);
    for (half, integer) in [(r, &signature.r), (s, &signature.s)] {
        let bytes = integer.as_bytes();
        let leading_zeros = half.len().saturating_sub(bytes.len());
        for (target, byte) in half.iter_mut().skip(leading_zeros).zip(bytes) {
            *target = *byte;
        }
    }
    Ok(fixed)
}

/// The DER signature of the 64 bytes `r ‖ s`.
pub(super) fn from_fixed_width(signature: &[u8]) -> Result<Vec<u8>, SigstoreError> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let signature = EcdsaSignature {
        r: Uint::new(r)?,
        s: Uint::new(s)?,
    };
    Ok(signature.to_der()?)
}
