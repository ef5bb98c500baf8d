//! The judgement: does what a verified signature claims satisfy the policy?
//!
//! Pure: everything judged is in [`Claimed`], which the verifier fills from what it has proven. A
//! violation names the first condition that does not hold, with what was expected and what was
//! found; among several acceptable signers, the one that came nearest.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use countersign_oci::{Digest, Reference, Repository};
use jiff::Timestamp;

use crate::claims::{CertificateClaims, Claim};
use crate::matcher::{Matcher, common_prefix};
use crate::policy::{Policy, Signer};
use crate::printable::printable;

/// What a signature that holds says: cryptography, certificate and log are proven already.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    /// The digest signed.
    pub digest: &'a Digest,
    /// The OIDC issuer, from the certificate.
    pub issuer: &'a str,
    /// The certificate's subject alternative name.
    pub identity: &'a str,
    /// The certificate's other claims.
    pub certificate: &'a CertificateClaims,
    /// Every time at which log or timestamp authority have seen the signature.
    pub verified_times: &'a [Timestamp],
    /// The statement's type.
    pub predicate_type: &'a str,
    /// Annotations of the statement's subject.
    pub annotations: &'a BTreeMap<String, String>,
    /// Name of the statement's subject, where it has one.
    pub subject_name: Option<&'a str>,
    /// The repository asked for.
    pub repository: &'a Repository,
    /// The tag asked for; `None` where the image was asked for by digest.
    pub tag: Option<&'a str>,
}

impl Policy {
    /// Judges what a verified signature claims.
    ///
    /// # Errors
    ///
    /// The first condition that does not hold: the denied digests, then the statement's type, the
    /// signer, the times, the annotations, the name.
    pub fn judge(&self, claimed: &Claimed<'_>) -> Result<(), Violation> {
        if self.denies(claimed.digest) {
            return Err(Violation::DeniedDigest {
                digest: claimed.digest.clone(),
            });
        }
        self.judge_predicate_type(claimed.predicate_type)?;
        if claimed.verified_times.is_empty() {
            return Err(Violation::NoVerifiedTime);
        }
        self.judge_signer(claimed)?;
        judge_times(self.not_before(), claimed.verified_times)
            .map_err(|(not_before, found)| Violation::SignedBefore { not_before, found })?;
        self.judge_annotations(claimed.annotations)?;
        self.judge_name(claimed)
    }

    fn judge_predicate_type(&self, found: &str) -> Result<(), Violation> {
        if self
            .predicate_types()
            .iter()
            .any(|expected| expected == found)
        {
            return Ok(());
        }
        Err(Violation::PredicateType {
            expected: self.predicate_types().to_vec(),
            found: found.to_owned(),
        })
    }

    fn judge_signer(&self, claimed: &Claimed<'_>) -> Result<(), Violation> {
        let mut misses = Vec::with_capacity(self.signers().len());
        for signer in self.signers() {
            match signer.judge(claimed) {
                Ok(()) => return Ok(()),
                Err(miss) => misses.push(miss),
            }
        }
        // Of several that came equally near, the first: `max_by` would take the last.
        let nearest = misses
            .iter()
            .enumerate()
            .rev()
            .max_by(|(_, a), (_, b)| a.compare(b));
        Err(Violation::Signer(Box::new(SignerMismatch {
            signer: nearest.map_or(0, |(position, _)| position),
            signers: misses.len(),
            // A policy has a signer, so that there is a miss here.
            nearest: nearest.map(|(_, miss)| miss.clone()),
        })))
    }

    fn judge_annotations(&self, found: &BTreeMap<String, String>) -> Result<(), Violation> {
        for (key, expected) in self.annotations() {
            let found = found.get(key);
            if found != Some(expected) {
                return Err(Violation::Annotation {
                    key: key.clone(),
                    expected: expected.clone(),
                    found: found.cloned(),
                });
            }
        }
        Ok(())
    }

    fn judge_name(&self, claimed: &Claimed<'_>) -> Result<(), Violation> {
        if !self.bind_name() || names(claimed.subject_name, claimed.repository, claimed.tag) {
            return Ok(());
        }
        Err(Violation::Name {
            expected: match claimed.tag {
                Some(tag) => format!("{}:{tag}", claimed.repository),
                None => claimed.repository.to_string(),
            },
            found: claimed.subject_name.map(str::to_owned),
        })
    }
}

