//! What is done to signatures by certificates, done to signatures by a key.

use std::collections::BTreeSet;

use countersign_oci::Digest;
use countersign_policy::{Violation, Warning};
use countersign_sandbox::{BundleSpec, Flaw, RekorVersion, SigningKeyKind, Statement};
use countersign_verify::{Failure, RefusalKind, TransparencyLogError};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{BOTH, Fixture, accepting, key, refused};
use crate::support::IDENTITY;
use crate::support::stage::Stage;

/// Every flaw of log entries, timestamps and the signature, with each log. Those of certificates say nothing here.
#[tokio::test]
async fn every_flaw_is_refused() {
    use RekorVersion::{V1, V2};
    type Expected = fn(&Failure) -> bool;
    let log: Expected = |it| matches!(it, Failure::TransparencyLog(_));
    let time: Expected = |it| matches!(it, Failure::Timestamp(_));
    let missing: Expected = |it| {
        matches!(
            it,
            Failure::NoInclusionProof { .. } | Failure::KeyNotLogged | Failure::Sigstore(_)
        )
    };
    let rows: [(&[RekorVersion], Flaw, Expected); 18] = [
        (&BOTH, Flaw::SignatureOfAnotherPayload, |it| {
            matches!(it, Failure::OtherKey { .. })
        }),
        (&BOTH, Flaw::NoEntry, missing),
        (&BOTH, Flaw::NoInclusionProof, missing),
        (&BOTH, Flaw::EntryOfAnotherPayload, |it| {
            it.kind() == RefusalKind::Invalid && !matches!(it, Failure::OtherKey { .. })
        }),
        (&BOTH, Flaw::RepeatedEntry(2), |it| {
            matches!(it, Failure::Repeated { .. })
        }),
        (&BOTH, Flaw::RepeatedEntry(1_000), |it| {
            matches!(it, Failure::TooMany { .. })
        }),
        (&BOTH, Flaw::WrongInclusionProof, |it| {
            matches!(
                it,
                Failure::TransparencyLog(TransparencyLogError::InclusionProof(_))
            )
        }),
        (&BOTH, Flaw::WrongCheckpointSignature, log),
        (&BOTH, Flaw::CheckpointOfUnknownLog, log),
        (&BOTH, Flaw::CheckpointOfOtherTrustedLog, |it| {
            matches!(it, Failure::CheckpointLog { .. })
        }),
        (&[V1], Flaw::NoPromise, |it| {
            matches!(it, Failure::NoInclusionPromise { .. })
        }),
        (&[V1], Flaw::PromiseOfAnotherTime, log),
        (&[V2], Flaw::NoTimestamp, |it| {
            matches!(it, Failure::NoVerifiedTime)
        }),
        (&[V2], Flaw::TimestampOfUnknownAuthority, time),
        (&[V2], Flaw::TimestampOfForgedCertificate, time),
        (&[V2], Flaw::TimestampOfAnotherSignature, time),
        (&[V2], Flaw::RepeatedTimestamp(2), |it| {
            matches!(it, Failure::Repeated { .. })
        }),
        (&[V2], Flaw::RepeatedTimestamp(1_000), |it| {
            matches!(it, Failure::TooMany { .. })
        }),
    ];
    let fixture = Fixture::new().await;
    for (versions, flaw, expected) in rows {
        for rekor in versions {
            let spec = fixture.good().rekor(*rekor).flaw(flaw);
            let failure = fixture.failure(&spec, &fixture.policy());
            assert!(expected(&failure), "{rekor:?} {flaw:?}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn statements_that_do_not_prove_the_image_are_refused_though_genuine() {
    type Expected = fn(&Failure) -> bool;
    let fixture = Fixture::new().await;
    let other = || Digest::sha256(b"another image");
    let rows: [(Statement, Expected); 5] = [
        (Statement::of(other()), |it| {
            matches!(it, Failure::SubjectDigest { .. })
        }),
        (Statement::without_subject(), |it| {
            it.kind() == RefusalKind::Invalid
        }),
        (fixture.statement().and_subject(other()), |it| {
            matches!(it, Failure::SubjectCount { .. })
        }),
        (
            fixture
                .statement()
                .statement_type("https://in-toto.io/Statement/v0.1"),
            |it| matches!(it, Failure::StatementType { .. }),
        ),
        (
            fixture
                .statement()
                .predicate("https://spdx.dev/Document", json!({})),
            |it| matches!(it, Failure::Attestation { .. }),
        ),
    ];
    for (statement, expected) in rows {
        let spec = BundleSpec::new(statement, IDENTITY).signed_with(&fixture.key);
        // What a policy ignores of the log changes nothing about the statement.
        for policy in [fixture.policy(), fixture.ignoring()] {
            let failure = fixture.failure(&spec, &policy);
            assert!(expected(&failure), "{failure:?}");
        }
    }
}

/// Nothing of the log and the times is read, so nothing of it can make a signature better or worse.
#[tokio::test]
async fn with_the_log_ignored_only_the_signature_counts() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        for flaw in [
            Flaw::NoEntry,
            Flaw::EntryOfAnotherPayload,
            Flaw::WrongInclusionProof,
            Flaw::CheckpointOfUnknownLog,
            Flaw::NoTimestamp,
            Flaw::TimestampOfUnknownAuthority,
        ] {
            let spec = fixture.good().rekor(rekor).flaw(flaw);
            let proof = fixture.judge(&spec, &fixture.ignoring()).unwrap();
            assert_eq!(proof.evidence().signed_at, [], "{flaw:?}");
        }
        let spec = fixture.good().rekor(rekor);
        let spec = spec.flaw(Flaw::SignatureOfAnotherPayload);
        let failure = fixture.failure(&spec, &fixture.ignoring());
        assert!(matches!(failure, Failure::OtherKey { .. }), "{failure:?}");
    }
}

#[tokio::test]
async fn a_root_without_the_log_refuses() {
    let (ours, theirs) = (Fixture::new().await, Fixture::new().await);
    let bundle = theirs.sigstore.issue(&theirs.good()).unwrap();
    let image = ours.judge_text(&bundle, &theirs.policy());
    let failure = refused(image);
    assert!(
        matches!(failure, Failure::TransparencyLog(_)),
        "{failure:?}"
    );
}

/// A certificate bounds when its holder signed. A key does not, so the time of the log is all there is, and that can
/// be had again. `policy check` says so.
#[tokio::test]
async fn a_signature_that_is_logged_again_counts_as_newer_and_the_policy_warns_of_it() {
    let fixture = Fixture::new().await;
    let logged = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    let judge = |time, policy: &_| fixture.judge(&fixture.good().signed_at(time), policy);
    let bounded = accepting(&fixture.key, |spec| {
        spec.not_before = Some(logged(24).to_string());
    });
    match judge(logged(48), &bounded) {
        Err(Failure::Policy(violation)) => {
            assert!(matches!(*violation, Violation::SignedBefore { .. }));
        }
        other => panic!("{other:?}"),
    }
    let _proof = judge(logged(1), &bounded).unwrap();
    assert!(
        bounded
            .warnings(Timestamp::now())
            .contains(&Warning::KeyTimes { signer: 0 })
    );
    assert!(
        fixture
            .policy()
            .warnings(Timestamp::now())
            .contains(&Warning::NoNotBefore)
    );
}

#[tokio::test]
async fn min_age_holds() {
    let fixture = Fixture::new().await;
    let aged = accepting(&fixture.key, |spec| spec.min_age = Some("24h".into()));
    for rekor in BOTH {
        let young = fixture.good().rekor(rekor);
        match fixture.failure(&young, &aged) {
            Failure::Policy(violation) => {
                assert!(matches!(*violation, Violation::TooYoung { .. }));
            }
            other => panic!("{other:?}"),
        }
        let old = Timestamp::now() - SignedDuration::from_hours(48);
        let _proof = fixture.judge(&young.signed_at(old), &aged).unwrap();
    }
}

/// Every byte of a bundle changed, one at a time. What says nothing: white space outside of texts, and the hint at
/// the key, which is not signed. The key is the policy's, whatever the hint is.
#[tokio::test]
async fn every_changed_byte_is_refused_or_says_nothing() {
    let fixture = Fixture::new().await;
    for rekor in BOTH {
        let bundle = fixture
            .sigstore
            .issue(&fixture.good().rekor(rekor))
            .unwrap();
        let parsed: Value = serde_json::from_str(&bundle).unwrap();
        let hint = parsed["verificationMaterial"]["publicKey"]["hint"]
            .as_str()
            .unwrap();
        let start = bundle.find(hint).unwrap();
        let policy = fixture.policy();
        let mut accepted = BTreeSet::new();
        for at in 0..bundle.len() {
            let mut changed = bundle.clone().into_bytes();
            changed[at] ^= 1 << (at % 3);
            let Ok(changed) = String::from_utf8(changed) else {
                continue;
            };
            if fixture.judge_text(&changed, &policy).is_ok() {
                accepted.insert(at);
            }
        }
        let of_hint: BTreeSet<usize> = (start..start + hint.len()).collect();
        let beyond: Vec<&str> = accepted
            .difference(&of_hint)
            .map(|at| &bundle[at.saturating_sub(20)..at + 1])
            .collect();
        assert!(beyond.is_empty(), "{rekor:?}: {beyond:?}");
        assert!(!accepted.is_empty(), "the hint decides nothing");
    }
}

#[tokio::test]
async fn key_material_that_two_readers_could_read_differently_is_refused() {
    let fixture = Fixture::new().await;
    let bundle = fixture.sigstore.issue(&fixture.good()).unwrap();
    let after = |change: fn(&mut Value)| {
        let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
        change(&mut bundle["verificationMaterial"]);
        refused(fixture.judge_text(&bundle.to_string(), &fixture.policy()))
    };
    let both = after(|material| material["certificate"] = json!({ "rawBytes": "" }));
    assert!(matches!(both, Failure::NoKeyMaterial { .. }), "{both:?}");
    let neither = after(|material| {
        material.as_object_mut().unwrap().remove("publicKey");
    });
    assert!(
        matches!(neither, Failure::NoKeyMaterial { .. }),
        "{neither:?}"
    );
    let raw = after(|material| material["publicKey"]["rawBytes"] = json!("AAAA"));
    assert!(matches!(raw, Failure::Malformed { .. }), "{raw:?}");
    let long = after(|material| material["publicKey"]["hint"] = json!("x".repeat(2_000)));
    assert!(matches!(long, Failure::TooLarge { .. }), "{long:?}");
}

/// In a registry: each candidate is tried, and one that passes is enough.
#[tokio::test]
async fn the_others_are_tried_until_one_passes() {
    let stage = Stage::new().await;
    let (own, stranger) = (
        key(SigningKeyKind::EcdsaP256),
        key(SigningKeyKind::EcdsaP256),
    );
    let by = |key| stage.issue(&BundleSpec::new(stage.statement(), IDENTITY).signed_with(key));
    stage.scene.attach("junk");
    stage.scene.attach(by(&stranger));
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let policy = accepting(&own, |_| {});
    let verify = || async { stage.verifier().verify(&stage.scene.image, &policy).await };
    let refusal = crate::support::refusal(verify().await);
    let failures = refusal
        .candidates
        .iter()
        .map(|candidate| &candidate.failure);
    let failures: Vec<&Failure> = failures.collect();
    assert_eq!(failures.len(), 3);
    assert!(
        failures
            .iter()
            .any(|it| matches!(it, Failure::Malformed { .. }))
    );
    assert!(
        failures
            .iter()
            .any(|it| matches!(it, Failure::OtherKey { .. }))
    );
    assert!(
        failures
            .iter()
            .any(|it| matches!(it, Failure::CertificateForKey))
    );
    stage.scene.attach(by(&own));
    let _proof = verify().await.unwrap();
}
