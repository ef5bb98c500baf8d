//! `countersign policy check`: the files that a policy names.

use super::check;
use crate::stage::{RELEASE, Stage};

/// A policy whose trusted root is not there refuses every image, so the check fails.
#[tokio::test]
async fn a_file_that_is_named_and_not_there_fails_the_check() {
    let stage = Stage::new().await;
    let signer = stage.policy(RELEASE);
    let missing = format!("{signer}  trust: {{trusted_root: gone.json}}\n");
    let verifier = "trusted_root: gone.json\nrules:\n- images: ['**']\n  allow: true\n  reason: they are ours\n";
    for (name, text) in [
        ("policy.yaml", missing.as_str()),
        ("verifier.yaml", verifier),
    ] {
        stage.write(name, text);
        let run = check(&stage, &[name]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        assert!(
            run.stderr.contains("gone.json can't be read"),
            "{}",
            run.shown()
        );
    }
    stage.write("gone.json", "no root");
    let run = check(&stage, &["policy.yaml"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    stage.write("gone.json", stage.sigstore.trusted_root_json());
    assert_eq!(check(&stage, &["policy.yaml"]).code, 0);
    // It may be on the machine that the file is for.
    let elsewhere = format!("{signer}  trust: {{trusted_root: /nowhere/root.json}}\n");
    stage.write("policy.yaml", elsewhere);
    let run = check(&stage, &["policy.yaml"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("[missing-file]"), "{}", run.shown());
    assert_eq!(check(&stage, &["policy.yaml", "--strict"]).code, 4);
    assert_eq!(
        check(
            &stage,
            &["policy.yaml", "--strict", "--allow", "missing-file"]
        )
        .code,
        0
    );
    // All of them are told.
    let galleries = "\
        - {name: a, url: 'file:i', verification: {issuer: a, identity: b, trust: {trusted_root: one.json}}}\n\
        - {name: b, url: 'file:i', verification: {issuer: a, identity: b, trust: {trusted_root: two.json}}}\n";
    stage.write("galleries.yaml", galleries);
    let run = check(&stage, &["galleries.yaml"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("one.json") && run.stderr.contains("two.json"),
        "{}",
        run.shown()
    );
}
