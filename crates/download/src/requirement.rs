//! What has to be proven of content before it is unpacked.
//!
//! [`Requirement::of`] makes the requirement of a gallery's entry, [`Requirement::signature`] that of
//! an image by itself. A plan has one requirement for all its sources: a mirror or a fallback can't
//! be asked for less than the primary, nor an upgrade for less than an installation. Where there is
//! a policy, content that it can't judge is refused, strict or not: permissive mode is for content
//! that no policy covers.

mod archive;

use std::fmt;

use countersign_oci::{Digest, ErrorKind};
use countersign_policy::Policy;
use serde::{Deserialize, Serialize};

use crate::admitted::UnverifiedPermit;
use crate::source::Source;

pub(crate) use archive::ArchiveRequirement;

/// What becomes of content that nothing vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// It is refused.
    Strict,
    /// It is installed, with a warning, and its record says so.
    Permissive,
}

/// What has to be proven, of whichever source serves. Nothing outside makes one of a [`RequirementKind`]:
///
/// ```compile_fail,E0423
/// let forged = countersign_download::Requirement(countersign_download::RequirementKind::None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement(RequirementKind);

/// What a [`Requirement`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementKind {
    /// A signature that this policy accepts.
    Signature(Box<Policy>),
    /// Bytes of this digest, which the gallery's index names.
    Digest(Digest),
    /// Nothing: no policy and no digest covers the content. Only with [`Integrity::Permissive`].
    None,
}

/// What a person should know of content that nothing is required of.
pub const UNPROVEN: &str = "nothing proves who made this content, or that it is unchanged";

impl Requirement {
    /// What `policy`, the gallery's, asks of content that any of `sources` may serve.
    ///
    /// | | policy | no policy, strict | no policy, permissive |
    /// |---|---|---|---|
    /// | an image | a signature | refused | nothing |
    /// | an image layout | a signature | refused | nothing |
    /// | a tarball with `sha256` | refused | its digest | its digest |
    /// | a tarball | refused | refused | nothing |
    /// | a directory | refused | refused | nothing |
    ///
    /// A tarball's `sha256` is no substitute for a signature: it comes from the index, which
    /// whoever serves the gallery can change, and the policy says who has to have signed.
    ///
    /// # Errors
    /// [`RequirementError`] for the first source that can't meet it.
    pub fn of(
        policy: Option<&Policy>,
        sources: &[Source],
        integrity: Integrity,
    ) -> Result<Self, RequirementError> {
        if let Some(policy) = policy {
            for source in sources {
                if !source.can_be_signed() {
                    return Err(RequirementError::Unsignable {
                        found: Box::new(source.clone()),
                    });
                }
            }
            return Ok(Self::signature(policy.clone()));
        }
        match (common_digest(sources), integrity) {
            (Ok(digest), _) => Ok(Self(RequirementKind::Digest(digest.clone()))),
            (Err(_), Integrity::Permissive) => Ok(Self(RequirementKind::None)),
            (Err(error), Integrity::Strict) => Err(error),
        }
    }

    /// A signature that `policy` accepts.
    pub fn signature(policy: Policy) -> Self {
        Self(RequirementKind::Signature(Box::new(policy)))
    }

    /// What it asks for.
    pub fn kind(&self) -> &RequirementKind {
        &self.0
    }

    /// Leave to install content of this digest unverified; `None` where anything is asked for.
    pub fn permit(&self, digest: &Digest) -> Option<UnverifiedPermit> {
        match &self.0 {
            RequirementKind::None => Some(UnverifiedPermit::new(digest.clone())),
            RequirementKind::Signature(_) | RequirementKind::Digest(_) => None,
        }
    }

    /// The policy that must accept a signature, if that is what is asked for.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.0 {
            RequirementKind::Signature(policy) => Some(policy),
            RequirementKind::Digest(_) | RequirementKind::None => None,
        }
    }
}

