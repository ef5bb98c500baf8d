//! What a registry can change at a legacy signature.

use super::*;

/// Changes one value in the annotation with the log entry.
fn with_log(mut signature: SimpleSignature, change: impl FnOnce(&mut Value)) -> SimpleSignature {
    let text = &signature.annotations[LOG_ANNOTATION];
    let mut log: Value = serde_json::from_str(text).unwrap();
    change(&mut log);
    signature
        .annotations
        .insert(LOG_ANNOTATION.into(), log.to_string());
    signature
}

/// What a registry can change: every annotation, and every field of the log entry. One annotation is not read.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of changes")]
async fn a_changed_annotation_is_refused() {
    type Change = fn(&Stage, SimpleSignature) -> SimpleSignature;
    fn replaced(
        key: &str,
        mut signature: SimpleSignature,
        other: &SimpleSignature,
    ) -> SimpleSignature {
        let value = other.annotations[key].clone();
        signature.annotations.insert(key.into(), value);
        signature
    }
    let changes: [(&str, Change); 11] = [
        (
            "another signature by the same identity",
            |stage, signature| replaced(SIGNATURE_ANNOTATION, signature, &good(stage)),
        ),
        ("a signature that is not base64", |_, mut signature| {
            signature
                .annotations
                .insert(SIGNATURE_ANNOTATION.into(), "-".into());
            signature
        }),
        (
            "another certificate of the same identity",
            |stage, signature| replaced(CERTIFICATE_ANNOTATION, signature, &good(stage)),
        ),
        ("a second certificate", |_, mut signature| {
            let twice = signature.annotations[CERTIFICATE_ANNOTATION].repeat(2);
            signature
                .annotations
                .insert(CERTIFICATE_ANNOTATION.into(), twice);
            signature
        }),
        (
            "another log entry of the same identity",
            |stage, signature| replaced(LOG_ANNOTATION, signature, &good(stage)),
        ),
        ("another time", |_, signature| {
            with_log(signature, |log| {
                let time = &mut log["Payload"]["integratedTime"];
                *time = json!(time.as_i64().unwrap() - 1);
            })
        }),
        ("another index", |_, signature| {
            with_log(signature, |log| log["Payload"]["logIndex"] = json!(1))
        }),
        ("another log", |_, signature| {
            with_log(signature, |log| {
                log["Payload"]["logID"] = json!("00".repeat(32));
            })
        }),
        ("another body", |stage, signature| {
            let other: Value =
                serde_json::from_str(&good(stage).annotations[LOG_ANNOTATION]).unwrap();
            with_log(signature, |log| {
                log["Payload"]["body"] = other["Payload"]["body"].clone();
            })
        }),
        ("no promise", |_, signature| {
            with_log(signature, |log| log["SignedEntryTimestamp"] = json!(""))
        }),
        ("a field that nobody knows", |_, signature| {
            with_log(signature, |log| log["Payload"]["x"] = json!(1))
        }),
    ];
    for (name, change) in changes {
        let result = verdict(|stage| change(stage, good(stage))).await;
        let failure = failure(result);
        assert_eq!(failure.kind(), RefusalKind::Invalid, "{name}: {failure:?}");
    }
    for key in [SIGNATURE_ANNOTATION, CERTIFICATE_ANNOTATION, LOG_ANNOTATION] {
        let result = verdict(|stage| {
            let mut signature = good(stage);
            signature.annotations.remove(key);
            signature
        });
        match failure(result.await) {
            Failure::MissingAnnotation { key: found } => assert_eq!(found, key),
            // As a signature by a key.
            Failure::KeyForCertificate => assert_eq!(key, CERTIFICATE_ANNOTATION),
            other => panic!("{key}: {other:?}"),
        }
    }
    let without_chain = verdict(|stage| {
        let mut signature = good(stage);
        signature
            .annotations
            .insert(CHAIN_ANNOTATION.into(), "anything".into());
        signature
    });
    let _proof = without_chain.await.expect("the chain is not read");
}
