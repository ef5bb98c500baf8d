//! Logins: challenges, tokens, and where secrets must not go.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_oci::http::RedirectRefused::HttpsRequired;
use countersign_oci::{Credentials, Error, Registry, media_type};
use futures_util::future::join_all;
use wiremock::matchers::{any, body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::common::{
    answer, client, manifest, not_followed, options, reference, repository, requests, text_of,
};

pub(super) const PASSWORD: &str = "hunter2";

pub(super) fn challenge(value: &str) -> ResponseTemplate {
    ResponseTemplate::new(401).insert_header("www-authenticate", value)
}

pub(super) fn bearer_challenge(server: &MockServer) -> ResponseTemplate {
    challenge(&format!(
        r#"Bearer realm="{}/token",service="registry",scope="repository:a/b:pull""#,
        server.uri()
    ))
}

pub(super) fn token(value: &str) -> ResponseTemplate {
    answer("application/json", &format!(r#"{{"token":"{value}"}}"#))
}

pub(super) fn client_with(credentials: Credentials) -> Registry {
    let mut options = options();
    options.credentials = credentials;
    Registry::new(options).unwrap()
}

pub(super) fn login(server: &MockServer) -> Credentials {
    Credentials::default().with_login(&server.address().to_string(), "me", PASSWORD)
}

/// A registry that serves a manifest everywhere to those who show `token`, and challenges others.
async fn registry_with_tokens(accepted: &str) -> MockServer {
    let server = MockServer::start().await;
    let body = manifest("x");
    Mock::given(method("GET"))
        .and(header("authorization", format!("Bearer {accepted}")))
        .respond_with(answer(media_type::OCI_MANIFEST, &body))
        .with_priority(1)
        .mount(&server)
        .await;
    let challenged = bearer_challenge(&server);
    Mock::given(path("/v2/a/b/manifests/t"))
        .respond_with(challenged)
        .mount(&server)
        .await;
    server
}

pub(super) async fn serve_token(server: &MockServer, response: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path("/token"))
        .respond_with(response)
        .mount(server)
        .await;
}

pub(super) async fn refused(client: &Registry, server: &MockServer) -> Error {
    let error = client.resolve(&reference(server, ":t")).await.unwrap_err();
    assert!(!text_of(&error).contains(PASSWORD), "{error:?}");
    error
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_and_used_again() {
    let server = registry_with_tokens("abc").await;
    Mock::given(path("/token"))
        .and(query_param("service", "registry"))
        .and(query_param("scope", "repository:a/b:pull"))
        .respond_with(token("abc"))
        .mount(&server)
        .await;
    let client = client();
    client.resolve(&reference(&server, ":t")).await.unwrap();
    client.resolve(&reference(&server, ":t")).await.unwrap();
    assert_eq!(
        requests(&server).await,
        [
            "GET /v2/a/b/manifests/t",
            "GET /token?service=registry&scope=repository%3Aa%2Fb%3Apull",
            "GET /v2/a/b/manifests/t",
            "GET /v2/a/b/manifests/t",
        ]
    );
}

#[tokio::test]
async fn requests_at_once_share_one_token() {
    let server = registry_with_tokens("abc").await;
    serve_token(&server, token("abc")).await;
    let client = client();
    let reference = reference(&server, ":t");
    let all = join_all((0..8).map(|_| client.resolve(&reference))).await;
    assert!(all.iter().all(Result::is_ok));
    let tokens = requests(&server).await;
    let tokens = tokens.iter().filter(|line| line.starts_with("GET /token"));
    assert_eq!(tokens.count(), 1);
}

#[tokio::test]
async fn a_login_is_shown_to_the_token_service_only() {
    let server = registry_with_tokens("abc").await;
    let basic = format!("Basic {}", BASE64.encode(format!("me:{PASSWORD}")));
    Mock::given(path("/token"))
        .and(header("authorization", basic.as_str()))
        .respond_with(token("abc"))
        .mount(&server)
        .await;
    let client = client_with(login(&server));
    client.resolve(&reference(&server, ":t")).await.unwrap();
    let received = server.received_requests().await.unwrap();
    let shown_basic = |request: &&Request| {
        let value = request.headers.get("authorization");
        value.is_some_and(|value| value == basic.as_str())
    };
    let shown: Vec<_> = received.iter().filter(shown_basic).collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].url.path(), "/token");
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let server = registry_with_tokens("abc").await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(body_string_contains("grant_type=refresh_token"))
        .and(body_string_contains("refresh_token=long-lived"))
        .and(body_string_contains("scope=repository%3Aa%2Fb%3Apull"))
        .respond_with(answer("application/json", r#"{"access_token":"abc"}"#))
        .mount(&server)
        .await;
    let config = format!(
        r#"{{"auths": {{"{}": {{"identitytoken": "long-lived"}}}}}}"#,
        server.address()
    );
    let credentials = Credentials::default().with_config("c", &config).unwrap();
    let client = client_with(credentials);
    client.resolve(&reference(&server, ":t")).await.unwrap();
}

#[tokio::test]
async fn basic_logins_are_sent_once_asked_for() {
    let server = MockServer::start().await;
    let basic = format!("Basic {}", BASE64.encode(format!("me:{PASSWORD}")));
    Mock::given(header("authorization", basic.as_str()))
        .respond_with(answer(media_type::OCI_MANIFEST, &manifest("x")))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(challenge(r#"Basic realm="registry""#))
        .mount(&server)
        .await;
    let client = client_with(login(&server));
    client.resolve(&reference(&server, ":t")).await.unwrap();
    client.resolve(&reference(&server, ":t")).await.unwrap();
    assert_eq!(requests(&server).await.len(), 3);

    let error = refused(&super::common::client(), &server).await;
    assert!(
        matches!(&error, Error::Unauthorized { detail, .. } if detail.contains("there are no credentials for it")),
        "{error:?}"
    );
    let wrong = Credentials::default().with_login(&server.address().to_string(), "you", PASSWORD);
    let error = refused(&client_with(wrong), &server).await;
    assert!(
        matches!(&error, Error::Unauthorized { detail, .. } if detail.contains("as `you`")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_token_that_the_registry_drops_is_renewed() {
    let server = MockServer::start().await;
    let answered = answer(media_type::OCI_MANIFEST, &manifest("x"));
    for (name, times) in [("first", 1), ("second", 9)] {
        Mock::given(header("authorization", format!("Bearer {name}")))
            .respond_with(answered.clone())
            .up_to_n_times(times)
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(path("/token"))
            .respond_with(token(name))
            .up_to_n_times(1)
            .with_priority(2)
            .mount(&server)
            .await;
    }
    let challenged = bearer_challenge(&server);
    Mock::given(path("/v2/a/b/manifests/t"))
        .respond_with(challenged)
        .mount(&server)
        .await;
    let client = client();
    for _ in 0..3 {
        client.resolve(&reference(&server, ":t")).await.unwrap();
    }
    let lines = requests(&server).await;
    let tokens = lines.iter().filter(|line| line.starts_with("GET /token"));
    assert_eq!(tokens.count(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_token_that_is_said_to_have_expired_is_used_for_a_minute() {
    for expires_in in ["0", "-1", "\"0\"", "null", "\"300\""] {
        let server = registry_with_tokens("abc").await;
        let body = format!(r#"{{"token":"abc","expires_in":{expires_in},"issued_at":"?"}}"#);
        serve_token(&server, answer("application/json", &body)).await;
        let client = client();
        client.resolve(&reference(&server, ":t")).await.unwrap();
        client.resolve(&reference(&server, ":t")).await.unwrap();
        let lines = requests(&server).await;
        let paths = lines.iter().map(|line| line.split('?').next().unwrap());
        assert_eq!(
            paths.collect::<Vec<_>>(),
            [
                "GET /v2/a/b/manifests/t",
                "GET /token",
                "GET /v2/a/b/manifests/t",
                "GET /v2/a/b/manifests/t",
            ],
            "{expires_in}"
        );
    }
}

#[tokio::test]
async fn a_challenge_is_read_however_it_is_written() {
    for form in [
        "Bearer  realm={},service=registry",
        "BEARER\trealm=\"{}\" , service=registry",
        "Negotiate YII=, Basic realm=\"x, y\", bearer Realm=\"{}\",SERVICE=\"registry\"",
    ] {
        let server = MockServer::start().await;
        Mock::given(header("authorization", "Bearer abc"))
            .respond_with(answer(media_type::OCI_MANIFEST, &manifest("x")))
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(path("/token"))
            .and(query_param("service", "registry"))
            .respond_with(token("abc"))
            .with_priority(2)
            .mount(&server)
            .await;
        let value = form.replace("{}", &format!("{}/token", server.uri()));
        Mock::given(method("GET"))
            .respond_with(challenge(&value))
            .with_priority(9)
            .mount(&server)
            .await;
        let resolved = client().resolve(&reference(&server, ":t")).await;
        assert!(resolved.is_ok(), "{form}: {resolved:?}");
    }
}

#[tokio::test]
async fn a_token_service_that_refuses_is_an_error_and_not_anonymity() {
    let body = r#"{"errors":[{"code":"DENIED","message":"wrong password"}]}"#;
    let server = registry_with_tokens("abc").await;
    serve_token(
        &server,
        ResponseTemplate::new(401).set_body_raw(body, "application/json"),
    )
    .await;
    let error = refused(&client_with(login(&server)), &server).await;
    let Error::Unauthorized { detail, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        detail,
        "it answered 401: wrong password (DENIED) (we asked as `me` by the login given)"
    );
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn a_token_service_in_trouble_is_an_error() {
    let server = registry_with_tokens("abc").await;
    serve_token(&server, ResponseTemplate::new(500)).await;
    let error = refused(&client_with(login(&server)), &server).await;
    assert!(
        matches!(&error, Error::Status { status: 500, url, .. } if url.ends_with("/token")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_token_service_without_tokens_is_an_error() {
    for body in ["<html>", "{}", r#"{"token":""}"#] {
        let server = registry_with_tokens("abc").await;
        serve_token(&server, answer("application/json", body)).await;
        let error = refused(&client(), &server).await;
        assert!(
            matches!(&error, Error::Protocol { expected, .. } if expected == "a token in JSON"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_tried_for_ever() {
    let server = registry_with_tokens("another").await;
    serve_token(&server, token("abc")).await;
    let error = refused(&client(), &server).await;
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(requests(&server).await.len(), 3);
}

#[tokio::test]
async fn refusals_without_a_challenge_say_so() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401))
        .mount(&server)
        .await;
    let error = refused(&client_with(login(&server)), &server).await;
    assert!(
        matches!(&error, Error::Unauthorized { detail, .. } if detail.ends_with("there is no WWW-Authenticate header")),
        "{error:?}"
    );
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn forbidden_is_forbidden() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let error = refused(&client_with(login(&server)), &server).await;
    assert!(
        matches!(&error, Error::Unauthorized { detail, .. } if detail == "it answered 403 (we asked without a login)"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_token_service_without_tls_gets_no_login() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(challenge(r#"Bearer realm="http://auth.example/token""#))
        .mount(&server)
        .await;
    let error = refused(&client_with(login(&server)), &server).await;
    let expected = ("http://auth.example/token".to_owned(), HttpsRequired);
    assert_eq!(not_followed(error), expected);
}

#[tokio::test]
async fn a_token_to_push_that_is_refused_for_reading_gives_way_to_one_to_read() {
    let server = MockServer::start().await;
    let challenged = bearer_challenge(&server);
    let respond = move |request: &Request| {
        let login = request.headers.get("authorization");
        let login = login.map(|value| value.to_str().unwrap().to_owned());
        match (request.method.as_str(), login.as_deref()) {
            _ if request.url.path() == "/token" => {
                let push = request.url.as_str().contains("push");
                token(if push { "to-push" } else { "to-read" })
            }
            ("PUT", Some("Bearer to-push")) => ResponseTemplate::new(201),
            ("GET", Some("Bearer to-read")) => answer(media_type::OCI_MANIFEST, &manifest("x")),
            _ => challenged.clone(),
        }
    };
    Mock::given(any())
        .respond_with(respond)
        .mount(&server)
        .await;
    let client = client();
    let bytes = manifest("x").into();
    let pushed = client
        .push_manifest(&repository(&server), media_type::OCI_MANIFEST, bytes, None)
        .await;
    pushed.unwrap();
    for _ in 0..3 {
        client.resolve(&reference(&server, ":t")).await.unwrap();
    }
    let received = server.received_requests().await.unwrap();
    let reads = received
        .iter()
        .filter(|one| one.url.path() == "/v2/a/b/manifests/t");
    let logins: Vec<&str> = reads
        .map(|one| one.headers["authorization"].to_str().unwrap())
        .collect();
    let read = "Bearer to-read";
    assert_eq!(logins, ["Bearer to-push", read, read, read]);
}
