//! Clocks that differ: this machine's, and that of everybody else.

use countersign_sandbox::Service as Sandbox;
use countersign_sign::{Error, IdentityEndpoint, IdentityToken, Service, TokenError};
use jiff::{SignedDuration, Timestamp};

use crate::common::{IDENTITY, Stage, connection, retries};

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

#[tokio::test]
async fn a_clock_that_is_seconds_behind_is_waited_for() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.set_clock_ahead(seconds(3));
    let signed = stage.sign().await.unwrap();
    let recorded = signed[0].evidence.signed_at[0];
    assert!(recorded <= Timestamp::now(), "{recorded}");
}

#[tokio::test]
async fn a_clock_that_is_minutes_behind_is_told_before_anything_is_recorded() {
    let stage = Stage::new().await;
    stage.one_image();
    // A token without a time of issue says nothing of clocks.
    let claims = serde_json::json!({"iat": null});
    let token = stage.sigstore.token_with(IDENTITY, &claims);
    let token = IdentityToken::from_jwt(&token).unwrap();
    stage.sigstore.set_clock_ahead(seconds(120));
    let references = [stage.reference(":v1")];
    let annotations = std::collections::BTreeMap::new();
    let signer = stage.signer();
    let signed = signer.sign(&references, &token, &annotations, &|_| {});
    let error = signed.await.unwrap_err().error;
    let Error::Clock { service, skew } = &error else {
        panic!("expected a wrong clock, found {error:?}");
    };
    assert_eq!(*service, Service::Fulcio);
    let behind = skew.there.duration_since(skew.here);
    assert!((seconds(118)..=seconds(121)).contains(&behind), "{behind}");
    assert!(error.to_string().ends_with(" behind)"), "{error}");
    assert_eq!(stage.answers(Sandbox::RekorV1), [0; 0]);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_token_tells_that_the_clock_is_minutes_behind() {
    let stage = Stage::new().await;
    stage.sigstore.set_clock_ahead(seconds(120));
    let error = IdentityToken::from_jwt(&stage.sigstore.token(IDENTITY)).unwrap_err();
    assert!(matches!(error, TokenError::Clock(_)), "{error:?}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_a_token_s_end_is_told_as_that() {
    let stage = Stage::new().await;
    stage.sigstore.set_clock_ahead(seconds(-1200));
    let (url, bearer) = stage.sigstore.identity_endpoint(IDENTITY);
    let endpoint = IdentityEndpoint::new(&connection(), url, bearer)
        .with_retries(std::time::Duration::from_secs(5), retries());
    let error = endpoint.token().await.unwrap_err();
    let Error::Token(TokenError::Clock(skew)) = error else {
        panic!("expected a wrong clock, found {error:?}");
    };
    assert!(skew.to_string().contains("(20m"), "{skew}");
    assert!(skew.to_string().ends_with(" ahead)"), "{skew}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_cut_a_certificate_s_life() {
    let stage = Stage::new().await;
    stage.two_platforms();
    stage.sigstore.set_clock_ahead(seconds(-540));
    assert_eq!(stage.sign().await.unwrap().len(), 3);
    assert_eq!(stage.answers(Sandbox::Fulcio), [200]);
}
