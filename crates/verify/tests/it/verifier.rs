//! Finding an image's signatures in a registry, and where trust goes from there.

use crate::support::{IDENTITY, PATH, Scene, kind, policy, refusal};
use countersign_oci::{Descriptor, Digest, Registry, ResolvedImage, media_type};
use countersign_policy::Policy;
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{BundleSpec, Effect, Fault, Flaw, Sigstore, Statement};
use countersign_verify::{
    Error, Failure, RefusalKind, SignedDocument, TrustSource, TrustedRoot, VerifiedImage, Verifier,
    verify_platform,
};
use serde_json::json;

const SOMEBODY: &str = "somebody@example.org";
const SBOM: &str = "https://spdx.dev/Document";

struct Stage {
    scene: Scene,
    sigstore: Sigstore,
}

impl Stage {
    async fn new() -> Self {
        Self::of(Scene::new().await).await
    }

    async fn of(scene: Scene) -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        Self { scene, sigstore }
    }

    fn statement(&self) -> Statement {
        Statement::of(self.scene.image.digest().clone())
    }

    fn issue(&self, spec: &BundleSpec) -> String {
        self.sigstore.issue(spec).unwrap()
    }

    fn bundle_by(&self, identity: &str) -> String {
        self.issue(&BundleSpec::new(self.statement(), identity))
    }

    fn policy(&self) -> Policy {
        let issuer = self.sigstore.issuer();
        policy(&issuer, IDENTITY)
    }

    fn verifier(&self) -> Verifier {
        let root = TrustedRoot::from_json("sandbox", &self.sigstore.trusted_root_json()).unwrap();
        Verifier::new(self.scene.client.clone(), root)
    }

    async fn verify(&self) -> Result<VerifiedImage, Error> {
        self.verifier()
            .verify(&self.scene.image, &self.policy())
            .await
    }
}

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
    registry.example/acme/app@[image] is signed, but not as the policy asks:
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
        offline: false,
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

/// An index of two images in a registry, signed.
async fn signed_index(stage: &Stage) -> (VerifiedImage, Vec<ResolvedImage>) {
    let image = |platform: &str| {
        let builder = Image::builder(platform.parse().unwrap());
        builder.annotation("for", platform).build()
    };
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    index.push(&stage.scene.server, PATH, Some("index"));
    let client: &Registry = &stage.scene.client;
    let reference = stage.scene.server.reference(&format!("{PATH}:index"));
    let resolved = client.resolve(&reference.unwrap()).await.unwrap();
    let statement = Statement::of(index.digest());
    let bundle = stage.issue(&BundleSpec::new(statement, IDENTITY));
    let signature = Image::signature(index.descriptor(), bundle);
    stage.scene.list(&signature);
    let proof = stage.verifier().verify(&resolved, &stage.policy()).await;
    let location = resolved.reference().location();
    let mut children = Vec::new();
    for descriptor in &index.index().manifests {
        children.push(client.child(location, descriptor).await.unwrap());
    }
    (proof.unwrap(), children)
}

#[tokio::test]
async fn trust_follows_the_digest_edge_from_an_index_to_its_child() {
    let stage = Stage::new().await;
    let (proof, children) = signed_index(&stage).await;
    let index = proof.digest().clone();
    let platform = "linux/arm64".parse().unwrap();
    let selected = proof.select(&platform).unwrap().unwrap();
    assert_eq!(selected.digest, *children[1].digest());
    let child = proof.into_child(children[1].clone()).unwrap();
    assert_eq!(child.digest(), children[1].digest());
    assert_eq!(child.image().bytes(), children[1].bytes());
    assert_eq!(
        child.evidence().digest,
        index,
        "the index is what was signed"
    );
    assert_eq!(child.select(&platform), Ok(None));
}

