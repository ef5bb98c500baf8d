//! Credential helpers: programs that are asked for a login.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_oci::{Credentials, Error, Registry, media_type};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer};

use super::auth::{PASSWORD, challenge, client_with, refused};
use super::common::{answer, index, options, reference, text_of};

/// One test at a time: a helper can't be started while another test's process, just forked,
/// still holds its file open for writing.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A credential helper that runs `script`, and credentials that ask it.
fn credentials(directory: &Path, server: &MockServer, script: &str) -> Credentials {
    let path = directory.join("docker-credential-test");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, server.address());
    Credentials::default()
        .with_config("config.json", &config)
        .unwrap()
        .with_helper_directories(vec![directory.to_owned()])
}

async fn basic_registry() -> MockServer {
    let server = MockServer::start().await;
    let basic = format!("Basic {}", BASE64.encode(format!("me:{PASSWORD}")));
    Mock::given(header("authorization", basic.as_str()))
        .respond_with(answer(media_type::OCI_INDEX, &index(&[])))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(challenge("Basic"))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_helper_is_asked_for_the_registry() {
    let _guard = ONE_AT_A_TIME.lock().await;
    let server = basic_registry().await;
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        r#"[ "$1" = get ] && [ "$(cat)" = "{}" ] || exit 1
echo '{{"ServerURL":"x","Username":"me","Secret":"{PASSWORD}"}}'"#,
        server.address()
    );
    let client = client_with(credentials(directory.path(), &server, &script));
    client.resolve(&reference(&server, ":t")).await.unwrap();
}

#[tokio::test]
async fn a_helper_that_knows_nothing_leaves_us_anonymous() {
    let _guard = ONE_AT_A_TIME.lock().await;
    let server = basic_registry().await;
    let directory = tempfile::tempdir().unwrap();
    let script = "echo 'credentials not found in native keychain'; exit 1";
    let client = client_with(credentials(directory.path(), &server, script));
    let error = refused(&client, &server).await;
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
}

#[tokio::test]
async fn helpers_that_fail_are_errors() {
    let _guard = ONE_AT_A_TIME.lock().await;
    for (script, message) in [
        ("exit 3", "the credential helper failed (exit status: 3)"),
        ("echo hunter2", "found something else"),
    ] {
        let server = basic_registry().await;
        let directory = tempfile::tempdir().unwrap();
        let client = client_with(credentials(directory.path(), &server, script));
        let error = refused(&client, &server).await;
        assert!(
            matches!(&error, Error::Credentials { from, .. } if from == "docker-credential-test")
        );
        assert!(text_of(&error).contains(message), "{}", text_of(&error));
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_given_up() {
    let _guard = ONE_AT_A_TIME.lock().await;
    let server = basic_registry().await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = options();
    options.credentials = credentials(directory.path(), &server, "exec sleep 600");
    options.timeouts.helper = Duration::from_millis(20);
    let client = Registry::new(options).unwrap();
    let error = refused(&client, &server).await;
    assert!(matches!(error, Error::Credentials { .. }), "{error:?}");
    assert!(text_of(&error).contains("did not answer"));
}
