//! Signatures by a key in cosign's legacy form, with and without a log entry.

use countersign_policy::{Policy, SignatureFormat};
use countersign_sandbox::{
    BundleSpec, CERTIFICATE_ANNOTATION, LOG_ANNOTATION, SIGNATURE_ANNOTATION, SigningKey,
    SigningKeyKind, SimpleSignature, SimpleSigningPlace, push_simple_signing,
    simple_signing_payload,
};
use countersign_verify::{Error, Failure, RefusalKind, VerifiedImage};
use serde_json::{Value, json};

use super::{accepting, fingerprint, key};
use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, failure};

fn sign(stage: &Stage, key: &SigningKey) -> SimpleSignature {
    let repository = stage.scene.image.reference().location().to_string();
    let digest = stage.scene.image.digest();
    let payload = simple_signing_payload(digest, &repository, &Value::Null);
    let spec = BundleSpec::new(payload, IDENTITY).signed_with(key);
    stage.sigstore.issue_simple_signing(&spec).unwrap()
}

fn policy(key: &SigningKey, ignoring: bool) -> Policy {
    accepting(key, |spec| {
        spec.signature_formats = vec!["bundle".into(), "simple_signing".into()];
        spec.ignore_tlog = ignoring;
    })
}

/// The verdict on one signature at the tag.
async fn verdict(
    policy: &Policy,
    signature: impl FnOnce(&Stage) -> SimpleSignature,
) -> Result<VerifiedImage, Error> {
    let stage = Stage::new().await;
    let image = stage.scene.image.descriptor();
    let signature = signature(&stage);
    let place = SimpleSigningPlace::Tag;
    push_simple_signing(&stage.scene.server, PATH, &image, place, &[signature]);
    stage.verifier().verify(&stage.scene.image, policy).await
}

fn without(mut signature: SimpleSignature, annotation: &str) -> SimpleSignature {
    signature.annotations.remove(annotation);
    signature
}

#[tokio::test]
async fn a_signature_by_a_key_is_accepted() {
    let own = key(SigningKeyKind::EcdsaP256);
    let proof = verdict(&policy(&own, false), |stage| sign(stage, &own)).await;
    let proof = proof.unwrap();
    let evidence = proof.evidence();
    assert_eq!(evidence.format, SignatureFormat::SimpleSigning);
    assert_eq!(
        evidence.signer.to_string(),
        format!("key {}", fingerprint(&own))
    );
    assert_eq!(
        (evidence.signed_at.len(), evidence.log_index.is_some()),
        (1, true)
    );

    let bare = |stage: &Stage| without(sign(stage, &own), LOG_ANNOTATION);
    let proof = verdict(&policy(&own, true), bare).await.unwrap();
    assert_eq!(proof.evidence().signed_at, []);
    let unlogged = failure(verdict(&policy(&own, false), bare).await);
    assert!(matches!(unlogged, Failure::KeyNotLogged), "{unlogged:?}");
}

#[tokio::test]
async fn a_policy_for_bundles_alone_says_that_it_is_the_legacy_form() {
    let own = key(SigningKeyKind::EcdsaP256);
    let policy = accepting(&own, |_| {});
    let refused = failure(verdict(&policy, |stage| sign(stage, &own)).await);
    assert!(matches!(refused, Failure::LegacySignature), "{refused:?}");
}

#[tokio::test]
async fn another_key_and_a_certificate_are_refused() {
    let (own, other) = (
        key(SigningKeyKind::EcdsaP256),
        key(SigningKeyKind::EcdsaP256),
    );
    for ignoring in [false, true] {
        let policy = policy(&own, ignoring);
        let refused = failure(verdict(&policy, |stage| sign(stage, &other)).await);
        assert!(matches!(refused, Failure::OtherKey { .. }), "{refused:?}");
        let certified = |stage: &Stage| {
            let payload = sign(stage, &own).payload;
            let spec = BundleSpec::new(payload, IDENTITY);
            stage.sigstore.issue_simple_signing(&spec).unwrap()
        };
        let refused = failure(verdict(&policy, certified).await);
        assert!(matches!(refused, Failure::CertificateForKey), "{refused:?}");
        // Without its certificate it is a signature by the certificate's key, which is none of the policy's.
        let bare = |stage: &Stage| without(certified(stage), CERTIFICATE_ANNOTATION);
        let refused = failure(verdict(&policy, bare).await);
        assert!(matches!(refused, Failure::OtherKey { .. }), "{refused:?}");
    }
    let by_identity = crate::support::policy_with(|spec| {
        spec.issuer_regex = Some(".*".into());
        spec.identity_regex = Some(".*".into());
        spec.signature_formats = vec!["simple_signing".into()];
    });
    let refused = failure(verdict(&by_identity, |stage| sign(stage, &own)).await);
    assert!(matches!(refused, Failure::KeyForCertificate), "{refused:?}");
}

/// What a registry can change.
#[tokio::test]
async fn a_changed_signature_payload_or_log_entry_is_refused() {
    type Change = fn(&mut SimpleSignature, &SimpleSignature);
    fn log(signature: &mut SimpleSignature, change: impl FnOnce(&mut Value)) {
        let text = &signature.annotations[LOG_ANNOTATION];
        let mut log: Value = serde_json::from_str(text).unwrap();
        change(&mut log);
        let annotations = &mut signature.annotations;
        annotations.insert(LOG_ANNOTATION.into(), log.to_string());
    }
    fn replaced(signature: &mut SimpleSignature, other: &SimpleSignature, key: &str) {
        let value = other.annotations[key].clone();
        signature.annotations.insert(key.into(), value);
    }
    let changes: [(&str, Change); 7] = [
        ("the payload", |it, _| it.payload.push(b' ')),
        ("another signature by the key", |it, other| {
            replaced(it, other, SIGNATURE_ANNOTATION);
        }),
        ("another log entry by the key", |it, other| {
            replaced(it, other, LOG_ANNOTATION);
        }),
        ("another time", |it, _| {
            log(it, |log| {
                let time = &mut log["Payload"]["integratedTime"];
                *time = json!(time.as_i64().unwrap() + 1);
            });
        }),
        ("another index", |it, _| {
            log(it, |log| log["Payload"]["logIndex"] = json!(1));
        }),
        ("another log", |it, _| {
            log(it, |log| log["Payload"]["logID"] = json!("00".repeat(32)));
        }),
        ("no promise", |it, _| {
            log(it, |log| log["SignedEntryTimestamp"] = json!(""));
        }),
    ];
    let own = key(SigningKeyKind::EcdsaP256);
    for (name, change) in changes {
        let changed = |stage: &Stage| {
            let mut signature = sign(stage, &own);
            change(&mut signature, &sign(stage, &own));
            signature
        };
        let refused = failure(verdict(&policy(&own, false), changed).await);
        assert_eq!(refused.kind(), RefusalKind::Invalid, "{name}: {refused:?}");
        assert!(
            !matches!(refused, Failure::MissingAnnotation { .. }),
            "{name}"
        );
    }
}
