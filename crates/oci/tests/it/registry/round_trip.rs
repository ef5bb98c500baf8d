//! Pushing to and pulling from a whole registry, with every kind of login, and with another
//! implementation of a client at the other end.

use bytes::Bytes;
use countersign_oci::{
    Credentials, Descriptor, Digest, Document, Error, Registry, ResolvedImage, media_type,
};
use countersign_sandbox::image::Image;
use countersign_sandbox::{Auth, Effect, Fault, RegistryOptions, RegistryServer};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;

use super::common::options;

const ARTIFACT: &str = "application/vnd.example.signature";

fn client(credentials: Credentials) -> Registry {
    let mut options = options();
    options.credentials = credentials;
    Registry::new(options).unwrap()
}

/// Pushes an image of one large layer and two referrers, and reads everything back.
async fn round_trip(server: &RegistryServer, client: &Registry) {
    let repository = server.repository("team/app");
    let layer: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::sha256(&layer);
    let size = layer.len() as u64;
    client
        .push_blob_from(&repository, &digest, size, || async {
            Ok(layer.as_slice())
        })
        .await
        .unwrap();
    let config = client
        .push_blob(&repository, Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": [Descriptor { digest: digest.clone(), size, ..config.clone() }],
    });
    let bytes = Bytes::from(manifest.to_string());
    let pushed = client
        .push_manifest(&repository, media_type::OCI_MANIFEST, bytes, Some("v1"))
        .await
        .unwrap();
    let mut signatures = vec![
        push_signature(client, &pushed, "first").await,
        push_signature(client, &pushed, "second").await,
    ];

    let reference = server.reference("team/app:v1").unwrap();
    let image = client.resolve(&reference).await.unwrap();
    assert_eq!(image.digest(), pushed.digest());
    let Document::Manifest(manifest) = image.document() else {
        panic!("{image:?}")
    };
    let mut read = Vec::new();
    client
        .fetch_blob(
            &repository.clone().into(),
            &manifest.layers[0],
            &mut read,
            &|_| {},
        )
        .await
        .unwrap();
    assert_eq!(read, layer);
    let listed = client.referrers(image.reference()).await.unwrap();
    let mut found: Vec<Digest> = listed.iter().map(|d| d.digest.clone()).collect();
    found.sort();
    signatures.sort();
    assert_eq!(found, signatures);
    for descriptor in &listed {
        assert_eq!(descriptor.artifact_type.as_deref(), Some(ARTIFACT));
        client
            .child(&repository.clone().into(), descriptor)
            .await
            .unwrap();
    }
}

async fn push_signature(client: &Registry, subject: &ResolvedImage, content: &str) -> Digest {
    let repository = subject.reference().location().writable().unwrap();
    let artifact = Image::artifact(ARTIFACT)
        .subject(subject.descriptor())
        .layer(ARTIFACT, content.to_owned())
        .build();
    for blob in artifact.blobs() {
        client.push_blob(repository, blob.clone()).await.unwrap();
    }
    let bytes = artifact.bytes().clone();
    let pushed = client.push_referrer(repository, media_type::OCI_MANIFEST, bytes);
    pushed.await.unwrap().digest().clone()
}

async fn start(options: RegistryOptions) -> RegistryServer {
    RegistryServer::start(options).await.unwrap()
}

fn bearer(login: Option<(&str, &str)>) -> RegistryOptions {
    let user = login.map(|(user, password)| (user.into(), password.into()));
    RegistryOptions {
        auth: Auth::Bearer { user },
        ..RegistryOptions::default()
    }
}

#[tokio::test]
async fn with_and_without_the_referrers_api() {
    for referrers_api in [true, false] {
        let server = start(RegistryOptions {
            referrers_api,
            page_size: Some(1),
            ..RegistryOptions::default()
        })
        .await;
        round_trip(&server, &client(Credentials::default())).await;
    }
}

