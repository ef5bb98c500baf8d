//! What a third host receives, to which a registry leads us: never a login, nor what a login could
//! be got by, whatever it answers.

use bytes::Bytes;
use countersign_oci::http::RedirectRefused;
use countersign_oci::{Credentials, Descriptor, Digest, Error, Registry, media_type};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::auth::{PASSWORD, bearer_challenge, challenge, client_with, login, refused, token};
use super::common::{
    answer, entry, index, manifest, not_followed, pinned, reference, repository, requests,
};

/// The token that the registry's own token service hands out.
const TOKEN: &str = "t0ken-of-home";
const IDENTITY: &str = "1dentity-token";
const REGISTRY_TOKEN: &str = "reg1stry-token";
const CONTENT: &[u8] = b"content";

#[derive(Debug, Clone, Copy)]
enum Login {
    Basic,
    Bearer,
    Identity,
    RegistryToken,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RequestKind {
    Manifest,
    SmallBlob,
    StreamedBlob,
    Referrers,
    UploadOpenedElsewhere,
    UploadLocationElsewhere,
    UploadRedirected,
    PushedManifest,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stranger {
    WantsBasic,
    WantsBearer,
    Serves,
}

/// A registry that wants a login, and leads whoever has one to `stranger`.
async fn home(login: Login, asked: RequestKind, stranger: &MockServer) -> MockServer {
    let server = MockServer::start().await;
    let challenged = match login {
        Login::Basic => challenge(r#"Basic realm="home""#),
        _ => bearer_challenge(&server),
    };
    let away = stranger.uri();
    let respond = move |request: &Request| {
        let at = request.url.path();
        let location = match (request.method.as_str(), asked) {
            _ if at == "/token" => return token(TOKEN),
            _ if !request.headers.contains_key("authorization") => return challenged.clone(),
            ("HEAD", _) => return ResponseTemplate::new(404),
            ("POST", RequestKind::UploadLocationElsewhere) => format!("{away}/upload/1"),
            ("POST", RequestKind::UploadRedirected) => "/upload/1".to_owned(),
            _ => {
                let location = format!("{away}{at}");
                return ResponseTemplate::new(307).insert_header("location", location);
            }
        };
        ResponseTemplate::new(202).insert_header("location", location)
    };
    Mock::given(any())
        .respond_with(respond)
        .mount(&server)
        .await;
    server
}

async fn stranger(behaviour: Stranger) -> MockServer {
    let server = MockServer::start().await;
    let challenged = match behaviour {
        Stranger::WantsBasic => challenge(r#"Basic realm="stranger""#),
        _ => bearer_challenge(&server),
    };
    let uri = server.uri();
    let respond = move |request: &Request| {
        let at = request.url.path();
        match request.method.as_str() {
            _ if at == "/token" => token("bait"),
            _ if behaviour != Stranger::Serves => challenged.clone(),
            "POST" => ResponseTemplate::new(202).insert_header("location", "/upload/2"),
            "PUT" => ResponseTemplate::new(201),
            _ if at.ends_with("/next") => answer(media_type::OCI_INDEX, &index(&[])),
            _ if at.contains("/referrers/") => {
                let page = answer(media_type::OCI_INDEX, &index(&[entry("x")]));
                page.insert_header("link", format!("<{uri}/v2/a/b/next>; rel=\"next\""))
            }
            _ if at.contains("/blobs/") => ResponseTemplate::new(200).set_body_bytes(CONTENT),
            _ => answer(media_type::OCI_MANIFEST, &manifest("x")),
        }
    };
    Mock::given(any())
        .respond_with(respond)
        .mount(&server)
        .await;
    server
}

fn client(login_kind: Login, home: &MockServer) -> Registry {
    let host = home.address().to_string();
    let stored = |key: &str, value: &str| {
        let file = format!(r#"{{"auths":{{"{host}":{{"{key}":"{value}"}}}}}}"#);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, file).unwrap();
        Credentials::default().with_config_file(&path).unwrap()
    };
    client_with(match login_kind {
        Login::Basic | Login::Bearer => login(home),
        Login::Identity => stored("identitytoken", IDENTITY),
        Login::RegistryToken => stored("registrytoken", REGISTRY_TOKEN),
    })
}

async fn ask(client: &Registry, home: &MockServer, asked: RequestKind) -> Result<(), Error> {
    let repository = repository(home);
    let descriptor = Descriptor::of("application/octet-stream", CONTENT);
    match asked {
        RequestKind::Manifest => client.resolve(&reference(home, ":t")).await.map(drop),
        RequestKind::SmallBlob => client
            .blob(&repository.clone().into(), &descriptor, 10)
            .await
            .map(drop),
        RequestKind::StreamedBlob => {
            let mut into = Vec::new();
            let told = |_| ();
            client
                .fetch_blob(&repository.clone().into(), &descriptor, &mut into, &told)
                .await
        }
        RequestKind::Referrers => client.referrers(&pinned(home, b"x")).await.map(drop),
        RequestKind::UploadOpenedElsewhere
        | RequestKind::UploadLocationElsewhere
        | RequestKind::UploadRedirected => {
            let pushed = client.push_blob(&repository, Bytes::from_static(CONTENT));
            pushed.await.map(drop)
        }
        RequestKind::PushedManifest => {
            let bytes = Bytes::from(manifest("x"));
            let pushed = client.push_manifest(&repository, media_type::OCI_MANIFEST, bytes, None);
            pushed.await.map(drop)
        }
    }
}

/// Fails if the stranger received anything secret, or was asked for a token.
async fn assert_nothing_secret(stranger: &MockServer, case: &str) {
    let received = stranger.received_requests().await.unwrap();
    assert!(!received.is_empty(), "{case}: not asked at all");
    for request in received {
        assert_ne!(request.url.path(), "/token", "{case}");
        let sent = format!("{:?} {:?}", request.url, request.headers);
        assert!(!request.headers.contains_key("authorization"), "{case}");
        let body = String::from_utf8_lossy(&request.body);
        for secret in [PASSWORD, TOKEN, IDENTITY, REGISTRY_TOKEN] {
            assert!(!sent.contains(secret) && !body.contains(secret), "{case}");
        }
    }
}

#[tokio::test]
async fn a_third_host_gets_no_login_whatever_leads_there_and_whatever_it_wants() {
    use RequestKind::*;
    for asked in [
        Manifest,
        SmallBlob,
        StreamedBlob,
        Referrers,
        UploadOpenedElsewhere,
        UploadLocationElsewhere,
        UploadRedirected,
        PushedManifest,
    ] {
        for login in [
            Login::Basic,
            Login::Bearer,
            Login::Identity,
            Login::RegistryToken,
        ] {
            for behaviour in [
                Stranger::WantsBasic,
                Stranger::WantsBearer,
                Stranger::Serves,
            ] {
                let case = format!("{asked:?}, {login:?}, {behaviour:?}");
                let stranger = stranger(behaviour).await;
                let home = home(login, asked, &stranger).await;
                let outcome = ask(&client(login, &home), &home, asked).await;
                assert_nothing_secret(&stranger, &case).await;
                match outcome {
                    Err(Error::Unauthorized { registry, .. }) if behaviour != Stranger::Serves => {
                        assert_eq!(registry, stranger.address().to_string(), "{case}");
                    }
                    // Whether a list that goes on elsewhere counts is told elsewhere.
                    Ok(()) | Err(Error::Protocol { .. }) if asked == Referrers => {}
                    Ok(()) if behaviour == Stranger::Serves => {}
                    other => panic!("{case}: {other:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_redirected_token_service_passes_on_no_password() {
    let stranger = MockServer::start().await;
    Mock::given(any())
        .respond_with(token("bait"))
        .mount(&stranger)
        .await;
    let home = token_service_that_moved(&stranger).await;
    let error = refused(&client(Login::Bearer, &home), &home).await;
    // The stranger's token is for home, which doesn't take it.
    assert!(
        matches!(&error, Error::Unauthorized { registry, .. } if *registry == home.address().to_string()),
        "{error:?}"
    );
    let received = stranger.received_requests().await.unwrap();
    assert_eq!(received.len(), 1);
    assert!(!received[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_redirected_token_service_passes_on_no_identity_token() {
    let stranger = MockServer::start().await;
    let home = token_service_that_moved(&stranger).await;
    let error = refused(&client(Login::Identity, &home), &home).await;
    let to = format!("{}/token", stranger.uri());
    assert_eq!(not_followed(error), (to, RedirectRefused::Secret));
    assert!(requests(&stranger).await.is_empty());
}

/// A registry whose token service leads to `stranger`.
async fn token_service_that_moved(stranger: &MockServer) -> MockServer {
    let home = MockServer::start().await;
    let challenged = bearer_challenge(&home);
    let moved = format!("{}/token", stranger.uri());
    let respond = move |request: &Request| match request.url.path() {
        "/token" => ResponseTemplate::new(307).insert_header("location", moved.as_str()),
        _ => challenged.clone(),
    };
    Mock::given(any()).respond_with(respond).mount(&home).await;
    home
}

#[tokio::test]
async fn a_push_that_is_redirected_is_repeated_whole() {
    let stranger = stranger(Stranger::Serves).await;
    for (asked, last) in [
        (RequestKind::UploadRedirected, CONTENT.to_vec()),
        (RequestKind::UploadOpenedElsewhere, CONTENT.to_vec()),
        (RequestKind::PushedManifest, manifest("x").into_bytes()),
    ] {
        let home = home(Login::Basic, asked, &stranger).await;
        ask(&client(Login::Basic, &home), &home, asked)
            .await
            .unwrap();
        let received = stranger.received_requests().await.unwrap();
        let put = received.last().unwrap();
        assert_eq!(
            (put.method.as_str(), &put.body),
            ("PUT", &last),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn a_push_is_not_turned_into_a_question() {
    let stranger = MockServer::start().await;
    for status in [301, 302, 303] {
        let home = MockServer::start().await;
        let moved = format!("{}/elsewhere", stranger.uri());
        Mock::given(any())
            .respond_with(ResponseTemplate::new(status).insert_header("location", moved.as_str()))
            .mount(&home)
            .await;
        let error = ask(
            &client(Login::Basic, &home),
            &home,
            RequestKind::PushedManifest,
        )
        .await;
        let expected = (moved, RedirectRefused::NotRepeated { status });
        assert_eq!(not_followed(error.unwrap_err()), expected);
    }
    assert!(requests(&stranger).await.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_redirected_says_that_it_can_not_be_read_again() {
    let stranger = stranger(Stranger::Serves).await;
    let home = home(Login::Basic, RequestKind::UploadRedirected, &stranger).await;
    let client = client(Login::Basic, &home);
    let digest = Digest::sha256(CONTENT);
    let size = CONTENT.len() as u64;
    let open = || std::future::ready(Ok(CONTENT));
    let error = client
        .push_blob_from(&repository(&home), &digest, size, open)
        .await;
    let (_, reason) = not_followed(error.unwrap_err());
    assert_eq!(reason, RedirectRefused::Spent);
}

#[tokio::test]
async fn a_login_that_a_redirect_left_behind_does_not_come_back_by_another() {
    for login in [Login::Basic, Login::Bearer, Login::RegistryToken] {
        let home = MockServer::start().await;
        let stranger = MockServer::start().await;
        let back = format!("{}/back", home.uri());
        let respond = ResponseTemplate::new(307).insert_header("location", back);
        Mock::given(any())
            .respond_with(respond)
            .mount(&stranger)
            .await;
        let challenged = match login {
            Login::Basic => challenge(r#"Basic realm="home""#),
            _ => bearer_challenge(&home),
        };
        let away = format!("{}/away", stranger.uri());
        let respond = move |request: &Request| match request.url.path() {
            "/token" => token(TOKEN),
            "/back" => answer(media_type::OCI_MANIFEST, &manifest("x")),
            _ if request.headers.contains_key("authorization") => {
                ResponseTemplate::new(307).insert_header("location", away.as_str())
            }
            _ => challenged.clone(),
        };
        Mock::given(any()).respond_with(respond).mount(&home).await;
        let asked = ask(&client(login, &home), &home, RequestKind::Manifest).await;
        assert!(asked.is_ok(), "{login:?}: {asked:?}");
        let received = home.received_requests().await.unwrap();
        let back = received.iter().filter(|one| one.url.path() == "/back");
        let logins: Vec<_> = back.map(|one| one.headers.get("authorization")).collect();
        assert_eq!(logins, [None], "{login:?}");
    }
}
