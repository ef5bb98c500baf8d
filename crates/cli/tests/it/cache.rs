//! `verify --cache`: a second run asks only for the tag.

use crate::stage::{POLICY, RELEASE, STRANGER, Stage, TRUST};

fn asked(stage: &Stage) -> Vec<String> {
    let requests = stage.registry.requests();
    stage.registry.reset_requests();
    let lines = requests.iter().map(countersign_sandbox::Request::line);
    lines.collect()
}

#[tokio::test]
async fn a_second_run_asks_for_the_tag_alone() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let digest = format!("{}@{}", stage.reference("app"), stage.index.digest());
    let cache = ["--cache", "1h", "--cache-dir", "kept"];
    let first = stage.verify(&[&cache[..], &[&app]].concat());
    assert_eq!(first.code, 0, "{}", first.shown());
    asked(&stage);
    let again = stage.verify(&[&cache[..], &[&app]].concat());
    assert_eq!(again.shown(), first.shown());
    assert_eq!(asked(&stage), ["GET /v2/app/manifests/v1"]);
    let by_digest = stage.verify(&[&cache[..], &[&digest]].concat());
    assert_eq!(by_digest.code, 0, "{}", by_digest.shown());
    assert_eq!(asked(&stage), [""; 0]);

    stage.write("policy.yaml", stage.policy(STRANGER));
    let refused = stage.verify(&[&cache[..], &[&digest]].concat());
    assert_eq!(refused.code, 4, "{}", refused.shown());
}

#[tokio::test]
async fn the_directory_is_the_user_s_unless_a_flag_names_one() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let run = stage.verify(&["--cache", "1h", &app]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(stage.path("home/.cache/countersign/signatures").is_dir());
    let words = [&["verify", "--cache", "1h"], &TRUST[..], &POLICY, &[&app]].concat();
    let run = crate::stage::run(stage.command(&words).env_remove("HOME"));
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("--cache-dir"), "{}", run.stderr);
    for wrong in ["1", "-1h", "soon"] {
        let run = stage.verify(&[&format!("--cache={wrong}"), "--cache-dir", "kept", &app]);
        assert_eq!(run.code, 2, "{wrong}: {}", run.shown());
    }
    let run = stage.verify(&["--cache-dir", "kept", &app]);
    assert_eq!(run.code, 2, "{}", run.shown());
}

/// Whoever asks for a cache wants to know that there is none; and with `-v`, what came from it.
#[tokio::test]
async fn a_cache_that_can_not_be_written_is_told_once_and_what_is_from_it_too() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = format!("{}@{}", stage.reference("app"), stage.index.digest());
    stage.write("file", "in the way");
    let run = stage.verify(&["--cache=1h", "--cache-dir", "file", &app, &app]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let said = "warning: signatures are not cached: the directory file can't be written: ";
    assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.shown());
    let again = |flags: &[&str]| {
        stage.verify(&[&["--cache=1h", "--cache-dir", "kept", &app], flags].concat())
    };
    let first = again(&["-v"]);
    assert!(
        !first.stderr.contains("from the cache"),
        "{}",
        first.shown()
    );
    let second = again(&["-v"]);
    assert!(
        second.stderr.contains("from the cache: the signature of "),
        "{}",
        second.shown()
    );
    assert_eq!(again(&[]).stderr, "");
}

#[tokio::test]
async fn a_layer_cache_that_can_not_be_written_is_told_and_what_is_from_it_too() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    stage.write("file", "in the way");
    let run = stage.install(&["--layer-cache", "file", &app, "here"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let said = "warning: layers are not cached: the directory file can't be written: ";
    assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.shown());
    let kept = ["--layer-cache", "kept", "-v", "--reinstall", &app, "here"];
    let first = stage.install(&kept);
    assert!(
        !first.stderr.contains("from the cache"),
        "{}",
        first.shown()
    );
    let second = stage.install(&kept);
    assert!(
        second.stderr.contains("from the cache: sha256:"),
        "{}",
        second.shown()
    );
}
