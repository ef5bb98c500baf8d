//! A value of every error and of every reason to refuse, for the tests of whoever turns errors into
//! exit codes and hints. Nothing here holds a proof.

#![allow(
    clippy::unwrap_used,
    reason = "fixed values of a test's support, known to be right"
)]

use std::path::PathBuf;
use std::time::Duration;

use countersign_oci::samples;
use countersign_oci::samples::{digest, disk_full, no_such_file, reference};
use countersign_policy::{Policy, PolicySpec, Violation};
use sigstore_verify::{CertificateError, TimestampError, TransparencyLogError};

use crate::denial::Denied;
use crate::error::Error;
use crate::failure::{Failure, LogKind, MalformedPart};
use crate::refusal::{Candidate, Refusal, RequirementState};
use crate::trust::{TrustError, TufError};

/// Values of every variant of [`Error`], and of the errors in them.
pub fn errors() -> Vec<Error> {
    let image = || reference().location().at(digest());
    let mut errors = samples!(Error {
        Refused(Box::new(refusal(Vec::new()))),
        Registry(countersign_oci::Error::NotFound { what: "registry.example/app:v1".into() }),
        BothRefused {
            platform: Box::new(samples::platform()),
            index: std::sync::Arc::new(refusal(Vec::new())),
            manifest: Box::new(refusal(Vec::new())),
        },
        Denied(Denied { image: image(), listed_by: Some(digest()) }),
        UnknownBelow { image: image(), index: digest() },
        OtherProof { expected: digest(), found: digest() },
        OtherPolicy { image: image() },
        NotListed(crate::NotListed { signed: digest(), found: digest() }),
        Late { image: image(), limit: Duration::from_secs(300) },
        AnybodyPolicy(Policy::try_from(PolicySpec::default()).unwrap_err()),
        Trust(TrustError::Malformed { name: "root.json".into(), detail: "no JSON".into() }),
    });
    errors.extend(trust_errors().into_iter().map(Error::Trust));
    let refused = |failure| Error::Refused(Box::new(refusal(vec![failure])));
    errors.extend(failures().into_iter().map(refused));
    errors
}

/// The refusal of an image whose candidates failed so.
pub fn refusal(failures: Vec<Failure>) -> Refusal {
    let candidate = |failure| Candidate {
        manifest: digest(),
        failure,
        requirement: Some(0),
    };
    Refusal {
        requirements: vec![RequirementState {
            name: "a signature".into(),
            attestation: false,
            by_key: false,
            met: false,
        }],
        image: reference().location().at(digest()),
        candidates: failures.into_iter().map(candidate).collect(),
        untried: 0,
        unsearched: 0,
    }
}

fn trust_errors() -> Vec<TrustError> {
    let url = || "https://tuf.example".to_owned();
    let mut errors = samples!(TrustError {
        Malformed { name: "root.json".into(), detail: "no JSON".into() },
        Incomplete { name: "root.json".into(), missing: "log" },
        Tuf { url: url(), source: TufError::Unreachable(Box::new(tuf_error())) },
    });
    let sources = samples!(TufError {
        Cache { cache: PathBuf::from("/cache"), source: Box::new(tuf_error()) },
        Unreachable(Box::new(tuf_error())),
        WrongAnswer(Box::new(tuf_error())),
        WrongAnswer(Box::new(sigstore_tuf::Error::transport("timestamp.json not found"))),
        Unreachable(Box::new(sigstore_tuf::Error::Io {
            context: "writing root.json".into(),
            source: disk_full(),
        })),
        Unreachable(Box::new(sigstore_tuf::Error::Io {
            context: "reading root.json".into(),
            source: no_such_file(),
        })),
    });
    errors.extend(
        sources
            .into_iter()
            .map(|source| TrustError::Tuf { url: url(), source }),
    );
    errors
}

fn tuf_error() -> sigstore_tuf::Error {
    sigstore_tuf::Error::NotRefreshed
}

/// Values of every variant of [`Failure`].
pub fn failures() -> Vec<Failure> {
    let text = || "x".to_owned();
    let mut failures = samples!(Failure {
        LegacySignature {},
        OldAttestation {},
        OtherTrust {},
        Attestation { expected: vec![text()], found: text() },
        OtherArtifact { found: text() },
        Unreadable(Box::new(countersign_oci::Error::NotFound { what: text() })),
        OtherSubject { expected: digest(), found: None },
        LayerCount { found: 2 },
        MissingAnnotation { key: "dev.sigstore.cosign/bundle" },
        Malformed { part: MalformedPart::Bundle, detail: text() },
        TooMany { what: "log entries", limit: 1, found: 2 },
        TooLarge { what: "a timestamp", limit: 1, found: 2 },
        Disagreement { what: "index in the log", expected: text(), found: text() },
        CertificateLost {},
        Aborted {},
        Repeated { what: "log entry" },
        BundleVersion { expected: "v0.3", found: text() },
        Content { found: "a message signature" },
        NoKeyMaterial { found: "a key" },
        CertificateForKey {},
        KeyForCertificate {},
        OtherKey { expected: vec![countersign_policy::samples::fingerprint()] },
        PayloadType { expected: "in-toto", found: text() },
        StatementType { expected: &["v1"], found: text() },
        SubjectCount { found: 0 },
        SubjectDigest { expected: digest(), found: text() },
        SubjectRepeated { found: 2 },
        Signature { detail: text() },
        Certificate(CertificateError::Malformed(text())),
        TransparencyLog(TransparencyLogError::InclusionProof(text())),
        Timestamp(TimestampError::Invalid(text())),
        NoInclusionProof { index: 0 },
        CheckpointLog { expected: text(), found: text() },
        UnsupportedLogKey { log: LogKind::Signatures, id: text(), kind: text() },
        NoLogEntry {},
        KeyNotLogged {},
        EntryWithoutLog { found: 1 },
        NoInclusionPromise { index: 0 },
        EntryKind { index: 0, expected: "hashedrekord 0.0.1", found: "dsse 0.0.1".into() },
        UnknownLog { index: 0, id: "c0d2".into() },
        LogNotInUse { id: "c0d2".into(), at: jiff::Timestamp::UNIX_EPOCH },
        Identity { found: Vec::new() },
        NoIssuer {},
        NoVerifiedTime {},
        Sigstore(Box::new(sigstore_verify::Error::InvalidBundle(text()))),
        Policy(Box::new(Violation::DeniedDigest { digest: digest() })),
    });
    let violations = countersign_policy::samples::violations().into_iter();
    failures.extend(violations.map(|violation| Failure::Policy(Box::new(violation))));
    failures
}
