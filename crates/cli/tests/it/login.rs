//! Logins of docker: credential files and helpers, for basic and bearer authentication.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use countersign_sandbox::{Auth, RegistryOptions};

use crate::stage::{POLICY, RELEASE, Run, Stage, TRUST, run};

const USER: &str = "robot";
const PASSWORD: &str = "correct horse battery";
/// `robot:correct horse battery`, as docker writes it.
const ENCODED: &str = "cm9ib3Q6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5";

async fn stage(auth: Auth) -> Stage {
    Stage::with(RegistryOptions {
        referrers_api: true,
        auth,
        ..RegistryOptions::default()
    })
    .await
}

fn basic() -> Auth {
    Auth::Basic {
        user: USER.into(),
        password: PASSWORD.into(),
    }
}

fn bearer() -> Auth {
    Auth::Bearer {
        user: Some((USER.into(), PASSWORD.into())),
    }
}

/// Verifies the unsigned image with docker's configuration in `docker/`; no output holds a secret.
fn verify(stage: &Stage) -> Run {
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let mut command = stage.command(&arguments);
    command
        .env("DOCKER_CONFIG", "docker")
        .env("PATH", stage.path("bin"))
        .env("COUNTERSIGN_LOG", "trace");
    let run = run(&mut command);
    for secret in [PASSWORD, ENCODED] {
        assert!(!run.shown().contains(secret), "{}", run.shown());
    }
    run
}

#[tokio::test]
async fn a_login_of_docker_s_file_opens_basic_and_bearer_registries() {
    for auth in [basic(), bearer()] {
        let stage = stage(auth).await;
        let host = stage.registry.host();
        let config = format!(r#"{{"auths": {{"{host}": {{"auth": "{ENCODED}"}}}}}}"#);
        stage.write("docker/config.json", &config);
        // The login was good: what is found is that nothing is signed.
        assert_eq!(verify(&stage).code, 3);

        stage.write("home/.docker/config.json", &config);
        stage.signed("app:v1", RELEASE);
        assert_eq!(verify(&stage).code, 0);
    }
}

#[tokio::test]
async fn a_credential_helper_on_the_path_is_asked() {
    for auth in [basic(), bearer()] {
        let stage = stage(auth).await;
        let host = stage.registry.host();
        let config = format!(r#"{{"credHelpers": {{"{host}": "test"}}}}"#);
        stage.write("docker/config.json", config);
        let script = format!(
            "#!/bin/sh\necho '{{\"ServerURL\":\"{host}\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n"
        );
        stage.write("bin/docker-credential-test", script);
        let helper = stage.path("bin/docker-credential-test");
        std::fs::set_permissions(helper, Permissions::from_mode(0o755)).unwrap();
        let run = verify(&stage);
        assert_eq!(run.code, 3, "{}", run.stderr);
    }
}

#[tokio::test]
async fn without_a_login_or_with_a_wrong_one_the_way_to_log_in_is_told() {
    for auth in [basic(), bearer()] {
        let stage = stage(auth).await;
        let run = stage.verify(&[&stage.reference("app:v1")]);
        assert_eq!(run.code, 9);
        assert!(run.stderr.contains("hint: log in with `docker login`"));

        let host = stage.registry.host();
        // `robot:wrong`
        let config = format!(r#"{{"auths": {{"{host}": {{"auth": "cm9ib3Q6d3Jvbmc="}}}}}}"#);
        stage.write("docker/config.json", config);
        assert_eq!(verify(&stage).code, 9);
    }
}

#[tokio::test]
async fn a_credential_file_that_can_not_be_read_is_named() {
    let stage = stage(basic()).await;
    stage.write("docker/config.json", "{");
    let run = verify(&stage);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("docker/config.json"), "{}", run.stderr);
}

#[tokio::test]
async fn logins_are_found_where_podman_keeps_them() {
    let stage = stage(basic()).await;
    let host = stage.registry.host();
    let config = format!(r#"{{"auths": {{"{host}": {{"auth": "{ENCODED}"}}}}}}"#);
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    for (file, variable) in [
        ("run/containers/auth.json", Some(("XDG_RUNTIME_DIR", "run"))),
        (
            "config/containers/auth.json",
            Some(("XDG_CONFIG_HOME", "config")),
        ),
        ("home/.config/containers/auth.json", None),
        ("here.json", Some(("REGISTRY_AUTH_FILE", "here.json"))),
        ("home/.docker/config.json", None),
    ] {
        stage.write(file, &config);
        let mut command = stage.command(&arguments);
        // A relative directory of the XDG specification would be ignored.
        command.envs(variable.map(|(name, value)| (name, stage.path(value))));
        let run = run(&mut command);
        // The login was good: what is found is that nothing is signed.
        assert_eq!(run.code, 3, "{file}: {}", run.stderr);
        std::fs::remove_file(stage.path(file)).unwrap();
    }
}

#[tokio::test]
async fn a_credential_file_that_is_named_and_missing_is_an_error() {
    let stage = stage(basic()).await;
    let app = stage.reference("app:v1");
    let arguments = [&["verify"][..], &TRUST, &POLICY, &[&app]].concat();
    let mut command = stage.command(&arguments);
    command.env("REGISTRY_AUTH_FILE", "nowhere/auth.json");
    let run = run(&mut command);
    assert_eq!(run.code, 2, "{}", run.stderr);
    let said = "the credentials can't be read from nowhere/auth.json";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let hint = "hint: REGISTRY_AUTH_FILE names this file; log in with `podman login`, or unset the variable";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
    assert_eq!(stage.registry.requests().len(), 0);
}
