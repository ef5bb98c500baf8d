//! Where redirects may lead, and what must not go along.

use countersign_oci::http::RedirectRefused::{HttpsRequired, Nowhere, TooMany};
use countersign_oci::{Descriptor, Error, Repository};
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::auth::{bearer_challenge, challenge, client_with, login, refused, serve_token, token};
use super::common::{answer, client, not_followed, repository, requests, text_of};

#[tokio::test]
async fn a_redirect_to_another_host_leaves_the_login_behind() {
    let storage = MockServer::start().await;
    Mock::given(header_exists("authorization"))
        .respond_with(ResponseTemplate::new(400))
        .with_priority(1)
        .mount(&storage)
        .await;
    Mock::given(path("/stored"))
        .respond_with(answer("application/octet-stream", "content"))
        .mount(&storage)
        .await;
    let server = MockServer::start().await;
    let away = format!("{}/stored?X-Signature=s3cr3t", storage.uri());
    Mock::given(header("authorization", "Bearer abc"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", away))
        .with_priority(1)
        .mount(&server)
        .await;
    serve_token(&server, token("abc")).await;
    let challenged = bearer_challenge(&server);
    Mock::given(method("GET"))
        .respond_with(challenged)
        .with_priority(9)
        .mount(&server)
        .await;
    let client = client_with(login(&server));
    let descriptor = Descriptor::of("application/octet-stream", b"content");
    let repository: Repository = repository(&server);
    let blob = client
        .blob(&repository.clone().into(), &descriptor, 10)
        .await
        .unwrap();
    assert_eq!(blob, "content");

    // What storage then asks for is not ours to answer, and its query stays out of the error.
    storage.reset().await;
    Mock::given(method("GET"))
        .respond_with(challenge(r#"Basic realm="storage""#))
        .mount(&storage)
        .await;
    let error = client
        .blob(&repository.clone().into(), &descriptor, 10)
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::Unauthorized { registry, .. } if *registry == storage.address().to_string()),
        "{error:?}"
    );
    assert!(!text_of(&error).contains("s3cr3t"));
    assert_eq!(requests(&storage).await.len(), 1);
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "/v2/a/b/manifests/t"))
        .mount(&server)
        .await;
    let error = refused(&client(), &server).await;
    let to = format!("{}/v2/a/b/manifests/t", server.uri());
    assert_eq!(not_followed(error), (to, TooMany { limit: 5 }));
    assert_eq!(requests(&server).await.len(), 6);
}

#[tokio::test]
async fn a_redirect_to_http_elsewhere_is_not_followed() {
    let server = MockServer::start().await;
    let away = "http://registry.example/v2/a/b/manifests/t?token=s3cr3t";
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", away))
        .mount(&server)
        .await;
    let error = refused(&client(), &server).await;
    let to = "http://registry.example/v2/a/b/manifests/t".to_owned();
    assert_eq!(not_followed(error), (to, HttpsRequired));
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_says_so() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(302))
        .mount(&server)
        .await;
    let error = refused(&client(), &server).await;
    assert_eq!(
        not_followed(error),
        ("an unknown place".to_owned(), Nowhere)
    );
}
