//! What is done to bundles, done to the legacy form.

use std::collections::BTreeSet;

use countersign_sandbox::{RekorVersion, SigningKey, SigningKeyKind, Statement, hostile_bundles};
use countersign_verify::{CertificateError, TrustedRoot, verify_simple_signing};

use super::*;

const LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn issue(stage: &Stage, spec: &BundleSpec) -> SimpleSignature {
    stage.sigstore.issue_simple_signing(spec).unwrap()
}

#[tokio::test]
async fn every_certificate_flaw_is_refused() {
    for flaw in [
        Flaw::UnknownCertificateAuthority,
        Flaw::ExpiredCertificate,
        Flaw::NoCertificateTimestamp,
        Flaw::CertificateTimestampOfUnknownLog,
        Flaw::CertificateTimestampOfAnotherCertificate,
    ] {
        let flawed =
            |stage: &Stage| issue(stage, &BundleSpec::new(payload(stage), IDENTITY).flaw(flaw));
        match failure(verdict(flawed).await) {
            Failure::Certificate(
                CertificateError::ChainInvalid(_)
                | CertificateError::Expired { .. }
                | CertificateError::Sct(_),
            ) => {}
            other => panic!("{flaw:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_signature_by_another_sigstore_is_refused() {
    let theirs = Stage::new().await;
    let refused = failure(verdict(|_| good(&theirs)).await);
    let (authority, log) = (
        matches!(refused, Failure::Certificate(_)),
        matches!(refused, Failure::TransparencyLog(_)),
    );
    assert!(authority || log, "{refused:?}");
}

/// The log's promise can be had again as long as the certificate is valid. The start of the certificate can't.
#[tokio::test]
async fn no_time_can_be_moved_past_not_before() {
    let early = Timestamp::now() - SignedDuration::from_hours(30);
    let bound = early + SignedDuration::from_mins(3);
    let late = early + SignedDuration::from_mins(6);
    for (certified, logged, accepted) in [
        (early, early, false),
        (early, late, false),
        (late, late, true),
    ] {
        let stage = Stage::new().await;
        let spec = BundleSpec::new(payload(&stage), IDENTITY);
        let signature = issue(&stage, &spec.signed_at(certified).logged_at(logged));
        push(&stage, SimpleSigningPlace::Tag, &[signature]);
        let policy = accepting(&stage, &["simple_signing"], |spec| {
            spec.not_before = Some(bound.to_string());
        });
        match verify(&stage, &policy).await {
            Ok(_) => assert!(accepted),
            refused => match failure(refused) {
                Failure::Policy(violation) => {
                    let found = Timestamp::from_second(certified.as_second()).unwrap();
                    assert!(
                        matches!(*violation, Violation::SignedBefore { found: it, .. } if it == found),
                        "{violation:?}"
                    );
                    assert!(!accepted);
                }
                other => panic!("{other:?}"),
            },
        }
    }
}

/// A certificate that is made to be slow is refused for its size or its shape, before it is decoded.
#[tokio::test]
async fn a_hostile_certificate_is_refused_for_what_it_is() {
    let stage = Stage::new().await;
    let statement = Statement::of(stage.scene.image.digest().clone());
    let bundle = BundleSpec::new(statement, IDENTITY).rekor(RekorVersion::V2);
    let bundles = hostile_bundles(&stage.sigstore.issue(&bundle).unwrap());
    let mut tried = 0;
    for hostile in bundles
        .iter()
        .filter(|it| it.name.starts_with("a certificate"))
    {
        let bundle: Value = serde_json::from_str(&hostile.bundle).unwrap();
        let der = &bundle["verificationMaterial"]["certificate"]["rawBytes"];
        let der = der.as_str().unwrap();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
        let hostile_one = |stage: &Stage| {
            let mut signature = good(stage);
            let annotations = &mut signature.annotations;
            annotations.insert(CERTIFICATE_ANNOTATION.into(), pem.clone());
            signature
        };
        let refused = failure(verdict(hostile_one).await);
        assert!(
            matches!(
                refused,
                Failure::TooLarge { .. }
                    | Failure::TooMany { .. }
                    | Failure::Malformed { .. }
                    | Failure::Certificate(CertificateError::Malformed(_))
            ),
            "{}: {refused:?}",
            hostile.name
        );
        tried += 1;
    }
    assert!(tried > 4);
    let huge = |stage: &Stage| sign(stage, vec![b' '; 2 << 20], IDENTITY);
    let refused = failure(verdict(huge).await);
    assert!(matches!(refused, Failure::Unreadable(_)), "{refused:?}");
}

/// Every byte of the payload and of each annotation that is read, changed one at a time. By a certificate and by a
/// key.
#[tokio::test]
async fn every_changed_byte_is_refused_or_says_nothing() {
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    let spec = BundleSpec::new(payload(&stage), IDENTITY);
    let by_key = crate::support::policy_with(|spec| {
        spec.key = Some(key.public_pem());
        spec.signature_formats = vec!["simple_signing".into()];
    });
    let rows = [
        (issue(&stage, &spec), both(&stage)),
        (issue(&stage, &spec.signed_with(&key)), by_key),
    ];
    let json = stage.sigstore.trusted_root_json();
    let root = TrustedRoot::from_json("sandbox", &json).unwrap();
    let now = Timestamp::now();
    for (signature, policy) in rows {
        let judge = |signature: &SimpleSignature| {
            let (image, payload) = (&stage.scene.image, signature.payload.clone());
            let mut layer = Descriptor::of(LAYER, &payload);
            layer.annotations = signature.annotations.clone();
            verify_simple_signing(image, &layer, payload.into(), &root, &policy, now)
        };
        let _proof = judge(&signature).unwrap();
        for at in 0..signature.payload.len() {
            let mut changed = signature.clone();
            changed.payload[at] ^= 1 << (at % 3);
            assert!(judge(&changed).is_err(), "byte {at} of the payload");
        }
        let mut meaningless = BTreeSet::new();
        for (name, text) in &signature.annotations {
            if name == CHAIN_ANNOTATION {
                continue;
            }
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << (at % 3);
                let Ok(text_now) = String::from_utf8(bytes) else {
                    continue;
                };
                let mut changed = signature.clone();
                changed.annotations.insert(name.clone(), text_now);
                if judge(&changed).is_ok() {
                    meaningless.insert((name.clone(), text.as_bytes()[at]));
                }
            }
        }
        let line_ends = BTreeSet::from([(CERTIFICATE_ANNOTATION.to_owned(), b'\n')]);
        let beyond: Vec<_> = meaningless.difference(&line_ends).collect();
        assert!(beyond.is_empty(), "{beyond:?}");
    }
}
