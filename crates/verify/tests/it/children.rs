//! Where a proof leads from an index: to the documents that it lists, and to none that is denied.

use crate::support::stage::Stage;
use crate::support::{IDENTITY, PATH, kind};
use countersign_oci::{Descriptor, Digest, Platform, Registry, ResolvedImage, media_type};
use countersign_policy::Policy;
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{BundleSpec, Effect, Fault, Statement};
use countersign_verify::{
    Error, ImageVerifier as _, NotCovered, NotListed, RefusalKind, SignedDocument, VerifiedImage,
    VerifiedPlatform, judge_index, verify_image, verify_platform,
};
use serde_json::json;

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
    let child = proof.into_child(children[1].clone()).unwrap();
    assert_eq!(child.digest(), children[1].digest());
    assert_eq!(child.image().bytes(), children[1].bytes());
    assert_eq!(
        child.evidence().digest,
        index,
        "the index is what was signed"
    );
}

#[tokio::test]
async fn trust_does_not_reach_what_the_proven_document_does_not_list() {
    let stage = Stage::new().await;
    let (proof, children) = signed_index(&stage).await;
    let stranger = stage.scene.image.clone();
    let not_listed = |signed: &Digest, found: &ResolvedImage| {
        NotCovered::NotListed(NotListed {
            signed: signed.clone(),
            found: found.digest().clone(),
        })
    };
    let index = proof.digest().clone();
    let refused = proof.into_child(stranger.clone()).unwrap_err();
    assert_eq!(refused, not_listed(&index, &stranger));
    // Neither up nor sideways.
    let (proof, _) = signed_index(&stage).await;
    let child = proof.into_child(children[0].clone()).unwrap();
    let sideways = child.into_child(children[1].clone()).unwrap_err();
    assert_eq!(sideways, not_listed(children[0].digest(), &children[1]));
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
        spec.issuer = Some(issuer);
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
    // The index of the same child is signed, and nobody denies it: but nobody says which of its images is used.
    assert_eq!(denied(verifier.verify(&other, &policy).await), by);
    // Another policy accepts it all.
    let found = verify_platform(client, &verifier, &other, &amd64, &stage.policy()).await;
    assert_eq!(found.unwrap().proof().digest(), alone.digest());
}

#[tokio::test]
async fn a_proof_for_a_platform_is_of_an_image_that_is_configured_for_it() {
    let stage = Stage::new().await;
    let child = platform_image("linux/amd64");
    child.push(&stage.scene.server, PATH, Some("child"));
    let mut mislabelled = child.descriptor();
    let arm64: Platform = "linux/arm64".parse().unwrap();
    mislabelled.platform = Some(arm64.clone());
    push_index(&stage, "v2", &[mislabelled]);
    let (index, alone) = (
        resolved(&stage, "v2", true).await,
        resolved(&stage, "child", true).await,
    );
    let (client, verifier, policy) = (&stage.scene.client, stage.verifier(), stage.policy());
    let refused = |found: Result<VerifiedPlatform, Error>| {
        let Err(Error::Registry(countersign_oci::Error::WrongPlatform { found, .. })) = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(found.to_string(), "linux/amd64");
    };
    for image in [&index, &alone] {
        refused(verify_platform(client, &verifier, image, &arm64, &policy).await);
    }
    let entries = client.platform_entries(&index).await.unwrap();
    let judged = judge_index(&verifier, &index, &policy).await.unwrap();
    for entry in entries {
        refused(judged.entry(client, &verifier, &entry).await);
    }
}

#[tokio::test]
async fn whoever_names_no_platform_gets_no_proof_of_an_index_with_a_denied_image() {
    let stage = Stage::new().await;
    let (amd64, arm64) = (platform_image("linux/amd64"), platform_image("linux/arm64"));
    for image in [&amd64, &arm64] {
        image.push(&stage.scene.server, PATH, None);
    }
    let inner = push_index(&stage, "inner", &[arm64.descriptor()]);
    push_index(&stage, "v1", &[amd64.descriptor(), inner]);
    let index = resolved(&stage, "v1", true).await;
    let policy = denying(&stage, &arm64.digest());
    let (client, verifier) = (&stage.scene.client, stage.verifier());
    let by = (arm64.digest(), None);

    assert_eq!(denied(verifier.verify(&index, &policy).await), by);
    let whole = verify_image(client, &verifier, &index, &policy).await;
    assert_eq!(denied(whole), by);
    let document = verifier.verify_document(&index, &policy).await.unwrap();
    assert_eq!(document.evidence().digest, *index.digest());
    assert_eq!(denied(document.whole(client).await), by);
    let document = verifier.verify_document(&index, &policy).await.unwrap();
    assert!(document.into_manifest().is_none(), "it is an index");

    let of = async |platform: &str| {
        let platform = platform.parse().unwrap();
        verify_platform(client, &verifier, &index, &platform, &policy).await
    };
    let found = of("linux/amd64").await.unwrap();
    assert_eq!(*found.proof().digest(), amd64.digest());
    assert_eq!(denied(of("linux/arm64").await), by);
}

