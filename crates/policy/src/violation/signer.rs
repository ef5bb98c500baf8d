//! Why no signer of a policy made a signature.

use std::cmp::Ordering;
use std::fmt;

use countersign_oci::printable;
use jiff::Timestamp;

use super::{Aligned, also, quoted_or};
use crate::claims::Claim;
use crate::matcher::{Matcher, common_prefix};
use crate::one_or_more::OneOrMore;
use crate::public_key::KeyFingerprint;

/// No signer of the policy made this signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerMismatch {
    signer: usize,
    signers: usize,
    nearest: OneOrMore<Miss>,
}

/// Nothing, or all conditions of a signer that are not true.
///
/// # Errors
/// All of `misses`, if there is one.
pub(crate) fn none_of(misses: Vec<Miss>) -> Result<(), OneOrMore<Miss>> {
    match OneOrMore::of(misses) {
        None => Ok(()),
        Some(misses) => Err(misses),
    }
}

impl SignerMismatch {
    /// From what each signer misses, in the policy's order.
    pub(crate) fn of(misses: &OneOrMore<OneOrMore<Miss>>) -> Self {
        // If several are equally close, the first one is taken.
        let (signer, nearest) = misses.greatest(|a, b| a.first().compare(b.first()));
        Self {
            signer,
            signers: misses.count(),
            nearest: nearest.clone(),
        }
    }

    /// The first condition of the closest signer that is not true.
    pub fn nearest(&self) -> &Miss {
        self.nearest.first()
    }

    /// Its other conditions that are not true.
    pub fn further(&self) -> &[Miss] {
        self.nearest.rest()
    }
}

impl fmt::Display for SignerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.signers > 1 {
            write!(
                f,
                "not by any of the policy's {} signers; the closest is number {}: ",
                self.signers,
                self.signer + 1
            )?;
        } else {
            f.write_str("not by the policy's signer: ")?;
        }
        fmt::Display::fmt(self.nearest(), f)?;
        let further: Vec<Further<'_>> = self.further().iter().map(Further).collect();
        f.write_str(&also(&further))
    }
}

impl std::error::Error for SignerMismatch {}

/// A condition of a signer that is not true, where another was told.
struct Further<'a>(&'a Miss);

impl fmt::Display for Further<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Miss::Identity(mismatch) => write!(f, "the identity does not match{mismatch}"),
            Miss::Claim {
                claim,
                expected,
                found,
            } => write!(
                f,
                "the certificate's claim {claim} does not match{}",
                Aligned(
                    &printable(&expected.to_string()),
                    &quoted_or(found.as_deref(), "no such claim")
                )
            ),
            Miss::SignedBefore { not_before, found } => write!(
                f,
                "the signature is older than that signer's `not_before`{}",
                bounds(*not_before, *found)
            ),
            Miss::NoTime { needed_by } => write!(
                f,
                "nothing proves when the signature was made{}",
                needed_by.consequence()
            ),
            // These come first.
            first @ (Miss::Issuer(_)
            | Miss::CertificateForKey { .. }
            | Miss::Key { .. }
            | Miss::KeyForCertificate { .. }) => first.fmt(f),
        }
    }
}

fn bounds(not_before: Timestamp, found: Timestamp) -> String {
    let expected = format!("made at or after {not_before}");
    Aligned(&expected, &format!("made at {found:.0}")).to_string()
}

