//! Registries as they are: what each of these does was seen in one that people use.

use bytes::Bytes;
use countersign_oci::{
    Credentials, Descriptor, Digest, Error, ManifestError, Registry, media_type,
};
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{Auth, DashedTags, Effect, Fault, RegistryOptions, RegistryServer};

use super::common::{client, options};

const PATH: &str = "team/app";
const ARTIFACT: &str = "application/vnd.example.signature";
const LIST: &str = "GET /v2/*/referrers/*";

async fn registry(options: RegistryOptions) -> RegistryServer {
    RegistryServer::start(options).await.unwrap()
}

async fn registry_with_api() -> RegistryServer {
    registry(RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    })
    .await
}

/// An image at `v1`, put there past HTTP.
fn subject(server: &RegistryServer) -> Descriptor {
    let image = Image::builder("linux/amd64".parse().unwrap()).build();
    image.push(server, PATH, Some("v1"));
    image.descriptor()
}

/// An index of two platforms at `v1`, put there past HTTP.
fn subject_index(server: &RegistryServer) -> Descriptor {
    let image = |platform: &str| Image::builder(platform.parse().unwrap()).build();
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    index.push(server, PATH, Some("v1"));
    index.descriptor()
}

/// Pushes a referrer of `subject` through the client.
async fn push(
    client: &Registry,
    server: &RegistryServer,
    subject: &Descriptor,
    remark: &str,
) -> countersign_oci::Result<Digest> {
    let artifact = Image::artifact(ARTIFACT)
        .subject(subject.clone())
        .annotation("remark", remark)
        .build();
    let repository = server.repository(PATH);
    for blob in artifact.blobs() {
        client.push_blob(&repository, blob.clone()).await?;
    }
    let bytes = artifact.bytes().clone();
    let pushed = client.push_referrer(&repository, media_type::OCI_MANIFEST, bytes);
    Ok(pushed.await?.digest().clone())
}

async fn listed(
    client: &Registry,
    server: &RegistryServer,
    subject: &Descriptor,
) -> countersign_oci::Result<Vec<Digest>> {
    let pinned = server.repository(PATH).at(subject.digest.clone());
    let listed = client.referrers(&pinned).await?;
    Ok(listed.into_iter().map(|entry| entry.digest).collect())
}

/// How often the referrers API was asked.
fn questions(server: &RegistryServer) -> usize {
    let requests = server.requests();
    let asked = requests.iter().filter(|r| r.path.contains("/referrers/"));
    asked.count()
}

#[tokio::test]
async fn a_registry_that_claims_the_subject_and_has_no_api_gets_the_tag() {
    let server = registry(RegistryOptions {
        claims_subjects: true,
        ..RegistryOptions::default()
    })
    .await;
    let (subject, client) = (subject(&server), client());
    let first = push(&client, &server, &subject, "first").await.unwrap();
    let second = push(&client, &server, &subject, "second").await.unwrap();
    assert_eq!(questions(&server), 1);
    let found = listed(&super::common::client(), &server, &subject).await;
    assert_eq!(found.unwrap(), [first, second]);
    let tag = subject.digest.referrers_tag();
    assert_eq!(server.tags(PATH), [tag.as_str(), "v1"]);
}

#[tokio::test]
async fn a_registry_that_claims_the_subject_and_has_the_api_gets_no_tag() {
    let server = registry_with_api().await;
    let (subject, client) = (subject(&server), client());
    let first = push(&client, &server, &subject, "first").await.unwrap();
    let second = push(&client, &server, &subject, "second").await.unwrap();
    assert_eq!(questions(&server), 1);
    assert_eq!(
        listed(&client, &server, &subject).await.unwrap(),
        [first, second]
    );
    assert_eq!(server.tags(PATH), ["v1"]);
}

#[tokio::test]
async fn whether_there_is_an_api_is_not_guessed_from_a_failure() {
    let server = registry_with_api().await;
    let subject = subject(&server);
    server.add_fault(Fault::on(LIST, Effect::status(500)));
    let error = push(&client(), &server, &subject, "x").await.unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 500, .. }),
        "{error:?}"
    );
    assert_eq!(server.tags(PATH), ["v1"]);
}

