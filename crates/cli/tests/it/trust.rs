//! Trusted roots: instances by name, without logs, several in a file; `trust show` and `trust update`.

use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, SigningKey, SigningKeyKind, Sigstore, Statement};
use insta::assert_snapshot;

use crate::stage::{RELEASE, Run, Stage, TRUST, run};

/// A stage whose image has an attestation by an instance without logs, and the trusted roots of both instances.
async fn private() -> Stage {
    let stage = Stage::new().await;
    let github = Sigstore::start().await.unwrap();
    let spec = BundleSpec::new(Statement::of(stage.index.digest()), RELEASE)
        .issuer(stage.issuer())
        .without_logs();
    let bundle = github.issue(&spec).unwrap();
    Image::signature(stage.index.descriptor(), bundle).push(&stage.registry, "app", None);
    let public = stage.sigstore.trusted_root_json();
    let public: serde_json::Value = serde_json::from_str(&public).unwrap();
    let own = github.trusted_root_without_logs_json();
    stage.write("github.json", &own);
    stage.write("both.jsonl", format!("{public}\n{own}\n"));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_logs_is_trusted_if_its_root_is_named() {
    let stage = private().await;
    let app = stage.reference("app:v1");
    let refused = stage.verify(&[&app]);
    assert_eq!(refused.code, 5, "{}", refused.shown());
    assert!(
        refused.stderr.contains("`trust: github`"),
        "{}",
        refused.shown()
    );
    for root in ["github.json", "both.jsonl"] {
        let policy = format!(
            "{}  trust: {{trusted_root: {root}}}\n",
            stage.policy(RELEASE)
        );
        stage.write("private.yaml", policy);
        let verified = stage.run(&[&["verify", "--policy", "private.yaml", &app]]);
        assert_eq!(verified.code, 0, "{}", verified.shown());
        assert!(
            verified.stdout.contains("log entry  none"),
            "{}",
            verified.stdout
        );
    }
}

/// Without a network and a cache there is nothing to judge by, and nothing else takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_by_its_name_is_never_replaced_by_another() {
    let stage = private().await;
    let app = stage.reference("app:v1");
    stage.write(
        "named.yaml",
        format!("{}  trust: github\n", stage.policy(RELEASE)),
    );
    let offline = stage.run(&[&["verify", "--offline", "--policy", "named.yaml", &app]]);
    assert_ne!(offline.code, 0);
    assert!(
        offline.stderr.contains("tuf-repo.github.com"),
        "{}",
        offline.stderr
    );
    let both = stage.run(&[&["verify", "--policy", "named.yaml"], &TRUST, &[&app]]);
    assert_eq!(both.code, 2, "{}", both.shown());
    let flags = ["verify", "--trust", "github", "--policy", "policy.yaml"];
    let conflict = stage.run(&[&flags, &TRUST, &[&app]]);
    assert_eq!(conflict.code, 2, "{}", conflict.shown());
    let unknown = stage.run(&[&["trust", "show", "--trust", "gitlab"]]);
    assert_eq!(unknown.code, 2, "{}", unknown.shown());
    stage.write("token", stage.sigstore.token(RELEASE));
    let sign = ["sign", "--by-tag", "--trust", "github"];
    let signing = stage.run(&[&sign, &["--identity-token=@token", &app]]);
    assert_eq!(signing.code, 2, "{}", signing.shown());
    assert!(
        signing.stderr.contains("actions/attest"),
        "{}",
        signing.stderr
    );
}

