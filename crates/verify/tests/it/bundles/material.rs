//! What a bundle proves itself by: certificate, log entry, timestamp and signature.

use countersign_sandbox::{Flaw, RekorVersion};
use countersign_verify::{
    CertificateError, Failure, RefusalKind, TimestampError, TransparencyLogError,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{BOTH, Fixture, hours_ago, refused};

#[tokio::test]
async fn every_certificate_flaw_is_refused() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        let certificate = |flaw| match fixture.failure(&fixture.good().rekor(rekor).flaw(flaw)) {
            Failure::Certificate(error) => error,
            other => panic!("{rekor:?} {flaw:?}: {other:?}"),
        };
        assert!(matches!(
            certificate(Flaw::UnknownCertificateAuthority),
            CertificateError::ChainInvalid(_)
        ));
        assert!(matches!(
            certificate(Flaw::ExpiredCertificate),
            CertificateError::ChainInvalid(_) | CertificateError::Expired { .. }
        ));
        for flaw in [
            Flaw::NoCertificateTimestamp,
            Flaw::CertificateTimestampOfUnknownLog,
            Flaw::CertificateTimestampOfAnotherCertificate,
        ] {
            assert!(matches!(certificate(flaw), CertificateError::Sct(_)));
        }
    }
}

#[tokio::test]
async fn every_log_flaw_is_refused() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        let failure = |flaw| fixture.failure(&fixture.good().rekor(rekor).flaw(flaw));
        let log = |flaw| match failure(flaw) {
            Failure::TransparencyLog(error) => error,
            other => panic!("{rekor:?} {flaw:?}: {other:?}"),
        };
        assert!(matches!(
            log(Flaw::WrongInclusionProof),
            TransparencyLogError::InclusionProof(_)
        ));
        for flaw in [Flaw::WrongCheckpointSignature, Flaw::CheckpointOfUnknownLog] {
            assert!(matches!(log(flaw), TransparencyLogError::Checkpoint(_)));
        }
        match failure(Flaw::CheckpointOfOtherTrustedLog) {
            Failure::CheckpointLog { expected, found } => {
                assert_ne!(expected, found);
            }
            other => panic!("{rekor:?}: {other:?}"),
        }
        for flaw in [Flaw::NoEntry, Flaw::NoInclusionProof] {
            let failure = failure(flaw);
            let expected = match flaw {
                Flaw::NoEntry => matches!(failure, Failure::NoLogEntry),
                _ => matches!(failure, Failure::Sigstore(_)),
            };
            assert!(expected, "{failure:?}");
        }
        assert!(matches!(
            failure(Flaw::RepeatedEntry(2)),
            Failure::Repeated { what: "log entry" }
        ));
        assert!(matches!(
            failure(Flaw::RepeatedEntry(1_000)),
            Failure::TooMany {
                what: "log entries",
                limit: 8,
                found: 1_000
            }
        ));
    }
    let failure = |rekor| {
        let spec = fixture
            .good()
            .rekor(rekor)
            .flaw(Flaw::EntryOfAnotherPayload);
        fixture.failure(&spec)
    };
    assert!(matches!(
        failure(RekorVersion::V1),
        Failure::TransparencyLog(TransparencyLogError::EntryMismatch(_))
    ));
    let spliced = failure(RekorVersion::V2);
    assert!(
        matches!(&spliced, Failure::Sigstore(error) if matches!(**error, sigstore_verify::Error::ArtifactMismatch(_))),
        "{spliced:?}"
    );
}

