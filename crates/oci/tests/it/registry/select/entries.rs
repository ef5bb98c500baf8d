//! Everything that an index lists, and that the indexes in it list: nothing is left out silently.

use countersign_oci::{Descriptor, Digest, Error, ResolvedImage, media_type};
use serde_json::json;

use super::super::common::client;
use super::{PATH, Scene, digest};

#[tokio::test]
async fn descendants_are_those_of_nested_indexes_too() {
    let scene = Scene::new().await;
    let (amd64, arm64) = (scene.image("linux/amd64"), scene.image("linux/arm64"));
    let inner = scene.index(std::slice::from_ref(&amd64));
    let missing = Descriptor::of(media_type::OCI_INDEX, b"missing");
    let missing = serde_json::to_value(missing).unwrap();
    scene.index(&[inner.clone(), arm64.clone(), missing.clone()]);
    let found = client().descendants(&scene.resolved().await).await.unwrap();
    let unread: Vec<String> = found.unread.iter().map(Digest::to_string).collect();
    assert_eq!(unread, [digest(&missing)], "nobody knows what it lists");
    let found: Vec<String> = found.digests.iter().map(Digest::to_string).collect();
    let expected = [
        digest(&inner),
        digest(&arm64),
        digest(&missing),
        digest(&amd64),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_listed_as_a_manifest_first_is_opened_as_the_index_that_it_is() {
    let scene = Scene::new().await;
    let amd64 = scene.image("linux/amd64");
    let inner = scene.index(std::slice::from_ref(&amd64));
    let mut disguised = inner.clone();
    disguised["mediaType"] = json!(media_type::OCI_MANIFEST);
    scene.index(&[disguised, inner.clone(), inner.clone()]);
    let found = client().descendants(&scene.resolved().await).await.unwrap();
    let found: Vec<String> = found.digests.iter().map(Digest::to_string).collect();
    assert_eq!(found, [digest(&inner), digest(&amd64)]);
}

#[tokio::test]
async fn the_platforms_of_an_image_are_those_that_can_be_selected() {
    let scene = Scene::new().await;
    let (unnamed, nested) = (scene.image("linux/arm64"), scene.image("linux/s390x"));
    let mut named = scene.image("linux/amd64");
    named["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let mut attestation = scene.image("linux/amd64");
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let inner = scene.index(&[nested, named.clone()]);
    scene.index(&[inner, attestation, named, unnamed]);
    let image = scene.resolved().await;
    assert_eq!(
        platforms(&image).await,
        ["linux/amd64", "linux/arm64", "linux/s390x"]
    );
    for platform in platforms(&image).await {
        let selected = scene.select(&platform).await.unwrap();
        let entries = client().platform_entries(&image).await.unwrap();
        let mut entries = entries.iter();
        let entry = entries.find(|entry| entry.platform.to_string() == platform);
        let by_entry = client().selected_entry(&image, entry.unwrap()).await;
        assert_eq!(
            by_entry.unwrap().manifest.digest(),
            selected.manifest.digest()
        );
    }
    let manifest = scene.select("linux/s390x").await.unwrap().manifest;
    assert!(
        client()
            .platform_entries(&manifest)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn every_entry_for_a_platform_counts_and_none_is_left_out() {
    let scene = Scene::new().await;
    let amd64 = json!({ "os": "linux", "architecture": "amd64" });
    let (mut first, mut second) = (scene.image("linux/amd64"), scene.image("linux/amd64"));
    first["platform"] = amd64.clone();
    second["platform"] = amd64.clone();
    second["digest"] = json!(Digest::sha256(b"another"));
    scene.index(&[first.clone(), second.clone(), first.clone()]);
    let image = scene.resolved().await;
    assert_eq!(platforms(&image).await, ["linux/amd64", "linux/amd64"]);

    second["digest"] = json!("nonsense");
    scene.index(&[first.clone(), second]);
    let error = client().platform_entries(&scene.resolved().await).await;
    assert!(matches!(error, Err(Error::Manifest { .. })), "{error:?}");

    let entries = (0..257).map(|number: u32| {
        let mut entry = first.clone();
        entry["digest"] = json!(Digest::sha256(&number.to_be_bytes()));
        entry
    });
    scene.index(&entries.collect::<Vec<_>>());
    let error = client().platform_entries(&scene.resolved().await).await;
    assert!(
        matches!(error, Err(Error::Limit { limit: 256, .. })),
        "{error:?}"
    );
}

/// The platforms of all entries, sorted.
async fn platforms(image: &ResolvedImage) -> Vec<String> {
    let entries = client().platform_entries(image).await.unwrap();
    let entries = entries.iter().map(|entry| entry.platform.to_string());
    let mut platforms: Vec<String> = entries.collect();
    platforms.sort();
    platforms
}

#[tokio::test]
async fn a_child_whose_platform_nobody_knows_is_not_left_out_silently() {
    let scene = Scene::new().await;
    let missing = Descriptor::of(media_type::OCI_MANIFEST, b"missing");
    let missing = serde_json::to_value(missing).unwrap();
    scene.index(&[scene.image("linux/arm64"), missing]);
    let error = client().platform_entries(&scene.resolved().await).await;
    assert!(matches!(error, Err(Error::NotFound { .. })), "{error:?}");
}

#[tokio::test]
async fn an_index_that_can_not_be_read_may_list_anything() {
    let scene = Scene::new().await;
    let index_type = media_type::OCI_INDEX;
    let nonsense = b"{\"schemaVersion\": 2, \"manifests\": 7}".to_vec();
    let inner = serde_json::to_value(Descriptor::of(index_type, &nonsense)).unwrap();
    scene.server.put_manifest(PATH, index_type, nonsense, None);
    scene.index(&[inner]);
    let error = client().descendants(&scene.resolved().await).await;
    assert!(matches!(error, Err(Error::Manifest { .. })), "{error:?}");
}

#[tokio::test]
async fn indexes_that_are_nested_too_deep_are_an_error() {
    let scene = Scene::new().await;
    let mut named = scene.image("linux/amd64");
    named["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let mut index = scene.index(&[named]);
    for _ in 0..3 {
        index = scene.index(&[index]);
    }
    let image = scene.resolved().await;
    let found = client().descendants(&image).await.unwrap();
    assert_eq!(found.digests.len(), 4, "three indexes and the image");
    assert!(found.unread.is_empty());
    assert_eq!(platforms(&image).await, ["linux/amd64"]);

    // What is a level deeper could be anything, and could be denied.
    scene.index(&[index]);
    let image = scene.resolved().await;
    let error = client().descendants(&image).await;
    assert!(
        matches!(error, Err(Error::Limit { limit: 4, .. })),
        "{error:?}"
    );
    let error = client().platform_entries(&image).await;
    assert!(
        matches!(error, Err(Error::Limit { limit: 4, .. })),
        "{error:?}"
    );
}