#[tokio::test]
async fn an_index_is_a_list_whatever_plain_type_it_is_given() {
    for effect in [
        Effect::ContentType("application/json".into()),
        Effect::ContentType("application/json; charset=utf-8".into()),
        Effect::ContentType("text/plain; charset=utf-8".into()),
        Effect::ContentType("application/octet-stream".into()),
        Effect::ContentType(String::new()),
        Effect::WithoutHeader("content-type"),
    ] {
        let server = registry_with_api().await;
        let subject = subject(&server);
        server.add_fault(Fault::on(LIST, effect.clone()));
        let signature = push(&client(), &server, &subject, "x").await.unwrap();
        let found = listed(&client(), &server, &subject).await;
        assert_eq!(found.unwrap(), [signature], "{effect:?}");
        assert_eq!(server.tags(PATH), ["v1"], "{effect:?}");
    }
}

#[tokio::test]
async fn a_web_page_is_no_list_whatever_it_holds() {
    for effect in [Effect::ContentType("text/html".into()), Effect::HtmlLogin] {
        let server = registry_with_api().await;
        let subject = subject(&server);
        server.add_fault(Fault::on(LIST, effect.clone()));
        let signature = push(&client(), &server, &subject, "x").await.unwrap();
        let tag = subject.digest.referrers_tag();
        assert_eq!(server.tags(PATH), [tag.as_str(), "v1"], "{effect:?}");
        let found = listed(&client(), &server, &subject).await;
        assert_eq!(found.unwrap(), [signature], "{effect:?}");
    }
}

#[tokio::test]
async fn an_api_that_redirects_to_an_overloaded_web_page_is_none() {
    let page = registry(RegistryOptions {
        faults: vec![Fault::on("*", Effect::too_many_requests(3600))],
        ..RegistryOptions::default()
    })
    .await;
    let server = registry(RegistryOptions {
        claims_subjects: true,
        faults: vec![Fault::on(LIST, Effect::Redirect(page.origin()))],
        ..RegistryOptions::default()
    })
    .await;
    let (subject, client) = (subject(&server), client());
    assert_eq!(listed(&client, &server, &subject).await.unwrap(), []);
    let signature = push(&client, &server, &subject, "x").await.unwrap();
    let found = listed(&super::common::client(), &server, &subject).await;
    assert_eq!(found.unwrap(), [signature]);
    assert_eq!(page.requests().len(), 0);
    page.clear_faults();
}

#[tokio::test]
async fn the_image_itself_at_its_own_tag_lists_nothing_and_gives_way_to_a_list() {
    for make in [subject, subject_index] {
        let server = registry(RegistryOptions {
            dashed_tags: DashedTags::DigestsUnlessPushed,
            ..RegistryOptions::default()
        })
        .await;
        let (subject, client) = (make(&server), client());
        assert_eq!(listed(&client, &server, &subject).await.unwrap(), []);
        let first = push(&client, &server, &subject, "first").await.unwrap();
        let second = push(&client, &server, &subject, "second").await.unwrap();
        assert_eq!(
            listed(&client, &server, &subject).await.unwrap(),
            [first, second]
        );
    }
}

