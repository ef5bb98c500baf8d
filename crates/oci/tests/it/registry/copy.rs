//! Copying blobs between repositories, and moving tags.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use countersign_oci::{
    Copied, Descriptor, Digest, Error, LayoutDraft, LayoutPath, Registry, Repository,
};
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault, Mounts, RegistryOptions, RegistryServer};

use super::common::{client, text_of};

const CONTENT: &[u8] = b"what a layer would be";

async fn server(mounts: Mounts) -> RegistryServer {
    let options = RegistryOptions {
        mounts,
        ..RegistryOptions::default()
    };
    RegistryServer::start(options).await.unwrap()
}

fn blob() -> Descriptor {
    Descriptor::of("application/octet-stream", CONTENT)
}

async fn copy(source: &Repository, target: &Repository) -> Result<Copied, Error> {
    let ignore = Arc::new(|_| {});
    let client = client();
    client
        .copy_blob(&client, &source.clone().into(), target, &blob(), ignore)
        .await
}

#[tokio::test]
async fn a_blob_of_the_same_registry_is_mounted() {
    let server = server(Mounts::Served).await;
    server.put_blob("from", CONTENT);
    let (source, target) = (server.repository("from"), server.repository("to"));
    assert_eq!(copy(&source, &target).await.unwrap(), Copied::Mounted);
    assert_eq!(server.blob("to", &blob().digest).unwrap(), CONTENT);
    assert_eq!(copy(&source, &target).await.unwrap(), Copied::Present);
    let sent = server.requests();
    assert!(!sent.iter().any(|request| request.method == "PUT"));
}

#[tokio::test]
async fn a_registry_that_mounts_nothing_is_sent_the_blob() {
    let server = server(Mounts::BecomeUploads).await;
    server.put_blob("from", CONTENT);
    let (source, target) = (server.repository("from"), server.repository("to"));
    assert_eq!(copy(&source, &target).await.unwrap(), Copied::Sent);
    assert_eq!(server.blob("to", &blob().digest).unwrap(), CONTENT);
}

#[tokio::test]
async fn a_refusal_to_mount_is_no_failure() {
    for status in [400, 403, 404, 405] {
        let server = server(Mounts::Served).await;
        server.put_blob("from", CONTENT);
        let refused = Fault::on("POST /v2/to/blobs/uploads/", Effect::status(status));
        server.add_fault(refused.times(1));
        let (source, target) = (server.repository("from"), server.repository("to"));
        assert_eq!(
            copy(&source, &target).await.unwrap(),
            Copied::Sent,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_blob_of_another_registry_flows_through() {
    let (here, there) = (server(Mounts::Served).await, server(Mounts::Served).await);
    let large = vec![7; 3 << 20];
    here.put_blob("from", large.clone());
    let blob = Descriptor::of("application/octet-stream", &large);
    let read = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&read);
    let progress = Arc::new(move |bytes| told.store(bytes, Ordering::Relaxed));
    let (source, target) = (here.repository("from"), there.repository("to"));
    let client = client();
    let copied = client
        .copy_blob(&client, &source.clone().into(), &target, &blob, progress)
        .await;
    assert_eq!(copied.unwrap(), Copied::Sent);
    assert_eq!(there.blob("to", &blob.digest).unwrap(), large);
    assert_eq!(read.load(Ordering::Relaxed), 3 << 20);
}

#[tokio::test]
async fn what_is_wrong_with_the_source_is_told_of_the_source() {
    let (here, there) = (server(Mounts::Served).await, server(Mounts::Served).await);
    let (source, target) = (here.repository("from"), there.repository("to"));
    let missing = copy(&source, &target).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing:?}");
    assert!(text_of(&missing).contains(&source.to_string()));

    let other = b"what another layer is";
    here.replace_blob("from", &blob().digest, &other[..]);
    let wrong = copy(&source, &target).await.unwrap_err();
    let Error::DigestMismatch { what, found, .. } = &wrong else {
        panic!("{wrong:?}")
    };
    assert_eq!(*found, Digest::sha256(other));
    assert_eq!(**what, source.at(blob().digest));
    assert_eq!(there.blob("to", &blob().digest), None);
}

#[tokio::test]
async fn a_tag_names_what_it_was_set_to() {
    let server = server(Mounts::Served).await;
    let image = |text: &str| {
        let layer = Layer::builder()
            .file("a", text, 0o644)
            .build(Compression::Gzip);
        Image::builder("linux/amd64".parse().unwrap())
            .layer(layer)
            .build()
    };
    let (first, second) = (image("1"), image("2"));
    first.push(&server, "app", Some("v1"));
    let digest = second.push(&server, "app", None);
    let registry: Registry = client();
    let pinned = server.reference(&format!("app@{digest}")).unwrap();
    let resolved = registry.resolve(&pinned).await.unwrap();
    registry.tag(&resolved, "v1").await.unwrap();
    let tagged = server.reference("app:v1").unwrap();
    assert_eq!(*registry.resolve(&tagged).await.unwrap().digest(), digest);
}

#[tokio::test]
async fn copies_that_run_side_by_side_don_t_disturb_each_other() {
    let (here, there) = (server(Mounts::Served).await, server(Mounts::Served).await);
    let (source, target) = (here.repository("from"), there.repository("to"));
    let contents: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; 100_000]).collect();
    let blobs = contents.iter().map(|content| {
        here.put_blob("from", content.clone());
        Descriptor::of("application/octet-stream", content)
    });
    let blobs: Vec<_> = blobs.collect();
    let registry = client();
    let done = Arc::new(Mutex::new(0));
    let mut copies = tokio::task::JoinSet::new();
    for blob in blobs.clone() {
        let (registry, source, target) = (registry.clone(), source.clone(), target.clone());
        let done = Arc::clone(&done);
        copies.spawn(async move {
            let ignore = Arc::new(|_| {});
            registry
                .copy_blob(&registry, &source.clone().into(), &target, &blob, ignore)
                .await
                .unwrap();
            *done.lock().unwrap() += 1;
        });
    }
    copies.join_all().await;
    assert_eq!(*done.lock().unwrap(), 20);
    assert_eq!(there.blobs("to").len(), 20);
}

#[tokio::test]
async fn what_is_wrong_with_a_blob_is_said_though_its_rest_cannot_be_removed() {
    let server = server(Mounts::Served).await;
    server.put_blob("from", CONTENT);
    server.add_fault(Fault::on("GET /v2/from/blobs/*", Effect::Corrupt { at: 3 }));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let layout = LayoutPath::new(&path).unwrap();
    let draft = LayoutDraft::begin(&layout).await.unwrap();
    let begun = path.join(format!("blobs/sha256/{}.part", blob().digest.hex()));
    let source = server.repository("from").into();
    // Somebody else removes what was begun, so that there is nothing to remove after the failure.
    let progress = move |_| drop(std::fs::remove_file(&begun));
    let error = client()
        .copy_blob_to_layout(&source, &draft, &blob(), &progress)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}
