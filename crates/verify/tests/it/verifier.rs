//! Finding an image's signatures in a registry.

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, Scene, kind, refusal};
use countersign_oci::http::proxy_url;
use countersign_oci::{Digest, Options, PlainHttp, Reference, Registry};
use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Effect, Fault, Flaw};
use countersign_verify::{
    Error, Failure, RefusalKind, TrustSource, TrustedRoot, TufNetwork, Verifier,
};
use serde_json::json;

const SOMEBODY: &str = "somebody@example.org";
const SBOM: &str = "https://spdx.dev/Document";

#[tokio::test]
async fn an_image_signed_once_is_proven_with_three_requests_after_it_was_resolved() {
    let stage = Stage::new().await;
    let signature = stage.scene.attach(stage.bundle_by(IDENTITY));
    let proof = stage.verify().await.unwrap();
    assert_eq!(proof.reference(), stage.scene.image.reference());
    assert_eq!(
        proof.evidence().signature_manifest,
        Some(signature.digest())
    );
    let digest = stage.scene.image.digest();
    let layer = &signature.manifest().layers[0].digest;
    assert_eq!(
        stage.scene.requests(),
        [
            format!("GET /v2/{PATH}/referrers/{digest}"),
            format!("GET /v2/{PATH}/manifests/{}", signature.digest()),
            format!("GET /v2/{PATH}/blobs/{layer}"),
        ]
    );
}

#[tokio::test]
async fn a_signature_in_another_repository_counts_where_the_policy_names_it() {
    let stage = Stage::new().await;
    let image = &stage.scene.image;
    let signature = Image::signature(image.descriptor(), stage.bundle_by(IDENTITY));
    signature.push(&stage.scene.server, "acme/signatures", None);
    let refused = stage.verify().await;
    assert_eq!(
        kind(&refused),
        Some(countersign_verify::RefusalKind::Unsigned)
    );
    let issuer = stage.sigstore.issuer();
    let host = stage.scene.server.host();
    let policy = |identity: &str| {
        crate::support::policy_with(|spec| {
            spec.issuer = Some(issuer.clone());
            spec.identity = Some(identity.into());
            spec.signature_sources = vec![format!("{host}/acme/signatures")];
        })
    };
    let verifier = stage.verifier();
    let proof = verifier.verify(image, &policy(IDENTITY)).await.unwrap();
    assert_eq!(proof.reference(), image.reference());
    assert_eq!(
        proof.evidence().signature_manifest,
        Some(signature.digest())
    );
    let refused = verifier.verify(image, &policy(SOMEBODY)).await;
    assert_eq!(
        kind(&refused),
        Some(countersign_verify::RefusalKind::Policy)
    );
    let mut limits = countersign_verify::Limits::default();
    limits.signature_sources = 0;
    let bounded = verifier.with_limits(limits);
    let refused = bounded.verify(image, &policy(IDENTITY)).await;
    assert_eq!(
        kind(&refused),
        Some(countersign_verify::RefusalKind::Unsigned)
    );
    let text = refused.unwrap_err().to_string();
    let told =
        "not searched: 1 of the `signature_sources`, because the policy names more than the limit";
    assert!(text.ends_with(told), "{text}");
}

/// How long a far registry takes to answer: longer than the head start that the referrers API has.
const FAR: std::time::Duration = std::time::Duration::from_millis(300);

#[tokio::test]
async fn a_tag_in_a_far_registry_takes_five_requests_with_and_without_the_referrers_api() {
    for referrers_api in [true, false] {
        let stage = Stage::of(Scene::with(referrers_api).await).await;
        let signature = stage.scene.attach(stage.bundle_by(IDENTITY));
        if !referrers_api {
            stage.scene.list_by_tag(vec![signature.descriptor()]);
        }
        let server = &stage.scene.server;
        server.add_fault(Fault::on("GET *", Effect::Delay(FAR)));
        // For a proxy's client the registry may have any name. One on this machine is not far away.
        let client = Registry::new(Options {
            proxy: Some(proxy_url(&server.origin()).unwrap()),
            plain_http: PlainHttp::Always,
            ..Options::default()
        });
        let root = TrustedRoot::from_json("sandbox", &stage.sigstore.trusted_root_json());
        let client = client.unwrap();
        let verifier = Verifier::new(client.clone(), root.unwrap());
        let reference: Reference = format!("registry.example/{PATH}:v1").parse().unwrap();
        let image = client.resolve(&reference).await.unwrap();
        let proof = verifier.verify(&image, &stage.policy()).await;
        assert!(proof.is_ok(), "{proof:?}");
        let subject = image.digest();
        // Both lists are asked for side by side: a test of the client shows it.
        let asked = [
            "manifests/v1".to_owned(),
            format!("referrers/{subject}"),
            format!("manifests/{}", subject.referrers_tag()),
            format!("manifests/{}", signature.digest()),
            format!("blobs/{}", Digest::sha256(&signature.layers()[0])),
        ];
        let asked = asked.map(|path| format!("GET /v2/{PATH}/{path}"));
        let requests = stage.scene.requests();
        assert_eq!(requests, asked);
    }
}

