//! `countersign merge`, as the last job of a CI runs it.

use countersign_sandbox::{Effect, Fault};
use serde_json::json;

use crate::stage::{POLICY, RELEASE, Run, SERVICES, STRANGER, Stage, TRUST, run};

impl Stage {
    /// The images that two builds pushed by digest.
    fn built(&self) -> Vec<String> {
        let pushed = self.index.images().iter().map(|image| {
            let digest = image.push(&self.registry, "cache", None);
            self.reference(&format!("cache@{digest}"))
        });
        pushed.collect()
    }

    fn merge(&self, identity: &str, arguments: &[&str]) -> Run {
        let token = self.sigstore.token(identity);
        let token = ["--identity-token", &token];
        self.run(&[&["merge"], &TRUST, &SERVICES, &token, arguments])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_is_verified_by_its_tag() {
    let stage = Stage::new().await;
    let images = stage.built();
    let (tag, latest) = (
        stage.reference("merged:v1"),
        stage.reference("merged:latest"),
    );
    let run = stage.merge(
        RELEASE,
        &["--tag", &tag, "--tag", &latest, &images[0], &images[1]],
    );
    stage.snapshot("success_merge", &run);
    for tag in [&tag, &latest] {
        let verified = stage.verify(&[tag]);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
    }
    let into = stage.path("installed");
    let installed = stage.install(&[&tag, into.to_str().unwrap()]);
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    assert!(into.join("bin/app").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_come_from_a_directory() {
    let stage = Stage::new().await;
    let images = stage.built();
    for image in &images {
        let digits = image.rsplit(':').next().unwrap();
        stage.write(&format!("digests/{digits}"), "");
    }
    let tag = stage.reference("merged:v1");
    let from = stage.reference("cache");
    let run = stage.merge(
        RELEASE,
        &[
            "--output",
            "json",
            "--tag",
            &tag,
            "--digests-from",
            "digests",
            "--from",
            &from,
        ],
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    let document = run.json();
    assert_eq!(document["tags"], json!([tag]));
    // The index, and what it lists.
    let signed = document["results"].as_array().unwrap();
    assert_eq!(signed.len(), 3);
    assert!(signed.iter().all(|one| one["outcome"] == "signed"));
    let listed = document["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for image in images {
        assert!(listed.iter().any(|one| one["source"] == image), "{image}");
    }
    assert_eq!(stage.verify(&[&tag]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_index_and_writes_nothing() {
    let stage = Stage::new().await;
    let images = stage.built();
    let tag = stage.reference("merged:v1");
    stage.registry.reset_requests();
    let run = stage.run(&[&["merge", "--dry-run", "--tag", &tag, &images[0], &images[1]]]);
    stage.snapshot("dry_run_merge", &run);
    let quiet = ["--quiet", "merge", "--dry-run", "--tag", &tag];
    let quiet = stage.run(&[&quiet, &[&images[0], &images[1]]]);
    assert_eq!(quiet.stdout, run.stdout);
    let flags = ["merge", "--dry-run", "--output=json", "--tag", &tag];
    let document = stage.run(&[&flags, &[&images[0], &images[1]]]).json();
    assert_eq!(document["dry_run"], true);
    assert_eq!(document["tags"], json!([tag]));
    assert_eq!(document["index"]["schemaVersion"], 2);
    let requests = stage.registry.requests();
    assert!(
        requests.iter().all(|request| request.method == "GET"),
        "{requests:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_where_the_tags_are() {
    let stage = Stage::new().await;
    let images = stage.built();
    let (tag, latest) = (
        stage.reference("merged:v1"),
        stage.reference("merged:latest"),
    );
    let arguments = ["--tag", &tag, "--tag", &latest, &images[0], &images[1]];

    // The policy of who installs has another signer.
    let refused = stage.merge(STRANGER, &[&POLICY[..], &arguments].concat());
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let says = "no tag was changed; sign as the policy asks, or correct the policy, before you run it again";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(stage.registry.tags("merged"), [] as [String; 0]);

    let refuses = Fault::on("PUT /v2/merged/manifests/latest", Effect::status(403));
    stage.registry.add_fault(refuses.times(1));
    let half = stage.merge(RELEASE, &arguments);
    assert_eq!(half.code, 9, "{}", half.stderr);
    stage.snapshot("half_merge", &half);
    assert_eq!(stage.registry.tags("merged"), ["v1"]);

    stage
        .registry
        .add_fault(Fault::on("PUT /v2/merged/manifests/latest", Effect::status(403)).times(1));
    let half = stage.merge(RELEASE, &[&["--output=json"], &arguments[..]].concat());
    assert_eq!(half.code, 9, "{}", half.stdout);
    let error = &half.json()["error"];
    assert_eq!(error["tags_written"], json!([tag]));
    assert_eq!(error["tags_unclear"], json!([]));
    assert_eq!(error["tags_not_written"], json!([latest]));
    // Both names of index and images are signed, as the run before left them.
    let signed = half.json()["results"].as_array().unwrap().clone();
    assert_eq!(signed.len(), 6);
    assert!(signed.iter().all(|one| one["outcome"] == "already_signed"));

    let again = stage.merge(RELEASE, &arguments);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(stage.verify(&[&latest]).code, 0);
}

/// A script reads the three lists whatever ended the run.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_anything_is_begun_names_its_tags_too() {
    let stage = Stage::new().await;
    let images = stage.built();
    let tag = stage.reference("merged:v1");
    let missing = stage.reference(&format!("cache@sha256:{}", "0".repeat(64)));
    let arguments = ["--output=json", "--tag", &tag, &images[0]];
    let stalls = || {
        let stall = Effect::Stall { after: 0 };
        stage
            .registry
            .add_fault(Fault::on("GET /v2/cache/manifests/*", stall));
    };
    let merges = |flags: &[&str]| stage.merge(RELEASE, &[&arguments[..], flags].concat());
    let gone = (merges(&[&missing]), 6);
    let config = (merges(&["--config", "none.toml"]), 2);
    let merge = [&["merge"], &TRUST[..], &SERVICES, &arguments].concat();
    let log = run(stage.command(&merge).env("COUNTERSIGN_LOG", "nonsense"));
    let log = (log, 2);
    stalls();
    let late = (merges(&["--timeout", "300ms"]), 7);
    let image = images[0].replace("cache", "app");
    let token = ["--identity-token", "@token", "--output=json"];
    let tags = ["--then-tag", "v1", "--timeout", "300ms", &image];
    stage.registry.add_fault(Fault::on(
        "GET /v2/app/manifests/*",
        Effect::Stall { after: 0 },
    ));
    let sign = (stage.run(&[&["sign"], &TRUST, &SERVICES, &token, &tags]), 7);
    let signed = stage.reference("app:v1");
    for ((run, code), tag) in [
        (gone, &tag),
        (config, &tag),
        (log, &tag),
        (late, &tag),
        (sign, &signed),
    ] {
        assert_eq!(run.code, code, "{}", run.shown());
        let error = &run.json()["error"];
        assert_eq!(error["tags_written"], json!([]), "{error}");
        assert_eq!(error["tags_unclear"], json!([]), "{error}");
        assert_eq!(error["tags_not_written"], json!([tag]), "{error}");
        let hints = error["hints"].as_array().unwrap().iter();
        let mut hints = hints.map(|hint| hint.as_str().unwrap());
        // Whoever has to correct the command line knows.
        let says = hints.any(|hint| hint.starts_with("no tag was changed"));
        assert_eq!(says, code != 2, "{error}");
    }
}

/// The jobs of a CI end in any order.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_images_is_of_no_account() {
    let stage = Stage::new().await;
    let images = stage.built();
    let index = stage.index.push(&stage.registry, "cache", None);
    let index = stage.reference(&format!("cache@{index}"));
    let tag = stage.reference("merged:v1");
    let digest = |images: &[&str]| {
        let flags = ["merge", "--dry-run", "--output=json", "--tag", &tag];
        let run = stage.run(&[&flags, images]);
        assert_eq!(run.code, 0, "{}", run.shown());
        run.json()["digest"].clone()
    };
    assert_eq!(
        digest(&[&images[0], &images[1]]),
        digest(&[&images[1], &images[0]])
    );
    assert_eq!(digest(&[&index, &images[1]]), digest(&[&images[1], &index]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_finds_all_signed_says_so() {
    let stage = Stage::new().await;
    let images = stage.built();
    let tag = stage.reference("merged:v1");
    let merge = || stage.merge(RELEASE, &["--tag", &tag, &images[0], &images[1]]);
    let first = merge();
    assert!(first.stdout.contains("3, verified\n"), "{}", first.shown());
    let second = merge();
    let says = "3, verified; all of them were there already\n";
    assert!(second.stdout.contains(says), "{}", second.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_for_one_platform_are_refused_by_name() {
    let stage = Stage::new().await;
    let images = stage.built();
    let other = stage.push_unsigned("other");
    let other = stage.reference(&format!("app@{other}"));
    let tag = stage.reference("merged:v1");
    let twin = countersign_sandbox::image::Image::builder("linux/amd64".parse().unwrap())
        .annotation("build", "2")
        .build();
    let twin = twin.push(&stage.registry, "cache", None);
    let twin = stage.reference(&format!("cache@{twin}"));
    let run = stage.merge(RELEASE, &["--tag", &tag, &images[0], &other, &twin]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains(&images[0]), "{}", run.stderr);
    assert!(run.stderr.contains(&twin), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_tag_is_refused_before_any_request() {
    let stage = Stage::new().await;
    let images = stage.built();
    let digest = stage.reference(&format!("app@sha256:{}", "0".repeat(64)));
    let untagged = stage.reference("app");
    stage.registry.reset_requests();
    for tag in ["v1", &untagged, &digest] {
        let run = stage.merge(RELEASE, &["--tag", tag, &images[0]]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        let expected = "expected NAME:TAG, such as quay.io/acme/app:v1, found ";
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    assert!(stage.registry.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_by_tag_are_refused_in_the_words_of_each_command() {
    let stage = Stage::new().await;
    let images = stage.built();
    stage.push_unsigned("other");
    let (tag, other) = (stage.reference("merged:v1"), stage.reference("app:other"));
    let run = stage.merge(RELEASE, &["--tag", &tag, &images[0], &other]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("merge "), "{}", run.stderr);
    let token = stage.sigstore.token(RELEASE);
    let tagged = stage.run(&[
        &[
            "sign",
            "--identity-token",
            &token,
            "--then-tag",
            "v2",
            &other,
        ],
        &TRUST,
        &SERVICES,
    ]);
    assert_eq!(tagged.code, 2, "{}", tagged.stderr);
    for run in [run, tagged] {
        assert!(run.stderr.contains(&other), "{}", run.stderr);
        assert!(!run.stderr.contains("--by-tag"), "{}", run.stderr);
    }
}