#[tokio::test]
async fn trust_does_not_reach_what_the_proven_document_does_not_list() {
    let stage = Stage::new().await;
    let (proof, children) = signed_index(&stage).await;
    let stranger = stage.scene.image.clone();
    let refused = proof.into_child(stranger.clone()).unwrap_err();
    assert!(refused.to_string().contains(&stranger.digest().to_string()));
    // Neither up nor sideways.
    let proof = refused.into_proof();
    let child = proof.into_child(children[0].clone()).unwrap();
    let sideways = child.into_child(children[1].clone()).unwrap_err();
    assert_eq!(sideways.into_proof().digest(), children[0].digest());
}

#[tokio::test]
async fn a_signature_of_the_index_is_none_of_its_child_by_itself() {
    let stage = Stage::new().await;
    let (_proof, children) = signed_index(&stage).await;
    let result = stage.verifier().verify(&children[0], &stage.policy()).await;
    assert_eq!(kind(&result), Some(RefusalKind::Unsigned));
}

/// A policy that denies `digest`.
fn denying(stage: &Stage, digest: &Digest) -> Policy {
    let issuer = stage.sigstore.issuer();
    crate::support::policy_with(|spec| {
        spec.issuer = Some(issuer.into());
        spec.identity = Some(IDENTITY.into());
        spec.deny_digests = vec![digest.to_string()];
    })
}

/// The image that was denied, and the index that lists it.
fn denied<T: std::fmt::Debug>(result: Result<T, Error>) -> (Digest, Option<Digest>) {
    match result {
        Err(Error::Denied(denied)) => (denied.image.digest().clone(), denied.listed_by),
        other => panic!("expected a denial, found {other:?}"),
    }
}

/// Resolves `tag`, and pushes a signature of it if it is to be signed.
async fn resolved(stage: &Stage, tag: &str, sign: bool) -> ResolvedImage {
    let reference = stage.scene.server.reference(&format!("{PATH}:{tag}"));
    let image = stage
        .scene
        .client
        .resolve(&reference.unwrap())
        .await
        .unwrap();
    if sign {
        let statement = Statement::of(image.digest().clone());
        let bundle = stage.issue(&BundleSpec::new(statement, IDENTITY));
        stage
            .scene
            .list(&Image::signature(image.descriptor(), bundle));
    }
    image
}

fn platform_image(platform: &str) -> Image {
    Image::builder(platform.parse().unwrap()).build()
}

/// Pushes an index of `children` under `tag`.
fn push_index(stage: &Stage, tag: &str, children: &[Descriptor]) -> Descriptor {
    let json = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": children,
        "annotations": { "tag": tag },
    });
    let bytes = serde_json::to_vec(&json).unwrap();
    let server = &stage.scene.server;
    server.put_manifest(PATH, media_type::OCI_INDEX, bytes.clone(), Some(tag));
    Descriptor::of(media_type::OCI_INDEX, &bytes)
}

#[tokio::test]
async fn a_denied_index_denies_what_it_lists_under_another_index_and_by_itself() {
    let stage = Stage::new().await;
    let child = platform_image("linux/amd64");
    child.push(&stage.scene.server, PATH, Some("child"));
    let inner = push_index(&stage, "inner", &[child.descriptor()]);
    let outer = push_index(&stage, "bad", std::slice::from_ref(&inner));
    push_index(&stage, "other", &[child.descriptor()]);
    let (other, alone) = (
        resolved(&stage, "other", true).await,
        resolved(&stage, "child", true).await,
    );
    let policy = denying(&stage, &outer.digest);
    let verifier = stage.verifier();
    let by = (child.digest(), Some(outer.digest.clone()));

    assert_eq!(denied(verifier.verify(&alone, &policy).await), by);
    let amd64 = "linux/amd64".parse().unwrap();
    let client = &stage.scene.client;
    let found = verify_platform(client, &verifier, &other, &amd64, &policy).await;
    assert_eq!(denied(found), by);
    // The index of the same child is signed, and nobody denies it: but it leads nowhere.
    let proof = verifier.verify(&other, &policy).await.unwrap();
    let child = resolved(&stage, "child", false).await;
    assert!(proof.into_child(child).is_err());
    // Another policy accepts it all.
    let found = verify_platform(client, &verifier, &other, &amd64, &stage.policy()).await;
    assert_eq!(found.unwrap().proof.digest(), alone.digest());
}

