//! `sign` by tag and by digest: what is refused, with the words to use instead.

use countersign_oci::{CosignTag, Digest};
use countersign_sandbox::{Effect, Fault};

use crate::stage::{POLICY, RELEASE, Run, SERVICES, STRANGER, Stage, TRUST};

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

/// The tag that is asked for was not typed: what is missing is the digest.
#[tokio::test]
async fn a_name_alone_lacks_its_digest_also_where_nothing_has_the_tag() {
    let stage = Stage::new().await;
    let app = stage.reference("app");
    let merge = ["merge", "--tag", &stage.reference("app:v9"), &app];
    for run in [sign(&stage, &[], &app), stage.run(&[&merge])] {
        assert_eq!(run.code, 2, "{}", run.stderr);
        let says = format!("expected a digest in each image, found none in {app}\n");
        assert!(run.stderr.contains(&says), "{}", run.stderr);
        assert!(run.stderr.contains("NAME@DIGEST"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn of_several_images_one_that_is_missing_leaves_all_unsigned_and_that_is_said() {
    let stage = Stage::new().await;
    let app = stage.reference(&format!("app@{}", stage.index.digest()));
    let missing = stage.reference(&format!("app@{}", Digest::sha256(b"none")));
    let run = sign(&stage, &[&app], &missing);
    assert_eq!(run.code, 6, "{}", run.stderr);
    let says = "none of the images was signed by this run";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    assert_eq!(
        stage.registry.referrers("app", &stage.index.digest()).len(),
        0
    );
    // Alone, it says enough.
    let run = sign(&stage, &[], &missing);
    assert!(!run.stderr.contains(says), "{}", run.stderr);
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

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_written_when_all_is_proven_and_a_failure_says_where_they_are() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    let image = stage.reference(&format!("app@{digest}"));
    let (next, last) = (stage.reference("app:next"), stage.reference("app:last"));
    let flags = ["--then-tag", "next", "--then-tag", "last"];

    // The policy of who installs has another signer.
    let token = stage.sigstore.token(STRANGER);
    let words = ["--identity-token", &token, flags[0], flags[1], &image];
    let refused = stage.run(&[&["sign"], &TRUST, &SERVICES, &POLICY, &words]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let says = "no tag was changed; sign as the policy asks, or correct the policy, before you run it again";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(stage.registry.tagged("app", "next"), None);

    let refuses = Fault::on("PUT /v2/app/manifests/last", Effect::status(403));
    stage.registry.add_fault(refuses.times(1));
    let half = sign(&stage, &[&["--output=json"], &flags[..]].concat(), &image);
    assert_eq!(half.code, 9, "{}", half.stdout);
    let error = &half.json()["error"];
    assert_eq!(error["tags_written"], serde_json::json!([next]));
    assert_eq!(error["tags_unclear"], serde_json::json!([]));
    assert_eq!(error["tags_not_written"], serde_json::json!([last]));

    let run = sign(&stage, &flags, &image);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout
            .ends_with(&format!("tagged {next}\ntagged {last}\n")),
        "{}",
        run.stdout
    );
    let document = sign(&stage, &[&["--output=json"], &flags[..]].concat(), &image).json();
    assert_eq!(document["tags"], serde_json::json!([next, last]));
    for tag in [&next, &last] {
        let verified = stage.verify(&[tag]);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
    }
}

/// It is no tag that could be told as not written.
#[tokio::test]
async fn what_can_be_no_tag_is_a_command_line_that_can_t_be_read() {
    let stage = Stage::new().await;
    let image = stage.reference(&format!("app@{}", stage.index.digest()));
    for (tag, says) in [
        ("a b", "expected a tag, such as v1 or latest"),
        (".v1", "expected a tag, such as v1 or latest"),
        ("app:v1", "expected a tag alone, such as v1"),
        ("v1@sha256:00", "expected a tag alone, such as v1"),
        ("", "expected a tag, found nothing"),
    ] {
        let run = sign(&stage, &["--output=json", "--then-tag", tag], &image);
        assert_eq!(run.code, 2, "{tag}: {}", run.shown());
        let error = &run.json()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("'--then-tag <TAG>'"), "{tag}: {error}");
        assert!(message.contains(says), "{tag}: {error}");
        assert_eq!(error.get("tags_not_written"), None, "{tag}: {error}");
    }
    assert_eq!(stage.sigstore.requests(), []);
}

/// Whoever writes it loses the signatures that are listed there.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_where_clients_look_for_signatures_is_written_by_nobody() {
    let stage = Stage::new().await;
    let digest = stage.index.digest();
    let image = stage.reference(&format!("app@{digest}"));
    assert_eq!(sign(&stage, &[], &image).code, 0);
    let beside = CosignTag::ALL.map(|kind| digest.tag_beside(kind));
    for tag in beside.iter().chain([&digest.referrers_tag()]) {
        let name = stage.reference(&format!("other:{tag}"));
        for run in [
            sign(&stage, &["--then-tag", tag], &image),
            stage.run(&[&["merge"], &TRUST, &SERVICES, &["--tag", &name, &image]]),
            stage.copy(&[&image, &name]),
        ] {
            assert_eq!(run.code, 2, "{tag}: {}", run.shown());
            let says = "clients look for signatures there";
            assert!(run.stderr.contains(says), "{tag}: {}", run.stderr);
            let says = "choose another tag, such as v1";
            assert!(run.stderr.contains(says), "{tag}: {}", run.stderr);
        }
        assert_eq!(stage.registry.tagged("other", tag), None, "{tag}");
    }
    // Nobody typed the tag for the copy: it is the source's.
    let tag = Digest::sha256(b"x").referrers_tag();
    stage.registry.tag("app", &tag, &digest);
    let from = stage.reference(&format!("app:{tag}"));
    let run = stage.copy(&[&from, &stage.reference("other")]);
    assert_eq!(run.code, 2, "{}", run.shown());
    let says = "clients look for signatures";
    assert!(run.stderr.contains(says), "{}", run.stderr);
    let there = stage.registry.repositories();
    assert!(!there.contains(&"other".to_owned()), "{there:?}");
}
