//! `verify --save`, and `policy test` with what it wrote.

use std::fs;

use countersign_oci::Digest;
use countersign_sandbox::image::Image;
use countersign_sandbox::{Effect, Fault};

use crate::stage::{RELEASE, STRANGER, Stage};

fn names(stage: &Stage, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(stage.path(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// `policy test` with a saved directory, without registry, network and flags.
fn test(stage: &Stage, policy: &str, directory: &str) -> crate::stage::Run {
    let before = stage.registry.requests().len();
    let run = stage.run(&[&["policy", "test", "--offline", policy, "--case", directory]]);
    assert_eq!(stage.registry.requests().len(), before, "nobody is asked");
    run
}

#[tokio::test]
async fn a_verdict_is_saved_and_comes_out_again() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let run = stage.verify(&["--save", "accepted", &app]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("accepted"), "{}", run.shown());
    let saved = names(&stage, "accepted");
    for name in [
        "cases.yaml",
        "image.json",
        "signature-1.sigstore.json",
        "trusted_root.json",
    ] {
        assert!(saved.iter().any(|one| one == name), "{saved:?}");
    }
    let again = test(&stage, "policy.yaml", "accepted");
    assert_eq!(again.code, 0, "{}", again.shown());
    assert!(
        again.stdout.contains("1 passed, 0 failed"),
        "{}",
        again.stdout
    );
    // Another policy comes to another verdict.
    stage.write("other.yaml", stage.policy("https://nobody.example/"));
    let other = test(&stage, "other.yaml", "accepted");
    assert_eq!(other.code, 4, "{}", other.shown());
    assert!(
        other
            .stdout
            .contains("expected accepted, found refused_policy"),
        "{}",
        other.stdout
    );
}

/// Another policy may need one that this verdict did not.
#[tokio::test]
async fn all_signatures_are_saved_of_an_image_that_the_first_one_proves() {
    let stage = Stage::new().await;
    let signers = [("release", RELEASE), ("stranger", STRANGER)];
    for (name, identity) in signers {
        stage.signed("app:v1", identity);
        stage.write(&format!("{name}.yaml"), stage.policy(identity));
    }
    let app = stage.reference("app:v1");
    // Whichever of the two is judged first.
    for (name, identity) in signers {
        stage.write("policy.yaml", stage.policy(identity));
        let run = stage.verify(&["--save", name, &app]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let saved = names(&stage, name);
        let signatures = saved.iter().filter(|name| name.starts_with("signature-"));
        assert_eq!(signatures.count(), 2, "{saved:?}");
        for policy in ["release.yaml", "stranger.yaml"] {
            let again = test(&stage, policy, name);
            assert_eq!(again.code, 0, "{policy}: {}", again.shown());
        }
    }
}

#[tokio::test]
async fn refused_images_are_saved_too() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    stage.push_unsigned("unsigned");
    for (name, code, expected) in [
        ("v1", 4, "refused_policy"),
        ("unsigned", 3, "refused_unsigned"),
    ] {
        let run = stage.verify(&["--save", name, &stage.reference(&format!("app:{name}"))]);
        assert_eq!(run.code, code, "{}", run.shown());
        let cases = fs::read_to_string(stage.path(name).join("cases.yaml")).unwrap();
        assert!(cases.contains(&format!("expect: {expected}")), "{cases}");
        let again = test(&stage, "policy.yaml", name);
        assert_eq!(again.code, 0, "{}", again.shown());
        assert!(again.stdout.contains(expected), "{}", again.stdout);
    }
}

/// What is wrong with the manifest of a signature is in no bundle, so a case can't have it.
#[tokio::test]
async fn a_case_that_is_refused_for_another_reason_says_so() {
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let stage = Stage::new().await;
    Image::artifact(BUNDLE)
        .subject(stage.index.descriptor())
        .layer(BUNDLE, "{}")
        .layer("text/plain", "more")
        .build()
        .push(&stage.registry, "app", None);
    let run = stage.verify(&["--save", "invalid", &stage.reference("app:v1")]);
    assert_eq!(run.code, 5, "{}", run.shown());
    let note = "`policy test` refuses it for another reason: refused_unsigned.";
    assert!(run.stderr.contains(note), "{}", run.stderr);
    let cases = fs::read_to_string(stage.path("invalid/cases.yaml")).unwrap();
    assert!(cases.contains("expect: refused\n"), "{cases}");
    let again = test(&stage, "policy.yaml", "invalid");
    assert_eq!(again.code, 0, "{}", again.shown());
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_is_half_there() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    stage.write("there/mine.txt", "mine");
    let before = stage.registry.requests().len();
    let run = stage.verify(&["--save", "there", &app]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert_eq!(names(&stage, "there"), ["mine.txt"]);
    assert_eq!(
        stage.registry.requests().len(),
        before,
        "refused before anything is asked"
    );
    let run = stage.verify(&["--save", "two", &app, &app]);
    assert_eq!(run.code, 2, "{}", run.shown());
    let run = stage.verify(&["--save", "missing/inner", &app]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("missing/inner can't be written"),
        "{}",
        run.stderr
    );
    // It is verified all the same.
    let json = stage
        .verify(&["--save", "missing/inner", "--output", "json", &app])
        .json();
    let result = &json["results"][0];
    assert_eq!(result["verified"], true, "{result}");
    assert_eq!(result["evidence"]["identity"], RELEASE, "{result}");
    assert_eq!(result["error"]["kind"], "usage", "{result}");
    // Where there is no verdict, there is nothing to save.
    stage
        .registry
        .add_fault(Fault::on("GET /v2/app/referrers/*", Effect::status(503)));
    let run = stage.verify(&["--save", "unknown", &app]);
    assert_eq!(run.code, 7, "{}", run.shown());
    assert!(
        run.stderr.contains("nothing is saved in unknown"),
        "{}",
        run.stderr
    );
    assert!(!stage.path("unknown").exists());
    let left = names(&stage, ".");
    assert!(
        left.iter()
            .all(|name| !name.starts_with(".countersign-new")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_denial_is_saved_if_the_case_has_what_it_stands_on() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let deny = |digest: &Digest| {
        let policy = format!("{}  deny_digests: [{digest}]\n", stage.policy(RELEASE));
        stage.write("policy.yaml", policy);
    };
    // The index lists an image that the policy denies.
    let child = stage.index.images()[0].digest();
    deny(&child);
    let run = stage.verify(&["--save", "listed", &stage.reference("app:v1")]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let run = test(&stage, "policy.yaml", "listed");
    assert_eq!(run.code, 0, "{}", run.shown());
    let says = format!(
        "refused_policy, as expected\n       the policy denies {}@{child}",
        stage.reference("app")
    );
    assert!(run.stdout.contains(&says), "{}", run.shown());
    // As in `verify`, signatures are asked for first.
    stage.write(
        "unsigned.yaml",
        "trusted_root: listed/trusted_root.json\ncases:\n- {name: one, manifest: listed/image.json, bundles: [], expect: refused_unsigned}\n",
    );
    let run = test(&stage, "policy.yaml", "unsigned.yaml");
    assert_eq!(run.code, 0, "{}", run.shown());
    // What the denied index lists, only the registry says.
    deny(&stage.index.digest());
    let reference = stage.reference(&format!("app@{child}"));
    let run = stage.verify(&["--save", "denied", &reference]);
    assert_eq!(run.code, 4, "{}", run.shown());
    // No policy accepts a case without signatures.
    assert!(!run.stderr.contains("expect: accepted"), "{}", run.shown());
    let why = "refused before a signature was read";
    assert!(run.stderr.contains(why), "{}", run.shown());
    let run = test(&stage, "policy.yaml", "denied");
    assert_eq!(run.code, 0, "{}", run.shown());
    let case = fs::read_to_string(stage.path("denied/cases.yaml")).unwrap();
    assert!(case.contains("bundles: []"), "{case}");
    assert!(case.contains("expect: refused\n"), "{case}");
}

#[tokio::test]
async fn all_mistakes_in_cases_are_told_and_one_bad_image_leaves_the_others() {
    let stage = Stage::new().await;
    stage.write(
        "cases.yaml",
        "cases:\n- {name: one, expct: accepted}\n- {name: two, expect: yes}\n- {name: three, expect: refused}\n- {manifest: a, bundles: []}\n",
    );
    let run = stage.run(&[&["policy", "test", "policy.yaml", "--case", "cases.yaml"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for said in [
        "cases.yaml:2:15: cases[0]: unknown key `expct`",
        "cases.yaml:3:23: cases[1].expect: expected `accepted`, `refused`",
        "cases.yaml:4:3: cases[2]: expected `manifest` or `digest`, found neither",
        "cases.yaml:4:3: cases[2]: expected `bundle` or `bundles`, found neither",
        "cases.yaml:5:3: cases[3]: the key `name` is missing",
        "cases.yaml:5:3: cases[3]: the key `expect` is missing",
        "for an image without a signature, write `bundles: []`",
    ] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("serde"), "{}", run.stderr);
    stage.write(
        "cases.yaml",
        "cases:\n- {name: one, bundle: gone.json, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', expect: accepted}\n- {name: two, manifest: gone.json, bundles: [], expect: accepted}\n",
    );
    let run = stage.run(&[
        &["policy", "test", "policy.yaml", "--case", "cases.yaml"],
        &crate::stage::TRUST,
    ]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for said in [
        "2 cases can't be used",
        "the bundle gone.json",
        "the manifest gone.json",
    ] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let run = stage.run(&[&["policy", "test", "policy.yaml"]]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("--case <CASES>|--image <IMAGE>"),
        "{}",
        run.stderr
    );

    stage.write("verifier.yaml", "default: allow\nrules: []\n");
    let run = stage.run(&[&[
        "policy",
        "test",
        "verifier.yaml",
        "--image",
        "A b",
        "--image",
        "nginx",
    ]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stdout.contains("nginx:latest: allowed"),
        "{}",
        run.shown()
    );
    assert!(run.stderr.contains("`A b` is no image"), "{}", run.shown());
    let json = stage
        .run(&[&[
            "policy",
            "test",
            "verifier.yaml",
            "-o",
            "json",
            "--image",
            "A b",
            "--image",
            "nginx",
        ]])
        .json();
    assert_eq!(json["results"][0]["image"], "A b");
    assert_eq!(json["results"][0]["error"]["kind"], "usage");
    assert_eq!(json["results"][1]["ruling"], "allowed");
}

/// None of them hides another, and what is missing in a case is told where the case begins.
#[tokio::test]
async fn mistakes_of_all_kinds_in_one_case_are_told_at_once() {
    let stage = Stage::new().await;
    stage.write(
        "cases.yaml",
        "cases:\n- name: one\n  manifest: a\n  digest: sha256:1\n  bundle: b\n  bundles: []\n  at: today\n  expect: maybe\n  colour: red\n- digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\n  bundle: b\n- {name: three, manifest: a, bundles: [], at: tomorrow}\n",
    );
    let run = stage.run(&[&["policy", "test", "policy.yaml", "--case", "cases.yaml"]]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for said in [
        "cases.yaml:4:",
        "expected `bundle` or `bundles`, found both",
        "expected an RFC 3339 time",
        "expected `accepted`, `refused`",
        "unknown key `colour`",
        "cases.yaml:10:3: cases[1]: the key `name` is missing",
        "cases.yaml:10:3: cases[1]: the key `expect` is missing",
        "cases[2].at: expected an RFC 3339 time",
        "cases.yaml:12:3: cases[2]: the key `expect` is missing",
    ] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}
