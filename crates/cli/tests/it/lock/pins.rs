//! What may take the place of a pin, and how one is taken out.

use super::{LOCK, locked, read, texts};
use crate::shop::{EARLIER, LATER, Shop, unsigned};

/// Whoever has a kit or an index of last week must not set everybody back.
#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_not_moved_back_unless_older_is_allowed() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v2", LATER);
    assert_eq!(shop.install(&["--lock", "chat"]).0, 0);
    let pinned = read(&shop, LOCK);
    let later = shop.registry.tagged("acme/app", "latest-chat").unwrap();
    assert_eq!(shop.run(&["remove", "chat"]).0, 0);

    shop.publish("latest-chat", "v1", EARLIER);
    let (code, document) = shop.install(&["--lock", "chat"]);
    assert_eq!(code, 4, "{document}");
    let error = texts(&document["results"][0]["error"]);
    assert!(
        error.contains("`chat` is locked to a later image"),
        "{error}"
    );
    assert!(error.contains("pass --allow-older"), "{error}");
    assert!(
        error.contains("--from-lock installs what is locked"),
        "{error}"
    );
    assert_eq!(shop.version("chat"), None);
    assert_eq!(read(&shop, LOCK), pinned);

    // Nor by what is installed and up to date.
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (code, document) = shop.upgrade(&["--lock"]);
    assert_eq!(code, 4, "{document}");
    let error = texts(&document["results"][0]["error"]);
    assert!(
        error.contains("`chat` is locked to a later image"),
        "{error}"
    );
    assert_eq!(read(&shop, LOCK), pinned);

    let (code, document) = shop.install(&["--lock", "--allow-older", "chat"]);
    assert_eq!(code, 0, "{document}");
    let result = &document["results"][0];
    assert_eq!(result["locked_in"]["file"], LOCK);
    assert_eq!(result["locked_in"]["replaced"], later.to_string());
    assert_ne!(read(&shop, LOCK), pinned);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_takes_the_place_of_a_pin_is_told() {
    let shop = locked().await;
    let before = shop.registry.tagged("acme/app", "latest-chat").unwrap();
    shop.publish("latest-chat", "v2", LATER);
    let words = [
        "install",
        "--gallery",
        "galleries.yaml",
        "--trusted-root",
        "root.json",
    ];
    let platform = ["--platform", "linux/amd64", "--lock", "chat", "draw"];
    let (code, out, err) = shop.shown(&[&words[..], &platform].concat());
    assert_eq!(code, 0, "{err}");
    let line = format!("  locked in  countersign.lock, in place of {before}\n");
    assert_eq!(out.matches(&line).count(), 1, "{out}");
    assert_eq!(
        out.matches("  locked in  countersign.lock\n").count(),
        1,
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_taken_out_of_a_lock_file_whether_it_is_installed_or_not() {
    let shop = locked().await;
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (code, _, err) = shop.shown(&["list", "--check", "--platform", "linux/amd64", "draw"]);
    assert_eq!(code, 8);
    assert!(
        err.contains("`countersign remove --lock=countersign.lock draw`"),
        "{err}"
    );

    // One name that nothing has: then nothing is changed.
    let before = read(&shop, LOCK);
    let (code, document) = shop.run(&["remove", "--lock", "chat", "nothing"]);
    assert_eq!(code, 6, "{document}");
    assert_eq!(read(&shop, LOCK), before);
    assert!(shop.path("chat").exists());

    let (code, document) = shop.run(&["remove", "--lock", "chat", "draw"]);
    assert_eq!(code, 0, "{document}");
    let results = document["results"].as_array().unwrap();
    assert!(results[0]["removed"].is_object(), "{document}");
    assert!(results[1]["removed"].is_null(), "{document}");
    for result in results {
        assert_eq!(result["taken_out_of"], LOCK);
    }
    assert!(!shop.path("chat").exists());
    assert!(
        !read(&shop, LOCK).contains("name:"),
        "{}",
        read(&shop, LOCK)
    );

    let (code, document) = shop.run(&["remove", "--lock=other.lock", "chat"]);
    assert_eq!(code, 2, "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_locked_is_not_given_up_for_nothing() {
    let shop = locked().await;
    let before = read(&shop, LOCK);
    let galleries = read(&shop, "galleries.yaml");
    let open = galleries.split("verification:").next().unwrap().trim_end();
    let open =
        open.trim_end_matches(',').to_owned() + if open.starts_with('[') { "}]" } else { "" };
    shop.write("galleries.yaml", &open);
    let (code, document) = shop.install(&["--lock", "chat"]);
    assert_eq!(code, 4, "{document}");
    let error = texts(&document["results"][0]["error"]);
    for says in [
        "`chat` is locked with a stronger proof than this one: expected a signature by ",
        ", found nothing",
        "it also removes what is installed)",
    ] {
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(read(&shop, LOCK), before);
}

/// The entry leads to another repository by now: its age beside the other's says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_has_moved_to_another_repository_is_told_as_that() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v2", LATER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let time = EARLIER.parse().unwrap();
    let moved = shop.scene();
    let signer = crate::shop::SIGNER;
    moved
        .publish(&unsigned("t1"), "acme/tool", "v1", signer, time)
        .unwrap();
    let host = shop.registry.host();
    shop.write(
        "index.yaml",
        &format!("[{{name: chat, uri: '{host}/acme/tool:v1'}}]"),
    );
    let other = format!("{host}/acme/app:latest-chat (linux/amd64)");
    let (code, document) = shop.upgrade(&[]);
    assert_eq!(code, 4, "{document}");
    let error = texts(&document["results"][0]["error"]);
    assert!(
        error.contains(&format!("which is another image, {other}")),
        "{error}"
    );
    assert!(!error.contains("moved the tag back"), "{error}");
    let words = [
        "upgrade",
        "--gallery",
        "galleries.yaml",
        "--trusted-root",
        "root.json",
    ];
    let (code, out, err) = shop.shown(&[&words[..], &["--allow-older"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(&format!(", in place of {other}")), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_installed_unverified_is_not_told_as_signed_by_another() {
    let shop = locked().await;
    let galleries = read(&shop, "galleries.yaml");
    let open = galleries.split("verification:").next().unwrap().trim_end();
    let open =
        open.trim_end_matches(',').to_owned() + if open.starts_with('[') { "}]" } else { "" };
    shop.write("galleries.yaml", &open);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (code, document) = shop.run(&["list", "--check", "--platform", "linux/amd64", "chat"]);
    assert_eq!(code, 8, "{document}");
    let error = texts(&document["results"][0]["error"]);
    assert!(error.contains("and was installed unverified"), "{error}");
    assert!(error.contains("--reinstall"), "{error}");

    shop.write("galleries.yaml", &galleries);
    assert_eq!(shop.install(&["--from-lock", "--reinstall", "chat"]).0, 0);
    let (code, document) = shop.run(&["list", "--check", "--platform", "linux/amd64", "chat"]);
    assert_eq!(code, 0, "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_for_the_platform_that_is_asked_for_is_compared() {
    let shop = locked().await;
    assert_eq!(shop.install(&["chat"]).0, 0);
    let check = |platform: &str| shop.run(&["list", "--check", "--platform", platform, "chat"]);
    for (locked, other) in [
        ("linux/amd64", "linux/arm64"),
        ("linux/arm64", "linux/amd64"),
    ] {
        let text = read(&shop, LOCK);
        shop.write(LOCK, &text.replace(other, locked));
        let (code, document) = check(locked);
        assert_eq!(code, 0, "{document}");
        assert_eq!(document["results"][0]["state"], "as_locked");
        let (code, document) = check(other);
        assert_eq!(code, 8, "{document}");
        assert_eq!(document["results"][0]["state"], "not_locked");
        let error = texts(&document["results"][0]["error"]);
        let says = format!("`chat` is not in {LOCK} for {other}");
        assert!(error.contains(&says), "{error}");
        assert!(
            error.contains(&format!(" --platform {other} chat`")),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_needs_a_gallery_and_no_names() {
    let shop = locked().await;
    let (code, _, err) = shop.shown(&["install", "--from-lock"]);
    assert_eq!(code, 2, "{err}");
    let says = "pass --gallery FILE, or set `gallery` in your countersign.toml\n";
    assert!(err.contains(says), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_locked_for_another_platform_is_not_told_as_lost() {
    let shop = locked().await;
    let text = read(&shop, LOCK);
    shop.write(LOCK, &text.replace("linux/amd64", "linux/arm64"));
    let words = "install --gallery galleries.yaml --trusted-root root.json --from-lock --platform linux/arm64 chat";
    let words: Vec<&str> = words.split(' ').collect();
    let (code, _, err) = shop.shown(&words);
    assert_eq!(code, 6, "{err}");
    let says = "is for another platform: expected linux/arm64, found linux/amd64";
    assert!(err.contains(says), "{err}");
    assert!(!err.contains("no longer have"), "{err}");
}
