//! `verify --bundle`: signatures in a file.

use countersign_sandbox::{BundleSpec, Statement};

use crate::stage::{RELEASE, STRANGER, Stage};

fn bundle(stage: &Stage, identity: &str) -> String {
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), identity);
    stage.sigstore.issue(&spec).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_in_a_file_is_judged_as_one_in_a_registry() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    assert_eq!(stage.verify(&[&app]).code, 3);
    stage.write("one.json", bundle(&stage, RELEASE));
    let one = stage.verify(&["--bundle", "one.json", &app]);
    assert_eq!(one.code, 0, "{}", one.shown());
    let json = stage.verify(&["--bundle", "one.json", "--output", "json", &app]);
    let evidence = json.json()["results"][0]["evidence"].clone();
    assert_eq!(evidence["identity"], RELEASE);
    assert_eq!(evidence.get("signature_manifest"), None, "{evidence}");

    let lines = format!(
        "{}\n{}\n",
        bundle(&stage, STRANGER),
        bundle(&stage, RELEASE)
    );
    stage.write("lines.jsonl", lines);
    for more in [&["--platform=linux/amd64"][..], &["--all-platforms"], &[]] {
        let run = stage.verify(&[more, &["--bundle", "lines.jsonl", &app]].concat());
        assert_eq!(run.code, 0, "{}", run.shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_good_signature_proves_nothing_whatever_the_registry_has() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    stage.write("stranger.json", bundle(&stage, STRANGER));
    let stranger = stage.verify(&["--bundle", "stranger.json", &app]);
    assert_eq!(stranger.code, 4, "{}", stranger.shown());
    stage.push_unsigned("v2");
    stage.write("other.json", bundle(&stage, RELEASE));
    let other = stage.verify(&["--bundle", "other.json", &stage.reference("app:v2")]);
    assert_eq!(other.code, 5, "{}", other.shown());
    assert!(
        other.stderr.contains("a signature of another image"),
        "{}",
        other.stderr
    );
    for (content, said) in [
        ("", "found an empty file"),
        (
            "<html>",
            "expected a bundle in JSON, found a text that is not JSON",
        ),
        ("{\"schemaVersion\": 2}", "found JSON without a signature"),
    ] {
        stage.write("wrong.json", content);
        let wrong = stage.verify(&["--bundle", "wrong.json", &app]);
        assert_eq!(wrong.code, 2, "{}", wrong.shown());
        assert!(wrong.stderr.contains(said), "{}", wrong.stderr);
    }
    stage.write("wrong.json", "{\"dsseEnvelope\": {}}\n[]\n5");
    assert_eq!(stage.verify(&["--bundle", "wrong.json", &app]).code, 5);
    let denied = format!(
        "{}  deny_digests: ['{}']\n",
        stage.policy(RELEASE),
        stage.index.digest()
    );
    stage.write("policy.yaml", denied);
    stage.write("good.json", bundle(&stage, RELEASE));
    let denied = stage.verify(&["--bundle", "good.json", &app]);
    assert_eq!(denied.code, 4, "{}", denied.shown());
    let cached = stage.verify(&["--bundle", "good.json", "--cache", "1h", &app]);
    assert_eq!(cached.code, 2, "{}", cached.shown());
}
