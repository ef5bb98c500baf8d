//! Pushing blobs and manifests.

use std::time::Duration;

use bytes::Bytes;
use countersign_oci::http::RedirectRefused::HttpsRequired;
use countersign_oci::{Digest, Error, Registry, media_type};
use wiremock::matchers::{body_bytes, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::common::{client, manifest, not_followed, options, repository, requests, text_of};
use super::script::{Script, Then, raw};

const UPLOADS: &str = "/v2/a/b/blobs/uploads/";

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

/// Opens uploads at `location`.
async fn open_uploads(server: &MockServer, location: &str) {
    Mock::given(method("POST"))
        .and(path(UPLOADS))
        .respond_with(status(202).insert_header("location", location))
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_blob_is_pushed_to_a_relative_location_with_its_query() {
    let server = MockServer::start().await;
    let digest = Digest::sha256(b"content");
    open_uploads(&server, "/upload/1?_state=a%2Bb").await;
    Mock::given(method("PUT"))
        .and(path("/upload/1"))
        .and(query_param("_state", "a+b"))
        .and(query_param("digest", digest.to_string()))
        .and(header("content-length", "7"))
        .and(body_bytes("content"))
        .respond_with(status(201))
        .mount(&server)
        .await;
    let bytes = Bytes::from_static(b"content");
    let descriptor = client().push_blob(&repository(&server), bytes).await;
    assert_eq!(descriptor.unwrap().digest, digest);
    assert_eq!(requests(&server).await.len(), 3);
}

/// docker-registry says this while another client mounts a blob that the manifest names.
#[tokio::test]
async fn a_manifest_whose_digest_is_refused_though_it_is_right_is_pushed_again() {
    let server = MockServer::start().await;
    let refused = |code: &str| {
        let refusal = serde_json::json!({"errors": [{"code": code, "message": "no"}]});
        let refusal = status(400).set_body_json(refusal);
        Mock::given(method("PUT"))
            .respond_with(refusal)
            .up_to_n_times(1)
    };
    refused("DIGEST_INVALID").mount(&server).await;
    refused("MANIFEST_INVALID").mount(&server).await;
    let index = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
    let (client, repository) = (client(), repository(&server));
    let pushed = client.push_manifest(&repository, media_type::OCI_INDEX, index, None);
    let error = pushed.await.unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 400, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("MANIFEST_INVALID"), "{error}");
    assert_eq!(requests(&server).await.len(), 2, "other refusals are final");
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_pushed() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD"))
        .respond_with(status(200))
        .mount(&server)
        .await;
    let bytes = Bytes::from_static(b"content");
    client()
        .push_blob(&repository(&server), bytes)
        .await
        .unwrap();
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn an_upload_that_breaks_is_opened_again() {
    let server = MockServer::start().await;
    open_uploads(&server, "/upload/1").await;
    Mock::given(method("PUT"))
        .respond_with(status(502))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .respond_with(status(201))
        .mount(&server)
        .await;
    let bytes = Bytes::from_static(b"content");
    client()
        .push_blob(&repository(&server), bytes)
        .await
        .unwrap();
    let methods: Vec<String> = requests(&server).await;
    let methods = methods.iter().map(|line| line.split(' ').next().unwrap());
    assert_eq!(
        methods.collect::<Vec<_>>(),
        ["HEAD", "POST", "PUT", "POST", "PUT"]
    );
}

#[tokio::test]
async fn an_upload_without_a_location_is_an_error() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(status(202))
        .mount(&server)
        .await;
    let bytes = Bytes::from_static(b"content");
    let error = client().push_blob(&repository(&server), bytes).await;
    let Err(Error::Protocol { expected, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(expected, "a Location to upload to");
}

#[tokio::test]
async fn uploads_do_not_go_to_http_elsewhere() {
    let server = MockServer::start().await;
    open_uploads(&server, "http://storage.example/1?token=s3cr3t").await;
    let bytes = Bytes::from_static(b"content");
    let error = client().push_blob(&repository(&server), bytes).await;
    let expected = ("http://storage.example/1".to_owned(), HttpsRequired);
    assert_eq!(not_followed(error.unwrap_err()), expected);
}

#[tokio::test]
async fn a_large_blob_is_streamed() {
    let server = MockServer::start().await;
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    open_uploads(&server, "/upload/1").await;
    Mock::given(method("PUT"))
        .and(header("content-length", "4000000"))
        .and(body_bytes(content.clone()))
        .respond_with(status(201))
        .mount(&server)
        .await;
    let digest = Digest::sha256(&content);
    client()
        .push_blob_from(&repository(&server), &digest, 4_000_000, || async {
            Ok(content.as_slice())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stream_of_other_content_is_not_pushed() {
    let server = MockServer::start().await;
    open_uploads(&server, "/upload/1").await;
    let repository = repository(&server);
    let push = async |size: u64, content: &'static [u8]| {
        let digest = Digest::sha256(b"content");
        let client = client();
        let pushed = client.push_blob_from(&repository, &digest, size, || async { Ok(content) });
        pushed.await.unwrap_err()
    };
    let error = push(7, b"tnetnoc").await;
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    for (content, length) in [(b"conten".as_slice(), 6), (b"contents".as_slice(), 8)] {
        let error = push(7, content).await;
        assert!(
            matches!(error, Error::SizeMismatch { expected: 7, found, .. } if found == length),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_refuses_an_upload_midway_is_heard() {
    let server = MockServer::start().await;
    open_uploads(&server, "/upload/1").await;
    Mock::given(method("PUT"))
        .respond_with(status(413))
        .mount(&server)
        .await;
    let digest = Digest::sha256(b"content");
    let error = client()
        .push_blob_from(&repository(&server), &digest, 7, || async {
            Ok(b"content".as_slice())
        })
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 413, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_manifest_is_pushed_by_digest_and_tag() {
    let server = MockServer::start().await;
    let body = manifest("x");
    Mock::given(method("PUT"))
        .and(header("content-type", media_type::OCI_MANIFEST))
        .and(body_bytes(body.clone()))
        .respond_with(status(201))
        .mount(&server)
        .await;
    let image = client()
        .push_manifest(
            &repository(&server),
            media_type::OCI_MANIFEST,
            body.into(),
            Some("t"),
        )
        .await
        .unwrap();
    assert_eq!(
        requests(&server).await,
        [
            format!("PUT /v2/a/b/manifests/{}", image.digest()),
            "PUT /v2/a/b/manifests/t".to_owned(),
        ]
    );
}

#[tokio::test]
async fn what_is_no_manifest_is_not_pushed() {
    let server = MockServer::start().await;
    let (client, repository) = (client(), repository(&server));
    let push = async |media_type: &str, bytes: String| {
        client
            .push_manifest(&repository, media_type, bytes.into(), None)
            .await
            .unwrap_err()
    };
    let error = push(media_type::OCI_MANIFEST, "{}".into()).await;
    assert!(matches!(error, Error::Manifest { .. }), "{error:?}");
    let error = push(media_type::OCI_INDEX, manifest("x")).await;
    assert!(matches!(error, Error::Manifest { .. }), "{error:?}");
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn an_upload_that_nobody_takes_is_given_up() {
    let answers = vec![
        (raw("404 Not Found", "content-length: 0\n", ""), Then::Close),
        (
            raw("202 Accepted", "content-length: 0\nlocation: /upload\n", ""),
            Then::Close,
        ),
        (String::new(), Then::Hang),
    ];
    let script = Script::start(answers).await;
    let mut options = options();
    options.retries.times = 0;
    options.timeouts.stall = Duration::from_millis(20);
    options.timeouts.document = Duration::from_millis(20);
    let client = Registry::new(options).unwrap();
    let bytes = Bytes::from_static(b"content");
    let error = client
        .push_blob(&script.repository(), bytes)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert!(text_of(&error).contains("timed out waiting for"));
}