/// The digest that the index names for each of `sources`.
///
/// # Errors
/// Which of them strict mode refuses first, and why.
fn common_digest(sources: &[Source]) -> Result<&Digest, RequirementError> {
    if let Some(source) = sources.iter().find(|source| source.checksum().is_none()) {
        let found = Box::new(source.clone());
        return Err(match source {
            Source::Image { .. } | Source::Layout { .. } => RequirementError::NoPolicy { found },
            Source::Tarball(_) => RequirementError::NoDigest { found },
            Source::Directory { .. } => RequirementError::Unverifiable { found },
        });
    }
    let mut digests = sources.iter().filter_map(Source::checksum);
    let expected = digests.next().ok_or(RequirementError::NoSource)?;
    match digests.find(|found| *found != expected) {
        Some(found) => Err(RequirementError::DigestsDiffer {
            expected: expected.clone(),
            found: found.clone(),
        }),
        None => Ok(expected),
    }
}

/// One line, for a person.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            RequirementKind::Signature(_) => f.write_str("a signature that the policy accepts"),
            RequirementKind::Digest(digest) => write!(f, "bytes of the digest {digest}"),
            RequirementKind::None => f.write_str("nothing"),
        }
    }
}

/// Why sources can't meet what is required.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequirementError {
    /// The gallery has a policy, and content of this kind carries no signature to judge by it.
    #[error(
        "the gallery's policy requires a signature, and {} can't have one: expected an image or an image layout, found {found}",
        .found.kind()
    )]
    Unsignable {
        /// The source.
        found: Box<Source>,
    },
    /// Strict mode, and the gallery has no policy.
    #[error(
        "integrity is required, but {found} can't be verified: the gallery has no `verification` block"
    )]
    NoPolicy {
        /// The source.
        found: Box<Source>,
    },
    /// Strict mode, and a tarball whose entry doesn't say what its bytes hash to.
    #[error("integrity is required, and {found} has no `sha256`")]
    NoDigest {
        /// The source.
        found: Box<Source>,
    },
    /// Strict mode, and content of a kind that nothing could vouch for.
    #[error(
        "integrity is required, and {} can't be verified: expected an image, an image layout or a tarball with `sha256`, found {found}",
        .found.kind()
    )]
    Unverifiable {
        /// The source.
        found: Box<Source>,
    },
    /// Strict mode, and sources of which each should have other bytes: no digest covers all of them.
    #[error(
        "integrity is required, and the sources have different `sha256`: expected {expected}, found {found}"
    )]
    DigestsDiffer {
        /// That of the first source.
        expected: Digest,
        /// The first one that is another.
        found: Digest,
    },
    /// There is nothing to require anything of.
    #[error("expected a source, found none")]
    NoSource,
}

