//! Decides whether a policy accepts a verified signature.
//!
//! There is no clock and no network: everything that is checked is in [`Claimed`]. The verifier fills it with
//! what it has proven, and with the time of its judgement. The answer is an [`Accepted`], which nothing else makes.

use std::collections::BTreeMap;

use countersign_oci::{Digest, Location};
use jiff::Timestamp;
use serde_json::Value;

use crate::age::Age;
use crate::bound_name::BoundName;
use crate::claims::CertificateClaims;
use crate::format::SignatureFormat;
use crate::matcher::Matcher;
use crate::one_or_more::OneOrMore;
use crate::policy::{AcceptedSigner, CertificateSigner, KeySigner, LogUse, Policy};
use crate::predicate::PredicateRule;
use crate::public_key::PublicKey;
use crate::violation::{
    Mismatch, Miss, NeedOfTime, SignerMismatch, TimeCondition, Violation, none_of,
};

/// What a verified signature claims. Cryptography, certificate and log are checked already.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    /// The form of the signature.
    pub format: SignatureFormat,
    /// The signed digest.
    pub digest: &'a Digest,
    /// Who signed.
    pub signer: ClaimedSigner<'a>,
    /// The earliest of all known times: those of logs and timestamp authorities, and the start of the
    /// certificate, which nobody can change. `None` if log entries and timestamps were not read, which only a
    /// key permits ([`LogUse::Ignored`]).
    pub earliest: Option<Timestamp>,
    /// The latest time of a log or a timestamp authority. The start of the certificate is no such time: the
    /// certificate can be older than the signature.
    pub latest: Option<Timestamp>,
    /// The time of the judgement.
    pub now: Timestamp,
    /// The statement's type. In [`SignatureFormat::SimpleSigning`] there is no statement: then it is
    /// [`COSIGN_SIGN_PREDICATE`](crate::COSIGN_SIGN_PREDICATE), since both are cosign's signature.
    pub predicate_type: &'a str,
    /// The statement's predicate. No key is twice in any of its objects. `None` if there is no statement.
    pub predicate: Option<&'a Value>,
    /// Annotations of the statement's subject.
    pub annotations: &'a BTreeMap<String, String>,
    /// Name of the statement's subject, or the reference in the payload, if there is one.
    pub subject_name: Option<&'a str>,
    /// The repository or layout in the request.
    pub location: &'a Location,
    /// The tag in the request; `None` if it has a digest instead.
    pub tag: Option<&'a str>,
}

/// Who signed, as a verified signature says.
#[derive(Debug, Clone, Copy)]
pub enum ClaimedSigner<'a> {
    /// The holder of a certificate.
    Certificate {
        /// The OIDC issuer, from the certificate.
        issuer: &'a str,
        /// The certificate's subject alternative name.
        identity: &'a str,
        /// The certificate's other claims.
        claims: &'a CertificateClaims,
    },
    /// The holder of a key. There is no certificate.
    Key(&'a PublicKey),
}

/// Proof that a policy accepts a signature. It has the policy, and what the signature claims.
///
/// Only [`Policy::judge`] makes one. A record of what was accepted is made from it. So the record can't
/// mix up two signatures or two policies.
#[derive(Debug)]
#[must_use = "dropping it discards the judgement"]
pub struct Accepted<'a> {
    policy: &'a Policy,
    claimed: Claimed<'a>,
    bound_name: Option<BoundName>,
}

impl<'a> Accepted<'a> {
    /// The policy that accepts the signature.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// What the signature claims.
    pub fn claimed(&self) -> &Claimed<'a> {
        &self.claimed
    }

    /// How much of the requested name the signature binds. `None` if the policy has no `bind_name`.
    pub fn bound_name(&self) -> Option<BoundName> {
        self.bound_name
    }
}