impl Signer {
    fn judge(&self, claimed: &Claimed<'_>) -> Result<(), Miss> {
        let mismatch = |expected: &Matcher, found: &str| Mismatch {
            expected: expected.clone(),
            found: found.to_owned(),
        };
        if !self.issuer.matches(claimed.issuer) {
            return Err(Miss::Issuer(mismatch(&self.issuer, claimed.issuer)));
        }
        if !self.identity.matches(claimed.identity) {
            return Err(Miss::Identity(mismatch(&self.identity, claimed.identity)));
        }
        if let Some(rule) = self
            .claims
            .iter()
            .find(|rule| !rule.holds(claimed.certificate))
        {
            return Err(Miss::Claim {
                claim: rule.claim,
                expected: rule.matcher.clone(),
                found: claimed.certificate.value(rule.claim).map(str::to_owned),
            });
        }
        judge_times(self.not_before, claimed.verified_times)
            .map_err(|(not_before, found)| Miss::SignedBefore { not_before, found })
    }
}

impl Miss {
    /// Greater is nearer: first by how many steps of the signer held, then by how much of the text
    /// that didn't was right. The latter is only computed where it decides.
    fn compare(&self, other: &Self) -> Ordering {
        let steps_held = |miss: &Self| match miss {
            Self::Issuer(_) => 0,
            Self::Identity(_) => 1,
            Self::Claim { .. } => 2,
            Self::SignedBefore { .. } => 3,
        };
        let text_right = |miss: &Self| match miss {
            Self::Issuer(mismatch) | Self::Identity(mismatch) => {
                mismatch.expected.nearness(&mismatch.found)
            }
            Self::Claim { .. } | Self::SignedBefore { .. } => 0,
        };
        steps_held(self)
            .cmp(&steps_held(other))
            .then_with(|| text_right(self).cmp(&text_right(other)))
    }
}

/// The bound and the earliest time, where that is before it.
fn judge_times(
    not_before: Option<Timestamp>,
    times: &[Timestamp],
) -> Result<(), (Timestamp, Timestamp)> {
    match (not_before, times.iter().min()) {
        (Some(not_before), Some(&earliest)) if earliest < not_before => Err((not_before, earliest)),
        _ => Ok(()),
    }
}

/// Whether a subject's name is the repository and, where one was asked for, the tag.
fn names(name: Option<&str>, repository: &Repository, tag: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    match (tag, name.parse::<Repository>()) {
        // A repository alone, which says nothing of the tag.
        (None, Ok(named)) => named == *repository,
        (Some(_), Ok(_)) => false,
        (tag, Err(_)) => name.parse::<Reference>().is_ok_and(|named| {
            named.repository() == repository && (tag.is_none() || named.tag() == tag)
        }),
    }
}

/// Which condition of the policy a verified signature does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The image is on the policy's list of denied digests.
    #[error("the policy's `deny_digests` refuses {digest}, whoever signed it")]
    DeniedDigest {
        /// The digest.
        digest: Digest,
    },
    /// The statement is of a type that doesn't count as a signature.
    #[error("expected a statement of type {}, found {}", .expected.join(" or "), printable(.found))]
    PredicateType {
        /// Types that count.
        expected: Vec<String>,
        /// The statement's.
        found: String,
    },
    /// Signed by somebody else.
    #[error("{0}")]
    Signer(Box<SignerMismatch>),
    /// Neither log nor timestamp authority vouches for a time.
    #[error("expected a time verified by a log or a timestamp authority, found none")]
    NoVerifiedTime,
    /// Signed before the policy's `not_before`.
    #[error("expected a signature made at or after {not_before}, found one made at {found}")]
    SignedBefore {
        /// The bound.
        not_before: Timestamp,
        /// The earliest verified time.
        found: Timestamp,
    },
    /// An annotation is missing or different.
    #[error(
        "expected the signed annotation {key}=`{expected}`, found {}",
        .found.as_ref().map_or_else(|| "none of that name".to_owned(), |found| format!("`{}`", printable(found)))
    )]
    Annotation {
        /// The annotation's key.
        key: String,
        /// The policy's value.
        expected: String,
        /// The statement's value.
        found: Option<String>,
    },
    /// The statement names another image than the one asked for.
    #[error(
        "expected the signed statement to name {expected}, found {}",
        .found.as_ref().map_or_else(|| "no name in it".to_owned(), |found| format!("`{}`", printable(found)))
    )]
    Name {
        /// The repository, with the tag where one was asked for.
        expected: String,
        /// The statement's.
        found: Option<String>,
    },
}

