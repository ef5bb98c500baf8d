//! `deny_digests`, where nobody knows which image of an index will be used.

use countersign_oci::Digest;

use super::{ask, configure};
use crate::stage::{RELEASE, Stage};

/// A rule as [`signed_by`], which also denies this digest.
fn denying(stage: &Stage, denied: &Digest) -> String {
    let policy = stage.verification(RELEASE);
    let policy = policy.strip_suffix('}').expect("a mapping in one line");
    format!("  - images: ['**']\n    verification: {policy}, deny_digests: ['{denied}']}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_a_denied_image_is_refused() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let child = stage.index.images()[0].digest();
    configure(&stage, "", &denying(&stage, &child));
    let refused = ask(&stage, "app:v1", &stage.index.digest());
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused.stdout.contains("the policy denies"),
        "{}",
        refused.stdout
    );
    assert!(
        refused.stdout.contains(&child.to_string()),
        "{}",
        refused.stdout
    );
    // So do the others that can't know which of its images is used.
    let policy = stage.verification(RELEASE);
    let policy = policy.strip_suffix('}').unwrap();
    stage.write(
        "denying.yaml",
        format!("{policy}, deny_digests: ['{child}']}}"),
    );
    let app = stage.reference("app:v1");
    stage.write("images.txt", &app);
    let flags = ["--policy=denying.yaml", "--trusted-root=trusted_root.json"];
    let verify = stage.run(&[&["verify", &app], &flags]);
    assert_eq!(verify.code, 4, "{}", verify.shown());
    let audit = stage.run(&[&["audit", "--images=images.txt", "--output=json"], &flags]);
    assert_eq!(audit.json()["results"][0]["state"], "denied");
    // An image of it that is not denied can be used.
    let verify = stage.run(&[&["verify", &app, "--platform", "linux/arm64"], &flags]);
    assert_eq!(verify.code, 0, "{}", verify.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mirror_shows_to_be_denied_is_not_asked_for_elsewhere() {
    let stage = Stage::new().await;
    let host = stage.registry.host();
    let child = stage.index.images()[0].clone();
    // The mirror has the denied index; the registry itself hides it, and serves a signed image of it.
    stage.index.push(&stage.registry, "mirror/other/app", None);
    child.push(&stage.registry, "other/app", Some("v1"));
    stage.signed("other/app:v1", RELEASE);
    let mirrors = format!("cache_age: none\nmirrors: {{'{host}': ['{host}/mirror']}}");
    configure(&stage, &mirrors, &denying(&stage, &stage.index.digest()));
    let refused = ask(&stage, "other/app:v1", &child.digest());
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused.stdout.contains("it is in the denied index"),
        "{}",
        refused.stdout
    );
}