#[tokio::test]
async fn a_registry_that_keeps_no_list_is_told_of() {
    for make in [subject, subject_index] {
        let server = registry(RegistryOptions {
            dashed_tags: DashedTags::Digests,
            ..RegistryOptions::default()
        })
        .await;
        let subject = make(&server);
        let error = push(&client(), &server, &subject, "x").await.unwrap_err();
        let Error::NoReferrers {
            subject: of,
            tag,
            source: None,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(*of, format!("{}/{PATH}@{}", server.host(), subject.digest));
        assert_eq!(*tag, subject.digest.referrers_tag());
        let said = format!(
            "the registry can't list the referrers of {of}: it answers the tag {tag} with the image itself, not with the list that was written there"
        );
        assert_eq!(error.to_string(), said);
    }
}

#[tokio::test]
async fn a_registry_that_refuses_the_list_is_told_of() {
    let server = registry(RegistryOptions::default()).await;
    let subject = subject(&server);
    let put = format!("PUT /v2/{PATH}/manifests/sha256-*");
    server.add_fault(Fault::on(&put, Effect::status(400)));
    let error = push(&client(), &server, &subject, "x").await.unwrap_err();
    let Error::NoReferrers {
        source: Some(source),
        tag,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert!(matches!(**source, Error::Status { status: 400, .. }));
    assert!(
        error
            .to_string()
            .ends_with(&format!(": it refuses the list at the tag {tag}"))
    );
    assert_eq!(server.tags(PATH), ["v1"]);
}

#[tokio::test]
async fn another_image_at_the_tag_is_not_overwritten() {
    let server = registry(RegistryOptions::default()).await;
    let subject = subject(&server);
    let other = Image::artifact("application/vnd.example.other").build();
    let tag = subject.digest.referrers_tag();
    other.push(&server, PATH, Some(&tag));
    let error = push(&client(), &server, &subject, "x").await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Manifest {
                source: ManifestError::NoIndex,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(server.tagged(PATH, &tag), Some(other.digest()));
}

/// Pushes a blob from memory, one from a stream, an image and two referrers. Answers how often the
/// stream was opened.
async fn push_everything(client: &Registry, server: &RegistryServer) -> usize {
    let repository = server.repository(PATH);
    let config = client
        .push_blob(&repository, Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let layer: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::sha256(&layer);
    let size = layer.len() as u64;
    let opened = std::cell::Cell::new(0);
    client
        .push_blob_from(&repository, &digest, size, || {
            opened.set(opened.get() + 1);
            std::future::ready(Ok(layer.as_slice()))
        })
        .await
        .unwrap();
    assert_eq!(server.blob(PATH, &digest).as_deref(), Some(&*layer));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": [Descriptor { digest, size, ..config.clone() }],
    });
    let bytes = Bytes::from(manifest.to_string());
    let image = client
        .push_manifest(&repository, media_type::OCI_MANIFEST, bytes, Some("v1"))
        .await
        .unwrap();
    let subject = image.descriptor();
    let first = push(client, server, &subject, "first").await.unwrap();
    let second = push(client, server, &subject, "second").await.unwrap();
    let mut found = listed(client, server, &subject).await.unwrap();
    let mut expected = vec![first, second];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    opened.get()
}

#[tokio::test]
async fn a_token_that_ends_at_any_request_of_a_push_is_renewed() {
    let login = ("robot".to_owned(), "hunter2".to_owned());
    for referrers_api in [false, true] {
        let mut reopened = 0;
        for token_requests in 1..=12 {
            let server = registry(RegistryOptions {
                referrers_api,
                auth: Auth::Bearer {
                    user: Some(login.clone()),
                },
                token_requests: Some(token_requests),
                ..RegistryOptions::default()
            })
            .await;
            let mut options = options();
            // Renewing a token is no retry.
            options.retries.times = 0;
            options.credentials =
                Credentials::default().with_login(&server.host(), &login.0, &login.1);
            let client = Registry::new(options).unwrap();
            reopened += push_everything(&client, &server).await - 1;
        }
        assert!(reopened > 0, "no token ended while the stream was sent");
    }
}

#[tokio::test]
async fn an_upload_whose_new_token_is_refused_too_ends() {
    let server = registry(RegistryOptions {
        auth: Auth::Bearer { user: None },
        ..RegistryOptions::default()
    })
    .await;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"sandbox\"",
        server.origin()
    );
    let refusal = Effect::Status {
        status: 401,
        headers: vec![("www-authenticate", challenge)],
    };
    server.add_fault(Fault::on("PUT /v2/*/blobs/uploads/*", refusal));
    let bytes = Bytes::from_static(b"content");
    let error = client().push_blob(&server.repository(PATH), bytes).await;
    assert!(
        matches!(error, Err(Error::Unauthorized { .. })),
        "{error:?}"
    );
    let requests = server.requests();
    let puts = requests.iter().filter(|request| request.method == "PUT");
    assert_eq!(puts.count(), 2);
}
