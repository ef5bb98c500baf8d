//! Genuine signatures of statements, and bundles, that are not of the form that counts.

use countersign_oci::Digest;
use countersign_sandbox::{BundleSpec, RekorVersion, Statement};
use countersign_verify::{Failure, MalformedPart, RefusalKind};
use serde_json::{Value, json};

use super::{Fixture, refused};
use crate::support::IDENTITY;

#[tokio::test]
async fn statements_that_do_not_prove_the_image_are_refused_though_genuine() {
    let fixture = Fixture::new().await;
    let failure = |statement: Statement| fixture.failure(&BundleSpec::new(statement, IDENTITY));
    let other = Digest::sha256(b"another image");
    assert!(matches!(
        failure(Statement::of(other.clone())),
        Failure::SubjectDigest { .. }
    ));
    assert!(matches!(
        failure(Statement::without_subject()),
        Failure::SubjectCount { found: 0 }
    ));
    assert!(matches!(
        failure(fixture.statement().and_subject(other)),
        Failure::SubjectCount { found: 2 }
    ));
    assert!(matches!(
        failure(
            fixture
                .statement()
                .statement_type("https://in-toto.io/Statement/v0.1")
        ),
        Failure::StatementType { .. }
    ));
    let sbom = failure(
        fixture
            .statement()
            .predicate("https://spdx.dev/Document", json!({})),
    );
    assert!(matches!(sbom, Failure::Attestation { .. }));
    assert_eq!(sbom.kind(), RefusalKind::Unsigned);
    let spec = BundleSpec::new("payload", IDENTITY);
    assert!(matches!(
        fixture.failure(&spec),
        Failure::Malformed {
            part: MalformedPart::Statement,
            ..
        }
    ));
    let spec = fixture.good().payload_type("application/json");
    assert!(matches!(
        fixture.failure(&spec),
        Failure::PayloadType { .. }
    ));
}

#[tokio::test]
async fn bundles_of_another_shape_are_refused() {
    let fixture = Fixture::new().await;
    for version in ["", "0.1", "0.2"] {
        let media_type = format!("application/vnd.dev.sigstore.bundle+json;version={version}");
        let failure = fixture.failure_after(|bundle| bundle["mediaType"] = json!(media_type));
        assert!(
            matches!(&failure, Failure::BundleVersion { found, .. } if *found == media_type),
            "{failure:?}"
        );
    }
    assert!(matches!(
        fixture.failure_after(|bundle| {
            bundle.as_object_mut().unwrap().remove("mediaType");
        }),
        Failure::BundleVersion { .. }
    ));
    let both = fixture.failure_after(|bundle| {
        bundle["messageSignature"] = json!({ "signature": "" });
    });
    assert!(matches!(both, Failure::Content { .. }));
    let message = fixture.failure_after(|bundle| {
        bundle.as_object_mut().unwrap().remove("dsseEnvelope");
        bundle["messageSignature"] = json!({ "signature": "" });
    });
    assert!(matches!(message, Failure::Content { .. }));
    let chain = fixture.failure_after(|bundle| {
        let material = bundle["verificationMaterial"].as_object_mut().unwrap();
        let certificate = material.remove("certificate").unwrap();
        material.insert(
            "x509CertificateChain".into(),
            json!({ "certificates": [certificate] }),
        );
    });
    assert!(matches!(
        chain,
        Failure::NoKeyMaterial {
            found: "a certificate chain"
        }
    ));
    let two_signatures = fixture.failure_after(|bundle| {
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    });
    assert!(matches!(
        two_signatures,
        Failure::TooMany {
            what: "signatures in the envelope",
            limit: 1,
            found: 2
        }
    ));
    let long_proof = fixture.failure_after(|bundle| {
        let proof = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        proof["hashes"] = json!(vec!["x"; 65]);
    });
    assert!(matches!(
        long_proof,
        Failure::TooMany {
            limit: 64,
            found: 65,
            ..
        }
    ));
}