impl RequirementError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsignable { .. }
            | Self::NoPolicy { .. }
            | Self::NoDigest { .. }
            | Self::Unverifiable { .. }
            | Self::DigestsDiffer { .. } => ErrorKind::Policy,
            Self::NoSource => ErrorKind::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    const OTHER: &str = "54136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn digest(hex: &str) -> Digest {
        format!("sha256:{hex}").parse().unwrap()
    }

    fn policy() -> Policy {
        Policy::from_yaml("{issuer: https://ci.example.org, identity: me}", "policy").unwrap()
    }

    fn image() -> Source {
        Source::parse("quay.io/acme/app:1", None).unwrap()
    }

    fn layout() -> Source {
        Source::parse("ocifile:///srv/app.tar", None).unwrap()
    }

    fn directory() -> Source {
        Source::parse("/srv/app", None).unwrap()
    }

    fn tarball(sha256: Option<&str>) -> Source {
        Source::parse("https://example.org/app.tar", sha256).unwrap()
    }

    fn of(
        policy: Option<&Policy>,
        source: &Source,
        integrity: Integrity,
    ) -> Result<RequirementKind, RequirementError> {
        Requirement::of(policy, std::slice::from_ref(source), integrity)
            .map(|requirement| requirement.kind().clone())
    }

    fn found(source: &Source) -> Box<Source> {
        Box::new(source.clone())
    }

    #[test]
    fn the_table_of_what_is_required_has_every_kind_of_source_and_is_true() {
        let policy = policy();
        for source in crate::samples::sources() {
            let required = |policy, integrity| match of(policy, &source, integrity) {
                Ok(RequirementKind::Signature(_)) => "a signature",
                Ok(RequirementKind::Digest(_)) => "its digest",
                Ok(RequirementKind::None) => "nothing",
                Err(_) => "refused",
            };
            let under_policy = required(Some(&policy), Integrity::Strict);
            assert_eq!(
                under_policy,
                required(Some(&policy), Integrity::Permissive),
                "{source}"
            );
            let kind = match source.checksum() {
                Some(_) => format!("{} with `sha256`", source.kind()),
                None => source.kind().to_owned(),
            };
            let row = format!(
                "/// | {kind} | {under_policy} | {} | {} |\n",
                required(None, Integrity::Strict),
                required(None, Integrity::Permissive)
            );
            assert!(include_str!("requirement.rs").contains(&row), "{row}");
        }
    }

    #[test]
    fn errors_name_every_kind_of_source_that_they_expect() {
        let found = || found(&directory());
        let unsignable = RequirementError::Unsignable { found: found() }.to_string();
        let unverifiable = RequirementError::Unverifiable { found: found() }.to_string();
        for source in crate::samples::sources() {
            let kind = source.kind();
            if source.can_be_signed() {
                assert!(unsignable.contains(kind), "{kind}");
            }
            if source.can_be_signed() || source.checksum().is_some() {
                assert!(unverifiable.contains(kind), "{kind}");
            }
        }
    }

    #[test]
    fn a_policy_asks_for_a_signature_in_either_mode() {
        for integrity in [Integrity::Strict, Integrity::Permissive] {
            for source in [image(), layout()] {
                let expected = RequirementKind::Signature(Box::new(policy()));
                assert_eq!(of(Some(&policy()), &source, integrity), Ok(expected));
            }
        }
    }

    #[test]
    fn what_carries_no_signature_is_refused_under_a_policy_in_either_mode() {
        for integrity in [Integrity::Strict, Integrity::Permissive] {
            for source in [directory(), tarball(None), tarball(Some(SHA256))] {
                assert_eq!(
                    of(Some(&policy()), &source, integrity),
                    Err(RequirementError::Unsignable {
                        found: found(&source)
                    })
                );
            }
        }
    }

    #[test]
    fn strict_mode_refuses_what_nothing_covers_each_kind_with_its_error() {
        for (source, expected) in [
            (
                image(),
                RequirementError::NoPolicy {
                    found: found(&image()),
                },
            ),
            (
                layout(),
                RequirementError::NoPolicy {
                    found: found(&layout()),
                },
            ),
            (
                tarball(None),
                RequirementError::NoDigest {
                    found: found(&tarball(None)),
                },
            ),
            (
                directory(),
                RequirementError::Unverifiable {
                    found: found(&directory()),
                },
            ),
        ] {
            assert_eq!(of(None, &source, Integrity::Strict), Err(expected));
            assert_eq!(
                of(None, &source, Integrity::Permissive),
                Ok(RequirementKind::None)
            );
        }
    }

    #[test]
    fn a_tarball_s_digest_suffices_where_there_is_no_policy() {
        let digest = format!("sha256:{SHA256}").parse().unwrap();
        for integrity in [Integrity::Strict, Integrity::Permissive] {
            assert_eq!(
                of(None, &tarball(Some(SHA256)), integrity),
                Ok(RequirementKind::Digest(Digest::clone(&digest)))
            );
        }
    }

    #[test]
    fn one_source_that_nothing_covers_leaves_all_uncovered() {
        let mixed = [tarball(Some(SHA256)), directory()];
        let required = Requirement::of(None, &mixed, Integrity::Permissive).unwrap();
        assert_eq!(required.kind(), &RequirementKind::None);
        assert_eq!(
            Requirement::of(None, &mixed, Integrity::Strict),
            Err(RequirementError::Unverifiable {
                found: found(&directory())
            })
        );
        assert_eq!(
            Requirement::of(
                Some(&policy()),
                &[image(), directory()],
                Integrity::Permissive
            ),
            Err(RequirementError::Unsignable {
                found: found(&directory())
            })
        );
    }

    #[test]
    fn strict_mode_refuses_a_plan_without_sources() {
        assert_eq!(
            Requirement::of(None, &[], Integrity::Strict),
            Err(RequirementError::NoSource)
        );
    }

    #[test]
    fn sources_of_different_digests_are_not_covered_by_one() {
        let mixed = [tarball(Some(SHA256)), tarball(Some(OTHER))];
        let required = Requirement::of(None, &mixed, Integrity::Permissive).unwrap();
        assert_eq!(required.kind(), &RequirementKind::None);
        assert_eq!(
            Requirement::of(None, &mixed, Integrity::Strict),
            Err(RequirementError::DigestsDiffer {
                expected: digest(SHA256),
                found: digest(OTHER),
            })
        );
    }
}
