//! Content digests.
//!
//! A [`Digest`] names one sequence of bytes, by an algorithm that this crate can compute. So bytes
//! can always be checked against it. Digests of other algorithms don't parse.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use serde::{Deserialize, Serialize};

use crate::cosign_tag::CosignTag;
use crate::excerpt::excerpt;

/// A hash function registered by the [OCI image specification, "Digests"][spec].
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 32 bytes, 64 hex digits.
    Sha256,
    /// SHA-512: 64 bytes, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The registered name, as it stands before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the encoded part, in lower-case hex digits.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The digest of some bytes: `algorithm:hex`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut digester = Digester::new(algorithm);
        digester.update(bytes);
        digester.finish()
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part in lower case, with [`Algorithm::hex_len`] digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Whether `bytes` have this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Self::of(self.algorithm, bytes) == *self
    }

    /// The fallback tag for this digest's referrers, in registries without the referrers API:
    /// `algorithm-hex`, with at most 32 characters of the algorithm and 64 of the hexadecimal part
    /// (OCI distribution specification 1.1, "Referrers Tag Schema").
    pub fn referrers_tag(&self) -> String {
        let encoded: String = self.hex.chars().take(64).collect();
        format!("{}-{encoded}", self.algorithm)
    }

    /// The tag at which cosign keeps something beside the content with this digest, as `sha256-….sig`.
    pub fn tag_beside(&self, tag: CosignTag) -> String {
        format!("{}-{}.{}", self.algorithm, self.hex, tag.suffix())
    }

    /// Whether `tag` is one that [`Self::referrers_tag`] or [`Self::tag_beside`] makes of some digest. Clients look
    /// for signatures there, so nothing else may be written to it.
    pub fn is_made_into(tag: &str) -> bool {
        let beside = |kind: CosignTag| tag.strip_suffix(kind.suffix())?.strip_suffix('.');
        let of = |digest: &str| digest.replacen('-', ":", 1).parse::<Self>();
        match CosignTag::ALL.into_iter().find_map(beside) {
            Some(digest) => of(digest).is_ok(),
            // The referrers tag of a longer digest is cut.
            None => tag.split_once('-').is_some_and(|(algorithm, encoded)| {
                let digits = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
                [Algorithm::Sha256, Algorithm::Sha512]
                    .iter()
                    .any(|one| one.to_string() == algorithm)
                    && encoded.len() == 64
                    && encoded.bytes().all(digits)
            }),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| DigestError::NoAlgorithm {
                found: excerpt(text),
            })?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => {
                return Err(DigestError::UnsupportedAlgorithm {
                    found: excerpt(other),
                });
            }
        };
        let lower_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(lower_hex) {
            return Err(DigestError::Encoded {
                algorithm,
                found: excerpt(hex),
                length: hex.chars().count(),
            });
        }
        Ok(Self {
            algorithm,
            hex: hex.into(),
        })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Hashes bytes as they arrive.
#[derive(Clone)]
pub struct Digester {
    algorithm: Algorithm,
    context: Context,
}

impl Digester {
    /// Makes a digester without any bytes.
    pub fn new(algorithm: Algorithm) -> Self {
        let context = Context::new(match algorithm {
            Algorithm::Sha256 => &SHA256,
            Algorithm::Sha512 => &SHA512,
        });
        Self { algorithm, context }
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        Digest {
            algorithm: self.algorithm,
            hex: hex::encode(self.context.finish()),
        }
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no colon.
    #[error(
        "expected a digest such as sha256:<64 hex digits>, found {}",
        if found.is_empty() { "nothing: is the variable set that it comes from?".to_owned() } else { format!("`{found}`") }
    )]
    NoAlgorithm {
        /// The text, or its start.
        found: String,
    },
    /// This crate can't compute the algorithm.
    #[error("expected a digest by sha256 or sha512, found algorithm `{found}`")]
    UnsupportedAlgorithm {
        /// The text before the colon.
        found: String,
    },
    /// The length is wrong, or there are characters other than lower-case hex digits.
    #[error("expected {} lower-case hex digits after `{algorithm}:`, found `{found}` ({length} character{}){}", .algorithm.hex_len(), if *.length == 1 { "" } else { "s" }, if found.starts_with(&format!("{algorithm}:")) { ": the prefix is there twice" } else { "" })]
    Encoded {
        /// The algorithm.
        algorithm: Algorithm,
        /// The text after the colon, or its start.
        found: String,
        /// The number of characters after the colon.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_OBJECT: &str =
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn known_digest_of_the_empty_object() {
        assert_eq!(Digest::sha256(b"{}").to_string(), EMPTY_OBJECT);
        assert!(EMPTY_OBJECT.parse::<Digest>().unwrap().matches(b"{}"));
        assert!(!EMPTY_OBJECT.parse::<Digest>().unwrap().matches(b"{} "));
    }

    #[test]
    fn characters_are_counted_as_people_count_them() {
        let said = |text: &str| text.parse::<Digest>().unwrap_err().to_string();
        assert!(said("sha256:a").ends_with("found `a` (1 character)"));
        assert!(said("sha256:ab").ends_with("found `ab` (2 characters)"));
        let twice = said(&format!("sha256:{}", Digest::sha256(b"{}")));
        let ends = "(71 characters): the prefix is there twice";
        assert!(twice.ends_with(ends), "{twice}");
    }

    #[test]
    fn referrers_tag_of_sha512_is_cut_to_64_digits() {
        let digest = Digest::of(Algorithm::Sha512, b"{}");
        assert_eq!(digest.referrers_tag().len(), "sha512-".len() + 64);
    }

    #[test]
    fn tags_that_are_made_of_digests_are_known_as_that() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"{}");
            let beside = CosignTag::ALL.map(|tag| digest.tag_beside(tag));
            for tag in beside.iter().chain([&digest.referrers_tag()]) {
                assert!(Digest::is_made_into(tag), "{tag}");
                assert!(!Digest::is_made_into(&tag[1..]), "{tag}");
                assert!(!Digest::is_made_into(&format!("{tag}0")), "{tag}");
            }
        }
        assert!(!Digest::is_made_into("v1.sig"));
    }

    #[test]
    fn malformed_digests_say_what_was_expected() {
        let error = |text: &str| text.parse::<Digest>().unwrap_err();
        assert!(matches!(error("abc"), DigestError::NoAlgorithm { .. }));
        assert!(matches!(
            error("md5:00"),
            DigestError::UnsupportedAlgorithm { .. }
        ));
        assert!(matches!(error("sha256:00"), DigestError::Encoded { .. }));
        let upper = EMPTY_OBJECT.to_uppercase().replace("SHA256", "sha256");
        assert!(matches!(error(&upper), DigestError::Encoded { .. }));
    }
}
