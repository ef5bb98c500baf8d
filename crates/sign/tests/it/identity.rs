//! The endpoint at which a CI hands out tokens: busy, silent, refusing, hostile.

use std::error::Error as _;
use std::time::Duration;

use countersign_sandbox::Service as Sandbox;
use countersign_sandbox::ServiceFault;
use countersign_sign::{Error, IdentityEndpoint, Service};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{IDENTITY, Stage, connection, retries};

fn endpoint(stage: &Stage) -> IdentityEndpoint {
    let (url, bearer) = stage.sigstore.identity_endpoint(IDENTITY);
    IdentityEndpoint::new(&connection(), url, bearer)
        .with_retries(Duration::from_millis(300), retries())
}

fn refuse(status: u16) -> ServiceFault {
    ServiceFault::Refuse {
        status: status.try_into().unwrap(),
        retry_after: None,
    }
}

/// Asserts that the endpoint failed, with this status.
fn assert_failed(error: &Error, expected: Option<u16>) {
    match error {
        Error::Service {
            service, status, ..
        } => assert_eq!((*service, *status), (Service::IdentityEndpoint, expected)),
        other => panic!("expected a failure of the endpoint, found {other:?}"),
    }
}

#[tokio::test]
async fn an_endpoint_that_is_busy_is_asked_again() {
    let stage = Stage::new().await;
    stage.sigstore.inject(Sandbox::Oidc, refuse(503), 2);
    let token = endpoint(&stage).token().await.unwrap();
    assert_eq!(token.issuer(), stage.issuer());
    assert_eq!(stage.answers(Sandbox::Oidc), [503, 503, 200]);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_asked_again_and_then_given_up() {
    let stage = Stage::new().await;
    stage.sigstore.inject(Sandbox::Oidc, ServiceFault::Hang, 1);
    endpoint(&stage).token().await.unwrap();
    assert_eq!(stage.answers(Sandbox::Oidc), [200]);

    let tries = retries().times + 1;
    stage
        .sigstore
        .inject(Sandbox::Oidc, ServiceFault::Hang, tries);
    let error = endpoint(&stage).token().await.unwrap_err();
    assert_failed(&error, None);
    // All of them were used up.
    endpoint(&stage).token().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_asked_once() {
    let stage = Stage::new().await;
    let (url, _) = stage.sigstore.identity_endpoint(IDENTITY);
    let stranger = IdentityEndpoint::new(&connection(), url, "another")
        .with_retries(Duration::from_secs(5), retries());
    assert_failed(&stranger.token().await.unwrap_err(), Some(401));
    assert_eq!(stage.answers(Sandbox::Oidc), [401]);
}

#[tokio::test]
async fn neither_the_job_s_secret_nor_the_token_is_told() {
    let stage = Stage::new().await;
    let token = stage.sigstore.token(IDENTITY);
    for (status, body) in [
        (400, "no hunter2 here".to_owned()),
        (200, format!(r#"{{"token": "{token}"}}"#)),
        (200, token.clone()),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let url = server.uri().parse().unwrap();
        let endpoint = IdentityEndpoint::new(&connection(), url, "hunter2");
        let error = endpoint.token().await.unwrap_err();
        assert_failed(&error, (status != 200).then_some(status));
        let shown = format!("{error:?} {error} {} {endpoint:?}", error.source().unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        for secret in token.split('.') {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