impl Policy {
    /// Checks what a verified signature claims.
    ///
    /// # Errors
    ///
    /// The conditions that are not true. If the digest is denied, or the signature is of a form or a type that doesn't
    /// count, nothing else is said.
    pub fn judge<'a>(&'a self, claimed: Claimed<'a>) -> Result<Accepted<'a>, Violation> {
        let Self {
            signers,
            not_before,
            min_age,
            predicate_types,
            predicate,
            require,
            signature_formats,
            annotations,
            bind_name,
            deny_digests,
            // The verifier uses these: the trusted root, and where to look for signatures.
            trust: _,
            signature_sources: _,
        } = self;
        // One statement satisfies several requirements only if it satisfies each of them.
        for one in require {
            one.judge(claimed).map(drop)?;
        }
        if deny_digests.contains(claimed.digest) {
            return Err(Violation::DeniedDigest {
                digest: claimed.digest.clone(),
            });
        }
        if !signature_formats.contains(&claimed.format) {
            return Err(Violation::Format {
                expected: signature_formats.iter().copied().collect(),
                found: claimed.format,
            });
        }
        if !predicate_types
            .iter()
            .any(|one| one == claimed.predicate_type)
        {
            return Err(Violation::PredicateType {
                expected: predicate_types.clone(),
                found: claimed.predicate_type.to_owned(),
            });
        }
        let mut violations: Vec<Violation> = Vec::new();
        violations.extend(judge_signer(signers, &claimed).err());
        let by_a_signer = violations.is_empty();
        violations.extend(judge_bound(*not_before, &claimed).err());
        // Waiting doesn't help who is no signer.
        if let Some(min_age) = min_age
            && by_a_signer
        {
            violations.extend(judge_age(*min_age, &claimed).err());
        }
        violations.extend(judge_annotations(annotations, claimed.annotations));
        violations.extend(judge_predicate(predicate, claimed.predicate));
        let bound_name = match bind_name.then(|| judge_name(&claimed)).transpose() {
            Ok(bound_name) => bound_name,
            Err(violation) => {
                violations.push(violation);
                None
            }
        };
        match Violation::of(violations) {
            Some(violation) => Err(violation),
            None => Ok(Accepted {
                policy: self,
                claimed,
                bound_name,
            }),
        }
    }
}

fn judge_signer(
    signers: &OneOrMore<AcceptedSigner>,
    claimed: &Claimed<'_>,
) -> Result<(), Violation> {
    let judged = signers.first_ok(|signer| signer.judge(claimed));
    judged.map_err(|misses| Violation::Signer(Box::new(SignerMismatch::of(&misses))))
}

fn judge_bound(not_before: Option<Timestamp>, claimed: &Claimed<'_>) -> Result<(), Violation> {
    let Some(not_before) = not_before else {
        return Ok(());
    };
    let found = claimed.earliest.ok_or(Violation::NoTime {
        condition: TimeCondition::NotBefore,
    })?;
    if found < not_before {
        return Err(Violation::SignedBefore { not_before, found });
    }
    Ok(())
}

fn judge_age(min_age: Age, claimed: &Claimed<'_>) -> Result<(), Violation> {
    let found = claimed.latest.ok_or(Violation::NoTime {
        condition: TimeCondition::MinAge,
    })?;
    let reached = min_age.reached(found);
    match reached {
        Some(reached) if reached <= claimed.now => Ok(()),
        Some(_) | None => Err(Violation::TooYoung {
            min_age,
            found,
            reached,
        }),
    }
}