#[tokio::test]
async fn with_a_basic_login() {
    let server = start(RegistryOptions {
        auth: Auth::Basic {
            user: "me".into(),
            password: "secret".into(),
        },
        ..RegistryOptions::default()
    })
    .await;
    let login = Credentials::default().with_login(&server.host(), "me", "secret");
    // On another task, as callers do it: the operations' futures can move between threads.
    let elsewhere = tokio::spawn(async move { round_trip(&server, &client(login)).await });
    elsewhere.await.unwrap();
}

#[tokio::test]
async fn with_tokens_for_everyone_and_for_a_login() {
    let server = start(bearer(None)).await;
    round_trip(&server, &client(Credentials::default())).await;
    let server = start(bearer(Some(("me", "secret")))).await;
    let login = Credentials::default().with_login(&server.host(), "me", "secret");
    round_trip(&server, &client(login)).await;
}

#[tokio::test]
async fn with_an_identity_token() {
    let server = start(RegistryOptions {
        identity_token: Some("long-lived".into()),
        ..bearer(None)
    })
    .await;
    let config = serde_json::json!({"auths": {server.host(): {"identitytoken": "long-lived"}}});
    let credentials = Credentials::default().with_config("config.json", &config.to_string());
    round_trip(&server, &client(credentials.unwrap())).await;
}

#[tokio::test]
async fn with_tokens_that_expire_in_the_middle() {
    let server = start(bearer(None)).await;
    let pusher = client(Credentials::default());
    let repository = server.repository("team/app");
    let blob = Bytes::from_static(b"content");
    let descriptor = pusher.push_blob(&repository, blob).await.unwrap();

    let server = start(RegistryOptions {
        token_requests: Some(2),
        ..bearer(None)
    })
    .await;
    server.put_blob("team/app", "content");
    let client = client(Credentials::default());
    let repository = server.repository("team/app");
    for _ in 0..6 {
        let read = client
            .blob(&repository.clone().into(), &descriptor, 100)
            .await
            .unwrap();
        assert_eq!(read, "content");
    }
    let requests = server.requests();
    let tokens = requests.iter().filter(|request| request.path == "/token");
    assert_eq!(tokens.count(), 3);
}

#[tokio::test]
async fn an_update_that_another_writer_loses_is_made_again() {
    let server = start(RegistryOptions::default()).await;
    let client = client(Credentials::default());
    let image = Image::artifact("application/x").build();
    let digest = image.push(&server, "app", Some("v1"));
    let reference = server.reference("app:v1").unwrap();
    let subject = client.resolve(&reference).await.unwrap();
    let other = Image::artifact("application/y").build();
    other.push(&server, "app", None);
    let other = other.descriptor();
    let at = format!("PUT /v2/app/manifests/{}", digest.referrers_tag());
    server.add_fault(Fault::on(&at, Effect::LostUpdate(other.clone())).times(1));
    let ours = push_signature(&client, &subject, "content").await;
    let listed = client.referrers(subject.reference()).await.unwrap();
    let listed: Vec<Digest> = listed.into_iter().map(|d| d.digest).collect();
    assert_eq!(listed, [other.digest, ours]);
}

#[tokio::test]
async fn a_blob_that_is_cut_off_arrives_whole() {
    let server = start(RegistryOptions::default()).await;
    let content = "0123456789".repeat(100_000);
    let digest = server.put_blob("app", content.clone());
    let descriptor = Descriptor {
        digest,
        ..Descriptor::of("application/octet-stream", content.as_bytes())
    };
    server
        .add_fault(Fault::on("GET /v2/app/blobs/*", Effect::Truncate { after: 300_000 }).times(2));
    let mut read = Vec::new();
    client(Credentials::default())
        .fetch_blob(
            &server.repository("app").into(),
            &descriptor,
            &mut read,
            &|_| {},
        )
        .await
        .unwrap();
    assert!(read == content.as_bytes());
}