#[tokio::test]
async fn an_index_that_the_repository_hides_may_list_what_is_denied() {
    let stage = Stage::new().await;
    let (amd64, arm64) = (platform_image("linux/amd64"), platform_image("linux/arm64"));
    amd64.push(&stage.scene.server, PATH, None);
    let hidden = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [arm64.descriptor()] });
    let hidden = Descriptor::of(media_type::OCI_INDEX, &serde_json::to_vec(&hidden).unwrap());
    let mut disguised = hidden.clone();
    disguised.media_type = media_type::OCI_MANIFEST.into();
    // Whether it is also listed as what it is not.
    for listed in [
        vec![amd64.descriptor(), hidden.clone()],
        vec![disguised, hidden.clone()],
    ] {
        push_index(&stage, "v1", &listed);
        let index = resolved(&stage, "v1", true).await;
        let (client, verifier) = (&stage.scene.client, stage.verifier());
        let policy = denying(&stage, &arm64.digest());
        for found in [
            verifier.verify(&index, &policy).await,
            verify_image(client, &verifier, &index, &policy).await,
        ] {
            let Err(Error::UnknownBelow {
                image,
                index: missing,
            }) = found
            else {
                panic!("expected an unknown index, found {found:?}");
            };
            assert_eq!(
                (image.digest(), missing),
                (index.digest(), hidden.digest.clone())
            );
        }
        // A policy that denies nothing does not care.
        assert!(verifier.verify(&index, &stage.policy()).await.is_ok());
    }
}

#[tokio::test]
async fn the_time_limit_holds_for_what_is_read_below_an_index_too() {
    let stage = Stage::new().await;
    let (amd64, arm64) = (platform_image("linux/amd64"), platform_image("linux/arm64"));
    let inner = push_index(&stage, "inner", &[amd64.descriptor(), arm64.descriptor()]);
    let stalled = format!("GET /v2/*/manifests/{}", inner.digest);
    push_index(&stage, "v1", &[inner]);
    let index = resolved(&stage, "v1", true).await;
    let stall = Fault::on(&stalled, Effect::Stall { after: 1 });
    stage.scene.server.add_fault(stall);
    let mut limits = countersign_verify::Limits::default();
    limits.total = std::time::Duration::from_secs(1);
    let (client, verifier) = (&stage.scene.client, stage.verifier().with_limits(limits));
    let policy = denying(&stage, &arm64.digest());
    let whole = verify_image(client, &verifier, &index, &policy).await;
    assert!(matches!(whole, Err(Error::Late { .. })), "{whole:?}");
    let amd64 = "linux/amd64".parse().unwrap();
    let found = verify_platform(client, &verifier, &index, &amd64, &policy).await;
    assert!(matches!(found, Err(Error::Late { .. })), "{found:?}");
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

/// How many requests were made for the manifest with this digest.
fn requests_for(stage: &Stage, digest: &Digest) -> usize {
    let path = format!("/v2/{PATH}/manifests/{digest}");
    let requests = stage.scene.server.requests();
    let same = requests.iter().filter(|request| request.path == path);
    same.count()
}

#[tokio::test]
async fn a_denied_index_is_fetched_once_and_one_that_is_missing_each_time() {
    let stage = Stage::new().await;
    let image = resolved(&stage, "v1", true).await;
    let child = platform_image("linux/s390x");
    child.push(&stage.scene.server, PATH, Some("s390x"));
    let known = push_index(&stage, "known", &[child.descriptor()]).digest;
    let (verifier, policy) = (stage.verifier(), denying(&stage, &known));
    for _ in 0..3 {
        let _proof = verifier.clone().verify(&image, &policy).await.unwrap();
    }
    assert_eq!(requests_for(&stage, &known), 1, "its bytes can't change");

    // An index that is pushed later denies its children from then on.
    let late = platform_image("linux/riscv64");
    late.push(&stage.scene.server, PATH, Some("riscv64"));
    let late_image = resolved(&stage, "riscv64", true).await;
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [late.descriptor()] });
    let bytes = serde_json::to_vec(&index).unwrap();
    let missing = Digest::sha256(&bytes);
    let policy = denying(&stage, &missing);
    for _ in 0..2 {
        let _proof = verifier.verify(&late_image, &policy).await.unwrap();
    }
    assert_eq!(requests_for(&stage, &missing), 2, "absence is not kept");
    stage
        .scene
        .server
        .put_manifest(PATH, media_type::OCI_INDEX, bytes, None);
    let by = (late_image.digest().clone(), Some(missing));
    assert_eq!(denied(verifier.verify(&late_image, &policy).await), by);
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
    assert_eq!(found.signed(), SignedDocument::Manifest);
    assert_eq!(found.proof().index(), Some(index.digest()));
    assert_eq!(*found.proof().digest(), arm64.digest());
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
    assert_eq!(found.signed(), SignedDocument::Index);
    assert_eq!(*found.proof().digest(), amd64.digest());
    assert_eq!(found.proof().evidence().digest, *index.digest());
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
    assert_eq!(*found.unwrap().proof().digest(), amd64.digest());
    // A denial of the step between holds as well.
    let policy = denying(&stage, &inner.digest);
    let found = verify_platform(client, &verifier, &outer, &platform, &policy).await;
    assert_eq!(denied(found), (inner.digest, None));
}
