//! `verify`: each result says which image it is of, also where it is refused.

use countersign_sandbox::image::ImageIndex;
use serde_json::Value;

use crate::stage::{RELEASE, STRANGER, Stage, TRUST};

fn result(stage: &Stage, arguments: &[&str]) -> Vec<Value> {
    let run = stage.verify(&[&["--output=json"], arguments].concat());
    run.json()["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_denied_image_has_its_digest_and_a_missing_one_its_platform() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let denied = stage.index.images()[0].digest();
    let policy = stage.policy(RELEASE) + &format!("  deny_digests: ['{denied}']\n");
    stage.write("policy.yaml", policy);
    let app = stage.reference("app:v1");
    for which in [&["--platform", "linux/amd64"][..], &["--all-platforms"]] {
        let results = result(&stage, &[which, &[&app]].concat());
        assert_eq!(results[0]["platform"], "linux/amd64");
        assert_eq!(results[0]["error"]["kind"], "policy");
        assert_eq!(results[0]["digest"], denied.to_string(), "{which:?}");
    }
    let missing = stage.reference("app:gone");
    let results = result(&stage, &["--platform", "linux/amd64", &missing]);
    assert_eq!(results[0]["platform"], "linux/amd64");
    assert_eq!(results[0]["error"]["kind"], "not_found");
}

#[tokio::test]
async fn of_several_each_error_names_its_image() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.index.push(&stage.registry, "app", Some("latest"));
    let (first, latest) = (stage.reference("app:v1"), stage.reference("app:latest"));
    let run = stage.verify(&["--platform", "linux/s390x", &first, &latest]);
    assert_eq!(run.code, 6, "{}", run.shown());
    for app in [&first, &latest] {
        let says = format!("error: {app}: there is no image for linux/s390x; found");
        assert!(run.stderr.contains(&says), "{}", run.stderr);
    }
    let denied = stage.index.images()[0].digest();
    let policy = stage.policy(RELEASE) + &format!("  deny_digests: ['{denied}']\n");
    stage.write("policy.yaml", policy);
    let run = stage.verify(&["--all-platforms", &first, &latest]);
    for app in [&first, &latest] {
        let says = format!("error: {app} for linux/amd64: the policy denies");
        assert!(run.stderr.contains(&says), "{}", run.stderr);
    }
}

/// All platforms of none would be a success without an image.
#[tokio::test]
async fn an_index_without_images_has_no_platform_to_verify() {
    let stage = Stage::new().await;
    let empty = ImageIndex::new(Vec::new());
    empty.push(&stage.registry, "app", Some("empty"));
    stage.signed("app:empty", RELEASE);
    let app = stage.reference("app:empty");
    assert_eq!(stage.verify(&[&app]).code, 0);
    let run = stage.verify(&["--all-platforms", "--print-digest", &app]);
    assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{}", run.shown());
    let says = format!("error: {app}: the index lists no image for any platform");
    assert!(run.stderr.contains(&says), "{}", run.stderr);
}

/// To the author of a policy, the wrong trusted root looks as a forgery does.
#[tokio::test]
async fn by_the_root_of_another_instance_the_root_is_said_to_be_the_wrong_one() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let other = countersign_sandbox::Sigstore::start().await.unwrap();
    stage.write("other.json", other.trusted_root_json());
    let flags = ["verify", "--policy", "policy.yaml", "--trusted-root"];
    let run = stage.run(&[&flags, &["other.json", &stage.reference("app:v1")]]);
    assert_eq!(run.code, 5, "{}", run.shown());
    assert!(
        run.stderr.contains("the trusted root is the wrong one"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn saving_of_several_or_of_the_unsigned_promises_nothing() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    let app = stage.reference("app:v1");
    let several = stage.verify(&["--save", "case", &app, &app]);
    assert_eq!(several.code, 2);
    assert!(
        several.stderr.contains("name one reference in each run"),
        "{}",
        several.stderr
    );
    stage.push_unsigned("bare");
    let bare = stage.reference("app:bare");
    let unsigned = stage.verify(&["--save", "bare", &bare]);
    assert_eq!(unsigned.code, 3, "{}", unsigned.shown());
    assert!(
        !unsigned.stderr.contains("until the image is accepted"),
        "{}",
        unsigned.stderr
    );
}

/// What is advised can be done: where no policy names an instance, none is spoken of.
#[tokio::test]
async fn where_the_trusted_root_is_missing_one_way_to_it_is_named() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app@{}", stage.index.digest()));
    let sign = ["sign", "--offline", "--identity-token", "@token", &app];
    let by_flag = stage.run(&[&sign]);
    assert_eq!(by_flag.code, 2, "{}", by_flag.shown());
    assert!(
        by_flag.stderr.contains("or pass --trusted-root FILE\n"),
        "{}",
        by_flag.stderr
    );
    stage.write("policy.yaml", stage.policy(RELEASE) + "  trust: github\n");
    let verify = ["verify", "--offline", "--policy", "policy.yaml", &app];
    let by_policy = stage.run(&[&verify]);
    let says =
        "or write `trust: {trusted_root: FILE}` into the policy, in the place of its `trust`\n";
    assert!(by_policy.stderr.contains(says), "{}", by_policy.stderr);
    // The same root by both is one root.
    let trust = "  trust: {trusted_root: trusted_root.json}\n";
    stage.write("policy.yaml", stage.policy(RELEASE) + trust);
    stage.signed("app:v1", RELEASE);
    let both = stage.run(&[&["verify", "--policy", "policy.yaml"], &TRUST, &[&app]]);
    assert_eq!(both.code, 0, "{}", both.shown());
}
