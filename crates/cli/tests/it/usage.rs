//! Command lines and files that can't be used: exit code 2, and what to change.

use crate::stage::{RELEASE, Stage, TRUST};

/// Runs `verify` with these flags; it must end with 2 and say all of this.
fn refuses(stage: &Stage, flags: &[&str], says: &[&str]) {
    let run = stage.run(&[&["verify"], flags, &[&stage.reference("app:v1")]]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    for text in says {
        assert!(run.stderr.contains(text), "no `{text}` in: {}", run.stderr);
    }
}

#[tokio::test]
async fn who_must_have_signed_has_to_be_said_once_and_whole() {
    let stage = Stage::new().await;
    let issuer = ["--issuer", "https://issuer.example"];
    let identity = ["--identity", "me@example.org"];
    refuses(
        &stage,
        &[],
        &["there is no policy file", "hint: pass --policy FILE"],
    );
    refuses(&stage, &issuer, &["the identity is missing"]);
    refuses(&stage, &identity, &["the issuer is missing"]);
    let both = [&issuer[..], &["--issuer-regex", ".*"], &identity].concat();
    refuses(
        &stage,
        &both,
        &["'--issuer <URL>' cannot be used with '--issuer-regex <REGEX>'"],
    );
    let both = [&issuer[..], &identity, &["--identity-regex", ".*"]].concat();
    refuses(
        &stage,
        &both,
        &["cannot be used with '--identity-regex <REGEX>'"],
    );
    let both = [&["--policy", "policy.yaml"], &issuer[..]].concat();
    refuses(
        &stage,
        &both,
        &["'--policy <FILE>' cannot be used with", "--issuer"],
    );
    let open = [&issuer[..], &["--identity-regex", "("]].concat();
    refuses(&stage, &open, &["identity_regex"]);
    let time = [&issuer[..], &identity, &["--not-before", "yesterday"]].concat();
    refuses(&stage, &time, &["not_before", "yesterday"]);
}

#[tokio::test]
async fn an_annotation_given_twice_is_refused_and_not_dropped() {
    let stage = Stage::new().await;
    let signer = [
        "--issuer",
        "https://issuer.example",
        "--identity",
        "me@example.org",
    ];
    let twice = ["--annotation", "env=test", "--annotation", "env=live"];
    let says = "the annotation `env` is given twice, as `test` and as `live`";
    refuses(&stage, &[&signer[..], &twice].concat(), &[says]);
}

#[tokio::test]
async fn a_policy_file_is_refused_with_file_line_and_column() {
    let stage = Stage::new().await;
    stage.write(
        "bad.yaml",
        "verification:\n  isuer: https://issuer.example\n",
    );
    let run = stage.run(&[
        &["verify", "--policy", "bad.yaml"],
        &TRUST,
        &[&stage.reference("app:v1")],
    ]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("bad.yaml:2:3: "), "{}", run.stderr);
    stage.snapshot("misspelt_policy", &run);
    stage.write("bad.yaml", "verification: [");
    refuses(&stage, &["--policy", "bad.yaml"], &["bad.yaml:1:"]);
}

#[tokio::test]
async fn files_that_are_missing_are_named() {
    let stage = Stage::new().await;
    let policy = ["--policy", "policy.yaml"];
    refuses(
        &stage,
        &["--policy", "missing.yaml"],
        &["the policy missing.yaml can't be read"],
    );
    let root = [&policy[..], &["--trusted-root", "missing.json"]].concat();
    refuses(
        &stage,
        &root,
        &["the trusted root missing.json can't be read"],
    );
    let root = [
        &policy[..],
        &[
            "--tuf-url",
            "http://127.0.0.1:1",
            "--tuf-root",
            "missing.json",
        ],
    ]
    .concat();
    refuses(&stage, &root, &["the TUF root missing.json can't be read"]);
    let ca = [&policy[..], &TRUST, &["--registry-ca", "missing.pem"]].concat();
    refuses(
        &stage,
        &ca,
        &["the certificate authority missing.pem can't be read"],
    );
    let ca = [&policy[..], &TRUST, &["--registry-ca", "policy.yaml"]].concat();
    let says = [
        "the certificate authority policy.yaml can't be used",
        "expected one or more certificates in PEM, found none",
    ];
    refuses(&stage, &ca, &says);
}

#[tokio::test]
async fn a_policy_file_in_the_place_of_an_image_is_told_where_it_belongs() {
    let stage = Stage::new().await;
    for line in [
        &["verify", "policy.yaml"][..],
        &["verify", "./policy.yaml"],
        &["install", "policy.yaml", "here"],
    ] {
        let run = stage.run(&[line]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        let says = "this is a file, not an image: pass a policy with --policy FILE";
        assert!(run.stderr.contains(says), "{}", run.shown());
    }
}

#[tokio::test]
async fn a_host_without_an_address_is_named_in_one_line() {
    let stage = Stage::new().await;
    let run = stage.verify(&["nobody.invalid/app:v1"]);
    assert_eq!(run.code, 7, "{}", run.shown());
    let causes: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("caused by"))
        .collect();
    let [cause] = causes[..] else {
        panic!("{}", run.shown())
    };
    let says = "  caused by: the host name `nobody.invalid` can't be resolved: ";
    assert!(cause.starts_with(says), "{cause}");
}

#[tokio::test]
async fn a_trusted_root_that_is_none_is_refused() {
    let stage = Stage::new().await;
    let flags = ["--policy", "policy.yaml", "--trusted-root", "policy.yaml"];
    refuses(
        &stage,
        &flags,
        &["policy.yaml", "hint: pass a trusted_root.json"],
    );
}

#[tokio::test]
async fn a_policy_may_name_its_trusted_root_relative_to_itself() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("deep/root.json", stage.sigstore.trusted_root_json());
    let trust = "  trust:\n    trusted_root: root.json\n";
    stage.write("deep/policy.yaml", stage.policy(RELEASE) + trust);
    let app = stage.reference("app:v1");
    let run = stage.run(&[&["verify", "--policy", "deep/policy.yaml", &app]]);
    assert_eq!(run.code, 0, "{}", run.stderr);

    let both = [&["--policy", "deep/policy.yaml"][..], &TRUST].concat();
    let says = "the policy file and the flags name two";
    refuses(&stage, &both, &[says, "remove the flags"]);
}

