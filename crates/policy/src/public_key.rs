//! Public keys that a policy accepts signatures of.

use std::fmt;
use std::str::FromStr;

use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sigstore_crypto::{KeyAlgorithm, VerificationKey, validate_raw_public_key};
use sigstore_types::DerPublicKey;

/// The begin line of any PEM block, up to its label.
const BEGIN: &str = "-----BEGIN ";
/// The label of the one kind of block that is read.
const LABEL: &str = "PUBLIC KEY";
/// What comes before the digits of a fingerprint.
const HASH: &str = "SHA-256:";
const HASH_DIGITS: usize = 64;

/// A public key: ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits.
#[derive(Clone)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: KeyKind,
    /// The file that it is from, as it was named. Two keys that differ in nothing else are one.
    file: Option<String>,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Whether a text is meant as PEM and not as the name of a file.
    pub(crate) fn looks_like_pem(text: &str) -> bool {
        text.contains(BEGIN)
    }

    /// Reads a key in PEM. There must be one block, a `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`PublicKeyError`]. It never repeats what is in the text: that may be a private key.
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        let labels: Vec<&str> = text.split(BEGIN).skip(1).map(label).collect();
        match labels.as_slice() {
            [LABEL] => {}
            [] => return Err(PublicKeyError::NoPem),
            [other] => {
                return Err(PublicKeyError::OtherBlock {
                    found: countersign_oci::excerpt(other),
                });
            }
            several => {
                // Beside the parameters of its curve, say.
                let private = several.iter().find(|label| label.contains("PRIVATE"));
                return Err(match private {
                    Some(label) => PublicKeyError::OtherBlock {
                        found: countersign_oci::excerpt(label),
                    },
                    None => PublicKeyError::SeveralBlocks {
                        found: several.len(),
                    },
                });
            }
        }
        let key = DerPublicKey::from_pem(text).map_err(|_| PublicKeyError::Damaged)?;
        Self::from_spki(&key)
    }

    fn from_spki(key: &DerPublicKey) -> Result<Self, PublicKeyError> {
        if !is_whole(key.as_bytes()) {
            return Err(PublicKeyError::Damaged);
        }
        let algorithm = KeyAlgorithm::from_spki(key).map_err(|_| PublicKeyError::Unsupported)?;
        let kind = match algorithm {
            KeyAlgorithm::EcdsaP256 => KeyKind::EcdsaP256,
            KeyAlgorithm::EcdsaP384 => KeyKind::EcdsaP384,
            KeyAlgorithm::Ed25519 => KeyKind::Ed25519,
            KeyAlgorithm::Rsa => KeyKind::Rsa,
            _ => return Err(PublicKeyError::Unsupported),
        };
        let usable = VerificationKey::from_spki(key)
            .and_then(|key| validate_raw_public_key(key.scheme(), key.as_bytes()));
        match (usable, kind) {
            (Ok(()), _) => {}
            (Err(_), KeyKind::Rsa) => {
                return Err(match rsa_bits(key) {
                    Some(bits) => PublicKeyError::RsaSize { bits },
                    None => PublicKeyError::Unsupported,
                });
            }
            (Err(_), _) => return Err(PublicKeyError::Unsupported),
        }
        Ok(Self {
            spki: key.as_bytes().to_vec(),
            kind,
            file: None,
        })
    }

    /// The same key, from the file with this name.
    pub(crate) fn with_file(self, file: &str) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..self
        }
    }

    /// The name of the file that it is from, as the policy has it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The file that it is from, in brackets and with a blank before it; or nothing.
    pub(crate) fn origin(&self) -> String {
        let file = self.file.as_deref().map(countersign_oci::printable);
        file.map_or_else(String::new, |file| format!(" ({file})"))
    }

    /// The key as a `SubjectPublicKeyInfo` (DER).
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key in PEM, a `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        let pem = DerPublicKey::new(self.spki.clone()).to_pem();
        pem.replace("\r\n", "\n")
    }

    /// The hash by which people and records name the key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint(sigstore_crypto::sha256(&self.spki).to_hex())
    }

    /// The kind of key, in words.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            KeyKind::EcdsaP256 => "ECDSA P-256",
            KeyKind::EcdsaP384 => "ECDSA P-384",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Rsa => "RSA",
        }
    }
}

/// What stands between `BEGIN` and the dashes.
fn label(block: &str) -> &str {
    block.split("-----").next().unwrap_or_default()
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.kind(), self.fingerprint())
    }
}

/// The SHA-256 of a key's `SubjectPublicKeyInfo`, as `SHA-256:` and 64 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint(String);

impl KeyFingerprint {
    /// The digits alone, in hex.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH}{}", self.0)
    }
}

/// Not a fingerprint of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `SHA-256:` and 64 digits in lower case, found `{found}`")]
pub struct FingerprintError {
    found: String,
}

impl FromStr for KeyFingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.strip_prefix(HASH)
            .filter(|digits| digits.len() == HASH_DIGITS && digits.bytes().all(is_digit))
            .map(|digits| Self(digits.to_owned()))
            .ok_or_else(|| FingerprintError {
                found: countersign_oci::excerpt(text),
            })
    }
}

impl Serialize for KeyFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a usable public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not PEM.
    #[error("expected a public key in PEM (`-----BEGIN PUBLIC KEY-----`), found no PEM")]
    NoPem,
    /// PEM of something else.
    #[error(
        "expected a public key in PEM (`-----BEGIN PUBLIC KEY-----`), found a block `{found}`{}",
        if .found.contains("PRIVATE") {
            "; a private key does not belong in a policy: write its public key"
        } else {
            ""
        }
    )]
    OtherBlock {
        /// The block's label.
        found: String,
    },
    /// More than one block. A reader could take any of them.
    #[error("expected one public key, found {found} PEM blocks")]
    SeveralBlocks {
        /// How many there are.
        found: usize,
    },
    /// The block can't be decoded.
    #[error("the PEM of the public key is damaged")]
    Damaged,
    /// Not a kind of key that is supported.
    #[error(
        "the public key is of a kind that is not supported; expected ECDSA P-256 or P-384, Ed25519, or RSA"
    )]
    Unsupported,
    /// An RSA key that is too short or too long.
    #[error("expected an RSA key of 2048 to 8192 bits, found one of {bits}")]
    RsaSize {
        /// The length of its modulus, in bits.
        bits: usize,
    },
}

/// The length of an RSA key's modulus, in bits. `None` if there is no such key in `key`.
fn rsa_bits(key: &DerPublicKey) -> Option<usize> {
    let key = VerificationKey::from_spki(key).ok()?;
    let mut reader = SliceReader::new(key.as_bytes()).ok()?;
    // RFC 8017, `RSAPublicKey`: the modulus and the exponent.
    let bits = reader.sequence(|key| {
        let modulus = UintRef::decode(key)?;
        UintRef::decode(key)?;
        let digits = modulus.as_bytes();
        let zeros = digits.first().map_or(0, |first| first.leading_zeros());
        Ok(8 * digits.len() - zeros as usize)
    });
    reader.finish(bits.ok()?).ok()
}

/// Whether the DER has as many bytes as it says: else it was cut, or something stands behind it.
fn is_whole(der: &[u8]) -> bool {
    match der {
        [0x30, length @ ..=0x7f, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
