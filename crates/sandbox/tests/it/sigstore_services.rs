//! What the services refuse, and the faults that tests inject.

use std::time::Duration;

use countersign_sandbox::{Moment, RekorVersion, Service, ServiceFault, Sigstore};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sigstore_sign::crypto::KeyPair;
use sigstore_sign::fulcio::{Error as FulcioError, FulcioClient};
use sigstore_sign::oidc::IdentityToken;
use sigstore_sign::rekor::{Error as RekorError, HashedRekord, RekorClient};
use sigstore_types::{DerCertificate, Sha256Hash};

const EMAIL: &str = "signer@example.org";

async fn certificate(
    sigstore: &Sigstore,
    token: &str,
    key: &KeyPair,
) -> Result<DerCertificate, FulcioError> {
    let token = IdentityToken::from_jwt(token).unwrap();
    let client = FulcioClient::new(sigstore.fulcio_url()).unwrap();
    let issued = client.create_signing_certificate(&token, key).await?;
    Ok(issued.leaf_certificate().clone())
}

fn status_of(error: &FulcioError) -> u16 {
    match error {
        FulcioError::Status { status, .. } => *status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn fulcio_refuses_an_expired_token() {
    let sigstore = Sigstore::start().await.unwrap();
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let refused = certificate(&sigstore, &sigstore.expired_token(EMAIL), &key).await;
    assert_eq!(status_of(&refused.unwrap_err()), 401);
}

#[tokio::test]
async fn fulcio_refuses_the_token_of_another_issuer() {
    let sigstore = Sigstore::start().await.unwrap();
    let other = Sigstore::start().await.unwrap();
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let refused = certificate(&sigstore, &other.token(EMAIL), &key).await;
    assert_eq!(status_of(&refused.unwrap_err()), 401);
}

#[tokio::test]
async fn fulcio_refuses_a_key_whose_possession_is_not_proven() {
    let sigstore = Sigstore::start().await.unwrap();
    let mine = KeyPair::generate_ecdsa_p256().unwrap();
    let other = KeyPair::generate_ecdsa_p256().unwrap();
    let request = json!({
        "credentials": {"oidcIdentityToken": sigstore.token(EMAIL)},
        "publicKeyRequest": {
            "publicKey": {"content": other.public_key_der().unwrap().to_pem()},
            "proofOfPossession": mine.sign(EMAIL.as_bytes()).unwrap(),
        },
    });
    let url = sigstore.fulcio_url().join("api/v2/signingCert").unwrap();
    let answer = reqwest::Client::new().post(url).json(&request).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::BAD_REQUEST);
}

/// Logs the signature of a digest by Rekor v1.
async fn log(sigstore: &Sigstore, entry: &HashedRekord) -> Result<(), RekorError> {
    let client = RekorClient::new(sigstore.rekor_url(RekorVersion::V1)).unwrap();
    client.create_entry(entry.clone()).await.map(drop)
}

async fn entry(sigstore: &Sigstore, signed: &[u8], claimed: &[u8]) -> HashedRekord {
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let certificate = certificate(sigstore, &sigstore.token(EMAIL), &key).await;
    let digest = |bytes: &[u8]| *sigstore_sign::crypto::sha256(bytes).as_bytes();
    HashedRekord::new(
        &Sha256Hash::new(digest(claimed)),
        &key.sign(signed).unwrap(),
        &certificate.unwrap(),
    )
}

#[tokio::test]
async fn rekor_refuses_a_signature_of_something_else() {
    let sigstore = Sigstore::start().await.unwrap();
    let entry = entry(&sigstore, b"signed", b"claimed").await;
    let refused = log(&sigstore, &entry).await.unwrap_err();
    assert!(matches!(refused, RekorError::Status { status: 400, .. }));
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_a_duplicate_when_sent_again() {
    let sigstore = Sigstore::start().await.unwrap();
    let entry = entry(&sigstore, b"signed", b"signed").await;
    sigstore.inject(Service::RekorV1, ServiceFault::LoseAnswer, 1);

    let lost = log(&sigstore, &entry).await.unwrap_err();
    let again = log(&sigstore, &entry).await.unwrap_err();

    assert!(matches!(lost, RekorError::Status { status: 504, .. }));
    assert!(matches!(again, RekorError::Status { status: 409, .. }));
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_place_of_the_entry() {
    let sigstore = Sigstore::start().await.unwrap();
    let entry = entry(&sigstore, b"signed", b"signed").await;
    log(&sigstore, &entry).await.unwrap();
    let rekor = sigstore.rekor_url(RekorVersion::V1);
    let http = reqwest::Client::new();

    let entries = rekor.join("api/v1/log/entries").unwrap();
    let duplicate = http.post(entries).json(&entry).send().await.unwrap();
    let place = duplicate.headers().get("location").unwrap();
    let place = rekor.join(place.to_str().unwrap()).unwrap();
    let message: Value = duplicate.json().await.unwrap();
    let found: Value = http.get(place).send().await.unwrap().json().await.unwrap();

    let (uuid, _) = found.as_object().unwrap().iter().next().unwrap();
    let message = message.get("message").unwrap().as_str().unwrap();
    assert!(message.ends_with(&format!("with UUID {uuid}")), "{message}");
}

#[tokio::test]
async fn a_service_that_refuses_recovers_and_what_was_asked_of_it_is_on_record() {
    let sigstore = Sigstore::start().await.unwrap();
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    let busy = ServiceFault::Refuse {
        status: StatusCode::TOO_MANY_REQUESTS,
        retry_after: Some(Duration::from_secs(1)),
    };
    sigstore.inject(Service::Fulcio, busy, 2);

    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(
            certificate(&sigstore, &sigstore.token(EMAIL), &key)
                .await
                .is_ok(),
        );
    }

    assert_eq!(outcomes, [false, false, true]);
    let statuses: Vec<u16> = sigstore
        .requests()
        .iter()
        .filter(|request| request.service == Service::Fulcio)
        .map(|request| request.status.as_u16())
        .collect();
    assert_eq!(statuses, [429, 429, 200]);
}

#[tokio::test]
async fn its_ports_are_closed_when_it_is_dropped() {
    let sigstore = Sigstore::start().await.unwrap();
    let url = sigstore.tuf_url().join("timestamp.json").unwrap();
    assert!(reqwest::get(url.clone()).await.is_ok());
    drop(sigstore);
    assert!(reqwest::get(url).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_connection_that_is_closed_after_the_work_leaves_the_entry() {
    let sigstore = Sigstore::start().await.unwrap();
    let entry = entry(&sigstore, b"signed", b"signed").await;
    for moment in [Moment::BeforeServing, Moment::AfterServing] {
        sigstore.inject(Service::RekorV1, ServiceFault::Disconnect(moment), 1);
    }
    sigstore.inject(Service::RekorV1, ServiceFault::Truncate { after: 1 }, 1);

    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(log(&sigstore, &entry).await.unwrap_err());
    }

    let [before, after, truncated, again] = outcomes.try_into().unwrap();
    for closed in [before, after] {
        assert!(matches!(closed, RekorError::Http(_)), "{closed:?}");
    }
    // Both are of an entry that is there.
    for there in [truncated, again] {
        let status = matches!(there, RekorError::Status { status: 409, .. });
        assert!(status, "{there:?}");
    }
}

#[tokio::test]
async fn a_fault_waits_for_the_requests_that_are_spared() {
    let sigstore = Sigstore::start().await.unwrap();
    let key = KeyPair::generate_ecdsa_p256().unwrap();
    sigstore.spare(Service::Fulcio, 1);
    sigstore.inject(
        Service::Fulcio,
        ServiceFault::Disconnect(Moment::BeforeServing),
        2,
    );
    let mut outcomes = Vec::new();
    for number in 0..3 {
        if number == 2 {
            sigstore.clear_faults();
        }
        let token = sigstore.token(EMAIL);
        let certificate = certificate(&sigstore, &token, &key).await;
        outcomes.push(certificate.is_ok());
    }
    assert_eq!(outcomes, [true, false, true]);
}
