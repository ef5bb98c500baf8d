//! What must neither delay an answer nor change it.

use std::time::{Duration, Instant};

use super::{MEDIA_TYPE, ask, configure, descriptor, log, run, signed_by, verifier};
use crate::stage::{RELEASE, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_never_answers_leaves_time_for_the_registry() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let host = stage.registry.host();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = silent.local_addr().unwrap();
    let above =
        format!("deadline: 6s\ncache_age: none\nmirrors: {{'{host}': ['{mirror}/mirror']}}");
    configure(&stage, &above, &signed_by(&stage, RELEASE));
    let run = ask(&stage, "app:v1", &stage.index.digest());
    assert_eq!(run.code, 0, "{}", run.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_holds_delays_no_answer() {
    use rustix::fs::{FlockOperation, flock};
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    stage.signed("app:v1", RELEASE);
    stage.write("log/decisions", "");
    let log = std::fs::File::open(stage.path("log/decisions")).unwrap();
    flock(&log, FlockOperation::LockExclusive).unwrap();
    let started = Instant::now();
    let run = ask(&stage, "app:v1", &stage.index.digest());
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stderr.contains("the decision was not logged"),
        "{}",
        run.stderr
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_needs_no_login_and_no_root_that_no_rule_needs() {
    let stage = Stage::new().await;
    configure(&stage, "login_file: gone.json", &signed_by(&stage, RELEASE));
    let refreshed = run(verifier(&stage).arg("refresh"), "");
    assert_eq!(refreshed.code, 0, "{}", refreshed.shown());
    let key =
        countersign_sandbox::SigningKey::generate(countersign_sandbox::SigningKeyKind::EcdsaP256)
            .unwrap();
    stage.write("cosign.pub", key.public_pem());
    let rules = "  - images: ['**']\n    verification: {key: cosign.pub, ignore_tlog: true}\n";
    configure(&stage, "", rules);
    std::fs::remove_file(stage.path("trusted_root.json")).unwrap();
    let refreshed = run(verifier(&stage).arg("refresh"), "");
    assert_eq!(refreshed.code, 0, "{}", refreshed.shown());
}

/// One that fails keeps no other from being fetched or told.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_tells_of_each_root_that_it_can_t_have() {
    let stage = Stage::new().await;
    let rule = |name: &str, root: &str| {
        let (issuer, pattern) = (stage.issuer(), format!("registry.example/{name}"));
        format!(
            "  - images: ['{pattern}']\n    verification: {{issuer: '{issuer}', identity: {RELEASE}, trust: {{trusted_root: {root}}}}}\n"
        )
    };
    let roots = ["gone.json", "trusted_root.json", "lost.json"];
    let rules: String = ["a", "b", "c"]
        .iter()
        .zip(roots)
        .map(|(name, root)| rule(name, root))
        .collect();
    let above = "state_directory: state\nlog_file: log/decisions";
    stage.write("image-verifier.yaml", format!("{above}\nrules:\n{rules}"));
    let refreshed = run(verifier(&stage).args(["refresh", "--output=json"]), "");
    assert_ne!(refreshed.code, 0, "{}", refreshed.shown());
    let document = refreshed.json();
    crate::schema::conforms(&document);
    let results = document["results"].as_array().unwrap();
    for (result, root) in results.iter().zip(roots) {
        let told = result["trusted_root"].as_str().unwrap();
        assert!(told.contains(root), "{told}");
        let is_valid = root == "trusted_root.json";
        assert_eq!(result.get("error").is_none(), is_valid, "{result}");
    }
    assert_eq!(results.len(), 3, "{}", refreshed.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_of_diagnostics_that_is_none_changes_no_verdict() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    let exempt = "  - images: ['REGISTRY/free']\n    allow: true\n    reason: see the ticket\n";
    configure(
        &stage,
        "",
        &format!("{exempt}{}", signed_by(&stage, RELEASE)),
    );
    for (name, code, begin) in [("free:v1", 0, "allowed"), ("app:v1", 3, "refused")] {
        let mut command = verifier(&stage);
        command.env("COUNTERSIGN_LOG", "x");
        command.args(["-name", &stage.reference(name)]);
        command.args(["-digest", &digest.to_string()]);
        command.args(["-stdin-media-type", MEDIA_TYPE]);
        let run = run(&mut command, &descriptor(&digest));
        assert_eq!(run.code, code, "{}", run.shown());
        assert!(run.stdout.starts_with(begin), "{}", run.shown());
        assert!(
            run.stderr
                .starts_with("warning: expected a level in COUNTERSIGN_LOG"),
            "{}",
            run.shown()
        );
    }
    assert_eq!(log(&stage).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_is_logged_with_what_it_names() {
    let stage = Stage::new().await;
    configure(&stage, "", &signed_by(&stage, RELEASE));
    let digest = stage.index.digest().to_string();
    let other = format!("{}@sha256:{}", stage.reference("app"), "0".repeat(64));
    let mut command = verifier(&stage);
    command.args(["-name", &other, "-digest", &digest]);
    command.args(["-stdin-media-type", MEDIA_TYPE]);
    assert_eq!(run(&mut command, "").code, 2);
    let mut command = verifier(&stage);
    command.args(["-platform", "x", "-name", &other]);
    assert_eq!(run(&mut command, "").code, 2);
    let log = log(&stage);
    assert_eq!(log[0]["image"], other.as_str());
    assert_eq!(log[0]["digest"], digest.as_str());
    assert_eq!(log[1]["image"], other.as_str());
    assert!(log[1].get("digest").is_none(), "{}", log[1]);
}

/// Too few open files stop the program before it begins. containerd gets its line all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_lets_nothing_begin_is_an_answer_too() {
    use std::os::unix::process::CommandExt as _;
    let stage = Stage::new().await;
    for (mode, code, said) in [("enforce", 1, "refused"), ("warn", 0, "warn")] {
        configure(
            &stage,
            &format!("mode: {mode}"),
            &signed_by(&stage, RELEASE),
        );
        let ours = verifier(&stage);
        let script = r#"ulimit -n 6 && exec "$0" "$@""#;
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", script])
            .arg(ours.get_program())
            .env_clear();
        for (name, value) in ours.get_envs() {
            shell.env(name, value.unwrap());
        }
        let digest = stage.index.digest().to_string();
        shell.args(["-name", &stage.reference("app:v1"), "-digest", &digest]);
        shell.args(["-stdin-media-type", MEDIA_TYPE]);
        if rustix::process::geteuid().is_root() {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(stage.directory.path(), open).unwrap();
            shell.uid(65_534);
        }
        std::fs::create_dir_all(stage.path("log")).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(stage.path("log"), open).unwrap();
        let answer = run(&mut shell, "");
        assert_eq!(answer.code, code, "{mode}: {}", answer.shown());
        assert_eq!(answer.stdout.lines().count(), 1, "{}", answer.shown());
        assert!(answer.stdout.contains(said), "{}", answer.shown());
        assert!(
            answer.stdout.contains("too few files may be open"),
            "{}",
            answer.shown()
        );
        let log = log(&stage);
        let last = log.last().unwrap();
        assert_eq!(
            (&last["allowed"], &last["mode"]),
            (&(code == 0).into(), &mode.into())
        );
        assert!(
            last["reason"]
                .as_str()
                .unwrap()
                .contains("too few files may be open")
        );
    }
}

/// In its help it has one name, not two.
#[tokio::test(flavor = "multi_thread")]
async fn the_help_has_the_name_once() {
    let stage = Stage::new().await;
    let help = run(verifier(&stage).arg("--help"), "");
    assert_eq!(help.code, 0, "{}", help.shown());
    assert!(
        help.stdout
            .contains("Usage: countersign image-verifier [OPTIONS]"),
        "{}",
        help.stdout
    );
}
