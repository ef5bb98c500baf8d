//! What was signed and does not hold, or not for the consumer: not pushed, or told of.

use std::collections::BTreeMap;

use countersign_sandbox::Sigstore;
use countersign_sign::{Error, IdentityToken, RekorVersion, Services, Signer};
use countersign_verify::{Error as VerifyError, RefusalKind, TrustedRoot};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{IDENTITY, Stage, client};

#[tokio::test]
async fn what_the_consumers_policy_refuses_is_an_error() {
    let stage = Stage::new().await;
    stage.one_image();
    let policy = stage.policy(|spec| spec.identity = Some(format!("{IDENTITY}-other")));
    let signer = stage.signer().with_consumer_policy(policy);
    let error = stage.sign_with(&signer).await.unwrap_err();
    let Error::Refused { source, .. } = error else {
        panic!("expected a refusal, found {error:?}");
    };
    let VerifyError::Refused(refusal) = *source else {
        panic!("expected a refusal, found {source:?}");
    };
    assert_eq!(refusal.kind(), RefusalKind::Policy);
}

#[tokio::test]
async fn an_older_signature_does_not_stand_in_for_one_that_the_policy_refuses() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sign().await.unwrap();
    let policy = stage.policy(|_| {});
    let signer = stage.signer().with_consumer_policy(policy);
    let token = stage.sigstore.token("https://example.org/another");
    let token = IdentityToken::from_jwt(&token).unwrap();
    let references = [stage.reference(":v1")];
    let annotations = BTreeMap::new();
    let signed = signer.sign(&references, &token, &annotations, &|_| {});
    let error = signed.await.unwrap_err();
    let Error::Unneeded { source, .. } = error else {
        panic!("expected an unneeded signature, found {error:?}");
    };
    assert_eq!(source.kind(), RefusalKind::Policy);
}

#[tokio::test]
async fn a_bundle_that_the_trusted_root_does_not_cover_is_not_pushed() {
    let stage = Stage::new().await;
    stage.one_image();
    let other = Sigstore::start().await.unwrap();
    let root = TrustedRoot::from_json("sandbox", &other.trusted_root_json()).unwrap();
    let signer = stage.signer_trusting(RekorVersion::V1, root);
    let error = stage.sign_with(&signer).await.unwrap_err();
    let Error::Bundle { source, .. } = error else {
        panic!("expected a bundle that doesn't hold, found {error:?}");
    };
    assert_eq!(source.kind(), RefusalKind::Invalid);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test]
async fn a_genuine_log_entry_of_another_signature_is_not_pushed() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sign().await.unwrap();
    let mut entries = stage
        .sigstore
        .rekor_url(countersign_sandbox::RekorVersion::V1);
    entries.set_path("/api/v1/log/entries");
    entries.set_query(Some("logIndex=2"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let entry = http.get(entries).send().await.unwrap();
    let entry = entry.bytes().await.unwrap();

    let log = MockServer::start().await;
    let answer = ResponseTemplate::new(201).set_body_bytes(entry);
    Mock::given(any()).respond_with(answer).mount(&log).await;
    let services = Services {
        rekor: log.uri().parse().unwrap(),
        ..stage.services(RekorVersion::V1)
    };
    let signer = Signer::new(client(), &services, stage.trusted_root()).unwrap();
    stage.registry.reset_requests();
    let error = stage.sign_with(&signer).await.unwrap_err();
    let Error::Bundle { source, .. } = error else {
        panic!("expected a bundle that doesn't hold, found {error:?}");
    };
    assert_eq!(source.kind(), RefusalKind::Invalid);
    assert_eq!(stage.writes(), [""; 0]);
}
