//! Genuine attestations: of several subjects, and with predicates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_oci::{Algorithm, Digest};
use countersign_policy::{Policy, Violation};
use countersign_sandbox::{BundleSpec, Statement};
use countersign_verify::{Failure, MalformedPart};
use serde_json::{Value, json};

use super::{BOTH, Fixture, refused};
use crate::support::{IDENTITY, policy_with};

const SLSA: &str = "https://slsa.dev/provenance/v1";

/// A policy by which a provenance counts.
fn provenance_policy(fixture: &Fixture) -> Policy {
    policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity = Some(IDENTITY.into());
        spec.predicate_types = vec![SLSA.into()];
    })
}

fn provenance(statement: Statement) -> BundleSpec {
    let builder = json!({ "runDetails": { "builder": { "id": "https://ci.example" } } });
    BundleSpec::new(statement.predicate(SLSA, builder), IDENTITY)
}

/// A policy that asks for this value of a field, too.
fn policy_on(fixture: &Fixture, pointer: &str, value: &str) -> Policy {
    policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity = Some(IDENTITY.into());
        spec.predicate_types = vec![SLSA.into()];
        spec.predicate.insert(pointer.into(), value.into());
    })
}

fn other(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

#[tokio::test]
async fn an_attestation_of_several_subjects_proves_each_of_them() {
    let fixture = Fixture::new().await;
    let image = fixture.image.digest().clone();
    let policy = provenance_policy(&fixture);
    for kind in [
        "https://in-toto.io/Statement/v1",
        "https://in-toto.io/Statement/v0.1",
    ] {
        for rekor in BOTH {
            let statement = Statement::of(other("a"))
                .name("a")
                .and_subject(image.clone())
                .name("registry.example/acme/app")
                .and_subject(other("c"))
                .name("c")
                .statement_type(kind);
            let proof = fixture.judge(&provenance(statement).rekor(rekor), &policy);
            let proof = proof.unwrap();
            assert_eq!(proof.digest(), &image);
            let evidence = proof.evidence();
            assert_eq!(evidence.digest, image);
            assert_eq!(evidence.predicate_type, SLSA);
            let name = evidence.subject_name.as_deref();
            assert_eq!(name, Some("registry.example/acme/app"));
            let predicate = r#"{"runDetails":{"builder":{"id":"https://ci.example"}}}"#;
            assert_eq!(proof.predicate(), Some(predicate));
        }
    }
}

#[tokio::test]
async fn an_attestation_that_is_not_about_the_image_once_is_refused_though_genuine() {
    let fixture = Fixture::new().await;
    let image = fixture.image.digest().clone();
    let policy = provenance_policy(&fixture);
    let failure = |statement| refused(fixture.judge(&provenance(statement), &policy));
    let missing = Statement::of(other("a")).and_subject(other("b"));
    assert!(matches!(
        failure(missing),
        Failure::SubjectDigest { expected, .. } if expected == image
    ));
    let twice = fixture
        .statement()
        .and_subject(other("b"))
        .and_subject(image);
    assert!(matches!(
        failure(twice),
        Failure::SubjectRepeated { found: 2 }
    ));
    let algorithm = Digest::of(Algorithm::Sha512, b"image");
    assert!(matches!(
        failure(Statement::of(algorithm)),
        Failure::SubjectDigest { found, .. } if found == "no sha256 digest"
    ));
    assert!(matches!(
        failure(Statement::without_subject()),
        Failure::SubjectCount { found: 0 }
    ));
}

#[tokio::test]
async fn no_byte_of_a_predicate_can_be_changed() {
    let fixture = Fixture::new().await;
    let policy = provenance_policy(&fixture);
    for rekor in BOTH {
        let spec = provenance(fixture.statement()).rekor(rekor);
        let bundle = fixture.sigstore.issue(&spec).unwrap();
        assert!(fixture.judge_text(&bundle, &policy).is_ok());
        let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let payload = String::from_utf8(BASE64.decode(payload).unwrap()).unwrap();
        let altered = payload.replace("https://ci.example", "https://ci.exampl3");
        assert_ne!(altered, payload);
        bundle["dsseEnvelope"]["payload"] = json!(BASE64.encode(&altered));
        let failure = refused(fixture.judge_text(&bundle.to_string(), &policy));
        assert!(
            matches!(
                failure,
                Failure::Signature { .. } | Failure::TransparencyLog(_)
            ),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_rule_on_the_predicate_accepts_and_refuses() {
    let fixture = Fixture::new().await;
    let spec = provenance(fixture.statement());
    for (pointer, value) in [
        ("/runDetails/builder/id", "https://ci.example"),
        ("/runDetails/builder/id_regex", r"https://ci\..+"),
    ] {
        let policy = policy_on(&fixture, pointer, value);
        assert!(fixture.judge(&spec, &policy).is_ok(), "{pointer}");
    }
    for (pointer, value, expected) in [
        (
            "/runDetails/builder/id",
            "https://ci.example/2",
            "`https://ci.example`",
        ),
        ("/runDetails/builder/id_regex", "ci", "`https://ci.example`"),
        ("/runDetails/builder", "id", "an object with `id`"),
        (
            "/runDetails/builder/name_regex",
            ".*",
            "nothing there: `/runDetails/builder` is an object with `id`",
        ),
    ] {
        match fixture.violation(&spec, &policy_on(&fixture, pointer, value)) {
            Violation::Predicate { found, .. } => assert_eq!(found, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_predicate_that_readers_read_differently_is_refused_though_genuine() {
    let fixture = Fixture::new().await;
    let policy = provenance_policy(&fixture);
    let digest = fixture.image.digest().hex();
    for (predicate, why) in [
        (
            r#"{"a":{"id":"good","id":"evil"}}"#,
            "the key `id` is there twice",
        ),
        (
            &*format!("{}1{}", "[".repeat(500), "]".repeat(500)),
            "recursion limit exceeded",
        ),
    ] {
        let statement = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"{SLSA}","subject":[{{"digest":{{"sha256":"{digest}"}}}}],"predicate":{predicate}}}"#
        );
        let failure = refused(fixture.judge(&BundleSpec::new(statement, IDENTITY), &policy));
        assert!(
            matches!(&failure, Failure::Malformed { part: MalformedPart::Predicate, detail } if detail.starts_with(why)),
            "{failure:?}"
        );
    }
}
