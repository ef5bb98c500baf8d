//! Why a policy refuses a verified signature: the first condition that is not true, with the expected and the
//! found value. If the policy has several signers, the closest one is shown.
//!
//! Text from strangers is made printable before it goes into a message.

use std::cmp::Ordering;
use std::fmt;

use countersign_oci::{Digest, printable};
use jiff::Timestamp;

use crate::age::Age;
use crate::claims::Claim;
use crate::format::SignatureFormat;
use crate::matcher::{Matcher, common_prefix};
use crate::one_or_more::OneOrMore;
use crate::predicate::JsonPointer;
use crate::public_key::KeyFingerprint;

/// The condition of the policy that a verified signature does not meet.
///
/// Not `#[non_exhaustive]`: an audit sorts each of them into a state, and a new one has to be sorted too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The image is on the policy's list of denied digests.
    #[error("the policy's `deny_digests` lists {digest}")]
    DeniedDigest {
        /// The digest.
        digest: Digest,
    },
    /// A signature in a form that the policy does not accept.
    #[error(
        "the signature is in a form that the policy's `signature_formats` does not accept{}",
        Aligned(&listed(.expected), .found.as_str())
    )]
    Format {
        /// The accepted forms.
        expected: Vec<SignatureFormat>,
        /// The signature's form.
        found: SignatureFormat,
    },
    /// The statement's type does not count as a signature.
    #[error(
        "the statement is of a type that does not count as a signature{}",
        Aligned(&printable(&.expected.join(" or ")), &printable(.found))
    )]
    PredicateType {
        /// The accepted types.
        expected: Vec<String>,
        /// The statement's.
        found: String,
    },
    /// Signed by somebody else.
    #[error("{0}")]
    Signer(Box<SignerMismatch>),
    /// Signed before the policy's `not_before`.
    #[error(
        "the signature is older than the policy's `not_before`{}",
        Aligned(&format!("made at or after {not_before}"), &format!("made at {found:.0}"))
    )]
    SignedBefore {
        /// The bound.
        not_before: Timestamp,
        /// The earliest verified time.
        found: Timestamp,
    },
    /// Nothing proves when the signature was made, and the policy has a condition on that.
    #[error("the policy's `{condition}` can't hold: nothing proves when the signature was made")]
    NoTime {
        /// The condition.
        condition: TimeCondition,
    },
    /// Younger than the policy's `min_age`.
    #[error(
        "the signature is younger than the policy's `min_age`{}",
        Aligned(&format!("made at least {min_age} ago"), &made_and_reached(*.found, *.reached))
    )]
    TooYoung {
        /// The bound.
        min_age: Age,
        /// The latest verified time.
        found: Timestamp,
        /// From when the signature is old enough. `None` if that is later than any [`Timestamp`].
        reached: Option<Timestamp>,
    },
    /// An annotation is missing or different.
    #[error(
        "the signed annotation {} does not match{}", printable(.key),
        Aligned(
            &format!("`{}`", printable(.expected)),
            &quoted_or(.found.as_deref(), "no such annotation"),
        )
    )]
    Annotation {
        /// The annotation's key.
        key: String,
        /// The policy's value.
        expected: String,
        /// The statement's value.
        found: Option<String>,
    },
    /// A field of the predicate is missing or different.
    #[error(
        "the predicate's {} does not match{}", printable(.pointer.as_str()),
        Aligned(&printable(&.expected.to_string()), .found)
    )]
    Predicate {
        /// Where the field is.
        pointer: JsonPointer,
        /// The rule on it.
        expected: Matcher,
        /// What is there, in words. It is printable.
        found: String,
    },
    /// The statement names another image than the requested one.
    #[error(
        "the signature {}, and the policy has `bind_name`{}",
        if names_no_tag(expected, found.as_deref()) { "names no tag" } else { "is for another name" },
        Aligned(
            &format!("`{}`", printable(.expected)),
            &quoted_or(.found.as_deref(), "no name"),
        )
    )]
    Name {
        /// The repository, with the tag if one was requested.
        expected: String,
        /// The statement's.
        found: Option<String>,
    },
}

/// A condition of a policy on the time of signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeCondition {
    /// The policy's `not_before`.
    NotBefore,
    /// The policy's `min_age`.
    MinAge,
}

/// Its key.
impl fmt::Display for TimeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBefore => "not_before",
            Self::MinAge => "min_age",
        })
    }
}

/// No signer of the policy made this signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerMismatch {
    signer: usize,
    signers: usize,
    nearest: Miss,
}

impl SignerMismatch {
    /// From one [`Miss`] for each signer, in the policy's order.
    pub(crate) fn of(misses: &OneOrMore<Miss>) -> Self {
        // If several are equally close, the first one is taken.
        let (signer, nearest) = misses.greatest(Miss::compare);
        Self {
            signer,
            signers: misses.count(),
            nearest: nearest.clone(),
        }
    }

    /// Why the signer that is closest does not match.
    pub fn nearest(&self) -> &Miss {
        &self.nearest
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
        fmt::Display::fmt(&self.nearest, f)
    }
}

impl std::error::Error for SignerMismatch {}

/// The first condition of one signer that is not true. Those before it are true.
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
        "issuer and identity match, but the signature is older than that signer's `not_before`{}",
        Aligned(&format!("made at or after {not_before}"), &format!("made at {found:.0}"))
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

impl Violation {
    /// Whether only the tag is missing in the name that was signed.
    pub fn is_untagged(&self) -> bool {
        matches!(self, Self::Name { expected, found } if names_no_tag(expected, found.as_deref()))
    }
}

/// Whether the name in a signature is the expected one without its tag.
fn names_no_tag(expected: &str, found: Option<&str>) -> bool {
    let rest = found.and_then(|found| expected.strip_prefix(found));
    rest.is_some_and(|rest| rest.starts_with(':'))
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

/// Two lines below the message, with aligned values.
struct Aligned<'a>(&'a str, &'a str);

impl fmt::Display for Aligned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(expected, found) = self;
        write!(f, "\n  expected  {expected}\n  found     {found}")
    }
}

/// Characters before the text in a line of [`Aligned`], its opening quote included.
const BEFORE_TEXT: usize = "  expected  `".len();

fn listed(formats: &[SignatureFormat]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
    names.join(" or ")
}

fn made_and_reached(made: Timestamp, reached: Option<Timestamp>) -> String {
    match reached {
        Some(reached) => format!("made at {made:.0}; it is accepted from {reached:.0}"),
        None => format!("made at {made:.0}; it is never old enough"),
    }
}

fn quoted_or(text: Option<&str>, none: &str) -> String {
    text.map_or_else(|| none.to_owned(), |text| format!("`{}`", printable(text)))
}

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
