//! `countersign policy test` for the configuration of an image verifier.

use countersign_sandbox::{BundleSpec, Statement};

use crate::stage::{RELEASE, STRANGER, Stage, TRUST};

/// Rules for one repository each.
fn configure(stage: &Stage, above: &str) {
    let rules = format!(
        "{above}rules:
- images: [quay.io/acme/app]
  verification: {}
- images: [registry.k8s.io/**]
  mode: warn
  allow: true
  reason: signed by others
- images: [quay.io/other/**]
  mode: warn
  verification: {}
",
        stage.verification(RELEASE),
        stage.verification(STRANGER)
    );
    stage.write("image-verifier.yaml", rules);
}

#[tokio::test]
async fn an_image_s_rule_is_told_without_asking_anybody() {
    let stage = Stage::new().await;
    configure(&stage, "");
    let digest = stage.index.digest();
    let names = [
        "--image=quay.io/acme/app:v1".to_owned(),
        "--image=registry.k8s.io/pause:3.10".to_owned(),
        format!("--image=quay.io/other/app@{digest}"),
        "--image=nginx".to_owned(),
    ];
    let mut arguments = vec!["policy", "test", "image-verifier.yaml"];
    arguments.extend(names.iter().map(String::as_str));
    let run = stage.run(&[&arguments]);
    assert_eq!(run.code, 0, "{}", run.shown());
    stage.snapshot("policy_test_images", &run);
    let json = stage.run(&[&arguments, &["--output=json"]]).json();
    let results = json["results"].as_array().unwrap();
    let rules: Vec<_> = results.iter().map(|result| &result["rule"]).collect();
    assert_eq!(rules[..3], [1, 2, 3]);
    assert!(rules[3].is_null());
    let rulings: Vec<_> = results.iter().map(|result| &result["ruling"]).collect();
    assert_eq!(
        rulings,
        [
            "signature_required",
            "allowed",
            "signature_required",
            "refused"
        ]
    );
    assert!(stage.registry.requests().is_empty());
}

#[tokio::test]
async fn cases_are_judged_by_the_rule_of_their_image() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    for (name, identity) in [("release", RELEASE), ("stranger", STRANGER)] {
        let bundle = stage
            .sigstore
            .issue(&BundleSpec::new(Statement::of(digest.clone()), identity));
        stage.write(&format!("{name}.json"), bundle.unwrap());
    }
    let case = |image: &str, bundle: &str, expect: &str| {
        let bundle = match bundle {
            "" => String::new(),
            name => format!("bundle: {name}.json, "),
        };
        format!(
            "- {{name: '{image} {expect}', image: '{image}', digest: '{digest}', {bundle}expect: {expect}}}\n"
        )
    };
    let cases = [
        case("quay.io/acme/app:v1", "release", "accepted"),
        case("quay.io/acme/app:v1", "stranger", "refused_policy"),
        case("quay.io/acme/app:v1", "", "refused_unsigned"),
        case("registry.k8s.io/pause", "", "accepted"),
        case("quay.io/other/app", "stranger", "accepted"),
        case("quay.io/other/app", "release", "refused_policy"),
        case("nginx", "release", "refused_policy"),
    ];
    stage.write("cases.yaml", format!("cases:\n{}", cases.concat()));
    let test = |flags: &[&str]| {
        stage.run(&[
            &["policy", "test", "image-verifier.yaml", "--case=cases.yaml"],
            flags,
        ])
    };
    configure(&stage, "");
    let run = test(&TRUST);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout
            .contains("quay.io/other/app accepted: accepted by rule 3, as expected\n"),
        "{}",
        run.stdout
    );
    let json = test(&[&TRUST[..], &["--output=json"]].concat()).json();
    assert_eq!(json["results"][1]["rule"], 1);
    assert_eq!(json["failed_count"], 0);
    // The configuration's own trusted root, and then both.
    configure(&stage, "trusted_root: trusted_root.json\n");
    assert_eq!(test(&[]).code, 0);
    let both = test(&TRUST);
    assert_eq!((both.code, both.stdout.as_str()), (2, ""));
    assert!(
        both.stderr.contains("both name a Sigstore instance"),
        "{}",
        both.stderr
    );
    configure(&stage, "default: allow\n");
    let run = test(&TRUST);
    assert_eq!(run.code, 4);
    assert!(
        run.stdout
            .contains("FAILED nginx refused_policy: expected refused_policy, found accepted\n"),
        "{}",
        run.stdout
    );
}

#[tokio::test]
async fn what_is_missing_or_too_much_is_told() {
    let stage = Stage::new().await;
    configure(&stage, "");
    stage.write("policy.yaml", stage.policy(RELEASE));
    stage.write("cases.yaml", "cases:\n- {name: a, digest: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', expect: refused}\n");
    let told = |words: &[&str]| {
        let run = stage.run(&[&["policy", "test"], words, &TRUST]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.shown());
        run.stderr
    };
    insta::assert_snapshot!(told(&["policy.yaml", "--image=nginx"]), @"
    error: policy.yaml has no rules for images
      hint: --image is for a configuration of the image verifier; pass --case FILE
    ");
    insta::assert_snapshot!(told(&["policy.yaml", "--case=cases.yaml"]), @"
    error: cases.yaml:2:3: cases[0]: expected `bundle` or `bundles`, found neither; add one of them
          |
        2 | - {…
          |   ^
      hint: correct the file at that place
      hint: `countersign policy test --help` shows a file of cases
      hint: for an image without a signature, write `bundles: []`
    ");
    // Files of signatures, too, are read before anything is judged.
    let digest = stage.index.digest();
    let case = |name: &str| {
        format!(
            "- {{name: {name}, image: quay.io/acme/app:v1, digest: '{digest}', bundle: {name}.json, expect: refused}}\n"
        )
    };
    stage.write(
        "broken.yaml",
        format!("cases:\n{}{}", case("gone"), case("lost")),
    );
    let broken = told(&["image-verifier.yaml", "--case=broken.yaml"]);
    for said in ["2 cases can't be used", "gone.json", "lost.json"] {
        assert!(broken.contains(said), "{broken}");
    }
    insta::assert_snapshot!(told(&["image-verifier.yaml", "--case=cases.yaml"]), @"
    error: the case `a` can't be used: add `image`, the name of the image: a rule is found by it
      hint: correct the file of cases; `countersign policy test --help` shows one
    ");
}
