//! What is signed, in which order, and how often.

use std::collections::BTreeMap;
use std::sync::Mutex;

use countersign_oci::{Descriptor, Document, media_type};
use countersign_sandbox::{BUNDLE, Service};
use countersign_sign::{Error, RekorVersion, SigningEvent};
use countersign_verify::Verifier;

use crate::common::{IDENTITY, PATH, Stage, client, image, index, order};

/// Signs an index of two platforms, and verifies it and its members as an installer does.
async fn round_trip(stage: &Stage, version: RekorVersion) {
    let index = stage.two_platforms();
    let signed = stage.sign_with(&stage.signer_by(version)).await.unwrap();

    let mut expected = vec![(index.digest(), None)];
    let members = index.images().iter();
    expected.extend(members.map(|image| (image.digest(), image.descriptor().platform)));
    assert_eq!(order(&signed), expected);
    assert_eq!(stage.answers(Service::Fulcio).len(), 1);

    let verifier = Verifier::new(client(), stage.trusted_root());
    let policy = stage.policy(|_| {});
    for one in &signed {
        let image = stage.registry.repository(PATH).at(one.digest.clone());
        let image = client().manifest(&image).await.unwrap();
        let proof = verifier.verify(&image, &policy).await.unwrap();
        // The signer's own check binds the name; this policy doesn't.
        let mut evidence = proof.evidence().clone();
        evidence.bound_name = one.evidence.bound_name;
        assert_eq!(evidence, one.evidence);
        assert_eq!(
            one.evidence.signature_manifest.as_ref(),
            Some(&one.signature_manifest)
        );
        assert_eq!(one.evidence.signer.to_string(), IDENTITY);
    }
}

#[tokio::test]
async fn an_index_and_its_members_are_signed_with_one_certificate() {
    round_trip(&Stage::new().await, RekorVersion::V1).await;
}

#[tokio::test]
async fn rekor_v2_and_a_timestamp_authority_will_do() {
    let stage = Stage::new().await;
    round_trip(&stage, RekorVersion::V2).await;
    assert_eq!(stage.answers(Service::RekorV2), [201; 3]);
    assert_eq!(stage.answers(Service::TimestampAuthority), [201; 3]);
}

#[tokio::test]
async fn signatures_are_listed_by_tag_where_there_is_no_referrers_api() {
    let stage = Stage::without_referrers_api().await;
    round_trip(&stage, RekorVersion::V1).await;
}

#[tokio::test]
async fn the_fallback_index_has_an_entry_as_cosign_writes_it() {
    let stage = Stage::without_referrers_api().await;
    let image = stage.one_image();
    let signed = stage.sign().await.unwrap();

    let tag = image.digest().referrers_tag();
    let found = client().resolve(&stage.reference(&format!(":{tag}"))).await;
    let found = found.unwrap();
    let Document::Index(index) = found.document() else {
        panic!("expected an index, found {found:?}");
    };
    let [entry] = index.manifests.as_slice() else {
        panic!("expected one entry, found {index:?}");
    };
    assert_eq!(entry.digest, signed[0].signature_manifest);
    assert_eq!(entry.media_type, media_type::OCI_MANIFEST);
    assert_eq!(entry.artifact_type.as_deref(), Some(BUNDLE));
    let annotations = &entry.annotations;
    assert_eq!(annotations["dev.sigstore.bundle.content"], "dsse-envelope");
    assert_eq!(
        annotations["dev.sigstore.bundle.predicateType"],
        "https://sigstore.dev/cosign/sign/v1"
    );
}

#[tokio::test]
async fn nested_indexes_are_signed_depth_first() {
    let stage = Stage::new().await;
    let images: Vec<_> = ["linux/amd64", "linux/arm64", "linux/s390x"]
        .map(image)
        .into();
    for image in &images {
        image.push(&stage.registry, PATH, None);
    }
    let put = |members: Vec<Descriptor>, tag| {
        let bytes = serde_json::to_vec(&index(members)).unwrap();
        let descriptor = Descriptor::of(media_type::OCI_INDEX, &bytes);
        let registry = &stage.registry;
        registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, tag);
        descriptor
    };
    let inner = put(vec![images[1].descriptor()], None);
    let members = vec![
        images[0].descriptor(),
        inner.clone(),
        images[2].descriptor(),
    ];
    let outer = put(members, Some("v1"));

    let signed = stage.sign().await.unwrap();
    let digests: Vec<_> = signed.into_iter().map(|one| one.digest).collect();
    assert_eq!(
        digests,
        [
            outer.digest,
            images[0].digest(),
            inner.digest,
            images[1].digest(),
            images[2].digest()
        ]
    );
}

#[tokio::test]
async fn what_two_references_share_is_signed_once() {
    let stage = Stage::new().await;
    let index = stage.two_platforms();
    let child = index.images()[0].digest();
    let references = [
        stage.reference(":v1"),
        stage.reference(&format!("@{child}")),
    ];
    let token = stage.token();
    let signer = stage.signer();
    let signed = signer
        .sign(&references, &token, &BTreeMap::new(), &|_| {})
        .await
        .unwrap();
    assert_eq!(signed.len(), 3);
    assert!(signed.iter().all(|one| one.reference == references[0]));
    assert_eq!(stage.answers(Service::RekorV1), [201; 3]);
    assert_eq!(stage.listed(&child).await.len(), 1);
}

