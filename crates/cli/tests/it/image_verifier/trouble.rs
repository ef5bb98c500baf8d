//! What must neither delay an answer nor change it.

use std::time::{Duration, Instant};

use super::{ask, configure, run, signed_by, verifier};
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
