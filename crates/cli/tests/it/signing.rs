//! `sign` again, in outages, and when it ends early.

use std::time::Duration;

use countersign_sandbox::{Effect, Fault, Service, ServiceFault};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stage::{RELEASE, Run, SERVICES, Stage, TRUST, run};

const TOKEN: [&str; 2] = ["--identity-token", "@token"];
const JSON: [&str; 2] = ["--output", "json"];

fn refuse(status: u16) -> ServiceFault {
    ServiceFault::Refuse {
        status: status.try_into().unwrap(),
        retry_after: None,
    }
}

fn sign(stage: &Stage, flags: &[&str]) -> Run {
    let app = stage.reference("app:v1");
    stage.sign(&[&TOKEN, flags, &[&app]].concat())
}

fn outcomes(run: &Run) -> Vec<String> {
    let document = run.json();
    let signed = document["results"].as_array().unwrap().iter();
    signed
        .map(|one| one["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn another_run_says_what_was_signed_already() {
    let stage = Stage::new().await;
    assert_eq!(outcomes(&sign(&stage, &JSON)), ["signed"; 3]);
    assert_eq!(outcomes(&sign(&stage, &JSON)), ["already_signed"; 3]);
    let again = sign(&stage, &[]);
    assert_eq!(again.code, 0);
    stage.snapshot("sign_already", &again);
    let forced = sign(&stage, &["--force", JSON[0], JSON[1]]);
    assert_eq!(outcomes(&forced), ["signed"; 3]);
}

#[tokio::test]
async fn a_place_of_signatures_for_cosign_is_told_as_not_used() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app:v1@{}", stage.index.digest()));
    let line = [&["sign"], &TRUST[..], &SERVICES, &TOKEN, &JSON, &[&app]].concat();
    let mut command = stage.command(&line);
    let signed = run(command.env("COSIGN_REPOSITORY", "localhost:5000/sigs"));
    let warnings = signed.json()["warnings"].to_string();
    let says = "COSIGN_REPOSITORY is not used: the signatures are beside the images, and not in localhost:5000/sigs";
    assert!(warnings.contains(says), "{}", signed.shown());

    let mut command = stage.command(&["verify", "--offline", "--policy", "policy.yaml", &app]);
    let rootless = run(command.env("SIGSTORE_ROOT_FILE", "root.pem"));
    let says = "SIGSTORE_ROOT_FILE is not used: ";
    assert!(rootless.stderr.contains(says), "{}", rootless.shown());
}

#[tokio::test]
async fn the_failure_of_one_tells_what_is_signed_and_what_is_not() {
    let stage = Stage::new().await;
    let broken = stage.index.images()[1].digest();
    let list = format!("GET /v2/app/referrers/{broken}");
    stage
        .registry
        .add_fault(Fault::on(&list, Effect::status(403)));
    // After a failure nothing is begun, so the last of them fails, and one is begun after the other.
    let one_by_one = "--parallel=1";
    let failed = sign(&stage, &[one_by_one]);
    assert_eq!(failed.code, 9, "{}", failed.shown());
    stage.snapshot("sign_failure_of_one", &failed);

    let failed = sign(&stage, &[one_by_one, JSON[0], JSON[1]]);
    assert_eq!(failed.code, 9);
    let document = failed.json();
    assert_eq!(document["error"]["exit_code"], 9);
    let expected = ["already_signed", "already_signed", "unsigned"];
    assert_eq!(outcomes(&failed), expected);
    let unsigned = &document["results"][2];
    assert_eq!(unsigned["digest"], broken.to_string());
    assert_eq!(unsigned["reached"], "not_verified");
}

#[tokio::test]
async fn a_run_that_takes_too_long_tells_it_too() {
    let stage = Stage::new().await;
    let log = Service::RekorV1;
    stage.sigstore.inject(log, ServiceFault::Hang, 3);
    let late = sign(&stage, &["--timeout", "3s", JSON[0], JSON[1]]);
    assert_eq!(late.code, 7, "{}", late.shown());
    let document = late.json();
    assert_eq!(outcomes(&late), ["unsigned"; 3]);
    assert_eq!(document["results"][0]["reached"], "not_signed");
}

#[tokio::test]
async fn an_outage_is_waited_for_in_one_line() {
    let stage = Stage::new().await;
    let (url, bearer) = stage.sigstore.identity_endpoint(RELEASE);
    for service in [Service::Oidc, Service::Fulcio, Service::RekorV1] {
        stage.sigstore.inject(service, refuse(503), 2);
    }
    let app = stage.reference("app:v1");
    let flags = ["sign", "--by-tag", "--patience", "5m", &app];
    let arguments = [&flags[..], &TRUST, &SERVICES].concat();
    let signed = run(stage
        .command(&arguments)
        .env("GITHUB_ACTIONS", "true")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str())
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer));
    assert_eq!(signed.code, 0, "{}", signed.shown());
    assert_eq!(
        signed.stderr,
        "waiting: the CI's identity endpoint failed (HTTP status 503)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_an_outage_is_asked_for_again() {
    let stage = Stage::new().await;
    // Four seconds more than a token must still be good for. Fulcio is away for longer.
    let ends = jiff::Timestamp::now().as_second() + 14;
    let ending = stage.sigstore.token_with(RELEASE, &json!({"exp": ends}));
    let away = ServiceFault::Refuse {
        status: 503.try_into().unwrap(),
        retry_after: Some(Duration::from_secs(5)),
    };
    stage.sigstore.inject(Service::Fulcio, away, 1);
    let endpoint = MockServer::start().await;
    for token in [ending, stage.sigstore.token(RELEASE)] {
        let answer = ResponseTemplate::new(200).set_body_json(json!({"value": token}));
        let once = Mock::given(any()).respond_with(answer).up_to_n_times(1);
        once.expect(1).mount(&endpoint).await;
    }
    let app = stage.reference("app:v1");
    let flags = ["sign", "--by-tag", "--patience", "5m", &app];
    let arguments = [&flags[..], &TRUST, &SERVICES].concat();
    let signed = run(stage
        .command(&arguments)
        .env("GITHUB_ACTIONS", "true")
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/token?x=y", endpoint.uri()),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer"));
    assert_eq!(signed.code, 0, "{}", signed.shown());
    let waited = "waiting: the certificate authority (Fulcio) failed (HTTP status 503)\n";
    assert_eq!(signed.stderr, waited);
    endpoint.verify().await;
}

#[tokio::test]
async fn patience_ends() {
    let stage = Stage::new().await;
    stage.sigstore.inject(Service::Fulcio, refuse(503), 1000);
    let failed = sign(&stage, &["--patience", "2s"]);
    assert_eq!(failed.code, 7, "{}", failed.shown());
    let line = "waiting: the certificate authority (Fulcio) failed (HTTP status 503)\n";
    assert!(failed.stderr.starts_with(line), "{}", failed.shown());
    assert!(
        failed.stdout.contains("not signed by this run: "),
        "{}",
        failed.shown()
    );
}