fn shown(run: &Run) -> String {
    let mut text = run.shown();
    for (pattern, word) in [
        (r"http://127\.0\.0\.1:\d+", "http://sandbox.example"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"cache +\S+", "cache                   [CACHE]"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, word).into_owned();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_shown_with_what_it_has_and_lacks() {
    let stage = private().await;
    assert_snapshot!(shown(&stage.run(&[&["trust", "show", "--trusted-root", "both.jsonl"]])), @r#"
        exit code 0
        --- standard output
        trusted root of both.jsonl
          certificate authority   http://sandbox.example, in use, until [TIME]
          log of certificates     http://sandbox.example, in use
          log of signatures       http://sandbox.example, in use
          log of signatures       http://sandbox.example, in use
          timestamp authority     http://sandbox.example, in use, until [TIME]
        trusted root of both.jsonl
          certificate authority   http://sandbox.example, in use, until [TIME]
          log of certificates     none: certificates need not be logged
          log of signatures       none: a signature needs a timestamp
          timestamp authority     http://sandbox.example, in use, until [TIME]
        --- standard error
        "#);
    let json = stage.run(&[&[
        "trust",
        "show",
        "--trusted-root",
        "both.jsonl",
        "--output",
        "json",
    ]]);
    let results = json.json()["results"].clone();
    assert_eq!(results.as_array().unwrap().len(), 2);
    assert_eq!(results[1]["transparency_logs"], serde_json::json!([]));
    assert_eq!(results[0]["transparency_logs"][0]["supported"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_asks_the_repository_and_says_until_when_it_is_valid() {
    let stage = Stage::new().await;
    stage.write("root.json", stage.sigstore.tuf_root());
    let url = stage.sigstore.tuf_url().to_string();
    let tuf = ["--tuf-url", &url, "--tuf-root", "root.json"];
    let requests = || stage.sigstore.requests().len();
    let first = stage.run(&[&["trust", "show"], &tuf]);
    assert_snapshot!(shown(&first), @r#"
        exit code 0
        --- standard output
        trusted root of http://sandbox.example/
          TUF repository          http://sandbox.example/
          cache                   [CACHE]
          metadata                root, version 1, until [TIME]
          metadata                timestamp, version 1, until [TIME]
          metadata                snapshot, version 1, until [TIME]
          metadata                targets, version 1, until [TIME]
          certificate authority   http://sandbox.example, in use, until [TIME]
          log of certificates     http://sandbox.example, in use
          log of signatures       http://sandbox.example, in use
          log of signatures       http://sandbox.example, in use
          timestamp authority     http://sandbox.example, in use, until [TIME]
        --- standard error
        "#);
    let asked = requests();
    // It is fresh.
    assert_eq!(stage.run(&[&["trust", "show"], &tuf]).code, 0);
    assert_eq!(requests(), asked);
    assert_snapshot!(shown(&stage.run(&[&["trust", "update"], &tuf])), @r#"
        exit code 0
        --- standard output
        updated the trusted root of http://sandbox.example/
          it is valid until [TIME], and is fetched again before that
        --- standard error
        "#);
    assert!(requests() > asked);
    // What the page says of machines without a network: the verified file is in the directory that was shown.
    let json = stage.run(&[&["trust", "show", "--output", "json"], &tuf]);
    let cache = json.json()["results"][0]["cache"]
        .as_str()
        .unwrap()
        .to_owned();
    let copied = std::fs::read(format!("{cache}/targets/trusted_root.json")).unwrap();
    stage.write("copied.json", copied);
    let asked = requests();
    let by_file = stage.run(&[&["trust", "show", "--trusted-root", "copied.json"]]);
    assert!(
        by_file.stdout.contains("log of signatures"),
        "{}",
        by_file.shown()
    );
    assert_eq!(requests(), asked);
    assert_snapshot!(shown(&stage.run(&[&["trust", "update", "--offline"], &tuf])), @r#"
        exit code 2
        --- standard output
        --- standard error
        error: `trust update` asks the TUF repository, and --offline says not to
          hint: leave out --offline, or run `countersign trust show --offline`
        "#);
    let file = stage.run(&[&["trust", "update"], &TRUST]);
    assert_snapshot!(shown(&file), @r#"
        exit code 0
        --- standard output
        the trusted root is the file trusted_root.json: there is nothing to fetch
        --- standard error
        "#);
    let mut homeless = stage.command(&["trust", "show"]);
    assert_eq!(run(homeless.env_remove("HOME")).code, 2);
}

/// A policy that needs no trusted root has none to show, and nobody is asked for one.
#[tokio::test]
async fn a_policy_of_keys_alone_has_no_root_to_show() {
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    stage.write("cosign.pub", key.public_pem());
    stage.write(
        "policy.yaml",
        "verification: {key: cosign.pub, ignore_tlog: true}",
    );
    for command in ["show", "update"] {
        let trust = ["trust", command, "--policy", "policy.yaml"];
        let run = stage.run(&[&trust]);
        assert_eq!(run.code, 0, "{}", run.shown());
        assert!(
            run.stdout.starts_with("The policy needs no trusted root"),
            "{}",
            run.stdout
        );
        let json = stage.run(&[&trust, &["--output", "json"]]).json();
        assert_eq!(json["not_needed"], true);
        assert_eq!(json["results"].as_array().unwrap().len(), 0);
    }
    let named = [
        "trust",
        "show",
        "--policy",
        "policy.yaml",
        "--trusted-root",
        "trusted_root.json",
    ];
    let named = stage.run(&[&named]);
    assert!(
        named
            .stdout
            .starts_with("trusted root of trusted_root.json"),
        "{}",
        named.shown()
    );
}

/// A key may be used without a log, and then no root is needed: whoever gets none is told.
#[tokio::test]
async fn a_key_without_a_trusted_root_is_told_of_the_other_way() {
    let stage = Stage::new().await;
    let key = SigningKey::generate(SigningKeyKind::EcdsaP256).unwrap();
    stage.write("cosign.pub", key.public_pem());
    let app = stage.reference("app:v1");
    let run = stage.run(&[&["verify", "--offline", "--key", "cosign.pub", &app]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(run.stderr.contains("`ignore_tlog: true`"), "{}", run.stderr);
    let run = stage.run(&[&["verify", "--offline", "--policy", "policy.yaml", &app]]);
    assert!(!run.stderr.contains("ignore_tlog"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_the_url_of_a_repository_is_not_shown() {
    let stage = Stage::new().await;
    stage.write("root.json", stage.sigstore.tuf_root());
    let url = stage.sigstore.tuf_url().to_string();
    let url = url.replace("http://", "http://me:hunter2@");
    let tuf = ["--tuf-url", &url, "--tuf-root", "root.json"];
    for words in [
        &["trust", "show"][..],
        &["trust", "show", "--output", "json"],
        &["trust", "update"],
        &["trust", "update", "--output", "json"],
    ] {
        let run = stage.run(&[words, &tuf]);
        assert_eq!(run.code, 0, "{}", run.shown());
        assert!(!run.shown().contains("hunter2"), "{}", run.shown());
    }
}
