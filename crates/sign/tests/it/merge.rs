//! Images by platform, joined into one, signed, proven, and only then tagged.

use std::collections::BTreeMap;

use countersign_oci::{Digest, Platform, Reference, Registry};
use countersign_policy::SignatureFormat;
use countersign_sandbox::image::{Flavour, Image, ImageIndex};
use countersign_sandbox::{Effect, Fault, RegistryOptions, RegistryServer, Service};
use countersign_sign::{
    Error, Merge, MergeError, Merged, Publication, PublicationError, PublicationFailure,
    RekorVersion, SigningOutcome, WrittenFormats,
};
use serde_json::{Value, json};

use crate::common::{Stage, client, image};

/// Where builds put the images of each platform.
const CACHE: &str = "acme/ci-cache";

impl Stage {
    pub(crate) fn cached(&self, images: &[Image]) -> Vec<Reference> {
        let pinned = images.iter().map(|image| {
            let digest = image.push(&self.registry, CACHE, None);
            self.registry
                .reference(&format!("{CACHE}@{digest}"))
                .unwrap()
        });
        pinned.collect()
    }

    async fn merge(
        &self,
        sources: &[Reference],
        tags: &[Reference],
    ) -> Result<Merged, PublicationFailure> {
        let (token, none) = (self.token(), BTreeMap::new());
        let plan = plan(&client(), sources).await.unwrap();
        let with = Publication::new(self.signer_by(RekorVersion::V1), &token, &none).unwrap();
        plan.publish(&with, tags, &|_| {}).await
    }

    pub(crate) fn tagged(&self, path: &str, tag: &str) -> Option<Digest> {
        self.registry.tagged(path, tag)
    }
}

async fn plan(registry: &Registry, sources: &[Reference]) -> Result<Merge, Error> {
    Merge::plan(registry, sources, &BTreeMap::new()).await
}

pub(crate) fn two() -> [Image; 2] {
    [image("linux/amd64"), image("linux/arm64")]
}

