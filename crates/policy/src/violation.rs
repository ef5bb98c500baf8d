//! Why a policy refuses a verified signature: the conditions that are not true, each with the expected and the
//! found value. If the policy has several signers, the closest one is shown.
//!
//! Text from strangers is made printable before it goes into a message.

use std::fmt;

use countersign_oci::{Digest, printable};
use jiff::Timestamp;

use crate::age::Age;
use crate::format::SignatureFormat;
use crate::matcher::Matcher;
use crate::predicate::JsonPointer;

mod signer;

pub(crate) use signer::none_of;
pub use signer::{Mismatch, Miss, NeedOfTime, SignerMismatch};

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
    /// Several conditions are not met.
    #[error("{first}{}", also(.further))]
    Several {
        /// The first one, by which the refusal is sorted.
        first: Box<Violation>,
        /// The others. None of these violations is [`Self::Several`].
        further: Vec<Violation>,
    },
}

impl Violation {
    /// All of them as one; `None` if there is none.
    pub(crate) fn of(violations: Vec<Self>) -> Option<Self> {
        let mut violations = violations.into_iter();
        let first = violations.next()?;
        let further: Vec<Self> = violations.collect();
        Some(if further.is_empty() {
            first
        } else {
            Self::Several {
                first: Box::new(first),
                further,
            }
        })
    }

    /// The first condition that is not met.
    pub fn first(&self) -> &Self {
        match self {
            Self::Several { first, .. } => first,
            only => only,
        }
    }

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

/// Further conditions that are not met, each below the one before.
fn also<T: fmt::Display>(further: &[T]) -> String {
    further.iter().map(|one| format!("\nalso, {one}")).collect()
}

/// Two lines below the message, with aligned values.
struct Aligned<'a>(&'a str, &'a str);

impl fmt::Display for Aligned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(expected, found) = self;
        write!(f, "\n  expected  {expected}\n  found     {found}")
    }
}

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
