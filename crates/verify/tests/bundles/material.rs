//! What a bundle proves itself by: certificate, log entry, timestamp and signature.

use countersign_sandbox::{Flaw, RekorVersion};
use countersign_verify::{
    CertificateError, Failure, RefusalKind, TimestampError, TransparencyLogError, TrustedRoot,
    verify_bundle,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{BOTH, Fixture, hours_ago, refused};

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
            assert!(matches!(failure, Failure::Sigstore(_)), "{failure:?}");
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
    let failure = fixture.failure_after(|bundle| {
        let entries = &mut bundle["verificationMaterial"]["tlogEntries"];
        let mut unproven = entries[0].clone();
        unproven["logId"] = json!({ "keyId": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
        let fields = unproven.as_object_mut().unwrap();
        fields.remove("inclusionProof");
        fields.remove("inclusionPromise");
        entries.as_array_mut().unwrap().insert(0, unproven);
    });
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
    for failure in [v1(Flaw::NoPromise), v2(Flaw::NoTimestamp)] {
        assert!(
            matches!(
                failure,
                Failure::Timestamp(TimestampError::NoVerifiedTimestamp(_))
            ),
            "{failure:?}"
        );
    }
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
        Failure::NoCertificate {
            found: "a public key"
        }
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

/// The authority's certificates begin five years ago. Everything else is valid for longer here, so
/// that nothing but they can be the reason (CVE-2026-24122).
#[tokio::test]
async fn a_certificate_from_before_its_authority_s_own_is_refused() {
    let fixture = Fixture::new().await;
    let root = with_root(&fixture, |root| {
        for (kind, key) in [("tlogs", "publicKey"), ("ctlogs", "publicKey")] {
            for log in root[kind].as_array_mut().unwrap() {
                log[key]["validFor"] = json!({ "start": "2001-01-01T00:00:00Z" });
            }
        }
        root["certificateAuthorities"][0]["validFor"] = json!({ "start": "2001-01-01T00:00:00Z" });
    });
    let signed = |years: i64| {
        let spec = fixture.good().signed_at(hours_ago(years * 365 * 24));
        let bundle = fixture.sigstore.issue(&spec).unwrap();
        verify_bundle(&fixture.image, bundle.as_bytes(), &root, &fixture.policy())
    };
    assert_eq!(signed(4).unwrap().digest(), fixture.image.digest());
    let failure = refused(signed(6));
    assert!(
        matches!(
            failure,
            Failure::Certificate(CertificateError::NoValidAuthority { .. })
        ),
        "{failure:?}"
    );
}

/// An authority that the trusted root has retired certifies nothing after its end.
#[tokio::test]
async fn a_certificate_from_after_the_end_of_its_authority_is_refused() {
    let fixture = Fixture::new().await;
    let root = with_root(&fixture, |root| {
        let authority = &mut root["certificateAuthorities"][0];
        authority["validFor"]["end"] = json!(hours_ago(48).to_string());
    });
    let signed = |hours| {
        let bundle = fixture
            .sigstore
            .issue(&fixture.good().signed_at(hours_ago(hours)));
        let bundle = bundle.unwrap();
        verify_bundle(&fixture.image, bundle.as_bytes(), &root, &fixture.policy())
    };
    assert_eq!(signed(72).unwrap().digest(), fixture.image.digest());
    let failure = refused(signed(24));
    assert!(
        matches!(
            failure,
            Failure::Certificate(CertificateError::NoValidAuthority { .. })
        ),
        "{failure:?}"
    );
}

/// The sandbox's trusted root after a change to its JSON.
fn with_root(fixture: &Fixture, change: impl FnOnce(&mut Value)) -> TrustedRoot {
    let mut root = serde_json::from_str(&fixture.sigstore.trusted_root_json()).unwrap();
    change(&mut root);
    TrustedRoot::from_json("changed", &root.to_string()).unwrap()
}