/// `sigstore-verify` is content when one entry of several is proven.
#[tokio::test]
async fn an_unproven_log_entry_beside_a_proven_one_is_refused() {
    let fixture = Fixture::new().await;
    let good = fixture.good().rekor(RekorVersion::V2);
    let mut bundle: Value = serde_json::from_str(&fixture.sigstore.issue(&good).unwrap()).unwrap();
    let entries = &mut bundle["verificationMaterial"]["tlogEntries"];
    let mut unproven = entries[0].clone();
    unproven["logId"] = json!({ "keyId": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
    unproven.as_object_mut().unwrap().remove("inclusionProof");
    entries.as_array_mut().unwrap().insert(0, unproven);
    let failure = refused(fixture.judge_text(&bundle.to_string(), &fixture.policy()));
    assert!(
        matches!(failure, Failure::NoInclusionProof { index: 0 }),
        "{failure:?}"
    );
}

#[tokio::test]
async fn every_flaw_of_the_time_is_refused() {
    let fixture = Fixture::new().await;
    let v1 = |flaw| fixture.failure(&fixture.good().flaw(flaw));
    let v2 = |flaw| fixture.failure(&fixture.good().rekor(RekorVersion::V2).flaw(flaw));
    assert!(matches!(
        v1(Flaw::PromiseOfAnotherTime),
        Failure::TransparencyLog(TransparencyLogError::InclusionPromise(_))
    ));
    assert!(matches!(
        v1(Flaw::NoPromise),
        Failure::NoInclusionPromise { index: 0 }
    ));
    assert!(matches!(
        v2(Flaw::NoTimestamp),
        Failure::Timestamp(TimestampError::NoVerifiedTimestamp(_))
    ));
    for flaw in [
        Flaw::TimestampOfUnknownAuthority,
        // CVE-2026-39984.
        Flaw::TimestampOfForgedCertificate,
        Flaw::TimestampOfAnotherSignature,
    ] {
        assert!(matches!(
            v2(flaw),
            Failure::Timestamp(TimestampError::Invalid(_))
        ));
    }
    assert!(matches!(
        v2(Flaw::RepeatedTimestamp(2)),
        Failure::Repeated { what: "timestamp" }
    ));
    assert!(matches!(
        v2(Flaw::RepeatedTimestamp(1_000)),
        Failure::TooMany {
            what: "timestamps",
            limit: 8,
            found: 1_000
        }
    ));
}

/// Whoever leaves the promise out could have the signature stamped later, by anybody.
#[tokio::test]
async fn an_entry_without_its_promise_is_refused_though_a_timestamp_tells_the_time() {
    let fixture = Fixture::new().await;
    let stamped = fixture.good().timestamped_at(hours_ago(0));
    let failure = fixture.failure(&stamped.flaw(Flaw::NoPromise));
    assert!(matches!(failure, Failure::NoInclusionPromise { index: 0 }));
}

#[tokio::test]
async fn a_time_outside_the_certificates_validity_is_refused_though_another_is_inside() {
    let fixture = Fixture::new().await;
    let signed = hours_ago(5);
    let outside = signed + SignedDuration::from_hours(2);
    for (logged, stamped) in [(signed, outside), (outside, signed)] {
        let spec = fixture
            .good()
            .signed_at(signed)
            .logged_at(logged)
            .timestamped_at(stamped);
        let failure = fixture.failure(&spec);
        assert!(
            matches!(
                failure,
                Failure::Certificate(
                    CertificateError::ChainInvalid(_) | CertificateError::Expired { .. }
                )
            ),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_signature_of_something_else_is_refused() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        let spec = fixture.good().rekor(rekor);
        let failure = fixture.failure(&spec.flaw(Flaw::SignatureOfAnotherPayload));
        assert!(matches!(failure, Failure::Signature { .. }), "{failure:?}");
    }
}

#[tokio::test]
async fn a_key_without_a_certificate_is_refused() {
    let fixture = Fixture::new().await;
    assert!(matches!(
        fixture.failure(&fixture.good().flaw(Flaw::PublicKey)),
        Failure::KeyForCertificate
    ));
}

#[tokio::test]
async fn a_signature_by_another_sigstore_is_refused() {
    let (ours, theirs) = (Fixture::new().await, Fixture::new().await);
    let bundle = theirs.sigstore.issue(&theirs.good()).unwrap();
    let failure = refused(ours.judge_text(&bundle, &theirs.policy()));
    assert_eq!(failure.kind(), RefusalKind::Invalid);
    assert!(
        matches!(failure, Failure::TransparencyLog(_)),
        "{failure:?}"
    );
}