#[tokio::test]
async fn each_tag_of_a_digest_is_signed_by_its_name() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    image.push(&stage.registry, PATH, Some("v1.0"));
    let digest = image.digest();
    let references = [
        stage.reference(&format!("@{digest}")),
        stage.reference(":v1"),
        stage.reference(&format!(":v1.0@{digest}")),
    ];
    let token = stage.token();
    let signed = stage
        .signer()
        .sign(&references, &token, &BTreeMap::new(), &|_| {})
        .await
        .unwrap();
    let repository = stage.registry.repository(PATH);
    let names = signed.iter().map(|one| one.evidence.subject_name.clone());
    assert_eq!(
        names.flatten().collect::<Vec<_>>(),
        [format!("{repository}:v1"), format!("{repository}:v1.0")]
    );
    assert_eq!(stage.listed(&digest).await.len(), 2);
}

#[tokio::test]
async fn annotations_are_signed_and_the_run_told_step_by_step() {
    let stage = Stage::new().await;
    stage.one_image();
    let annotations = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
    let steps = Mutex::new(Vec::new());
    let note = |event| {
        let step = match event {
            SigningEvent::Begun { subjects } => {
                assert_eq!(subjects.len(), 1);
                "begun"
            }
            SigningEvent::Signed { .. } => "signed",
            SigningEvent::Pushed { .. } => "pushed",
            SigningEvent::Verified { .. } => "verified",
        };
        steps.lock().unwrap().push(step);
    };
    let references = [stage.reference(":v1")];
    let signed = stage
        .signer()
        .sign(&references, &stage.token(), &annotations, &note)
        .await
        .unwrap();
    assert_eq!(signed[0].evidence.annotations, annotations);
    assert_eq!(
        steps.into_inner().unwrap(),
        ["begun", "signed", "pushed", "verified"]
    );
}

#[tokio::test]
async fn without_references_nobody_is_asked() {
    let stage = Stage::new().await;
    let (token, annotations) = (stage.token(), BTreeMap::new());
    let signer = stage.signer();
    let signed = signer.sign(&[], &token, &annotations, &|_| {}).await;
    assert!(signed.unwrap().is_empty());
    assert_eq!(stage.sigstore.requests(), []);
}

/// Asserts that nothing was signed, for `limit` of `unit` was passed.
async fn assert_over_limit(stage: &Stage, (limit, unit): (usize, &str)) {
    let error = stage.sign().await.unwrap_err();
    let Error::Limit {
        limit: found,
        unit: counted,
        ..
    } = error
    else {
        panic!("expected a limit, found {error:?}");
    };
    assert_eq!((found, counted), (limit, unit));
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn an_index_nested_too_deep_is_refused_before_anything_is_signed() {
    let stage = Stage::new().await;
    // What an installer follows is signed, and no level more.
    nest(&stage, 4);
    assert_eq!(stage.sign().await.unwrap().len(), 4);
    let stage = Stage::new().await;
    nest(&stage, 5);
    assert_over_limit(&stage, (4, "levels of nested indexes")).await;
}

/// Puts indexes in indexes into the registry, the outermost as `v1`.
fn nest(stage: &Stage, levels: usize) {
    let mut inner = vec![];
    for level in 1..=levels {
        let bytes = serde_json::to_vec(&index(inner)).unwrap();
        inner = vec![Descriptor::of(media_type::OCI_INDEX, &bytes)];
        let tag = (level == levels).then_some("v1");
        let registry = &stage.registry;
        registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, tag);
    }
}

#[tokio::test]
async fn an_index_of_too_many_members_is_refused_before_one_is_fetched() {
    let stage = Stage::new().await;
    let members = (0..256).map(|n: u32| {
        let bytes = n.to_string().into_bytes();
        Descriptor::of(media_type::OCI_MANIFEST, &bytes)
    });
    let bytes = serde_json::to_vec(&index(members.collect())).unwrap();
    let registry = &stage.registry;
    registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, Some("v1"));
    assert_over_limit(&stage, (256, "manifests")).await;
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn members_of_too_many_bytes_are_refused_before_one_is_fetched() {
    let stage = Stage::new().await;
    let mut member = Descriptor::of(media_type::OCI_MANIFEST, b"{}");
    member.size = 64 << 20;
    let bytes = serde_json::to_vec(&index(vec![member])).unwrap();
    let registry = &stage.registry;
    registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, Some("v1"));
    assert_over_limit(&stage, (64, "MiB of manifests")).await;
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn an_index_with_an_entry_that_cannot_be_read_is_refused_before_anything_is_signed() {
    let stage = Stage::new().await;
    let built = image("linux/amd64");
    built.push(&stage.registry, PATH, None);
    let mut listed = serde_json::to_value(index(vec![built.descriptor()])).unwrap();
    // A digest that nobody here can check, as of an algorithm to come.
    let mut other = listed["manifests"][0].clone();
    other["digest"] = "blake3:00".into();
    listed["manifests"].as_array_mut().unwrap().push(other);
    let bytes = listed.to_string();
    let registry = &stage.registry;
    registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, Some("v1"));
    let error = stage.sign().await.unwrap_err();
    let Error::Entry { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        source.to_string(),
        "expected 2 entries with a digest, found 1"
    );
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.writes(), [""; 0]);
}
