//! Reading manifests and blobs from registries that misbehave.

use super::common::{
    self, answer, client, entry, index, manifest, options, pinned, reference, repository, requests,
};
use super::script::{Script, Then, raw};
use countersign_oci::{
    Algorithm, Descriptor, Digest, Document, Error, ManifestError, Patience, Registry, media_type,
};
use countersign_sandbox::ClosedPort;
use wiremock::matchers::{headers, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const OCTETS: &str = "application/octet-stream";

async fn serve(server: &MockServer, at: &str, response: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(format!("/v2/a/b/{at}")))
        .respond_with(response)
        .mount(server)
        .await;
}

/// What resolving the tag `t` yields when `response` is the answer.
async fn resolving(response: ResponseTemplate) -> Error {
    let server = MockServer::start().await;
    serve(&server, "manifests/t", response).await;
    let error = client().resolve(&reference(&server, ":t")).await;
    error.unwrap_err()
}

#[tokio::test]
async fn a_tag_is_resolved_by_one_request_that_accepts_four_types() {
    let server = MockServer::start().await;
    let accepted = vec![
        media_type::OCI_INDEX,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_INDEX,
        media_type::DOCKER_MANIFEST,
    ];
    let body = manifest("x");
    let lying = Digest::sha256(b"something else").to_string();
    Mock::given(headers("accept", accepted))
        .respond_with(
            answer(media_type::OCI_MANIFEST, &body).insert_header("docker-content-digest", lying),
        )
        .mount(&server)
        .await;
    let image = client().resolve(&reference(&server, ":t")).await.unwrap();
    assert_eq!(image.digest(), &Digest::sha256(body.as_bytes()));
    assert_eq!(image.bytes(), body.as_bytes());
    assert_eq!(requests(&server).await, ["GET /v2/a/b/manifests/t"]);
}

#[tokio::test]
async fn a_digest_in_the_reference_decides() {
    let server = MockServer::start().await;
    let body = manifest("x");
    let digest = Digest::of(Algorithm::Sha512, body.as_bytes());
    serve(
        &server,
        &format!("manifests/{digest}"),
        answer(media_type::OCI_MANIFEST, &body),
    )
    .await;
    let reference = reference(&server, &format!(":t@{digest}"));
    let image = client().resolve(&reference).await.unwrap();
    assert_eq!(image.digest(), &digest);
}

