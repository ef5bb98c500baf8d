//! Simple signing, the legacy form of cosign's signatures: judged as strictly as a bundle, except that the log's
//! promise is enough.

mod annotations;
mod attacks;

use countersign_oci::Descriptor;
use countersign_policy::{Policy, PolicySpec, SignatureFormat, Violation};
use countersign_sandbox::{
    BundleSpec, CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, Effect, Fault, Flaw, LOG_ANNOTATION,
    SIGNATURE_ANNOTATION, SimpleSignature, SimpleSigningPlace, push_simple_signing,
    simple_signing_payload,
};
use countersign_verify::{AttachedContent, Error, Failure, Limits, RefusalKind, VerifiedImage};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, failure, policy_with, refusal};

const STRANGER: &str = "https://github.com/eve/app/.github/workflows/release.yml@refs/heads/main";

/// The repository that the image is in.
fn repository(stage: &Stage) -> String {
    stage.scene.image.reference().location().to_string()
}

fn payload(stage: &Stage) -> Vec<u8> {
    let digest = stage.scene.image.digest();
    simple_signing_payload(digest, &repository(stage), &Value::Null)
}

fn sign(stage: &Stage, payload: Vec<u8>, identity: &str) -> SimpleSignature {
    let spec = BundleSpec::new(payload, identity);
    stage.sigstore.issue_simple_signing(&spec).unwrap()
}

fn good(stage: &Stage) -> SimpleSignature {
    sign(stage, payload(stage), IDENTITY)
}

fn push(stage: &Stage, place: SimpleSigningPlace, signatures: &[SimpleSignature]) {
    let image = stage.scene.image.descriptor();
    push_simple_signing(&stage.scene.server, PATH, &image, place, signatures);
}

/// A policy that accepts these forms of signatures.
fn accepting(stage: &Stage, formats: &[&str], change: impl FnOnce(&mut PolicySpec)) -> Policy {
    policy_with(|spec| {
        spec.issuer = Some(stage.sigstore.issuer());
        spec.identity = Some(IDENTITY.into());
        spec.signature_formats = formats.iter().map(|&name| name.into()).collect();
        change(spec);
    })
}

fn both(stage: &Stage) -> Policy {
    accepting(stage, &["bundle", "simple_signing"], |_| {})
}

async fn verify(stage: &Stage, policy: &Policy) -> Result<VerifiedImage, Error> {
    stage.verifier().verify(&stage.scene.image, policy).await
}

/// The verdict on one signature at the tag.
async fn verdict(
    signature: impl FnOnce(&Stage) -> SimpleSignature,
) -> Result<VerifiedImage, Error> {
    let stage = Stage::new().await;
    push(&stage, SimpleSigningPlace::Tag, &[signature(&stage)]);
    verify(&stage, &both(&stage)).await
}

#[tokio::test]
async fn a_legacy_signature_is_accepted_at_its_tag_and_among_the_referrers() {
    for place in [SimpleSigningPlace::Tag, SimpleSigningPlace::Referrer] {
        let stage = Stage::new().await;
        push(&stage, place, &[good(&stage)]);
        let proof = verify(&stage, &both(&stage)).await.unwrap();
        assert_eq!(proof.digest(), stage.scene.image.digest());
        let evidence = proof.evidence();
        assert_eq!(evidence.format, SignatureFormat::SimpleSigning);
        assert_eq!(evidence.signer.to_string(), IDENTITY);
        assert_eq!(evidence.subject_name, Some(repository(&stage)));
        assert_eq!(evidence.signed_at.len(), 1);
        assert!(evidence.log_index.is_some() && evidence.log_id.is_some());
        assert!(evidence.signature_manifest.is_some());
    }
}

#[tokio::test]
async fn a_policy_that_accepts_bundles_only_names_both_ways_out() {
    for place in [SimpleSigningPlace::Tag, SimpleSigningPlace::Referrer] {
        let stage = Stage::new().await;
        push(&stage, place, &[good(&stage)]);
        let result = verify(&stage, &stage.policy()).await;
        let failure = failure(result);
        assert!(matches!(failure, Failure::LegacySignature));
        let text = failure.to_string();
        for way_out in [
            "countersign sign",
            "signature_formats: [bundle, simple_signing]",
        ] {
            assert!(text.contains(way_out), "{text}");
        }
    }
}