#[tokio::test(flavor = "multi_thread")]
async fn images_become_one_index_that_is_signed_before_it_is_tagged() {
    let stage = Stage::new().await;
    let sources = stage.cached(&two());
    let tags = [stage.reference(":v1"), stage.reference(":latest")];
    let merged = stage.merge(&sources, &tags).await.unwrap();
    assert_eq!(merged.tags, tags);
    // Index and two images, for each of two names.
    assert_eq!(merged.signed.len(), 6);
    assert_eq!(stage.answers(Service::Fulcio).len(), 1, "one certificate");
    for tag in ["v1", "latest"] {
        assert_eq!(stage.tagged("acme/app", tag), Some(merged.digest.clone()));
    }
    let platforms: Vec<_> = merged
        .manifests
        .iter()
        .map(|m| m.platform.clone().unwrap())
        .collect();
    let expected: [Platform; 2] = [
        "linux/amd64".parse().unwrap(),
        "linux/arm64".parse().unwrap(),
    ];
    assert_eq!(platforms, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_both_forms_each_is_there_before_a_tag_is() {
    let stage = Stage::new().await;
    let sources = stage.cached(&two());
    let tags = [stage.reference(":v1")];
    let (token, none) = (stage.token(), BTreeMap::new());
    let plan = plan(&client(), &sources).await.unwrap();
    let signer = stage.signer_by(RekorVersion::V1);
    let signer = signer.with_formats(WrittenFormats::Both);
    let with = Publication::new(signer, &token, &none).unwrap();
    let merged = plan.publish(&with, &tags, &|_| {}).await.unwrap();
    let members = merged.manifests.iter().map(|one| one.digest.clone());
    let digests: Vec<Digest> = members.chain([merged.digest.clone()]).collect();
    let early = unsigned_when_tagged(&stage.registry, crate::common::PATH, &digests);
    assert_eq!(early, [""; 0]);
    for digest in &digests {
        for format in [SignatureFormat::Bundle, SignatureFormat::SimpleSigning] {
            assert!(stage.accepts(digest, format).await, "{digest}: {format:?}");
        }
    }
    let lines: Vec<String> = stage
        .registry
        .requests()
        .iter()
        .map(countersign_sandbox::Request::line)
        .collect();
    let last = |name: &str| {
        let line = format!("PUT /v2/{}/manifests/{name}", crate::common::PATH);
        lines.iter().rposition(|one| *one == line).unwrap()
    };
    for digest in &digests {
        assert!(last(&format!("sha256-{}.sig", digest.hex())) < last("v1"));
    }
    // The next run finds both.
    let again = plan.publish(&with, &tags, &|_| {}).await.unwrap();
    let outcomes = again.signed.iter().map(|one| one.outcome);
    assert!(
        outcomes
            .into_iter()
            .all(|one| one == SigningOutcome::AlreadySigned)
    );
}

/// The order of what the registry was told: whatever a tag is set to was signed before, with all that
/// it lists.
pub(crate) fn unsigned_when_tagged(
    registry: &RegistryServer,
    path: &str,
    digests: &[Digest],
) -> Vec<String> {
    let requests = registry.requests();
    let written = |line: &str| requests.iter().position(|request| request.line() == line);
    let mut faults = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let prefix = format!("PUT /v2/{path}/manifests/");
        let line = request.line();
        let Some(name) = line.strip_prefix(&prefix) else {
            continue;
        };
        if name.contains(':') || name.starts_with("sha256-") {
            continue;
        }
        for digest in digests {
            let referrers = registry.referrers(path, digest);
            let signed = referrers.iter().any(|referrer| {
                written(&format!("{prefix}{}", referrer.digest)).is_some_and(|when| when < at)
            });
            if !signed {
                faults.push(format!("{digest} had no signature when {name} was set"));
            }
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_watches_sees_no_tag_that_names_an_unsigned_image() {
    for options in [
        RegistryOptions {
            referrers_api: true,
            ..RegistryOptions::default()
        },
        RegistryOptions::default(),
    ] {
        let stage = Stage::with(options).await;
        let sources = stage.cached(&two());
        let tags = [stage.reference(":v1"), stage.reference(":latest")];
        let merged = stage.merge(&sources, &tags).await.unwrap();
        let mut digests: Vec<Digest> = merged.manifests.iter().map(|m| m.digest.clone()).collect();
        digests.push(merged.digest);
        let faults = unsigned_when_tagged(&stage.registry, "acme/app", &digests);
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[tokio::test]
async fn the_same_images_make_the_same_index() {
    let stage = Stage::new().await;
    let sources = stage.cached(&two());
    let first = plan(&client(), &sources).await.unwrap();
    let second = plan(&client(), &sources).await.unwrap();
    assert_eq!(first.bytes(), second.bytes());
    let index: Value = serde_json::from_slice(first.bytes()).unwrap();
    assert_eq!(
        index["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    let platform = json!({"architecture": "arm64", "os": "linux"});
    assert_eq!(index["manifests"][1]["platform"], platform);
    assert_eq!(index.get("annotations"), None);
    let annotations = BTreeMap::from([("org.opencontainers.image.version".into(), "1.2".into())]);
    let annotated = Merge::plan(&client(), &sources, &annotations)
        .await
        .unwrap();
    let index: Value = serde_json::from_slice(annotated.bytes()).unwrap();
    assert_eq!(
        index["annotations"]["org.opencontainers.image.version"],
        "1.2"
    );
}

#[tokio::test]
async fn an_index_brings_its_images_and_attestations_as_they_are_listed() {
    let stage = Stage::new().await;
    let attestation = Image::artifact("application/vnd.in-toto+json").build();
    attestation.push(&stage.registry, CACHE, None);
    let built = image("linux/amd64");
    built.push(&stage.registry, CACHE, None);
    let mut listed = serde_json::to_value(attestation.descriptor()).unwrap();
    listed["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    listed["annotations"] = json!({
        "vnd.docker.reference.digest": built.digest().to_string(),
        "vnd.docker.reference.type": "attestation-manifest",
    });
    let mut own = serde_json::to_value(built.descriptor()).unwrap();
    own["platform"] = json!({"architecture": "amd64", "os": "linux", "os.features": ["x"]});
    own["urls"] = json!(["https://example.com/kept"]);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [own, listed],
    });
    let digest = stage.registry.put_manifest(
        CACHE,
        "application/vnd.oci.image.index.v1+json",
        index.to_string(),
        None,
    );
    let mut sources = vec![
        stage
            .registry
            .reference(&format!("{CACHE}@{digest}"))
            .unwrap(),
    ];
    sources.extend(stage.cached(&[image("linux/arm64")]));
    let plan = plan(&client(), &sources).await.unwrap();
    let merged: Value = serde_json::from_slice(plan.bytes()).unwrap();
    assert_eq!(merged["manifests"][0], own);
    assert_eq!(merged["manifests"][1]["platform"]["architecture"], "arm64");
    assert_eq!(merged["manifests"][2], listed);
    let platforms = plan.members().filter(|(_, platform)| platform.is_some());
    assert_eq!(platforms.count(), 2);
}

#[tokio::test]
async fn images_of_docker_s_types_make_docker_s_list() {
    let stage = Stage::new().await;
    let built = |platform: &str| {
        Image::builder(platform.parse().unwrap())
            .flavour(Flavour::Docker)
            .build()
    };
    let images = [built("linux/amd64"), built("linux/arm64")];
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let oci = "application/vnd.oci.image.index.v1+json";
    let sources = stage.cached(&images);
    assert_eq!(plan(&client(), &sources).await.unwrap().media_type(), list);
    // Docker's list has no annotations.
    let annotations = BTreeMap::from([("a".into(), "b".into())]);
    let annotated = Merge::plan(&client(), &sources, &annotations)
        .await
        .unwrap();
    assert_eq!(annotated.media_type(), oci);
    let mut mixed = sources;
    mixed.extend(stage.cached(&[image("linux/s390x")]));
    assert_eq!(plan(&client(), &mixed).await.unwrap().media_type(), oci);
}

#[tokio::test]
async fn what_can_t_be_joined_is_refused_by_name() {
    let stage = Stage::new().await;
    let other = Image::builder("linux/arm64/v8".parse().unwrap())
        .annotation("build", "2")
        .build();
    let same = [image("linux/arm64"), image("linux/amd64"), other];
    let sources = stage.cached(&same);
    let error = plan(&client(), &sources).await.unwrap_err();
    let Error::Merge(MergeError::SamePlatform { first, second, .. }) = &error else {
        panic!("{error:?}")
    };
    let mut named = [first.digest().clone(), second.digest().clone()];
    let mut both = [same[0].digest(), same[2].digest()];
    named.sort();
    both.sort();
    assert_eq!(named, both);

    let artifact = stage.cached(&[Image::artifact("application/x").build()]);
    let error = plan(&client(), &artifact).await.unwrap_err();
    assert!(
        matches!(error, Error::Merge(MergeError::NoPlatform { .. })),
        "{error:?}"
    );

    let by_tag = [stage.registry.reference(&format!("{CACHE}:v1")).unwrap()];
    two()[0].push(&stage.registry, CACHE, Some("v1"));
    let error = plan(&client(), &by_tag).await.unwrap_err();
    assert!(
        matches!(error, Error::Merge(MergeError::ByTag { .. })),
        "{error:?}"
    );

    let mut sources = stage.cached(&two());
    sources.push(sources[0].clone());
    let error = plan(&client(), &sources).await.unwrap_err();
    let Error::Merge(MergeError::Twice { first, second }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(first.to_string(), sources[0].to_string());
    assert_eq!(second, first);

    let empty = ImageIndex::new(Vec::new()).push(&stage.registry, CACHE, None);
    let empty = stage.registry.reference(&format!("{CACHE}@{empty}"));
    for (sources, expected) in [
        (vec![], "no image was given"),
        (vec![empty.unwrap()], "what was given lists no image"),
    ] {
        let error = plan(&client(), &sources).await.unwrap_err();
        let Error::Merge(MergeError::Nothing { found }) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_an_index_lists_too_is_one_member() {
    let stage = Stage::new().await;
    let mut sources = stage.cached(&two());
    let index = ImageIndex::new(two().into());
    let digest = index.push(&stage.registry, CACHE, None);
    sources.push(
        stage
            .registry
            .reference(&format!("{CACHE}@{digest}"))
            .unwrap(),
    );
    // So does another index.
    let part = ImageIndex::new(two()[..1].to_vec()).push(&stage.registry, CACHE, None);
    let part = stage.registry.reference(&format!("{CACHE}@{part}"));
    sources.push(part.unwrap());
    assert_eq!(
        plan(&client(), &sources).await.unwrap().members().count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_registries_get_the_same_index_and_no_tag_before_both_are_proven() {
    let stage = Stage::new().await;
    let options = RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    };
    let second = RegistryServer::start(options).await.unwrap();
    let sources = stage.cached(&two());
    let tags = [
        stage.reference(":v1"),
        second.reference("mirror/app:v1").unwrap(),
    ];
    // The second registry takes images and index, and no signature.
    let manifests = "PUT /v2/mirror/app/manifests/sha256:*";
    second.add_fault(Fault::on(manifests, Effect::status(403)).after(3));
    let failure = stage.merge(&sources, &tags).await.unwrap_err();
    assert!(failure.moved.is_empty(), "{failure:?}");
    assert_eq!(failure.left, tags);
    assert_eq!(stage.tagged("acme/app", "v1"), None);
    assert_eq!(second.tagged("mirror/app", "v1"), None);

    // The next run goes on from there.
    second.clear_faults();
    let merged = stage.merge(&sources, &tags).await.unwrap();
    assert_eq!(stage.tagged("acme/app", "v1"), Some(merged.digest.clone()));
    assert_eq!(second.tagged("mirror/app", "v1"), Some(merged.digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_can_t_be_written_is_told_apart_from_those_that_were() {
    let stage = Stage::new().await;
    let sources = stage.cached(&two());
    let tags = [
        stage.reference(":v1"),
        stage.reference(":v2"),
        stage.reference(":v3"),
    ];
    stage.registry.add_fault(Fault::on(
        "PUT /v2/acme/app/manifests/v2",
        Effect::status(403),
    ));
    let failure = stage.merge(&sources, &tags).await.unwrap_err();
    assert_eq!(failure.moved, tags[..1]);
    assert_eq!(failure.left, tags[1..]);
    assert_eq!(stage.tagged("acme/app", "v2"), None);
}

#[tokio::test]
async fn no_name_and_one_with_a_digest_are_refused_before_anything_is_written() {
    let stage = Stage::new().await;
    let sources = stage.cached(&two());
    let digest = Digest::sha256(b"x");
    let name = stage.reference(&format!(":v1@{digest}"));
    let failure = stage.merge(&sources, &[name]).await.unwrap_err();
    let target = matches!(
        failure.error,
        Error::Publication(PublicationError::Target { .. })
    );
    assert!(target, "{failure:?}");
    let name = stage.reference(&format!(":{}", digest.referrers_tag()));
    let failure = stage.merge(&sources, &[name]).await.unwrap_err();
    let lost = matches!(
        failure.error,
        Error::Publication(PublicationError::OfSignatures { .. })
    );
    assert!(lost, "{failure:?}");
    let failure = stage.merge(&sources, &[]).await.unwrap_err();
    let nothing = matches!(failure.error, Error::Publication(PublicationError::NoTag));
    assert!(nothing, "{failure:?}");
    assert!(
        !stage
            .registry
            .repositories()
            .contains(&"acme/app".to_owned())
    );
}

#[tokio::test]
async fn an_entry_that_is_not_an_object_is_refused() {
    let stage = Stage::new().await;
    let built = image("linux/amd64");
    built.push(&stage.registry, CACHE, None);
    let entry = built.descriptor();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [[entry.media_type, entry.digest, entry.size]],
    });
    let media_type = "application/vnd.oci.image.index.v1+json";
    let registry = &stage.registry;
    let digest = registry.put_manifest(CACHE, media_type, index.to_string(), None);
    let source = registry.reference(&format!("{CACHE}@{digest}")).unwrap();
    let error = plan(&client(), &[source]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Merge(MergeError::Entry { position: 1, .. })),
        "{error:?}"
    );
}
