//! `sign` by tag and by digest: what is refused, with the words to use instead.

use countersign_oci::Digest;

use crate::stage::{RELEASE, Run, SERVICES, Stage, TRUST};

fn sign(stage: &Stage, flags: &[&str], reference: &str) -> Run {
    let token = ["--identity-token", "@token"];
    stage.run(&[&["sign"], &TRUST, &SERVICES, &token, flags, &[reference]])
}

#[tokio::test]
async fn a_tag_alone_is_refused_with_the_words_to_use() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let run = sign(&stage, &[], &app);
    assert_eq!(run.code, 2);
    stage.snapshot("sign_by_tag", &run);
    assert_eq!(stage.sigstore.requests(), []);

    let json = sign(&stage, &["--output", "json"], &app).json();
    let pinned = format!("{app}@{}", stage.index.digest());
    assert_eq!(
        json["error"]["pinned_references"],
        serde_json::json!([pinned])
    );
    // The words that it names do.
    let run = sign(&stage, &[], &pinned);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains(RELEASE), "{}", run.stdout);
    assert_eq!(sign(&stage, &["--by-tag"], &app).code, 0);
}

#[tokio::test]
async fn a_tag_that_does_not_name_the_digest_is_refused_before_anything_is_signed() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    let missing = stage.reference(&format!("app:v2@{digest}"));
    let run = sign(&stage, &[], &missing);
    assert_eq!(run.code, 6);
    stage.snapshot("sign_missing_tag", &run);

    let other: Digest = stage.push_unsigned("v3");
    let moved = stage.reference(&format!("app:v3@{digest}"));
    let run = sign(&stage, &[], &moved);
    assert_eq!(run.code, 5);
    stage.snapshot("sign_other_tag", &run);
    assert!(run.stderr.contains(&other.to_string()), "{}", run.stderr);
    assert_eq!(stage.sigstore.requests(), []);

    let run = sign(&stage, &["--tag-later"], &missing);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
