//! `--dry-run` of `install` and `upgrade`, and `outdated`, as a person and a script meet them: they say what an
//! installation says, and write nothing.

use std::fs;

use insta::assert_snapshot;

use crate::shop::{EARLIER, FLAGS, LATER, Shop, unsigned};

/// What stands in the shop's directory, sorted.
fn listed(shop: &Shop) -> Vec<String> {
    let names = fs::read_dir(shop.directory.path()).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A text without what differs from run to run.
fn steady(shop: &Shop, text: &str) -> String {
    let mut text = text.replace(&shop.registry.host(), "REGISTRY");
    text = text.replace(&shop.sigstore.issuer().to_string(), "ISSUER");
    let directory = shop.directory.path().display().to_string();
    text = text.replace(&directory, "HERE");
    let digest = regex::Regex::new("sha256:[0-9a-f]{64}").unwrap();
    let entry = regex::Regex::new(r"log entry  \d+").unwrap();
    let text = digest.replace_all(&text, "sha256:…");
    entry.replace_all(&text, "log entry  …").into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_installed_is_verified_and_nothing_is_written() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let before = listed(&shop);
    let (code, document) = shop.install(&["--dry-run", "chat", "draw"]);
    assert_eq!(code, 6, "{document}");
    let (chat, draw) = (&document["results"][0], &document["results"][1]);
    assert_eq!(chat["would_be"], "installed");
    assert_eq!(chat["available"]["grounds"], "signature");
    assert!(chat["installed"].is_null());
    assert_eq!(draw["error"]["kind"], "not_found");
    assert_eq!(listed(&shop), before);
    // No layer is asked for.
    let requests = shop.registry.requests();
    assert!(!requests.is_empty());
    let blobs = requests.iter().filter(|one| one.path.contains("/blobs/"));
    let config_or_bundle = blobs.count();
    shop.install(&["chat"]);
    let all = shop.registry.requests();
    let later = all
        .iter()
        .filter(|one| one.path.contains("/blobs/"))
        .count();
    assert!(
        later > config_or_bundle + 1,
        "the layer is fetched by the installation alone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outdated_is_told_with_the_signer_of_what_is_new() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "v1", EARLIER);
    shop.install(&["chat", "draw"]);
    shop.publish("latest-chat", "v2", LATER);
    for command in [&["outdated"][..], &["upgrade", "--dry-run"]] {
        let (code, out, err) = shop.shown(&[command, &FLAGS].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        insta::allow_duplicates! { assert_snapshot!(steady(&shop, &out), @"
        would upgrade chat in HERE/store/chat
          installed  sha256:…
          image      sha256:…
          signed     sha256:…
          signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
          issuer     ISSUER
          signed at  2025-01-01T00:00:00Z
          log entry  …
          served by  the primary, REGISTRY/acme/app:latest-chat
        draw in HERE/store/draw is up to date by its record
          image      sha256:…
        "); }
    }
    assert_eq!(shop.version("chat").as_deref(), Some("v1"));
    let (_, document) = shop.run(&[&["outdated"][..], &FLAGS].concat());
    let outcomes = ["upgraded", "unchanged"];
    for (result, outcome) in document["results"].as_array().unwrap().iter().zip(outcomes) {
        assert_eq!(result["would_be"], outcome);
    }
    // What it says is what happens.
    let (_, upgraded) = shop.upgrade(&[]);
    for (result, outcome) in upgraded["results"].as_array().unwrap().iter().zip(outcomes) {
        assert_eq!(result["outcome"], outcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_is_refused_with_the_same_words() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v2", LATER);
    shop.publish("latest-draw", "d1", LATER);
    shop.install(&["chat", "draw"]);
    shop.publish("latest-chat", "v1", EARLIER);
    unsigned("v3").push(&shop.registry, "acme/app", Some("latest-draw"));
    let (code, planned) = shop.upgrade(&["--dry-run"]);
    let (refused, found) = shop.upgrade(&[]);
    assert_eq!(code, refused);
    for (planned, found) in [0, 1].map(|at| (&planned["results"][at], &found["results"][at])) {
        assert!(planned["error"]["message"].is_string(), "{planned}");
        assert_eq!(planned["error"], found["error"]);
    }
    let (code, document) = shop.upgrade(&["--dry-run", "--allow-older", "chat"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["would_be"], "rolled_back");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_by_itself_has_a_dry_run_too() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let image = format!("{}/acme/app:latest-chat", shop.registry.host());
    let policy = format!("verification: {}", shop.verification(crate::shop::SIGNER));
    shop.write("policy.yaml", &policy);
    let arguments = [
        "install",
        "--dry-run",
        "--platform",
        "linux/amd64",
        "--policy",
        "policy.yaml",
        "--trusted-root",
        "root.json",
        &image,
        "here",
    ];
    let (code, out, err) = shop.shown(&arguments);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_snapshot!(steady(&shop, &out), @"
    would install REGISTRY/acme/app:latest-chat (linux/amd64) in here
      image      sha256:…
      signed     sha256:…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     ISSUER
      signed at  2024-01-01T00:00:00Z
      log entry  …
    ");
    assert!(!shop.directory.path().join("here").exists());
    // A place that can't be installed to is told before.
    shop.write("here", "a file");
    let (code, _, err) = shop.shown(&arguments);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("found a file"), "{err}");
}