#[tokio::test]
async fn an_index_that_the_repository_does_not_have_denies_itself_alone() {
    let stage = Stage::new().await;
    let image = resolved(&stage, "v1", true).await;
    let policy = denying(&stage, &Digest::sha256(b"elsewhere"));
    let proof = stage.verifier().verify(&image, &policy).await;
    assert_eq!(proof.unwrap().digest(), image.digest());
}

#[tokio::test]
async fn a_denied_index_that_cannot_be_asked_for_is_no_leave() {
    let stage = Stage::new().await;
    let image = resolved(&stage, "v1", true).await;
    let bad = Digest::sha256(b"bad");
    let path = format!("GET /v2/{PATH}/manifests/{bad}");
    stage
        .scene
        .server
        .add_fault(Fault::on(&path, Effect::status(503)));
    let result = stage
        .verifier()
        .verify(&image, &denying(&stage, &bad))
        .await;
    let Err(Error::Registry(countersign_oci::Error::Status { status: 503, .. })) = result else {
        panic!("{result:?}");
    };
}

#[tokio::test]
async fn a_platforms_image_is_verified_by_the_index_or_by_itself_and_it_is_said_which() {
    let stage = Stage::new().await;
    let (amd64, arm64) = (platform_image("linux/amd64"), platform_image("linux/arm64"));
    for (image, tag) in [(&amd64, "amd64"), (&arm64, "arm64")] {
        image.push(&stage.scene.server, PATH, Some(tag));
    }
    push_index(&stage, "index", &[amd64.descriptor(), arm64.descriptor()]);
    resolved(&stage, "arm64", true).await;
    let index = resolved(&stage, "index", false).await;
    let (client, verifier, policy) = (&stage.scene.client, stage.verifier(), stage.policy());
    let verify = async |image: &ResolvedImage, platform: &str| {
        verify_platform(
            client,
            &verifier,
            image,
            &platform.parse().unwrap(),
            &policy,
        )
        .await
    };
    let found = verify(&index, "linux/arm64").await.unwrap();
    assert_eq!(found.signed, SignedDocument::Manifest);
    assert_eq!(found.proof.index(), Some(index.digest()));
    assert_eq!(*found.proof.digest(), arm64.digest());
    let unsigned = verify(&index, "linux/amd64").await;
    let Err(Error::BothRefused {
        index: by_index,
        manifest,
        ..
    }) = unsigned
    else {
        panic!("{unsigned:?}");
    };
    assert_eq!(by_index.kind(), RefusalKind::Unsigned);
    assert_eq!(*manifest.image.digest(), amd64.digest());
    let index = resolved(&stage, "index", true).await;
    let found = verify(&index, "linux/amd64").await.unwrap();
    assert_eq!(found.signed, SignedDocument::Index);
    assert_eq!(*found.proof.digest(), amd64.digest());
    assert_eq!(found.proof.evidence().digest, *index.digest());
}

#[tokio::test]
async fn trust_goes_through_nested_indexes_step_by_step() {
    let stage = Stage::new().await;
    let amd64 = platform_image("linux/amd64");
    amd64.push(&stage.scene.server, PATH, None);
    let inner = push_index(&stage, "inner", &[amd64.descriptor()]);
    push_index(&stage, "outer", std::slice::from_ref(&inner));
    let outer = resolved(&stage, "outer", true).await;
    let (client, verifier) = (&stage.scene.client, stage.verifier());
    let platform = "linux/amd64".parse().unwrap();
    let found = verify_platform(client, &verifier, &outer, &platform, &stage.policy()).await;
    assert_eq!(*found.unwrap().proof.digest(), amd64.digest());
    // A denial of the step between holds as well.
    let policy = denying(&stage, &inner.digest);
    let found = verify_platform(client, &verifier, &outer, &platform, &policy).await;
    assert_eq!(denied(found), (inner.digest, None));
}
