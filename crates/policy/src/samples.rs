//! A value of every problem of a policy file, for the tests of whoever turns errors into hints.

#![allow(
    clippy::unwrap_used,
    reason = "for tests alone, on texts that are written here"
)]

use countersign_oci::{Digest, Reference, samples};

use crate::error::{Place, PolicyError, Position, Problem, TimestampFault};
use crate::matcher::RegexError;

/// Each problem, in a file; and one in a flag.
pub fn errors() -> Vec<PolicyError> {
    let problems = samples!(Problem {
        Neither { exact: "issuer", regex: "issuer_regex" },
        Both { exact: "issuer".into(), regex: "issuer_regex".into() },
        SignerBesideIdentities { key: "issuer" },
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
        Syntax { reason: "a tab".into() },
        Budget { reason: "too deep".into() },
        PolicyBesideGalleries {},
        DuplicateGallery { name: "a".into() },
        NoPolicy {},
        SeveralPolicies { names: vec!["a".into(), "b".into()] },
        NoSuchGallery { found: "a".into(), nearest: None, names: Vec::new() },
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