/// No acceptable signer made this signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerMismatch {
    signer: usize,
    signers: usize,
    nearest: Option<Miss>,
}

impl SignerMismatch {
    /// Position in [`Policy::signers`] (from 0) of the signer that came nearest.
    pub fn signer(&self) -> usize {
        self.signer
    }

    /// Why that one doesn't match; `None` only if the policy had no signer at all.
    pub fn nearest(&self) -> Option<&Miss> {
        self.nearest.as_ref()
    }
}

impl fmt::Display for SignerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(miss) = &self.nearest else {
            return f.write_str("expected a signer of the policy, which has none");
        };
        if self.signers > 1 {
            write!(
                f,
                "by none of the policy's {} signers; the nearest is number {}: ",
                self.signers,
                self.signer + 1
            )?;
        } else {
            f.write_str("not by the policy's signer: ")?;
        }
        fmt::Display::fmt(miss, f)
    }
}

impl std::error::Error for SignerMismatch {}

/// The first condition of one signer that doesn't hold; those before it do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// Another issuer.
    #[error("{}", .0.of("issuer"))]
    Issuer(Mismatch),
    /// The issuer is right, the identity isn't.
    #[error("{}; the issuer is the right one", .0.of("identity"))]
    Identity(Mismatch),
    /// Issuer and identity are right, a claim of the certificate is missing or different.
    #[error(
        "expected the certificate's {claim} to be {expected}, found {}; issuer and identity are the \
         right ones",
        .found.as_ref().map_or_else(|| "no such claim".to_owned(), |found| format!("`{}`", printable(found)))
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
        "expected a signature made at or after {not_before}, found one made at {found}; issuer and \
         identity are the right ones"
    )]
    SignedBefore {
        /// The signer's bound.
        not_before: Timestamp,
        /// The earliest verified time.
        found: Timestamp,
    },
}

/// A text that does not match, and how far it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was wanted.
    pub expected: Matcher,
    /// What is there.
    pub found: String,
}

impl Mismatch {
    /// Where `found` first departs from an exact expectation: its length in bytes up to there, on
    /// a character's boundary. `None` for a pattern.
    pub fn departs_at(&self) -> Option<usize> {
        match &self.expected {
            Matcher::Exact(expected) => Some(common_prefix(expected, &self.found)),
            Matcher::Regex(_) => None,
        }
    }

    fn of(&self, name: &'static str) -> Named<'_> {
        Named {
            name,
            mismatch: self,
        }
    }
}

/// A mismatch in words, with the name of what doesn't match.
struct Named<'a> {
    name: &'static str,
    mismatch: &'a Mismatch,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mismatch } = self;
        let found = printable(&mismatch.found);
        match &mismatch.expected {
            Matcher::Exact(text) => {
                write!(
                    f,
                    "expected the {name} `{}`, found `{found}`",
                    printable(text)
                )?;
            }
            Matcher::Regex(pattern) => write!(
                f,
                "expected an {name} matching `{}`, found `{found}`",
                printable(pattern.as_str())
            )?,
        }
        match &mismatch.expected {
            Matcher::Exact(expected) => {
                let at = common_prefix(expected, &mismatch.found);
                let rest = |text: &str| printable(text.get(at..).unwrap_or_default());
                // Texts that share nothing have no point where they part.
                match (at, rest(expected).as_str(), rest(&mismatch.found).as_str()) {
                    (0, ..) => Ok(()),
                    (_, "", more) => write!(f, " (the same, and then `{more}`)"),
                    (_, missing, "") => write!(f, " (the same, but `{missing}` is missing)"),
                    (_, expected, found) => {
                        write!(f, " (the same up to `{found}` in place of `{expected}`)")
                    }
                }
            }
            Matcher::Regex(pattern) => match pattern.part_matched(&mismatch.found) {
                Some(part) => write!(
                    f,
                    " (only `{}` matches, and a pattern has to match the whole)",
                    printable(part)
                ),
                None => Ok(()),
            },
        }
    }
}
