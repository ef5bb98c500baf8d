//! Where `sign` takes its identity token from, and that it never shows it.

use serde_json::json;
use wiremock::matchers::{bearer_token, method, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stage::{RELEASE, Run, SERVICES, STRANGER, Stage, TRUST, run};

/// Signs with these flags and variables.
fn sign(stage: &Stage, flags: &[&str], variables: &[(&str, &str)]) -> Run {
    let app = stage.reference("app:v1");
    let arguments = [&["sign"][..], &TRUST, &SERVICES, flags, &[&app]].concat();
    run(stage.command(&arguments).envs(variables.iter().copied()))
}

fn signed_by(run: &Run, identity: &str) {
    assert_eq!(run.code, 0, "{}", run.stderr);
    let signer = format!("  signer     {identity}\n");
    assert!(run.stdout.contains(&signer), "{}", run.stdout);
}

#[tokio::test]
async fn the_token_is_the_flag_s_or_the_file_s_before_the_variable_s() {
    let stage = Stage::new().await;
    let token = stage.sigstore.token(RELEASE);
    let other = stage.sigstore.token(STRANGER);
    let variable = [("SIGSTORE_ID_TOKEN", other.as_str())];
    signed_by(
        &sign(&stage, &["--identity-token", &token], &variable),
        RELEASE,
    );
    signed_by(
        &sign(&stage, &["--identity-token", "@token"], &variable),
        RELEASE,
    );
    signed_by(&sign(&stage, &[], &variable), STRANGER);
}

#[tokio::test]
async fn github_s_ambient_token_is_asked_for_with_sigstore_s_audience() {
    let stage = Stage::new().await;
    let github = MockServer::start().await;
    Mock::given(method("GET"))
        .and(bearer_token("request-token"))
        .and(query_param("audience", "sigstore"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"value": stage.sigstore.token(RELEASE)})),
        )
        .expect(1)
        .mount(&github)
        .await;
    let url = github.uri();
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token"),
    ];
    signed_by(&sign(&stage, &[], &variables), RELEASE);
}

#[tokio::test]
async fn without_the_permission_the_job_is_told_to_ask_for_it() {
    let stage = Stage::new().await;
    let run = sign(&stage, &[], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(run.code, 7);
    stage.snapshot("token_permission", &run);
}

#[tokio::test]
async fn without_a_token_the_ways_to_give_one_are_named() {
    let stage = Stage::new().await;
    let run = sign(&stage, &[], &[]);
    assert_eq!(run.code, 2);
    stage.snapshot("no_token", &run);
}

#[tokio::test]
async fn tokens_that_can_not_be_used_are_refused_and_not_shown() {
    let stage = Stage::new().await;
    let expired = stage.sigstore.expired_token(RELEASE);
    let run = sign(&stage, &["--identity-token", &expired], &[]);
    assert_eq!(run.code, 7);
    stage.snapshot("expired_token", &run);
    assert!(!run.shown().contains(&expired));

    let run = sign(&stage, &["--identity-token", "hunter2"], &[]);
    assert_eq!(run.code, 2);
    assert!(!run.shown().contains("hunter2"), "{}", run.shown());
    stage.snapshot("no_jwt", &run);

    let run = sign(&stage, &["--identity-token", "@missing"], &[]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr
            .contains("the identity token missing can't be read")
    );
}

#[tokio::test]
async fn no_token_is_shown_even_by_diagnostics() {
    let stage = Stage::new().await;
    let token = stage.sigstore.token(RELEASE);
    let run = sign(
        &stage,
        &["--identity-token", &token],
        &[("COUNTERSIGN_LOG", "trace")],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stderr.is_empty(), "diagnostics were asked for");
    assert!(!run.shown().contains(&token));
}

#[tokio::test]
async fn what_the_installer_s_policy_refuses_fails_the_job_that_signs() {
    let stage = Stage::new().await;
    stage.write("policy.yaml", stage.policy(STRANGER));
    let run = sign(
        &stage,
        &["--identity-token", "@token", "--policy", "policy.yaml"],
        &[],
    );
    assert_eq!(run.code, 4);
    stage.snapshot("consumer_refuses", &run);
}