/// The annotations that are missing or different.
fn judge_annotations(
    wanted: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> impl Iterator<Item = Violation> {
    let differing = wanted
        .iter()
        .filter(|(key, expected)| found.get(*key) != Some(*expected));
    differing.map(|(key, expected)| Violation::Annotation {
        key: key.clone(),
        expected: expected.clone(),
        found: found.get(key).cloned(),
    })
}

/// The fields of the predicate that are missing or different.
fn judge_predicate(
    rules: &[PredicateRule],
    found: Option<&Value>,
) -> impl Iterator<Item = Violation> {
    rules.iter().filter_map(move |rule| {
        let judged = match found {
            Some(predicate) => rule.judge(predicate),
            None => Err("no predicate".to_owned()),
        };
        let found = judged.err()?;
        Some(Violation::Predicate {
            pointer: rule.pointer.clone(),
            expected: rule.matcher.clone(),
            found,
        })
    })
}

fn judge_name(claimed: &Claimed<'_>) -> Result<BoundName, Violation> {
    let Claimed {
        subject_name,
        format,
        location,
        tag,
        ..
    } = *claimed;
    BoundName::of(subject_name, format, location, tag).ok_or_else(|| Violation::Name {
        expected: match tag {
            Some(tag) => format!("{location}:{tag}"),
            None => location.to_string(),
        },
        found: subject_name.map(str::to_owned),
    })
}

impl AcceptedSigner {
    fn judge(&self, claimed: &Claimed<'_>) -> Result<(), OneOrMore<Miss>> {
        match (self, claimed.signer) {
            (
                Self::Certificate(signer),
                ClaimedSigner::Certificate {
                    issuer,
                    identity,
                    claims,
                },
            ) => signer.judge(issuer, identity, claims, claimed.earliest),
            (Self::Key(signer), ClaimedSigner::Key(key)) => signer.judge(key, claimed.earliest),
            (Self::Certificate(_), ClaimedSigner::Key(key)) => {
                Err(OneOrMore::one(Miss::KeyForCertificate {
                    found: key.fingerprint(),
                }))
            }
            (Self::Key(signer), ClaimedSigner::Certificate { identity, .. }) => {
                Err(OneOrMore::one(Miss::CertificateForKey {
                    expected: signer.key.fingerprint(),
                    identity: identity.to_owned(),
                }))
            }
        }
    }
}

/// Holds the earliest known time against a signer's own bound.
fn judge_time(not_before: Option<Timestamp>, earliest: Option<Timestamp>) -> Result<(), Miss> {
    let Some(not_before) = not_before else {
        return Ok(());
    };
    let found = earliest.ok_or(Miss::NoTime {
        needed_by: NeedOfTime::NotBefore,
    })?;
    if found < not_before {
        return Err(Miss::SignedBefore { not_before, found });
    }
    Ok(())
}

impl KeySigner {
    fn judge(
        &self,
        claimed: &PublicKey,
        earliest: Option<Timestamp>,
    ) -> Result<(), OneOrMore<Miss>> {
        let Self {
            key,
            log,
            not_before,
        } = self;
        let mut misses = Vec::new();
        if key != claimed {
            misses.push(Miss::Key {
                expected: key.fingerprint(),
                found: claimed.fingerprint(),
            });
        }
        let timely = match (log, earliest) {
            (LogUse::Demanded, None) => Err(Miss::NoTime {
                needed_by: NeedOfTime::Log,
            }),
            (LogUse::Demanded, Some(_)) | (LogUse::Ignored, _) => judge_time(*not_before, earliest),
        };
        misses.extend(timely.err());
        none_of(misses)
    }
}

impl CertificateSigner {
    fn judge(
        &self,
        found_issuer: &str,
        found_identity: &str,
        certificate: &CertificateClaims,
        earliest: Option<Timestamp>,
    ) -> Result<(), OneOrMore<Miss>> {
        let Self {
            issuer,
            identity,
            claims,
            not_before,
        } = self;
        let mismatch = |expected: &Matcher, found: &str| Mismatch {
            expected: expected.clone(),
            found: found.to_owned(),
        };
        let mut misses = Vec::new();
        if !issuer.matches(found_issuer) {
            misses.push(Miss::Issuer(mismatch(issuer, found_issuer)));
        }
        if !identity.matches(found_identity) {
            misses.push(Miss::Identity(mismatch(identity, found_identity)));
        }
        let differing = claims.iter().filter(|rule| !rule.holds(certificate));
        misses.extend(differing.map(|rule| Miss::Claim {
            claim: rule.claim,
            expected: rule.matcher.clone(),
            found: certificate.value(rule.claim).map(str::to_owned),
        }));
        let timely = match earliest {
            // A certificate's start is always known.
            None => Err(Miss::NoTime {
                needed_by: NeedOfTime::Log,
            }),
            Some(_) => judge_time(*not_before, earliest),
        };
        misses.extend(timely.err());
        none_of(misses)
    }
}