#[tokio::test]
async fn a_policy_that_accepts_the_legacy_form_only_refuses_a_bundle() {
    let stage = Stage::new().await;
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let policy = accepting(&stage, &["simple_signing"], |_| {});
    match failure(verify(&stage, &policy).await) {
        Failure::Policy(violation) => assert_eq!(
            *violation,
            Violation::Format {
                expected: vec![SignatureFormat::SimpleSigning],
                found: SignatureFormat::Bundle,
            }
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bundle_still_needs_its_inclusion_proof() {
    let stage = Stage::new().await;
    let spec = BundleSpec::new(stage.statement(), IDENTITY).flaw(Flaw::NoInclusionProof);
    stage.scene.attach(stage.issue(&spec));
    let refused = failure(verify(&stage, &both(&stage)).await);
    assert_eq!(refused.kind(), RefusalKind::Invalid, "{refused:?}");
}

#[tokio::test]
async fn the_payload_is_what_was_signed_and_about_this_image() {
    let changed = verdict(|stage| {
        let mut signature = good(stage);
        signature.payload.push(b' ');
        signature
    });
    let changed = failure(changed.await);
    assert_eq!(changed.kind(), RefusalKind::Invalid, "{changed:?}");

    let about = |change: fn(&mut Value)| {
        verdict(move |stage| {
            let mut payload: Value = serde_json::from_slice(&payload(stage)).unwrap();
            change(&mut payload);
            sign(stage, payload.to_string().into(), IDENTITY)
        })
    };
    let other = about(|payload| {
        let digest = format!("sha256:{}", "0".repeat(64));
        payload["critical"]["image"]["docker-manifest-digest"] = json!(digest);
    });
    let other = failure(other.await);
    assert!(matches!(other, Failure::SubjectDigest { .. }), "{other:?}");
    for kind in [
        "",
        "atomic container signature",
        "cosign container image signature ",
    ] {
        let result = verdict(|stage| {
            let mut payload: Value = serde_json::from_slice(&payload(stage)).unwrap();
            payload["critical"]["type"] = json!(kind);
            sign(stage, payload.to_string().into(), IDENTITY)
        });
        match failure(result.await) {
            Failure::PayloadType { found, .. } => assert_eq!(found, kind.trim()),
            other => panic!("{other:?}"),
        }
    }
    for change in [
        (|payload| payload["critical"] = json!({})) as fn(&mut Value),
        |payload| payload["critical"]["identity"] = json!({}),
        |payload| payload["optional"] = json!([]),
    ] {
        let malformed = failure(about(change).await);
        assert!(
            matches!(malformed, Failure::Malformed { .. }),
            "{malformed:?}"
        );
    }
}

#[tokio::test]
async fn every_layer_is_tried_within_the_limit() {
    let stage = Stage::new().await;
    let strangers = sign(&stage, payload(&stage), STRANGER);
    let layers = [good(&stage), strangers.clone(), strangers.clone()];
    push(&stage, SimpleSigningPlace::Tag, &layers);
    let _proof = verify(&stage, &both(&stage)).await.unwrap();

    let mut limits = countersign_verify::Limits::default();
    limits.candidates = 2;
    let verifier = stage.verifier().with_limits(limits);
    let refusal = refusal(verifier.verify(&stage.scene.image, &both(&stage)).await);
    assert_eq!((refusal.candidates.len(), refusal.untried), (2, 1));
    assert_eq!(refusal.kind(), RefusalKind::Policy);
    // New ones are appended, so the last are the newest.
    let layers = [strangers.clone(), strangers, good(&stage)];
    push(&stage, SimpleSigningPlace::Tag, &layers);
    let _proof = verifier
        .verify(&stage.scene.image, &both(&stage))
        .await
        .unwrap();
}

#[tokio::test]
async fn referrers_and_the_layers_of_each_have_one_limit() {
    let stage = Stage::new().await;
    let strangers = sign(&stage, payload(&stage), STRANGER);
    // Four referrers of two signatures each are 12 candidates.
    for count in 0..4 {
        let mut one = strangers.clone();
        one.annotations.insert("number".into(), count.to_string());
        push(&stage, SimpleSigningPlace::Referrer, &[one.clone(), one]);
    }
    stage.scene.server.reset_requests();
    let mut limits = countersign_verify::Limits::default();
    limits.candidates = 5;
    limits.concurrency = 1;
    let verifier = stage.verifier().with_limits(limits);
    let refusal = refusal(verifier.verify(&stage.scene.image, &both(&stage)).await);
    // A referrer and its two signatures, another and the first of its two; then the limit is reached.
    assert_eq!((refusal.candidates.len(), refusal.untried), (3, 3));
    let payloads = stage.scene.server.requests();
    let payloads = payloads.iter().filter(|one| one.path.contains("/blobs/"));
    assert_eq!(payloads.count(), 3);
}

#[tokio::test]
async fn a_referrer_of_another_image_is_refused() {
    let stage = Stage::with_referrers_by_tag().await;
    let other = Descriptor {
        digest: countersign_oci::Digest::sha256(b"other"),
        ..stage.scene.image.descriptor()
    };
    let manifest = push_simple_signing(
        &stage.scene.server,
        PATH,
        &other,
        SimpleSigningPlace::Referrer,
        &[good(&stage)],
    );
    let reference = stage.scene.image.reference().location().at(manifest);
    let listed = stage.scene.client.manifest(&reference).await.unwrap();
    stage.scene.list_by_tag(vec![listed.descriptor()]);
    let refused = failure(verify(&stage, &both(&stage)).await);
    assert!(
        matches!(refused, Failure::OtherSubject { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn every_condition_of_the_policy_holds_for_the_legacy_form() {
    let stage = Stage::new().await;
    let optional = json!({ "tier": "stable", "creator": null });
    let digest = stage.scene.image.digest();
    let payload = simple_signing_payload(digest, &repository(&stage), &optional);
    let signed_at = Timestamp::now() - SignedDuration::from_hours(48);
    let spec = BundleSpec::new(payload, IDENTITY)
        .signed_at(signed_at)
        .claim(20, "push");
    let signature = stage.sigstore.issue_simple_signing(&spec).unwrap();
    push(&stage, SimpleSigningPlace::Tag, &[signature]);
    let day = SignedDuration::from_hours(24);
    let earlier = (signed_at - day).to_string();
    let later = (signed_at + day).to_string();
    let accepted = accepting(&stage, &["simple_signing"], |spec| {
        spec.not_before = Some(earlier);
        spec.annotations = [("tier".into(), "stable".into())].into();
        spec.claims = [("build_trigger".into(), "push".into())].into();
        spec.bind_name = true;
    });
    let _proof = verify(&stage, &accepted).await.unwrap();

    type Change = Box<dyn FnOnce(&mut PolicySpec)>;
    let changes: [(&str, Change); 6] = [
        (
            "issuer",
            Box::new(|spec| spec.issuer = Some("https://issuer.example".into())),
        ),
        (
            "identity",
            Box::new(|spec| spec.identity = Some(STRANGER.into())),
        ),
        ("not_before", Box::new(|spec| spec.not_before = Some(later))),
        (
            "annotations",
            Box::new(|spec| spec.annotations = [("tier".into(), "beta".into())].into()),
        ),
        (
            "claims",
            Box::new(|spec| spec.claims = [("build_trigger".into(), "fork".into())].into()),
        ),
        (
            "predicate_types",
            Box::new(|spec| spec.predicate_types = vec!["https://slsa.dev/provenance/v1".into()]),
        ),
    ];
    for (key, change) in changes {
        let policy = accepting(&stage, &["simple_signing"], change);
        let refused = failure(verify(&stage, &policy).await);
        assert!(matches!(refused, Failure::Policy(_)), "{key}: {refused:?}");
    }
}

#[tokio::test]
async fn a_name_without_a_tag_binds_the_repository_only() {
    let names = |name: fn(&Stage) -> String| async move {
        let stage = Stage::new().await;
        let digest = stage.scene.image.digest();
        let payload = simple_signing_payload(digest, &name(&stage), &Value::Null);
        let signature = sign(&stage, payload, IDENTITY);
        push(&stage, SimpleSigningPlace::Tag, &[signature]);
        let policy = accepting(&stage, &["simple_signing"], |spec| spec.bind_name = true);
        match verify(&stage, &policy).await {
            Ok(_proof) => true,
            refused => match failure(refused) {
                Failure::Policy(violation) => {
                    assert!(
                        matches!(*violation, Violation::Name { .. }),
                        "{violation:?}"
                    );
                    false
                }
                other => panic!("{other:?}"),
            },
        }
    };
    // The image was requested as `v1`.
    assert!(names(repository).await);
    assert!(names(|stage| format!("{}:v1", repository(stage))).await);
    assert!(!names(|stage| format!("{}:v2", repository(stage))).await);
    assert!(!names(|stage| format!("{}-other", repository(stage))).await);
    assert!(!names(|_| String::new()).await);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_about_the_tag_is_no_refusal() {
    let stage = Stage::new().await;
    let tag = format!("sha256-{}.sig", stage.scene.image.digest().hex());
    let path = format!("GET /v2/{PATH}/manifests/{tag}");
    let fault = Fault::on(&path, Effect::status(503));
    stage.scene.server.add_fault(fault);
    let result = verify(&stage, &both(&stage)).await;
    assert!(matches!(result, Err(Error::Registry(_))), "{result:?}");
}

#[tokio::test]
async fn the_tag_is_read_only_if_no_bundle_passes() {
    let stage = Stage::new().await;
    push(&stage, SimpleSigningPlace::Tag, &[good(&stage)]);
    stage.scene.attach(stage.bundle_by(IDENTITY));
    stage.scene.server.reset_requests();
    let proof = verify(&stage, &both(&stage)).await.unwrap();
    assert_eq!(proof.evidence().format, SignatureFormat::Bundle);
    let requests = stage.scene.requests();
    assert!(
        !requests.iter().any(|line| line.ends_with(".sig")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_survey_says_how_many_signatures_of_a_manifest_it_has_not_read() {
    let stage = Stage::new().await;
    let stranger = |number: u64| {
        let identity = format!("{STRANGER}/{number}");
        sign(&stage, payload(&stage), &identity)
    };
    let signatures: Vec<SimpleSignature> = (0..3).map(stranger).collect();
    push(&stage, SimpleSigningPlace::Tag, &signatures);
    let mut limits = Limits::default();
    limits.candidates = 2;
    let verifier = stage.verifier().with_limits(limits);
    let survey = verifier.survey(&stage.scene.image, None).await.unwrap();
    assert_eq!(survey.untried, 1);
    let AttachedContent::Signatures(read) = &survey.attached[0].content else {
        panic!("{:?}", survey.attached);
    };
    let signers: Vec<String> = read
        .iter()
        .map(|one| one.record.as_ref().unwrap().signer.to_string())
        .collect();
    assert_eq!(signers, [1, 2].map(|number| format!("{STRANGER}/{number}")));
}

#[tokio::test]
async fn a_survey_fetches_no_more_than_its_limit_from_all_manifests_together() {
    let stage = Stage::new().await;
    let mut signed =
        (0..).map(|number| sign(&stage, payload(&stage), &format!("{STRANGER}/{number}")));
    for _manifest in 0..2 {
        let three: Vec<SimpleSignature> = signed.by_ref().take(3).collect();
        push(&stage, SimpleSigningPlace::Referrer, &three);
    }
    let mut limits = Limits::default();
    limits.candidates = 4;
    let verifier = stage.verifier().with_limits(limits);
    stage.scene.server.reset_requests();
    let survey = verifier.survey(&stage.scene.image, None).await.unwrap();
    let read = survey.attached.iter().map(|one| match &one.content {
        AttachedContent::Signatures(read) => read.len(),
        other => panic!("{other:?}"),
    });
    // Two referrers, and two signatures of the first.
    assert_eq!(read.collect::<Vec<_>>(), [2, 0]);
    assert_eq!(survey.untried, 4);
    let requests = stage.scene.requests();
    let blobs = requests.iter().filter(|line| line.contains("/blobs/"));
    assert_eq!(blobs.count(), 2, "{requests:?}");
}