#[tokio::test]
async fn a_bundle_that_two_readers_could_read_differently_is_refused() {
    let fixture = Fixture::new().await;
    let good = fixture.sigstore.issue(&fixture.good()).unwrap();
    let envelope = &serde_json::from_str::<Value>(&good).unwrap()["dsseEnvelope"];
    let twice = format!(r#"{{"dsseEnvelope":{envelope},{}"#, &good[1..]);
    assert!(matches!(
        refused(fixture.judge_text(&twice, &fixture.policy())),
        Failure::Malformed {
            part: MalformedPart::Bundle,
            ..
        }
    ));
}

#[tokio::test]
async fn an_array_is_no_object_anywhere_in_a_bundle() {
    let fixture = Fixture::new().await;
    // Objects of a bundle, with their fields in the order of our source: what serde would take as an array too.
    let objects: [(&str, &[&str]); 12] = [
        ("", &["mediaType", "verificationMaterial", "dsseEnvelope"]),
        (
            "/verificationMaterial",
            &[
                "certificate",
                "",
                "",
                "tlogEntries",
                "timestampVerificationData",
            ],
        ),
        ("/verificationMaterial/certificate", &["rawBytes"]),
        (
            "/verificationMaterial/timestampVerificationData",
            &["rfc3161Timestamps"],
        ),
        ("/verificationMaterial/tlogEntries/0/logId", &["keyId"]),
        (
            "/verificationMaterial/tlogEntries/0/kindVersion",
            &["kind", "version"],
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionPromise",
            &["signedEntryTimestamp"],
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof",
            &["logIndex", "rootHash", "treeSize", "hashes", "checkpoint"],
        ),
        (
            "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint",
            &["envelope"],
        ),
        (
            "/verificationMaterial/tlogEntries/0",
            &[
                "logIndex",
                "logId",
                "kindVersion",
                "integratedTime",
                "inclusionPromise",
                "inclusionProof",
                "canonicalizedBody",
            ],
        ),
        ("/dsseEnvelope", &["payloadType", "payload"]),
        ("/dsseEnvelope/signatures/0", &["sig", "keyid"]),
    ];
    for (pointer, fields) in objects {
        let failure = fixture.failure_after(|bundle| {
            let object = bundle.pointer_mut(pointer).unwrap();
            let values = fields.iter().map(|field| object[*field].clone());
            *object = values.collect();
        });
        assert!(
            matches!(&failure, Failure::Malformed { detail, .. } if detail.contains("expected an object")),
            "{pointer}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn what_a_bundle_states_twice_it_states_alike() {
    let fixture = Fixture::new().await;
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (pointer, value, expected) in [
        (
            "inclusionProof/rootHash",
            root,
            "root hash of the log's tree",
        ),
        (
            "inclusionProof/treeSize",
            "1000000",
            "size of the log's tree",
        ),
        ("inclusionProof/logIndex", "0", "index in the log"),
        ("integratedTime", "1", "time of logging"),
    ] {
        let spec = fixture.good().rekor(RekorVersion::V2);
        let bundle = fixture.sigstore.issue(&spec).unwrap();
        let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
        let mut place = &mut bundle["verificationMaterial"]["tlogEntries"][0];
        for part in pointer.split('/') {
            place = &mut place[part];
        }
        *place = json!(value);
        match refused(fixture.judge_text(&bundle.to_string(), &fixture.policy())) {
            Failure::Disagreement { what, .. } => assert_eq!(what, expected),
            other => panic!("{pointer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn fields_that_nobody_knows_and_other_ways_to_write_base64_are_refused() {
    let fixture = Fixture::new().await;
    let certificate = |change: fn(&str) -> String| {
        move |bundle: &mut Value| {
            let bytes = &mut bundle["verificationMaterial"]["certificate"]["rawBytes"];
            *bytes = json!(change(bytes.as_str().unwrap()));
        }
    };
    for failure in [
        fixture.failure_after(|bundle| bundle["verificationMaterial"]["more"] = json!({})),
        fixture.failure_after(|bundle| {
            bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"] = json!("+1");
        }),
        fixture.failure_after(certificate(|text| format!("{text}===="))),
        fixture.failure_after(certificate(|text| text.replace(['+', '/'], "-"))),
        fixture.failure_after(certificate(|text| format!("{text}\n"))),
    ] {
        assert!(
            matches!(
                failure,
                Failure::Malformed {
                    part: MalformedPart::Bundle,
                    ..
                }
            ),
            "{failure:?}"
        );
    }
}
