//! A value of every error, for the tests of whoever turns errors into exit codes and hints.

#![allow(
    clippy::unwrap_used,
    reason = "fixed values of a test's support, known to be right"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_oci::samples::{digest, reference, too_many_files};
use countersign_oci::{ErrorKind, UnreadEntries, samples};
use countersign_policy::{Policy, PolicyError, Violation};
use countersign_verify::{Error as VerifyError, Failure, TrustError};
use jiff::Timestamp;

use crate::clock::Skew;
use crate::copy::{CopyError, NotCopied};
use crate::error::{Error, Service};
use crate::existing::own_policy;
use crate::login::LoginError;
use crate::merge::MergeError;
use crate::publication::PublicationError;
use crate::token::TokenError;

/// An annotation without a value.
fn annotations() -> Result<Policy, PolicyError> {
    let annotations = BTreeMap::from([("key".to_owned(), String::new())]);
    own_policy(
        "https://issuer.example",
        "me",
        &annotations,
        countersign_policy::SignatureFormat::Bundle,
    )
}

/// Values of every variant of [`Error`].
pub fn errors() -> Vec<Error> {
    let image = || reference().location().at(digest());
    let refused =
        |failures| VerifyError::Refused(Box::new(countersign_verify::samples::refusal(failures)));
    let mut errors = samples!(Error {
        Registry(countersign_oci::Error::NotFound { what: "registry.example/app:v1".into() }),
        Trust(TrustError::Incomplete { name: "root.json".into(), missing: "log" }),
        Token(TokenError::NotJwt),
        Login(LoginError::NoBrowser),
        Renewal("the endpoint is away".into()),
        Annotations(annotations().unwrap_err()),
        ByTag { pinned: vec![reference().pinned_to(digest())] },
        Tag { reference: Box::new(reference().pinned_to(digest())), expected: digest(), found: None },
        Tag { reference: Box::new(reference().pinned_to(digest())), expected: digest(), found: Some(digest()) },
        Policy { image: image(), source: Box::new(Violation::DeniedDigest { digest: digest() }) },
        Clock { service: Service::Rekor, skew: skew() },
        Services { expected: "Rekor".into(), found: "none".into() },
        Format { expected: "a Rekor v1 log", found: "a Rekor v2 log" },
        Service { service: Service::Fulcio, status: Some(503), kind: ErrorKind::Unreachable, source: "down".into() },
        Service { service: Service::Rekor, status: None, kind: ErrorKind::Machine, source: Box::new(too_many_files()) },
        Limit { image: image(), limit: 1, unit: "images" },
        Entry { index: image(), source: UnreadEntries { expected: 3, found: 2 } },
        Encode { image: image(), source: "x".into() },
        Key("x".into()),
        Refused { image: image(), source: Box::new(refused(Vec::new())) },
        Refused { image: image(), source: Box::new(refused(vec![Failure::NoIssuer])) },
        Bundle { image: image(), source: Box::new(Failure::NoIssuer) },
        NoCertificate { image: image() },
        FurtherCheck("`cosign verify` failed".into()),
        NotListed { image: image(), expected: digest(), found: 3 },
        Merge(MergeError::Nothing { found: "no image was given".into() }),
        Copy(CopyError::Limit { image: Box::new(image()), limit: 8, unit: "levels" }),
        Publication(PublicationError::NoTag),
    });
    errors.extend(
        countersign_policy::samples::violations()
            .into_iter()
            .map(|violation| Error::Policy {
                image: image(),
                source: Box::new(violation),
            }),
    );
    errors.extend(merge_errors().into_iter().map(Error::Merge));
    errors.extend(copy_errors().into_iter().map(Error::Copy));
    errors.extend(publication_errors().into_iter().map(Error::Publication));
    errors.extend(token_errors().into_iter().map(Error::Token));
    errors.extend(login_errors().into_iter().map(Error::Login));
    errors
}

fn login_errors() -> Vec<LoginError> {
    samples!(LoginError {
        NoBrowser {},
        NoDevices {},
        Refused { error: "access_denied".into(), description: None },
        Late { time: Duration::from_secs(300) },
        CodeExpired {},
        OtherLogin {},
        OtherIssuer { expected: "https://a.example".into(), found: "https://b.example".into() },
        Listener(std::io::ErrorKind::AddrInUse.into()),
        Random {},
    })
}

fn merge_errors() -> Vec<MergeError> {
    let image = || Box::new(reference().location().at(digest()));
    samples!(MergeError {
        Nothing { found: "no image was given".into() },
        ByTag { pinned: vec![reference().pinned_to(digest())] },
        Twice { first: image(), second: image() },
        SamePlatform { platform: samples::platform(), first: image(), second: image() },
        NoPlatform { image: image(), found: "its configuration is not JSON".into() },
        Entry { index: image(), position: 2, found: "the type `text/html`".into() },
    })
}

fn copy_errors() -> Vec<CopyError> {
    let image = || Box::new(reference().location().at(digest()));
    let refusal = || countersign_verify::samples::refusal(Vec::new());
    samples!(CopyError {
        Limit { image: image(), limit: 1024, unit: "manifests" },
        Entry { index: image(), expected: 3, found: 2 },
        Platform {
            image: image(),
            wanted: Box::new("linux/s390x".parse().unwrap()),
            available: vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()],
        },
        NoPlatforms { image: image() },
        Refused {
            image: image(),
            not_copied: Vec::new(),
            source: Box::new(VerifyError::Refused(Box::new(refusal()))),
        },
        Refused {
            image: image(),
            not_copied: vec![NotCopied { name: digest().to_string(), reason: "it has the wrong size".into() }],
            source: Box::new(VerifyError::Refused(Box::new(refusal()))),
        },
    })
}

fn publication_errors() -> Vec<PublicationError> {
    samples!(PublicationError {
        NoTag {},
        ByTag { given: vec![reference()], pinned: vec![reference().location().at(digest()).into()] },
        NotATag { tag: "-".into(), source: "a tag begins otherwise".into() },
        Target { reference: Box::new(reference()), expected: "a tag" },
        OfSignatures { tag: Box::new(reference()) },
        SameTag { tag: Box::new(reference()), first: digest(), second: digest() },
        Unsigned { image: Box::new(reference().location().at(digest())), tag: Box::new(reference()) },
        TagMoved { tag: Box::new(reference()), expected: digest(), found: digest() },
    })
}

fn token_errors() -> Vec<TokenError> {
    samples!(TokenError {
        NotJwt {},
        Audience { found: "x".into() },
        Clock(skew()),
        Expired { expired: Timestamp::UNIX_EPOCH, now: Timestamp::UNIX_EPOCH },
    })
}

fn skew() -> Skew {
    Skew {
        here: Timestamp::UNIX_EPOCH,
        there: Timestamp::MAX,
    }
}
