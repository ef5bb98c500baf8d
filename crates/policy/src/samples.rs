//! A value of every problem of a policy file, for the tests of whoever turns errors into hints.

#![allow(
    clippy::unwrap_used,
    reason = "for tests alone, on texts that are written here"
)]

use countersign_oci::{Digest, Reference, samples};
use jiff::Timestamp;

use crate::age;
use crate::claims::Claim;
use crate::error::{Place, PolicyError, Position, Problem, TimestampFault};
use crate::format::SignatureFormat;
use crate::image_pattern::PatternError;
use crate::matcher::{Matcher, RegexError};
use crate::one_or_more::OneOrMore;
use crate::predicate::JsonPointer;
use crate::public_key::{KeyFingerprint, PublicKeyError};
use crate::violation::{Mismatch, Miss, NeedOfTime, SignerMismatch, TimeCondition, Violation};

/// Each problem, in a file; and one in a flag.
pub fn errors() -> Vec<PolicyError> {
    let problems = samples!(Problem {
        Neither { exact: "issuer", regex: "issuer_regex" },
        Both { exact: "issuer".into(), regex: "issuer_regex".into() },
        SignerBesideIdentities { key: "issuer" },
        BesideRequire { key: "predicate" },
        SameProof { first: 0 },
        BesideKey { key: "issuer" },
        IgnoreTlogWithoutKey {},
        NoTime { key: "min_age" },
        PublicKey { file: None, reason: PublicKeyError::NoPem },
        KeyFile { found: "cosign.pub".into(), reason: "no such file".into() },
        Empty { expected: "a text" },
        Regex { found: "(".into(), reason: RegexError::TooLarge },
        Timestamp {
            found: "today".into(),
            example: "2026-01-01T00:00:00Z".into(),
            missing: TimestampFault::NotATime,
        },
        UnknownKey { found: "isuer".into(), nearest: None, valid: vec!["issuer".into()] },
        MissingKey { key: "name" },
        DuplicateKey { key: "name".into() },
        Form { expected: "a text".into(), found: None },
        Digest("sha1:00".parse::<Digest>().unwrap_err()),
        Repository {
            found: "A".into(),
            reason: "A".parse::<Reference>().unwrap_err(),
        },
        Url { found: "ftp://example.org".into() },
        Trust { found: "neither".into() },
        ImagePattern { found: "*".into(), reason: PatternError::StarInHost },
        Demand { found: "neither".into() },
        Exclusive { one: "trusted_root", other: "tuf" },
        Syntax { reason: "a tab".into() },
        Budget { reason: "too deep".into() },
        PolicyBesideGalleries {},
        Index {},
        PolicyInList {},
        NotIndented { key: "verification", beside: "issuer".into() },
        DuplicateGallery { name: "a".into() },
        NoPolicy {},
        SeveralPolicies { names: vec!["a".into(), "b".into()] },
    });
    let place = Place {
        file: Some("policy.yaml".into()),
        position: Some(Position { line: 1, column: 2 }),
        ..Place::default()
    };
    let flag = PolicyError::new(Place::default(), Problem::Empty { expected: "a text" });
    let in_file = |problem| PolicyError::new(place.clone(), problem);
    problems.into_iter().map(in_file).chain([flag]).collect()
}

/// Each reason to refuse a signature; and one for each way of missing a signer.
pub fn violations() -> Vec<Violation> {
    let text = || "x".to_owned();
    let mut violations = samples!(Violation {
        DeniedDigest { digest: samples::digest() },
        Format { expected: vec![SignatureFormat::Bundle], found: SignatureFormat::SimpleSigning },
        PredicateType { expected: vec![text()], found: text() },
        Signer(Box::new(SignerMismatch::of(&OneOrMore::one(OneOrMore::one(Miss::NoTime { needed_by: NeedOfTime::Log }))))),
        SignedBefore { not_before: Timestamp::MAX, found: Timestamp::UNIX_EPOCH },
        NoTime { condition: TimeCondition::NotBefore },
        TooYoung {
            min_age: age::parse("24h").unwrap(),
            found: Timestamp::UNIX_EPOCH,
            reached: Some(Timestamp::MAX),
        },
        Annotation { key: text(), expected: text(), found: None },
        Predicate {
            pointer: JsonPointer::parse("/x").unwrap(),
            expected: Matcher::Exact(text()),
            found: "`y`".into(),
        },
        Name { expected: text(), found: None },
        Several {
            first: Box::new(Violation::NoTime { condition: TimeCondition::NotBefore }),
            further: vec![Violation::NoTime { condition: TimeCondition::MinAge }],
        },
    });
    let signer = |miss: Miss| {
        Violation::Signer(Box::new(SignerMismatch::of(&OneOrMore::one(
            OneOrMore::one(miss),
        ))))
    };
    violations.extend(misses().into_iter().map(signer));
    violations
}

fn misses() -> Vec<Miss> {
    let expected = || Matcher::Exact("x".into());
    let mismatch = || Mismatch {
        expected: expected(),
        found: "y".into(),
    };
    samples!(Miss {
        Issuer(mismatch()),
        Identity(mismatch()),
        Claim { claim: Claim::BuildTrigger, expected: expected(), found: None },
        SignedBefore { not_before: Timestamp::MAX, found: Timestamp::UNIX_EPOCH },
        NoTime { needed_by: NeedOfTime::NotBefore },
        CertificateForKey { expected: fingerprint(), identity: "x".into() },
        Key { expected: fingerprint(), found: fingerprint() },
        KeyForCertificate { found: fingerprint() },
    })
}

/// Of no key.
pub fn fingerprint() -> KeyFingerprint {
    format!("SHA-256:{}", "0".repeat(64)).parse().unwrap()
}
