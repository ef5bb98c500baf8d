//! Standard output and standard error: what goes where, and when nobody listens.

use std::process::Stdio;

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stage::{POLICY, RELEASE, Stage, TRUST, run};

#[tokio::test]
async fn a_closed_pipe_changes_neither_the_code_nor_says_a_word() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let mut child = stage
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[tokio::test]
async fn progress_is_not_drawn_where_no_terminal_is() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let run = stage.install(&[&stage.reference("app:v1"), "here"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn the_environment_s_proxy_is_used_but_for_hosts_of_no_proxy() {
    let stage = Stage::new().await;
    let proxy = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(404))
        .mount(&proxy)
        .await;
    let uri = proxy.uri();
    let arguments = |host: &str| {
        let reference = format!("{host}/app:v1");
        let mut command = stage.command(
            &[
                &["verify", "--plain-http"][..],
                &TRUST,
                &POLICY,
                &[&reference],
            ]
            .concat(),
        );
        command
            .env("HTTPS_PROXY", &uri)
            .env("NO_PROXY", "inside.invalid");
        run(&mut command).code
    };
    // The proxy says that there is no such image; without it there is no such host.
    assert_eq!(arguments("outside.invalid"), 6);
    assert_eq!(arguments("inside.invalid"), 7);
}

#[tokio::test]
async fn a_proxy_that_is_no_url_is_told_with_its_variable_and_without_its_password() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    for value in ["user:hunter2@proxy:port", "ftp://user:hunter2@proxy"] {
        let run = run(stage.command(&arguments).env("HTTPS_PROXY", value));
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(!run.shown().contains("hunter2"), "{}", run.stderr);
    }
}
