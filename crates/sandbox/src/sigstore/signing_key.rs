//! Keys that sign without a certificate, as `cosign sign --key` does. Made at run time, and never written.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256,
};

use super::SigstoreError;
use super::keys::{digest, pem};

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKeyKind {
    /// ECDSA P-256 with SHA-256, as `cosign generate-key-pair` makes it.
    EcdsaP256,
    /// ECDSA P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256.
    Rsa2048,
}

/// A key pair that signs without a certificate.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Pair>,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new key pair.
    ///
    /// # Errors
    ///
    /// An error, if the system has no randomness.
    pub fn generate(kind: SigningKeyKind) -> Result<Self, SigstoreError> {
        let (pair, spki) = make(kind).map_err(|_| SigstoreError::Randomness)?;
        Ok(Self {
            pair: Arc::new(pair),
            spki,
        })
    }

    /// The public key in PEM, as `cosign.pub` has it.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// The SHA-256 of the public key (DER SubjectPublicKeyInfo).
    pub fn id(&self) -> [u8; 32] {
        digest(&self.spki)
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigstoreError> {
        self.signature(message)
            .map_err(|_| SigstoreError::Randomness)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        Ok(match &*self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                signature
            }
        })
    }
}

fn make(kind: SigningKeyKind) -> Result<(Pair, Vec<u8>), aws_lc_rs::error::Unspecified> {
    Ok(match kind {
        SigningKeyKind::EcdsaP256 | SigningKeyKind::EcdsaP384 => {
            let algorithm = match kind {
                SigningKeyKind::EcdsaP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
                _ => &ECDSA_P256_SHA256_ASN1_SIGNING,
            };
            let pair = EcdsaKeyPair::generate(algorithm)?;
            let spki = pair.public_key().as_der()?.as_ref().to_vec();
            (Pair::Ecdsa(pair), spki)
        }
        SigningKeyKind::Ed25519 => {
            let pair = Ed25519KeyPair::generate()?;
            let spki = pair.public_key().as_der()?.as_ref().to_vec();
            (Pair::Ed25519(pair), spki)
        }
        SigningKeyKind::Rsa2048 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let spki = pair.public_key().as_der()?.as_ref().to_vec();
            (Pair::Rsa(pair), spki)
        }
    })
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", hex::encode(self.id()))
    }
}
