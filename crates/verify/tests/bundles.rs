//! Bundles as a local Sigstore issues them, good or with one flaw each, judged by the core alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may panic, as the test may"
)]

mod support;

use countersign_oci::{Descriptor, Digest, ResolvedImage, media_type};
use countersign_policy::{Claim, Miss, Policy, Violation};
use countersign_sandbox::{BundleSpec, Flaw, RekorVersion, Sigstore, Statement};
use countersign_verify::{
    CertificateError, Evidence, Failure, RefusalKind, TimestampError, TransparencyLogError,
    TrustedRoot, VerifiedImage, verify_bundle,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::{IDENTITY, policy, policy_with};

const BOTH: [RekorVersion; 2] = [RekorVersion::V1, RekorVersion::V2];

struct Fixture {
    sigstore: Sigstore,
    root: TrustedRoot,
    image: ResolvedImage,
}

impl Fixture {
    async fn new() -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        let root = TrustedRoot::from_json("sandbox", &sigstore.trusted_root_json()).unwrap();
        let config = serde_json::to_string(&Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        let repository = "registry.example/acme/app".parse().unwrap();
        let image = ResolvedImage::from_bytes(&repository, manifest.into(), None).unwrap();
        Self {
            sigstore,
            root,
            image,
        }
    }

    fn statement(&self) -> Statement {
        Statement::of(self.image.digest().clone())
    }

    fn good(&self) -> BundleSpec {
        BundleSpec::new(self.statement(), IDENTITY)
    }

    fn issuer(&self) -> String {
        self.sigstore.oidc_issuer().to_string()
    }

    fn policy(&self) -> Policy {
        policy(&self.certified_issuer(), IDENTITY)
    }

    /// The issuer as certificates have it.
    fn certified_issuer(&self) -> String {
        self.issuer().trim_end_matches('/').to_owned()
    }

    fn judge(&self, spec: &BundleSpec, policy: &Policy) -> Result<VerifiedImage, Failure> {
        let bundle = self.sigstore.issue(spec).unwrap();
        self.judge_text(&bundle, policy)
    }

    fn judge_text(&self, bundle: &str, policy: &Policy) -> Result<VerifiedImage, Failure> {
        verify_bundle(&self.image, bundle.as_bytes(), &self.root, policy)
    }

    fn failure(&self, spec: &BundleSpec) -> Failure {
        refused(self.judge(spec, &self.policy()))
    }

    /// The failure of a good bundle after a change to its JSON.
    fn failure_after(&self, change: impl FnOnce(&mut Value)) -> Failure {
        let bundle = self.sigstore.issue(&self.good()).unwrap();
        let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
        change(&mut bundle);
        refused(self.judge_text(&bundle.to_string(), &self.policy()))
    }

    /// The policy's objection to a bundle that is good in itself.
    fn violation(&self, spec: &BundleSpec, policy: &Policy) -> Violation {
        let failure = refused(self.judge(spec, policy));
        assert_eq!(failure.kind(), RefusalKind::Policy);
        match failure {
            Failure::Policy(violation) => *violation,
            other => panic!("{other:?}"),
        }
    }
}

fn refused(result: Result<VerifiedImage, Failure>) -> Failure {
    match result {
        Ok(proof) => panic!("expected a failure, found {proof:?}"),
        Err(failure) => failure,
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn a_good_bundle_proves_who_signed_what_and_when() {
    let fixture = Fixture::new().await;
    let before = Timestamp::now() - SignedDuration::from_secs(2);
    for rekor in BOTH {
        let spec = BundleSpec::new(
            fixture
                .statement()
                .name("acme/app")
                .annotation("key", "value"),
            IDENTITY,
        )
        .rekor(rekor)
        .claim(20, "push");
        let proof = fixture.judge(&spec, &fixture.policy()).unwrap();
        assert_eq!(proof.digest(), fixture.image.digest());
        let evidence = proof.evidence();
        assert_eq!(evidence.digest, *fixture.image.digest());
        assert_eq!(evidence.identity, IDENTITY);
        assert_eq!(evidence.issuer, fixture.certified_issuer());
        assert_eq!(evidence.signed_at.len(), 1);
        assert!(evidence.signed_at[0] >= before, "{evidence:?}");
        assert!(evidence.log_index.is_some());
        assert_eq!(evidence.log_id.as_ref().map(String::len), Some(64));
        assert_eq!(evidence.annotations["key"], "value");
        assert_eq!(evidence.claims["build_trigger"], "push");
        assert_eq!(evidence.subject_name.as_deref(), Some("acme/app"));
        assert_eq!(evidence.signature_manifest, None);
        let record = serde_json::to_string(evidence).unwrap();
        let read: Evidence = serde_json::from_str(&record).unwrap();
        assert_eq!(read, *evidence);
    }
}

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
            part: "in-toto statement",
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
            matches!(
                failure,
                Failure::BundleVersion { .. } | Failure::Malformed { .. }
            ),
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
        Failure::NoCertificate {
            found: "a certificate chain"
        }
    ));
    let two_signatures = fixture.failure_after(|bundle| {
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    });
    assert!(matches!(
        two_signatures,
        Failure::Malformed { part: "bundle", .. }
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
async fn a_bundle_that_two_readers_could_read_differently_is_refused() {
    let fixture = Fixture::new().await;
    let good = fixture.sigstore.issue(&fixture.good()).unwrap();
    let envelope = &serde_json::from_str::<Value>(&good).unwrap()["dsseEnvelope"];
    let twice = format!(r#"{{"dsseEnvelope":{envelope},{}"#, &good[1..]);
    assert!(matches!(
        refused(fixture.judge_text(&twice, &fixture.policy())),
        Failure::Malformed { part: "bundle", .. }
    ));
}

#[tokio::test]
async fn each_field_of_a_policy_refuses_on_its_own() {
    let fixture = Fixture::new().await;
    let issuer = fixture.certified_issuer();
    let refused = |change: &dyn Fn(&mut countersign_policy::PolicySpec)| {
        let policy = policy_with(|spec| {
            spec.issuer = Some(issuer.clone());
            spec.identity = Some(IDENTITY.into());
            change(spec);
        });
        fixture.violation(&fixture.good(), &policy)
    };
    let miss = |violation| match violation {
        Violation::Signer(mismatch) => mismatch.nearest().unwrap().clone(),
        other => panic!("{other:?}"),
    };
    let other_issuer = miss(refused(&|spec| {
        spec.issuer = Some("https://issuer.example".into());
    }));
    assert!(matches!(other_issuer, Miss::Issuer(m) if m.found == issuer));
    let other_identity = miss(refused(&|spec| {
        spec.identity = Some("somebody@example.org".into());
    }));
    assert!(matches!(other_identity, Miss::Identity(m) if m.found == IDENTITY));
    let part = miss(refused(&|spec| {
        spec.identity = None;
        spec.identity_regex = Some("https://github.com/acme/app".into());
    }));
    assert!(matches!(part, Miss::Identity(m) if m.found == IDENTITY));
    let claim = miss(refused(&|spec| {
        spec.claims.insert("build_trigger".into(), "push".into());
    }));
    assert!(matches!(
        claim,
        Miss::Claim {
            claim: Claim::BuildTrigger,
            found: None,
            ..
        }
    ));
    assert!(matches!(
        refused(&|spec| spec.not_before = Some("2099-01-01T00:00:00Z".into())),
        Violation::SignedBefore { .. }
    ));
    assert!(matches!(
        refused(&|spec| {
            spec.annotations.insert("key".into(), "value".into());
        }),
        Violation::Annotation { found: None, .. }
    ));
    assert!(matches!(
        refused(&|spec| spec.deny_digests = vec![fixture.image.digest().to_string()]),
        Violation::DeniedDigest { .. }
    ));
    assert!(matches!(
        refused(&|spec| spec.bind_name = true),
        Violation::Name { found: None, .. }
    ));
}

#[tokio::test]
async fn an_identity_that_extends_the_one_wanted_is_refused() {
    let fixture = Fixture::new().await;
    let wanted = policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity_regex = Some("https://github\\.com/acme/app/.*".into());
    });
    let spec = |identity: &str| BundleSpec::new(fixture.statement(), identity);
    let proof = fixture.judge(&spec(IDENTITY), &wanted).unwrap();
    assert_eq!(proof.evidence().identity, IDENTITY);
    for evil in [
        "https://github.com/acme/app-evil/.github/workflows/release.yml@refs/heads/main",
        "https://evil.example/?https://github.com/acme/app/release.yml",
        "https://githubXcom/acme/app/release.yml",
    ] {
        assert!(matches!(
            fixture.violation(&spec(evil), &wanted),
            Violation::Signer(_)
        ));
    }
}

#[tokio::test]
async fn every_verified_time_must_be_at_or_after_not_before() {
    let fixture = Fixture::new().await;
    let (early, bound) = (hours_ago(30), hours_ago(30) + SignedDuration::from_mins(3));
    let late = early + SignedDuration::from_mins(6);
    let policy = policy_with(|spec| {
        spec.issuer = Some(fixture.certified_issuer());
        spec.identity = Some(IDENTITY.into());
        spec.not_before = Some(bound.to_string());
    });
    let signed = |logged, stamped| {
        fixture
            .good()
            .signed_at(early)
            .logged_at(logged)
            .timestamped_at(stamped)
    };
    for (logged, stamped) in [(early, late), (late, early), (early, early)] {
        assert!(matches!(
            fixture.violation(&signed(logged, stamped), &policy),
            Violation::SignedBefore { not_before, .. } if not_before == bound
        ));
    }
    let proof = fixture.judge(&signed(late, late), &policy).unwrap();
    assert!(proof.evidence().signed_at.iter().all(|at| *at >= bound));
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

/// Whichever byte of a good bundle is changed, the bundle is refused, or it proves exactly what it
/// proved before.
async fn change_every_byte(rekor: RekorVersion) {
    let fixture = Fixture::new().await;
    let policy = policy_with(|spec| {
        spec.issuer_regex = Some(".*".into());
        spec.identity_regex = Some(".*".into());
    });
    let spec = fixture.good().rekor(rekor).claim(20, "push");
    let bundle = fixture.sigstore.issue(&spec).unwrap().into_bytes();
    let judge = |bundle: &[u8]| verify_bundle(&fixture.image, bundle, &fixture.root, &policy);
    let proven = judge(&bundle).unwrap().evidence().clone();
    let mut changed = bundle.clone();
    for at in 0..bundle.len() {
        for flip in [0x01, 0x20] {
            changed[at] ^= flip;
            if let Ok(proof) = judge(&changed) {
                let context = String::from_utf8_lossy(&changed[at.saturating_sub(40)..=at]);
                assert_eq!(*proof.evidence(), proven, "byte {at} after `{context}`");
            }
            changed[at] = bundle[at];
        }
    }
}

#[tokio::test]
async fn no_byte_of_a_rekor_v1_bundle_can_be_changed_to_any_effect() {
    change_every_byte(RekorVersion::V1).await;
}

#[tokio::test]
async fn no_byte_of_a_rekor_v2_bundle_can_be_changed_to_any_effect() {
    change_every_byte(RekorVersion::V2).await;
}