#[tokio::test]
async fn a_registry_that_holds_the_verification_up_gets_no_more_than_the_whole_time() {
    let stage = Stage::new().await;
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let stall = Fault::on("GET /v2/*/referrers/*", Effect::Stall { after: 1 });
    stage.scene.server.add_fault(stall);
    let mut limits = countersign_verify::Limits::default();
    limits.total = std::time::Duration::from_millis(50);
    let verifier = stage.verifier().with_limits(limits);
    let image = &stage.scene.image;
    match verifier.verify(image, &stage.policy()).await {
        Err(Error::Late { image: late, .. }) => assert_eq!(&late, image.reference()),
        other => panic!("expected Late, found {other:?}"),
    }
}

#[tokio::test]
async fn a_signature_listed_at_the_fallback_tag_by_a_wrong_descriptor_counts() {
    let stage = Stage::of(Scene::with(false).await).await;
    let signature = Image::signature(stage.scene.image.descriptor(), stage.bundle_by(IDENTITY));
    stage.scene.list(&signature);
    let mut descriptor = signature.descriptor();
    descriptor.artifact_type = Some("application/vnd.oci.empty.v1+json".into());
    stage.scene.list_by_tag(vec![descriptor]);
    let proof = stage.verify().await.unwrap();
    let manifest = proof.evidence().signature_manifest.clone();
    assert_eq!(manifest, Some(signature.digest()));
}

#[tokio::test]
async fn one_signature_that_passes_is_enough_whatever_else_is_there() {
    let stage = Stage::new().await;
    let scene = &stage.scene;
    scene.attach("not JSON");
    scene.attach(stage.bundle_by(SOMEBODY));
    scene.attach(
        stage.issue(&BundleSpec::new(stage.statement(), IDENTITY).flaw(Flaw::WrongInclusionProof)),
    );
    let sbom = stage.statement().predicate(SBOM, json!({}));
    scene.attach(stage.issue(&BundleSpec::new(sbom, IDENTITY)));
    scene.list(
        &Image::artifact("application/spdx+json")
            .subject(scene.image.descriptor())
            .layer("application/spdx+json", "{}")
            .build(),
    );
    let good = scene.attach(stage.bundle_by(IDENTITY));
    let proof = stage.verify().await.unwrap();
    assert_eq!(proof.evidence().signature_manifest, Some(good.digest()));
}

#[tokio::test]
async fn a_candidate_that_the_registry_withholds_does_not_spoil_one_that_passes() {
    let stage = Stage::new().await;
    let bad = stage.scene.attach(stage.bundle_by(SOMEBODY));
    let line = format!("GET /v2/{PATH}/manifests/{}", bad.digest());
    stage
        .scene
        .server
        .add_fault(Fault::on(&line, Effect::status(500)));
    let good = stage.scene.attach(stage.bundle_by(IDENTITY));
    let proof = stage.verify().await.unwrap();
    assert_eq!(proof.evidence().signature_manifest, Some(good.digest()));
}

#[tokio::test]
async fn what_calls_itself_a_signature_is_tried_before_anything_else_is_fetched() {
    let stage = Stage::of(Scene::with(false).await).await;
    let subject = stage.scene.image.descriptor();
    let signature = Image::signature(subject.clone(), stage.bundle_by(IDENTITY));
    stage.scene.list(&signature);
    let mut listed: Vec<_> = (0..100)
        .map(|number| {
            let artifact = Image::artifact("application/spdx+json")
                .subject(subject.clone())
                .layer("application/spdx+json", number.to_string())
                .build();
            stage.scene.list(&artifact);
            let mut descriptor = artifact.descriptor();
            descriptor.artifact_type = Some("application/spdx+json".into());
            descriptor
        })
        .collect();
    listed.push(signature.descriptor());
    stage.scene.list_by_tag(listed);
    let proof = stage.verify().await.unwrap();
    let manifest = proof.evidence().signature_manifest.clone();
    assert_eq!(manifest, Some(signature.digest()));
    assert!(
        !stage.scene.requests().iter().any(|line| {
            line.contains("/manifests/sha256:") && !line.ends_with(&signature.digest().to_string())
        }),
        "only the signature was fetched"
    );
}