#[tokio::test]
async fn a_policy_s_trust_alone_refuses() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let other = countersign_sandbox::Sigstore::start().await.unwrap();
    stage.write("other_root.json", other.trusted_root_json());
    for (root, code) in [("trusted_root.json", 0), ("other_root.json", 5)] {
        let trust = format!("  trust:\n    trusted_root: {root}\n");
        stage.write("trust.yaml", stage.policy(RELEASE) + &trust);
        let run = stage.run(&[&["verify", "--policy", "trust.yaml", &app]]);
        assert_eq!(run.code, code, "{root}: {}", run.shown());
    }
}

#[tokio::test]
async fn a_policy_may_name_a_tuf_repository_relative_to_itself() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("deep/root.json", stage.sigstore.tuf_root());
    let url = stage.sigstore.tuf_url();
    let trust = format!("  trust:\n    tuf_url: {url}\n    tuf_root: root.json\n");
    stage.write("deep/policy.yaml", stage.policy(RELEASE) + &trust);
    let app = stage.reference("app:v1");
    let run = stage.run(&[&["verify", "--policy", "deep/policy.yaml", &app]]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(stage.path("home/.cache/countersign/tuf").is_dir());
}

#[tokio::test]
async fn offline_the_trusted_root_comes_from_the_cache_and_nobody_is_asked() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("root.json", stage.sigstore.tuf_root());
    let url = stage.sigstore.tuf_url();
    let app = stage.reference("app:v1");
    let tuf = ["--tuf-url", url.as_str(), "--tuf-root", "root.json"];
    let verify = |extra: &[&str]| {
        let before = stage.sigstore.requests().len();
        let policy = ["--policy", "policy.yaml", &app];
        let run = stage.run(&[&["verify"], &policy, &tuf, extra]);
        (run, stage.sigstore.requests().len() - before)
    };
    let (run, requests) = verify(&["--offline"]);
    assert_eq!((run.code, requests), (2, 0), "{}", run.shown());
    for says in ["can't be used without the network", "without --offline"] {
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }

    let (run, requests) = verify(&[]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(requests > 0, "the cache is filled");
    let (run, requests) = verify(&["--offline"]);
    assert_eq!((run.code, requests), (0, 0), "{}", run.shown());

    // Offline, nobody says which services sign.
    let token = stage.sigstore.token(RELEASE);
    let run = stage.run(&[
        &[
            "sign",
            "--by-tag",
            "--offline",
            "--identity-token",
            &token,
            &app,
        ],
        &tuf,
    ]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("--signing-config FILE"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_malformed_reference_platform_or_pair_is_refused() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let policy = ["verify", "--policy", "policy.yaml"];
    for bad in [
        &["not a reference"][..],
        &["--platform", "linux", &app],
        &["--unknown-flag", &app],
        &[],
    ] {
        let run = stage.run(&[&policy, bad]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{bad:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_command_line_that_can_not_be_read_is_told_in_json_where_json_was_asked_for() {
    let stage = Stage::new().await;
    for json in [&["--output", "json"][..], &["--output=json"]] {
        let run = stage.run(&[json, &["verify", "not a reference"]]);
        assert_eq!(run.code, 2);
        let document = run.json();
        assert_eq!(document["error"]["kind"], "usage");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("not a reference"), "{message}");
        // It is a message: what to do next is among the hints.
        assert!(!message.contains("--help"), "{message}");
        let hint = document["error"]["hints"][0].as_str().unwrap();
        assert!(hint.contains("--help"), "{hint}");
    }
}

#[tokio::test]
async fn a_token_in_the_place_of_a_policy_is_not_shown() {
    let stage = Stage::new().await;
    let token = stage.sigstore.token(RELEASE);
    stage.write("token", &token);
    let run = stage.run(&[&["verify", "--policy", "token", "registry.example/app:v1"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    let says = "error: token:1:1: expected a mapping, found a token (not shown)\n";
    assert!(run.stderr.starts_with(says), "{}", run.stderr);
}

#[tokio::test]
async fn a_negative_number_is_refused_as_the_value_that_it_is() {
    let stage = Stage::new().await;
    for flag in ["--check-layers", "--parallel"] {
        let run = stage.run(&[&["sign", flag, "-1", "registry.example/app:v1"]]);
        assert_eq!(run.code, 2, "{}", run.shown());
        let says = format!("error: invalid value '-1' for '{flag} <");
        assert!(run.stderr.starts_with(&says), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_flag_that_would_do_nothing_is_refused_by_its_name() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.registry.reset_requests();
    let app = stage.reference("app:v1");
    for flags in [
        &["--lock"][..],
        &["--lock=my.lock"],
        &["--from-lock"],
        &["--store", "store"],
        &["--require-integrity"],
        &["--capability", "nvidia"],
        &["--fallback-tag", "latest-*=master-*"],
        &["--allow-private-addresses"],
        &["--max-index", "1M"],
    ] {
        let run = stage.install(&[flags, &[app.as_str(), "here"]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        let flag = flags[0].split('=').next().unwrap();
        let says = format!("error: {flag} has no effect without --gallery\n");
        assert!(run.stderr.starts_with(&says), "{}", run.stderr);
        assert!(run.stderr.contains("  hint: "), "{}", run.stderr);
    }
    assert!(stage.registry.requests().is_empty());
    assert!(!stage.path("here").exists());
}

/// A program gets the parts of what is said of a wrong command line in fields of their own.
#[tokio::test]
async fn in_json_a_wrong_command_line_has_its_message_and_the_usage_apart() {
    let stage = Stage::new().await;
    let run = stage.run(&[&["verify", "--output", "json", "--polcy", "x"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    let error = run.json()["error"].clone();
    assert_eq!(error["message"], "unexpected argument '--polcy' found");
    let usage = error["usage"].as_str().unwrap();
    assert!(usage.starts_with("countersign verify "), "{usage}");
    let hint = error["hints"][0].as_str().unwrap();
    assert!(
        hint.starts_with("a similar argument exists: '--policy'"),
        "{hint}"
    );
    let run = stage.run(&[&["verify", "--output", "json", "--policy", "x"]]);
    let error = run.json()["error"].clone();
    assert_eq!(
        error["message"],
        "the following required arguments were not provided: <REFERENCE>..."
    );
    assert!(error["usage"].is_string());
    let run = stage.run(&[&["verify", "--output", "json", "--policy", "no.yaml", "app"]]);
    assert!(run.json()["error"].get("usage").is_none());
}

/// A policy file with seven mistakes.
const MISTAKEN: &str = r#"verification:
  isuer: https://gitlab.com
  identity_regex: "("   # any
  not_before: yesterday
  claims: {source_repositry: acme/app}
  predicate_types: [""]
  deny_digests: [sha256:1]
  colour: blue
"#;

#[tokio::test]
async fn all_mistakes_of_a_policy_file_are_told_at_once_with_marks() {
    let stage = Stage::new().await;
    stage.write("mistaken.yaml", MISTAKEN);
    let run = stage.run(&[&["policy", "check", "mistaken.yaml"]]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    insta::assert_snapshot!("all_mistakes", run.stderr);
}

#[tokio::test]
async fn json_has_all_mistakes_with_their_places() {
    let stage = Stage::new().await;
    stage.write("mistaken.yaml", MISTAKEN);
    let run = stage.run(&[&["policy", "check", "mistaken.yaml", "-o", "json"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let mistakes = document["results"][0]["error"]["mistakes"]
        .as_array()
        .unwrap();
    let places: Vec<_> = mistakes
        .iter()
        .map(|one| (&one["line"], &one["column"]))
        .collect();
    let expected = [(2, 3), (3, 19), (4, 15), (5, 12), (6, 21), (7, 18), (8, 3)];
    assert_eq!(places.len(), expected.len(), "{}", run.stdout);
    for ((line, column), expected) in places.into_iter().zip(expected) {
        assert_eq!(
            (line.as_u64(), column.as_u64()),
            (Some(expected.0), Some(expected.1))
        );
    }
    let first = mistakes[0]["message"].as_str().unwrap();
    let whole = document["results"][0]["error"]["message"].as_str().unwrap();
    // An editor has the place from the fields.
    assert_eq!(whole, format!("mistaken.yaml:2:3: verification: {first}"));
    assert_eq!(mistakes[1]["path"], "verification.identity_regex");
}

#[tokio::test]
async fn a_wrong_file_with_secrets_is_refused_without_them() {
    let stage = Stage::new().await;
    for text in [
        r#"{"auths":{"r":{"auth":"dXNlcjpodW50ZXIy"}},"credsStore":"x"}"#,
        r#"{"auths":{"r":{"auth":"dXNlcjpodW50ZXIy"}},"credsStore":"x\q"}"#,
        r#"{"auths":{"r":{"auth":"dXNlcjpodW50ZXIy"}},"issuer":["x"],"credsStore":5"#,
    ] {
        stage.write("config.json", text);
        let run = stage.run(&[&["policy", "check", "config.json"]]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        assert!(!run.stderr.contains("dXNl"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_file_with_very_many_mistakes_may_have_more() {
    let stage = Stage::new().await;
    for (keys, has_more) in [(49, false), (200, true)] {
        let text: String = (0..keys).map(|number| format!("k{number}: 1\n")).collect();
        stage.write("many.yaml", text);
        let run = stage.run(&[&["policy", "check", "many.yaml"]]);
        let says = run.stderr.contains("hint: there may be more mistakes");
        assert_eq!(says, has_more, "{}", run.stderr);
    }
}