#[tokio::test]
async fn other_content_than_the_digest_names_is_refused() {
    let server = MockServer::start().await;
    let wanted = pinned(&server, b"wanted");
    let at = format!("manifests/{}", wanted.digest());
    let other = manifest("other");
    serve(&server, &at, answer(media_type::OCI_MANIFEST, &other)).await;
    let error = client().manifest(&wanted).await.unwrap_err();
    let Error::DigestMismatch { what, found } = error else {
        panic!("{error:?}")
    };
    assert_eq!(*what, wanted);
    assert_eq!(found, Digest::sha256(other.as_bytes()));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let error = resolving(ResponseTemplate::new(404)).await;
    assert!(
        matches!(&error, Error::NotFound { what } if what.ends_with("/a/b:t")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_web_page_is_named_as_one() {
    let error = resolving(answer("text/html; charset=utf-8", "<html>log in</html>")).await;
    assert!(
        matches!(&error, Error::Protocol { found, .. } if found == "a web page (text/html)"),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_no_manifest_is_named() {
    let error = resolving(answer("application/json", "{}")).await;
    assert!(
        matches!(
            &error,
            Error::Manifest {
                source: ManifestError::Unknown { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_huge_manifest_is_over_the_limit() {
    let server = MockServer::start().await;
    let body = "x".repeat(1001);
    serve(
        &server,
        "manifests/t",
        answer(media_type::OCI_MANIFEST, &body),
    )
    .await;
    let mut options = common::options();
    options.limits.manifest_bytes = 1000;
    let client = countersign_oci::Registry::new(options).unwrap();
    let error = client.resolve(&reference(&server, ":t")).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: 1000,
                unit: "bytes",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_registrys_own_words_are_in_the_error() {
    let body = r#"{"errors":[{"code":"UNSUPPORTED","message":"not\nhere"}]}"#;
    let error = resolving(answer("application/json", body).append_header("x", "y")).await;
    assert!(matches!(error, Error::Manifest { .. }), "{error:?}");
    let refused = ResponseTemplate::new(405).set_body_raw(body, "application/json");
    let error = resolving(refused).await;
    let Error::Status { status, detail, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(status, 405);
    assert_eq!(detail.as_deref(), Some("not here (UNSUPPORTED)"));
}

#[tokio::test]
async fn a_child_has_the_size_and_type_of_its_descriptor() {
    let server = MockServer::start().await;
    let body = manifest("child");
    let descriptor = Descriptor::of(media_type::OCI_MANIFEST, body.as_bytes());
    let at = format!("manifests/{}", descriptor.digest);
    serve(&server, &at, answer(media_type::OCI_MANIFEST, &body)).await;
    let repository = repository(&server);
    let child = client()
        .child(&repository.clone().into(), &descriptor)
        .await
        .unwrap();
    assert!(matches!(child.document(), Document::Manifest(_)));

    let shorter = Descriptor {
        size: descriptor.size - 1,
        ..descriptor.clone()
    };
    let error = client()
        .child(&repository.clone().into(), &shorter)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");

    let otherwise = Descriptor {
        media_type: media_type::OCI_INDEX.into(),
        ..descriptor
    };
    let error = client()
        .child(&repository.clone().into(), &otherwise)
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Manifest {
                source: ManifestError::MediaTypeMismatch { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_blob_has_the_size_and_digest_of_its_descriptor() {
    let server = MockServer::start().await;
    let repository = repository(&server);
    let descriptor = Descriptor::of(OCTETS, b"content");
    let at = format!("blobs/{}", descriptor.digest);
    serve(&server, &at, answer(OCTETS, "content")).await;
    let blob = client()
        .blob(&repository.clone().into(), &descriptor, 7)
        .await
        .unwrap();
    assert_eq!(blob, "content");

    for size in [6, 8] {
        let lying = Descriptor {
            size,
            ..descriptor.clone()
        };
        let error = client()
            .blob(&repository.clone().into(), &lying, 10)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::SizeMismatch { expected, found: 7, .. } if expected == size),
            "{error:?}"
        );
    }

    let other = Descriptor::of(OCTETS, b"tnetnoc");
    let at = format!("blobs/{}", other.digest);
    serve(&server, &at, answer(OCTETS, "content")).await;
    let error = client()
        .blob(&repository.clone().into(), &other, 7)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_over_the_limit_is_not_asked_for() {
    let server = MockServer::start().await;
    let descriptor = Descriptor::of(OCTETS, b"content");
    let error = client()
        .blob(&repository(&server).into(), &descriptor, 6)
        .await;
    assert!(matches!(error, Err(Error::Limit { limit: 6, .. })));
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn too_many_requests_and_server_trouble_pass() {
    for response in [
        ResponseTemplate::new(429).insert_header("retry-after", "0"),
        ResponseTemplate::new(503),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(response)
            .up_to_n_times(2)
            .mount(&server)
            .await;
        serve(
            &server,
            "manifests/t",
            answer(media_type::OCI_MANIFEST, &manifest("x")),
        )
        .await;
        client().resolve(&reference(&server, ":t")).await.unwrap();
        assert_eq!(requests(&server).await.len(), 3);
    }
}

#[tokio::test]
async fn a_registry_that_wants_a_long_pause_is_not_asked_again() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "3600");
    serve(&server, "manifests/t", busy).await;
    let error = client()
        .resolve(&reference(&server, ":t"))
        .await
        .unwrap_err();
    let Error::Status { status, detail, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(status, 429);
    assert_eq!(detail.as_deref(), Some("it asks for a pause of 3600 s"));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn patience_ends_at_a_pause_that_no_clock_can_count() {
    let server = MockServer::start().await;
    let pause = u64::MAX.to_string();
    let busy = ResponseTemplate::new(429).insert_header("retry-after", pause.as_str());
    serve(&server, "manifests/t", busy).await;
    let mut options = options();
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    options.retries.patience = Some(Patience::until(end, |_| {}));
    let image = reference(&server, ":t");
    let answer = Registry::new(options).unwrap().resolve(&image).await;
    let status = |error: &Error| matches!(error, Error::Status { status: 429, .. });
    assert!(answer.as_ref().is_err_and(status), "{answer:?}");
}

#[tokio::test]
async fn other_errors_are_not_asked_about_again() {
    for status in [400, 404, 405, 410, 501] {
        let server = MockServer::start().await;
        serve(&server, "manifests/t", ResponseTemplate::new(status)).await;
        let error = client().resolve(&reference(&server, ":t")).await;
        let found = match error.unwrap_err() {
            Error::NotFound { .. } => 404,
            Error::Status { status, .. } => status,
            other => panic!("{status}: {other:?}"),
        };
        assert_eq!(found, status);
        assert_eq!(requests(&server).await.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_network_error_with_its_cause() {
    let nobody = ClosedPort::hold().unwrap();
    let there = format!("{}/a/b:t", nobody.address());
    let error = client().resolve(&there.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn an_index_is_read_as_one() {
    let server = MockServer::start().await;
    let body = index(&[entry("x")]);
    serve(&server, "manifests/t", answer(media_type::OCI_INDEX, &body)).await;
    let image = client().resolve(&reference(&server, ":t")).await.unwrap();
    assert!(matches!(image.document(), Document::Index(_)));
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again() {
    let body = manifest("x");
    let headers = format!("content-length: {}\n", body.len());
    let answers = vec![
        (String::new(), Then::Close),
        (raw("200 OK", &headers, &body), Then::Close),
    ];
    let script = Script::start(answers).await;
    let wanted = script.repository().at(Digest::sha256(body.as_bytes()));
    client().manifest(&wanted).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_given_up() {
    let script = Script::start(vec![(String::new(), Then::Hang)]).await;
    let mut options = common::options();
    options.retries.times = 0;
    options.timeouts.answer = std::time::Duration::from_millis(20);
    let client = countersign_oci::Registry::new(options).unwrap();
    let wanted = script.repository().at(Digest::sha256(b"x"));
    let error = client.manifest(&wanted).await.unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert!(common::text_of(&error).contains("timed out waiting for an answer"));
}

#[tokio::test]
async fn a_proxy_is_used_for_all_but_loopback() {
    let proxy = MockServer::start().await;
    serve(
        &proxy,
        "manifests/t",
        answer(media_type::OCI_MANIFEST, &manifest("by proxy")),
    )
    .await;
    let here = MockServer::start().await;
    let body = manifest("direct");
    serve(
        &here,
        "manifests/t",
        answer(media_type::OCI_MANIFEST, &body),
    )
    .await;
    let mut options = common::options();
    options.plain_http = countersign_oci::PlainHttp::Always;
    options.proxy = Some(proxy.uri().parse().unwrap());
    let client = countersign_oci::Registry::new(options).unwrap();

    let far = "registry.example/a/b:t".parse().unwrap();
    let image = client.resolve(&far).await.unwrap();
    assert_eq!(image.bytes(), manifest("by proxy").as_bytes());
    let image = client.resolve(&reference(&here, ":t")).await.unwrap();
    assert_eq!(image.bytes(), body.as_bytes());
}

/// A name that no network resolves: what isn't reached by the proxy isn't reached.
#[tokio::test]
async fn the_proxy_is_left_out_for_named_hosts_and_their_subdomains() {
    let proxy = MockServer::start().await;
    let body = manifest("by proxy");
    serve(
        &proxy,
        "manifests/t",
        answer(media_type::OCI_MANIFEST, &body),
    )
    .await;
    let mut options = common::options();
    options.plain_http = countersign_oci::PlainHttp::Always;
    options.retries.times = 0;
    options.proxy = Some(proxy.uri().parse().unwrap());
    options.no_proxy = "10.0.0.0/8, inside.invalid".parse().unwrap();
    let client = countersign_oci::Registry::new(options).unwrap();

    for direct in ["inside.invalid/a/b:t", "registry.inside.invalid/a/b:t"] {
        let error = client.resolve(&direct.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Network { .. }), "{error:?}");
    }
    let far = "outside.invalid/a/b:t".parse().unwrap();
    assert_eq!(client.resolve(&far).await.unwrap().bytes(), body.as_bytes());
}

#[tokio::test]
async fn what_a_registry_says_of_an_error_is_escaped_and_cut() {
    let server = MockServer::start().await;
    let message = format!("a\u{202e}b\u{1b}[2J{}", "y".repeat(10_000));
    let body = serde_json::json!({"errors": [{"code": "ODD", "message": message}]});
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(405).set_body_json(body))
        .mount(&server)
        .await;
    let error = client().resolve(&reference(&server, ":t")).await;
    let Err(Error::Status {
        status: 405,
        detail: Some(detail),
        ..
    }) = error
    else {
        panic!("{error:?}")
    };
    let expected = format!(r"a\u{{202e}}b\u{{1b}}[2J{}…", "y".repeat(193));
    assert_eq!(detail, expected);
}