#[tokio::test]
async fn tries_count_anew_after_progress_worth_it_and_run_out_without() {
    let server = start(RegistryOptions::default()).await;
    let content = vec![7_u8; 5 << 20];
    server.put_blob("app", content.clone());
    let descriptor = Descriptor::of("application/octet-stream", &content);
    let repository = server.repository("app");
    let mut options = options();
    options.retries.times = 1;
    let client = Registry::new(options).unwrap();
    let cut = |after: usize| Fault::on("GET /v2/app/blobs/*", Effect::Truncate { after });

    server.add_fault(cut(3 << 19).times(3));
    let mut read = Vec::new();
    client
        .fetch_blob(&repository.clone().into(), &descriptor, &mut read, &|_| {})
        .await
        .unwrap();
    assert!(read == content);
    assert_eq!(server.requests().len(), 4);

    server.clear_faults();
    server.reset_requests();
    server.add_fault(cut(1000));
    let error = client
        .fetch_blob(
            &repository.clone().into(),
            &descriptor,
            &mut Vec::new(),
            &|_| {},
        )
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn storage_at_another_host_sees_no_login() {
    let storage = start(RegistryOptions::default()).await;
    storage.put_blob("app", "content");
    let server = start(bearer(Some(("me", "secret")))).await;
    server.add_fault(Fault::on(
        "GET /v2/app/blobs/*",
        Effect::Redirect(storage.origin()),
    ));
    let login = Credentials::default().with_login(&server.host(), "me", "secret");
    let descriptor = Descriptor::of("application/octet-stream", b"content");
    let repository = server.repository("app");
    let blob = client(login)
        .blob(&repository.clone().into(), &descriptor, 100)
        .await;
    assert_eq!(blob.unwrap(), "content");
    let requests = storage.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].authorization, None);
}

fn foreign() -> (oci_client::Client, RegistryAuth) {
    let client = oci_client::Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    });
    (client, RegistryAuth::Anonymous)
}

#[tokio::test]
async fn another_client_reads_what_we_push() {
    let server = start(RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    })
    .await;
    let ours = client(Credentials::default());
    round_trip(&server, &ours).await;
    let reference = server.reference("team/app:v1").unwrap();
    let image = ours.resolve(&reference).await.unwrap();
    let Document::Manifest(manifest) = image.document() else {
        panic!("{image:?}")
    };

    let (theirs, auth) = foreign();
    let reference: oci_client::Reference = reference.to_string().parse().unwrap();
    let accepted = [media_type::OCI_MANIFEST];
    let (bytes, digest) = theirs
        .pull_manifest_raw(&reference, &auth, &accepted)
        .await
        .unwrap();
    assert_eq!(&bytes, image.bytes());
    assert_eq!(digest, image.digest().to_string());
    let mut read = Vec::new();
    let layer = manifest.layers[0].digest.to_string();
    theirs
        .pull_blob(&reference, layer.as_str(), &mut read)
        .await
        .unwrap();
    assert!(manifest.layers[0].digest.matches(&read));
    let pinned = reference.clone_with_digest(digest);
    let referrers = theirs.pull_referrers(&pinned, None).await.unwrap();
    assert_eq!(referrers.manifests.len(), 2);
}

#[tokio::test]
async fn we_read_what_another_client_pushes() {
    let server = start(RegistryOptions::default()).await;
    let (theirs, auth) = foreign();
    let name = format!("{}/team/app:v1", server.host());
    let layer = oci_client::client::ImageLayer::oci_v1(b"content".to_vec(), None);
    let config = oci_client::client::Config::oci_v1(b"{}".to_vec(), None);
    theirs
        .push(&name.parse().unwrap(), &[layer], config, &auth, None)
        .await
        .unwrap();

    let client = client(Credentials::default());
    let image = client.resolve(&name.parse().unwrap()).await.unwrap();
    let Document::Manifest(manifest) = image.document() else {
        panic!("{image:?}")
    };
    let repository = server.repository("team/app");
    let read = client
        .blob(&repository.clone().into(), &manifest.layers[0], 100)
        .await;
    assert_eq!(read.unwrap(), "content");
}