#[tokio::test]
async fn a_refusal_lists_every_candidate_and_is_of_the_kind_that_came_furthest() {
    let stage = Stage::new().await;
    let sbom = stage.statement().predicate(SBOM, json!({}));
    stage
        .scene
        .attach(stage.issue(&BundleSpec::new(sbom, IDENTITY)));
    assert_eq!(kind(&stage.verify().await), Some(RefusalKind::Unsigned));
    stage.scene.attach(
        stage.issue(&BundleSpec::new(stage.statement(), IDENTITY).flaw(Flaw::WrongInclusionProof)),
    );
    assert_eq!(kind(&stage.verify().await), Some(RefusalKind::Invalid));
    stage.scene.attach(stage.bundle_by(SOMEBODY));
    let result = stage.verify().await;
    assert_eq!(kind(&result), Some(RefusalKind::Policy));
    let refusal = refusal(result);
    let count = |test: fn(&Failure) -> bool| {
        let failures = refusal.candidates.iter().map(|c| &c.failure);
        failures.filter(|failure| test(failure)).count()
    };
    assert_eq!(refusal.candidates.len(), 3);
    assert_eq!(count(|f| matches!(f, Failure::Attestation { .. })), 1);
    assert_eq!(count(|f| matches!(f, Failure::TransparencyLog(_))), 1);
    assert_eq!(count(|f| matches!(f, Failure::Policy(_))), 1);
}

#[tokio::test]
async fn a_refusal_by_the_policy_shows_the_nearest_miss() {
    let stage = Stage::new().await;
    stage
        .scene
        .attach(stage.bundle_by(&IDENTITY.replace("acme/app", "acme/app-evil")));
    insta::assert_snapshot!(stage.scene.told(stage.verify().await), @r"
    registry.example/acme/app@[image] is signed, but not as the policy requires:
      [0]…: a genuine signature, but not by the policy's signer: the issuer matches, but the identity does not
        expected  `https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main`
        found     `https://github.com/acme/app-evil/.github/workflows/release.yml@refs/heads/main`
                                              ^ first difference
    ");
}

#[tokio::test]
async fn a_refusal_of_a_broken_signature_says_what_is_broken() {
    let stage = Stage::new().await;
    stage.scene.attach(
        stage.issue(
            &BundleSpec::new(stage.statement(), IDENTITY).flaw(Flaw::NoCertificateTimestamp),
        ),
    );
    insta::assert_snapshot!(stage.scene.told(stage.verify().await), @r"
    registry.example/acme/app@[image] has no valid signature:
      [0]…: the certificate is not trusted: invalid signed certificate timestamp: certificate is missing SCT extension (Signed Certificate Timestamp)
    ");
}

#[tokio::test]
async fn a_long_running_verifier_gets_its_root_from_tuf() {
    let stage = Stage::new().await;
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let cache = tempfile::tempdir().unwrap();
    let source = TrustSource::Tuf {
        url: stage.sigstore.tuf_url(),
        root: stage.sigstore.tuf_root(),
        cache: cache.path().to_owned(),
        network: TufNetwork::Online,
    };
    let verifier = Verifier::with_source(stage.scene.client.clone(), source);
    for _ in 0..2 {
        let proof = verifier.verify(&stage.scene.image, &stage.policy()).await;
        assert_eq!(proof.unwrap().digest(), stage.scene.image.digest());
    }
}

#[tokio::test]
async fn without_a_trusted_root_nothing_is_proven() {
    let stage = Stage::new().await;
    stage.scene.attach(stage.bundle_by(IDENTITY));
    let source = TrustSource::File {
        name: "root.json".into(),
        json: "{}".into(),
    };
    let verifier = Verifier::with_source(stage.scene.client.clone(), source);
    let result = verifier.verify(&stage.scene.image, &stage.policy()).await;
    assert!(matches!(result, Err(Error::Trust(_))), "{result:?}");
}
