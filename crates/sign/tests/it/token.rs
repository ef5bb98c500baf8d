//! Tokens: which are refused before anybody is asked, and that none is told.

use std::collections::BTreeMap;
use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sandbox::Service;
use countersign_sign::{Error, IdentityToken, RekorVersion, Services, Tags, TokenError};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{IDENTITY, Stage, client, retries};

#[tokio::test]
async fn an_expired_token_is_refused_before_any_request() {
    let stage = Stage::new().await;
    let error = IdentityToken::from_jwt(&stage.sigstore.expired_token(IDENTITY)).unwrap_err();
    assert!(matches!(error, TokenError::Expired { .. }), "{error:?}");
    assert_eq!(stage.sigstore.requests(), []);
    assert!(stage.registry.requests().is_empty());
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let claims = r#"{"iss":"https://issuer.example","sub":"me","aud":"npm","exp":4102444800}"#;
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    let found = "`npm`".into();
    assert_eq!(
        IdentityToken::from_jwt(&token).unwrap_err(),
        TokenError::Audience { found }
    );
}

#[tokio::test]
async fn no_error_and_no_debug_output_tells_the_token() {
    let stage = Stage::new().await;
    stage.one_image();
    let text = stage.sigstore.token(IDENTITY);
    // A certificate authority that quotes what it was sent, as it refuses or in place of an answer.
    for (status, body) in [
        (400, format!("bad token {text}")),
        (200, format!("\"{text}\"")),
        (200, format!("\"{}\"", text.split('.').nth(1).unwrap())),
    ] {
        let quoting = ResponseTemplate::new(status).set_body_string(body);
        quotes_the_token(&stage, &text, quoting).await;
    }
    assert_eq!(stage.answers(Service::RekorV1), [0; 0]);
}

async fn quotes_the_token(stage: &Stage, text: &str, quoting: ResponseTemplate) {
    let fulcio = MockServer::start().await;
    Mock::given(any())
        .respond_with(quoting)
        .mount(&fulcio)
        .await;
    let services = Services {
        fulcio: fulcio.uri().parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = countersign_sign::Signer::new(client(), &services, stage.trusted_root())
        .unwrap()
        .with_tags(Tags::Followed)
        .with_retries(retries());

    let token = IdentityToken::from_jwt(text).unwrap();
    let references = [stage.reference(":v1")];
    let annotations = BTreeMap::new();
    let signed = signer.sign(&references, &token, &annotations, &|_| {});
    let error = signed.await.unwrap_err().error;
    let Error::Service { service, .. } = error else {
        panic!("expected a failure of Fulcio, found {error:?}");
    };
    assert_eq!(service, countersign_sign::Service::Fulcio);
    let shown = format!("{error:?} {error} {}", error.source().unwrap());
    assert!(shown.contains("[token]"), "{shown}");
    for secret in text.split('.') {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!format!("{token:?}").contains(secret));
    }
}

#[tokio::test]
async fn annotations_are_not_to_blame_for_a_token_without_a_subject() {
    let stage = Stage::new().await;
    stage.one_image();
    let token = IdentityToken::from_jwt(&stage.sigstore.token("")).unwrap();
    let references = [stage.reference(":v1")];
    let refused = async |annotations: &[(&str, &str)]| {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let annotations = annotations.iter().map(owned).collect::<BTreeMap<_, _>>();
        let signer = stage.signer();
        let signed = signer.sign(&references, &token, &annotations, &|_| {});
        signed.await.err().map(|stopped| stopped.error)
    };
    let none = refused(&[]).await;
    assert!(!matches!(none, Some(Error::Annotations(_))), "{none:?}");
    let unusable = refused(&[("key", "")]).await;
    assert!(
        matches!(unusable, Some(Error::Annotations(_))),
        "{unusable:?}"
    );
}
