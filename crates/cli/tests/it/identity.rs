//! Where `sign` takes its identity token from, and that it never shows it.

use countersign_sandbox::{Service, ServiceFault};

use crate::stage::{RELEASE, Run, SERVICES, STRANGER, Stage, TRUST, run};

/// Signs with these flags and variables.
fn sign(stage: &Stage, flags: &[&str], variables: &[(&str, &str)]) -> Run {
    let app = stage.reference("app:v1");
    let arguments = [&["sign", "--by-tag"][..], &TRUST, &SERVICES, flags, &[&app]].concat();
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

/// The variables of a job of GitHub Actions.
fn github(stage: &Stage) -> Vec<(&'static str, String)> {
    let (url, bearer) = stage.sigstore.identity_endpoint(RELEASE);
    vec![
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.to_string()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer),
    ]
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn unavailable() -> ServiceFault {
    ServiceFault::Refuse {
        status: 503.try_into().unwrap(),
        retry_after: None,
    }
}

#[tokio::test]
async fn github_s_token_is_asked_for_with_sigstore_s_audience_and_again_after_a_503() {
    let stage = Stage::new().await;
    stage.sigstore.inject(Service::Oidc, unavailable(), 1);
    let variables = github(&stage);
    signed_by(&sign(&stage, &[], &borrowed(&variables)), RELEASE);
    let requests = stage.sigstore.requests().into_iter();
    let asked: Vec<_> = requests
        .filter(|request| request.service == Service::Oidc)
        .map(|request| {
            assert!(request.path.ends_with("&audience=sigstore"), "{request:?}");
            request.status.as_u16()
        })
        .collect();
    assert_eq!(asked, [503, 200]);
}

#[tokio::test]
async fn each_ci_that_gives_no_token_is_named_with_what_to_change_there() {
    let stage = Stage::new().await;
    for (variable, name) in [
        ("GITLAB_CI", "no_token_gitlab"),
        ("BUILDKITE", "no_token_buildkite"),
        ("CIRCLECI", "no_token_circleci"),
    ] {
        let run = sign(&stage, &[], &[(variable, "true")]);
        assert_eq!(run.code, 9, "{variable}");
        stage.snapshot(name, &run);
    }
    let mut variables = github(&stage);
    variables[2].1 = "another".to_owned();
    let run = sign(&stage, &[], &borrowed(&variables));
    assert_eq!(run.code, 9);
    stage.snapshot("no_token_github_refuses", &run);
    stage.sigstore.inject(Service::Oidc, unavailable(), 5);
    let run = sign(&stage, &[], &borrowed(&github(&stage)));
    assert_eq!(run.code, 7);
    stage.snapshot("no_token_github_is_away", &run);
    assert_eq!(stage.registry.requests().len(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_programs_of_buildkite_and_circleci_are_run_again_where_they_fail() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new().await;
    let bin = stage.path("bin");
    let path = bin.display().to_string();
    for (variable, program, asked) in [
        (
            "BUILDKITE",
            "buildkite-agent",
            "oidc request-token --audience sigstore",
        ),
        (
            "CIRCLECI",
            "circleci",
            r#"run oidc get --root-issuer --claims {"aud":"sigstore"}"#,
        ),
    ] {
        let token = stage.sigstore.token(RELEASE);
        // It fails the first time.
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = '{asked}' ] || exit 9\n\
             if [ -e {path}/{program}.ran ]; then echo {token}; exit 0; fi\n\
             : > {path}/{program}.ran\necho 'no answer from the server' >&2\nexit 1\n"
        );
        stage.write(&format!("bin/{program}"), script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join(program), executable).unwrap();
        let variables = [(variable, "true"), ("PATH", path.as_str())];
        signed_by(&sign(&stage, &[], &variables), RELEASE);
    }
    stage.write(
        "bin/circleci",
        "#!/bin/sh\necho hunter2; echo 'not allowed' >&2; exit 3\n",
    );
    let run = sign(&stage, &[], &[("CIRCLECI", "true"), ("PATH", &path)]);
    assert_eq!(run.code, 7, "why it failed is not known");
    assert!(
        run.stderr.contains("failed (exit status: 3): not allowed"),
        "{}",
        run.stderr
    );
    assert!(!run.shown().contains("hunter2"), "{}", run.stderr);
    stage.write(
        "bin/circleci",
        "#!/bin/sh\nfor i in 1 2 3 4 5 6 7; do printf '%10000d' $i; done\n",
    );
    let run = sign(&stage, &[], &[("CIRCLECI", "true"), ("PATH", &path)]);
    assert_eq!(run.code, 9);
    assert!(
        run.stderr
            .contains("has printed more than 65536 bytes in place of a token"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn without_the_permission_the_job_is_told_to_ask_for_it() {
    let stage = Stage::new().await;
    let run = sign(&stage, &[], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!(run.code, 9);
    stage.snapshot("token_permission", &run);
}

#[tokio::test]
async fn without_a_token_the_ways_to_give_one_are_named() {
    let stage = Stage::new().await;
    let run = sign(&stage, &[], &[]);
    assert_eq!(run.code, 9);
    stage.snapshot("no_token", &run);
}

#[tokio::test]
async fn tokens_that_can_not_be_used_are_refused_and_not_shown() {
    let stage = Stage::new().await;
    let expired = stage.sigstore.expired_token(RELEASE);
    let run = sign(&stage, &["--identity-token", &expired], &[]);
    assert_eq!(run.code, 9);
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

    // What is no name of a file is not looked for: an error would show it.
    let token = stage.sigstore.token(RELEASE);
    let cut = &token[..token.len() - 1];
    let of_json = format!(r#"{{"value":"{token}"}}"#);
    for given in [&token, &expired, cut, &format!("Bearer {token}"), &of_json] {
        let run = sign(&stage, &["--identity-token", &format!("@{given}")], &[]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains("leave the @ out"), "{}", run.stderr);
        for part in token.split('.').chain(expired.split('.')).skip(1) {
            assert!(!run.shown().contains(part), "{}", run.shown());
        }
    }
}

#[tokio::test]
async fn neither_token_nor_secret_of_the_job_is_shown_even_by_diagnostics() {
    let stage = Stage::new().await;
    let token = stage.sigstore.token(RELEASE);
    let ci = github(&stage);
    let bearer = ci[2].1.clone();
    let log = ("COUNTERSIGN_LOG", "trace");
    let ambient = [borrowed(&ci), vec![log]].concat();
    let mut wrong = ci.clone();
    wrong[1].1.push_str("&audience=x");
    let wrong = [borrowed(&wrong), vec![log]].concat();
    let shown = [
        sign(&stage, &["--identity-token", &token], &[log]),
        sign(&stage, &[], &[("SIGSTORE_ID_TOKEN", &token), log]),
        sign(&stage, &[], &ambient),
        // Two audiences: the endpoint can't read the request.
        sign(&stage, &[], &wrong),
    ];
    assert_eq!(shown.each_ref().map(|run| run.code), [0, 0, 0, 9]);
    for run in shown {
        assert!(!run.stderr.is_empty(), "diagnostics were asked for");
        let shown = run.shown();
        assert!(!shown.contains(&bearer), "{shown}");
        for secret in token.split('.').skip(1) {
            assert!(!shown.contains(secret), "{shown}");
        }
        // Every token of this issuer begins alike.
        assert!(!shown.contains(token.split('.').next().unwrap()), "{shown}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_this_machine_s_fault_and_told_as_that() {
    let stage = Stage::new().await;
    let variables = github(&stage);
    for (ahead, says) in [(600, " behind)"), (-1200, " ahead)")] {
        let ahead = jiff::SignedDuration::from_secs(ahead);
        stage.sigstore.set_clock_ahead(ahead);
        let run = sign(&stage, &[], &borrowed(&variables));
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(
            run.stderr
                .contains("this machine's clock differs from that of "),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains(says), "{}", run.stderr);
        assert!(
            run.stderr.contains("hint: set this machine's clock"),
            "{}",
            run.stderr
        );
    }
    let requests = stage.sigstore.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.service == Service::Oidc)
    );
    assert_eq!(stage.registry.requests().len(), 0);
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
    assert_eq!(stage.sigstore.requests(), [], "nothing was published");
}
