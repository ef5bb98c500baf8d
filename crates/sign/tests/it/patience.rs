//! Outages that last longer than retries do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_oci::{Options, Patience, Registry};
use countersign_sandbox::{Effect, Fault, Service as Sandbox, ServiceFault};
use countersign_sign::{
    Error, IdentityEndpoint, IdentityToken, RekorVersion, Service, Signer, Tags, TokenError,
};
use tokio::time::Instant;

use crate::common::{IDENTITY, PATH, PAUSE, Stage, connection, retries};

/// More than the retries of tests.
const OUTAGE: usize = 20;

fn refuse() -> ServiceFault {
    ServiceFault::Refuse {
        status: 503.try_into().unwrap(),
        retry_after: None,
    }
}

/// Patience for so long, and what it told.
fn patience(time: Duration) -> (Patience, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    let tell = move |line: &str| told.lock().unwrap().push(line.to_owned());
    (Patience::until(Instant::now() + time, tell), lines)
}

fn patient_signer(stage: &Stage, version: RekorVersion, patience: &Patience) -> Signer {
    let mut options = Options::default();
    options.retries.pause = PAUSE;
    options.retries.longest_pause = 4 * PAUSE;
    options.retries.patience = Some(patience.clone());
    let registry = Registry::new(options).unwrap();
    let mut retries = retries();
    retries.longest_pause = 4 * PAUSE;
    Signer::new(registry, &stage.services(version), stage.trusted_root())
        .unwrap()
        .with_tags(Tags::Followed)
        .with_retries(retries)
        .with_patience(patience.clone())
}

#[tokio::test]
async fn services_and_registry_are_waited_for() {
    let stage = Stage::new().await;
    stage.two_platforms();
    for service in Sandbox::all() {
        match service {
            Sandbox::Fulcio | Sandbox::RekorV2 | Sandbox::TimestampAuthority => {
                stage.sigstore.inject(service, refuse(), OUTAGE);
            }
            // Nothing is asked of them to sign with the second generation of the log.
            Sandbox::RekorV1 | Sandbox::Oidc | Sandbox::Tuf => {}
        }
    }
    let down = Fault::on(&format!("GET /v2/{PATH}/manifests/*"), Effect::status(503));
    stage.registry.add_fault(down.times(OUTAGE));
    let (patience, lines) = patience(Duration::from_secs(60));
    let signer = patient_signer(&stage, RekorVersion::V2, &patience);
    assert_eq!(stage.sign_with(&signer).await.unwrap().len(), 3);
    // One line, and the next in a minute.
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("503"), "{lines:?}");
}

#[tokio::test]
async fn patience_has_an_end() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.inject(Sandbox::RekorV1, refuse(), 10_000);
    let (patience, lines) = patience(Duration::from_millis(500));
    let signer = patient_signer(&stage, RekorVersion::V1, &patience);
    let error = stage.sign_with(&signer).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Service {
                service: Service::Rekor,
                status: Some(503),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(patience.is_over() || stage.answers(Sandbox::RekorV1).len() > OUTAGE);
    let lines = lines.lock().unwrap();
    let expected = "the transparency log (Rekor) failed (HTTP status 503)";
    assert_eq!(*lines, [expected]);
}

#[tokio::test]
async fn a_refusal_is_not_waited_for() {
    let stage = Stage::new().await;
    stage.one_image();
    let no = ServiceFault::Refuse {
        status: 403.try_into().unwrap(),
        retry_after: None,
    };
    stage.sigstore.inject(Sandbox::Fulcio, no, 1);
    let (patience, lines) = patience(Duration::from_secs(60));
    let signer = patient_signer(&stage, RekorVersion::V1, &patience);
    stage.sign_with(&signer).await.unwrap_err();
    assert_eq!(stage.answers(Sandbox::Fulcio), [403]);
    assert!(lines.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_entry_whose_answer_is_lost_in_an_outage_is_done() {
    let stage = Stage::new().await;
    stage.one_image();
    let log = Sandbox::RekorV1;
    stage.sigstore.inject(log, ServiceFault::LoseAnswer, 1);
    stage.sigstore.inject(log, refuse(), OUTAGE);
    let (patience, _) = patience(Duration::from_secs(60));
    let signer = patient_signer(&stage, RekorVersion::V1, &patience);
    let signed = stage.sign_with(&signer).await.unwrap();
    // After the two entries that the log starts with: the one that was made first.
    assert_eq!(signed[0].evidence.log_index, Some(2));
    let answers = stage.answers(log);
    assert_eq!(answers[answers.len() - 2..], [409, 200]);
}

/// A token that ends while Fulcio is away: it has little more than its margin left.
fn ending_token(stage: &Stage) -> IdentityToken {
    let ends = jiff::Timestamp::now().as_second() + 12;
    let claims = serde_json::json!({"exp": ends});
    IdentityToken::from_jwt(&stage.sigstore.token_with(IDENTITY, &claims)).unwrap()
}

#[tokio::test]
async fn a_given_token_that_ends_is_an_error() {
    let stage = Stage::new().await;
    stage.one_image();
    stage.sigstore.inject(Sandbox::Fulcio, refuse(), 100_000);
    let (patience, _) = patience(Duration::from_secs(60));
    let signer = patient_signer(&stage, RekorVersion::V1, &patience);
    let (references, none) = ([stage.reference(":v1")], BTreeMap::new());
    let token = ending_token(&stage);
    let ended = signer.sign(&references, &token, &none, &|_| {}).await;
    let error = ended.unwrap_err().error;
    assert!(
        matches!(error, Error::Token(TokenError::Expired { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn where_a_token_ends_another_is_asked_for() {
    let stage = Stage::new().await;
    stage.one_image();
    let (patience, _) = patience(Duration::from_secs(60));
    let (url, bearer) = stage.sigstore.identity_endpoint(IDENTITY);
    let endpoint = IdentityEndpoint::new(&connection(), url, bearer);
    let endpoint = endpoint.with_patience(patience.clone());
    let signer = patient_signer(&stage, RekorVersion::V1, &patience).with_renewal(move || {
        let endpoint = endpoint.clone();
        Box::pin(async move { Ok(endpoint.token().await?) })
    });
    // Away until the token has ended.
    stage.sigstore.inject(
        Sandbox::Fulcio,
        ServiceFault::Refuse {
            status: 503.try_into().unwrap(),
            retry_after: Some(Duration::from_secs(3)),
        },
        1,
    );
    let (references, none) = ([stage.reference(":v1")], BTreeMap::new());
    let token = ending_token(&stage);
    let signed = signer.sign(&references, &token, &none, &|_| {}).await;
    assert_eq!(signed.unwrap().len(), 1);
    assert_eq!(stage.answers(Sandbox::Oidc), [200]);
    assert_eq!(stage.answers(Sandbox::Fulcio), [503, 200]);
}