/// A condition of one signer that is not true. Its text is that of the first of several: it says that those before it
/// are true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// Another issuer.
    #[error("the issuer does not match{0}")]
    Issuer(Mismatch),
    /// The issuer is right, the identity isn't.
    #[error("the issuer matches, but the identity does not{0}")]
    Identity(Mismatch),
    /// Issuer and identity are right, a claim of the certificate is missing or different.
    #[error(
        "issuer and identity match, but the certificate's claim {claim} does not{}",
        Aligned(&printable(&.expected.to_string()), &quoted_or(.found.as_deref(), "no such claim"))
    )]
    Claim {
        /// The claim.
        claim: Claim,
        /// The rule on it.
        expected: Matcher,
        /// The certificate's value.
        found: Option<String>,
    },
    /// Everything is right but the time, before this signer's own `not_before`.
    #[error(
        "the signer matches, but the signature is older than that signer's `not_before`{}",
        bounds(*.not_before, *.found)
    )]
    SignedBefore {
        /// The signer's bound.
        not_before: Timestamp,
        /// The earliest verified time.
        found: Timestamp,
    },
    /// Everything is right, but nothing proves when the signature was made.
    #[error(
        "the signer matches, but nothing proves when the signature was made{}",
        .needed_by.consequence()
    )]
    NoTime {
        /// What needs the time.
        needed_by: NeedOfTime,
    },
    /// A key is wanted, and a certificate's holder signed.
    #[error(
        "the policy wants a key, and a certificate is no key{}",
        Aligned(
            &format!("key {expected}"),
            &format!("a certificate for `{}`", printable(.identity)),
        )
    )]
    CertificateForKey {
        /// The key.
        expected: KeyFingerprint,
        /// The certificate's identity.
        identity: String,
    },
    /// Another key.
    #[error("the key does not match{}", Aligned(&format!("key {expected}"), &format!("key {found}")))]
    Key {
        /// The policy's.
        expected: KeyFingerprint,
        /// The signature's.
        found: KeyFingerprint,
    },
    /// An identity is wanted, and a key signed.
    #[error(
        "the policy wants a certificate with an identity{}",
        Aligned("a certificate", &format!("key {found}"))
    )]
    KeyForCertificate {
        /// The key.
        found: KeyFingerprint,
    },
}

impl Miss {
    /// Greater is closer. First the number of true conditions counts, then how much of the text matched.
    fn compare(&self, other: &Self) -> Ordering {
        let steps_held = |miss: &Self| match miss {
            Self::Issuer(_)
            | Self::CertificateForKey { .. }
            | Self::Key { .. }
            | Self::KeyForCertificate { .. } => 0,
            Self::Identity(_) => 1,
            Self::Claim { .. } => 2,
            Self::SignedBefore { .. } | Self::NoTime { .. } => 3,
        };
        let text_right = |miss: &Self| match miss {
            Self::Issuer(mismatch) | Self::Identity(mismatch) => {
                mismatch.expected.nearness(&mismatch.found)
            }
            Self::Claim { .. }
            | Self::SignedBefore { .. }
            | Self::NoTime { .. }
            | Self::CertificateForKey { .. }
            | Self::Key { .. }
            | Self::KeyForCertificate { .. } => 0,
        };
        steps_held(self)
            .cmp(&steps_held(other))
            .then_with(|| text_right(self).cmp(&text_right(other)))
    }
}

/// Why a signature's time has to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NeedOfTime {
    /// The signer's own `not_before`.
    NotBefore,
    /// A key without `ignore_tlog`, or a certificate: both need a log entry or a timestamp.
    Log,
}

impl NeedOfTime {
    fn consequence(self) -> &'static str {
        match self {
            Self::NotBefore => ", so the signer's `not_before` can't hold",
            Self::Log => ": expected a log entry or a timestamp, found none",
        }
    }
}

/// A text that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The expected value.
    pub expected: Matcher,
    /// The found value.
    pub found: String,
}

/// Characters before the text in a line of [`Aligned`], its opening quote included.
const BEFORE_TEXT: usize = "  expected  `".len();

/// Both texts, one below the other, and the first difference.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, found } = self;
        let shown = |text: &str| format!("`{}`", printable(text));
        match expected {
            Matcher::Exact(text) => {
                write!(f, "{}", Aligned(&shown(text), &shown(found)))?;
                let alike = text.get(..common_prefix(text, found)).unwrap_or_default();
                // If the texts have nothing in common, the first difference is not useful.
                if alike.is_empty() {
                    return Ok(());
                }
                let column = BEFORE_TEXT + printable(alike).chars().count();
                write!(f, "\n{:column$}^ first difference", "")
            }
            Matcher::Regex(pattern) => {
                let wanted = format!("a match of {}", shown(pattern.as_str()));
                write!(f, "{}", Aligned(&wanted, &shown(found)))?;
                match pattern.part_matched(found) {
                    Some(part) => write!(
                        f,
                        "\n  Only {} matches, and a pattern has to match the whole text.",
                        shown(part)
                    ),
                    None => Ok(()),
                }
            }
        }
    }
}
