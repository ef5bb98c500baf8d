//! Runs after runs: what is signed is left alone, and what isn't is signed.

use std::collections::BTreeMap;

use countersign_policy::PolicySpec;
use countersign_sandbox::Service;
use countersign_sign::{IdentityToken, RekorVersion, Signed, SigningOutcome, WrittenFormats};

use crate::common::{IDENTITY, Stage};

fn outcomes(signed: &[Signed]) -> Vec<SigningOutcome> {
    signed.iter().map(|one| one.outcome).collect()
}

#[tokio::test]
async fn another_run_adds_nothing() {
    for stage in [Stage::new().await, Stage::without_referrers_api().await] {
        stage.two_platforms();
        let first = stage.sign().await.unwrap();
        assert_eq!(outcomes(&first), [SigningOutcome::Signed; 3]);
        let asked = stage.sigstore.requests();
        stage.registry.reset_requests();

        let second = stage.sign().await.unwrap();
        assert_eq!(outcomes(&second), [SigningOutcome::AlreadySigned; 3]);
        for (one, other) in first.iter().zip(&second) {
            assert_eq!(one.digest, other.digest);
            assert_eq!(one.signature_manifest, other.signature_manifest);
            assert_eq!(one.evidence, other.evidence);
        }
        assert_eq!(stage.sigstore.requests(), asked);
        assert_eq!(stage.writes(), [""; 0]);
    }
}

#[tokio::test]
async fn what_is_missing_is_signed() {
    let stage = Stage::new().await;
    let index = stage.two_platforms();
    let child = stage.reference(&format!("@{}", index.images()[0].digest()));
    let (token, none) = (stage.token(), BTreeMap::new());
    let tagged = child
        .with_tag("v1")
        .unwrap()
        .pinned_to(index.images()[0].digest());
    let signer = stage.signer().with_tags(countersign_sign::Tags::Later);
    let signed = signer.sign(&[tagged], &token, &none, &|_| {}).await;
    assert_eq!(outcomes(&signed.unwrap()), [SigningOutcome::Signed]);

    let signed = stage.sign().await.unwrap();
    let expected = [
        SigningOutcome::Signed,
        SigningOutcome::AlreadySigned,
        SigningOutcome::Signed,
    ];
    assert_eq!(outcomes(&signed), expected);
}

#[tokio::test]
async fn it_is_signed_again_on_request() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    let signed = stage.sign_again(stage.signer()).await.unwrap();
    assert_eq!(outcomes(&signed), [SigningOutcome::Signed]);
    assert_eq!(stage.listed(&image.digest()).await.len(), 2);
}

#[tokio::test]
async fn another_s_signature_another_name_and_other_annotations_count_for_nothing() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    image.push(&stage.registry, crate::common::PATH, Some("v2"));
    let by = |who: &str| IdentityToken::from_jwt(&stage.sigstore.token(who)).unwrap();
    let annotations = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
    let none = BTreeMap::new();
    let mut expected = 0;
    for (who, tag, annotations) in [
        (format!("{IDENTITY}-other"), ":v1", &none),
        (IDENTITY.to_owned(), ":v2", &none),
        (IDENTITY.to_owned(), ":v1", &none),
        (IDENTITY.to_owned(), ":v1", &annotations),
    ] {
        let references = [stage.reference(tag)];
        let signer = stage.signer();
        let token = by(&who);
        let signed = signer.sign(&references, &token, annotations, &|_| {});
        assert_eq!(outcomes(&signed.await.unwrap()), [SigningOutcome::Signed]);
        expected += 1;
        assert_eq!(stage.listed(&image.digest()).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_signature_with_exactly_these_annotations_counts() {
    for formats in [WrittenFormats::Bundle, WrittenFormats::SimpleSigning] {
        let stage = Stage::new().await;
        stage.one_image();
        let signer = stage.signer_by(RekorVersion::V1).with_formats(formats);
        let (references, token) = ([stage.reference(":v1")], stage.token());
        let more = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
        let none = BTreeMap::new();
        for (annotations, expected) in [
            (&more, SigningOutcome::Signed),
            (&none, SigningOutcome::Signed),
            // Now both are there, whichever is found first.
            (&none, SigningOutcome::AlreadySigned),
            (&more, SigningOutcome::AlreadySigned),
        ] {
            let signed = signer.sign(&references, &token, annotations, &|_| {});
            let signed = signed.await.unwrap();
            assert_eq!(outcomes(&signed), [expected], "{formats:?} {annotations:?}");
            assert_eq!(signed[0].evidence.annotations, *annotations);
        }
    }
}

#[tokio::test]
async fn a_signature_that_the_installer_s_policy_refuses_does_not_count() {
    let stage = Stage::new().await;
    stage.one_image();
    let first = stage.sign().await.unwrap().remove(0);
    let since = first
        .evidence
        .signer
        .certificate()
        .unwrap()
        .certificate_not_before;
    let signed = |change: &dyn Fn(&mut PolicySpec)| {
        let signer = stage.signer();
        signer.with_consumer_policy(stage.policy(|spec| change(spec)))
    };
    let accepting = signed(&|_| {});
    let signed_now = stage.sign_with(&accepting).await.unwrap();
    assert_eq!(outcomes(&signed_now), [SigningOutcome::AlreadySigned]);

    // Certificates count in whole seconds.
    let later = since + jiff::SignedDuration::from_secs(2);
    let wait = later.duration_since(jiff::Timestamp::now());
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    let strict = signed(&|spec| spec.not_before = Some(later.to_string()));
    let signed_now = stage.sign_with(&strict).await.unwrap();
    assert_eq!(outcomes(&signed_now), [SigningOutcome::Signed]);
    let signed_now = stage.sign_with(&strict).await.unwrap();
    assert_eq!(outcomes(&signed_now), [SigningOutcome::AlreadySigned]);
}

#[tokio::test]
async fn where_only_the_certificate_tells_who_signs_it_is_asked_for_and_nothing_else() {
    let stage = Stage::new().await;
    stage.two_platforms();
    let pipeline = serde_json::json!({"pipeline": "release"});
    let token = stage.sigstore.token_with(IDENTITY, &pipeline);
    let token = IdentityToken::from_jwt(&token).unwrap();
    let (references, none) = ([stage.reference(":v1")], BTreeMap::new());
    for expected in [SigningOutcome::Signed, SigningOutcome::AlreadySigned] {
        let signer = stage.signer();
        let signed = signer.sign(&references, &token, &none, &|_| {}).await;
        assert_eq!(outcomes(&signed.unwrap()), [expected; 3]);
    }
    assert_eq!(stage.answers(Service::Fulcio), [200, 200]);
    assert_eq!(stage.answers(Service::RekorV1), [201; 3]);
}
