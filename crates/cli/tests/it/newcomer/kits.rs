//! A machine without a network, which lives on kits; and small things that people stumble over with galleries.

use std::fs;

use insta::assert_snapshot;

use crate::shop::{EARLIER, LATER, SIGNER, Shop};

const COPY: &str = "countersign copy --gallery galleries.yaml --trusted-root root.json -q --entry chat --to ocifile://kit";

/// A directory with two kits of `chat`, by the names `old` and `kit`.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "v1", EARLIER);
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_says_what_it_has_and_a_machine_that_lives_on_kits_is_upgraded_from_them() {
    let shop = shop().await;
    let mut shell = shop.shell();
    let install = "countersign install --platform linux/amd64 --from ocifile://kit";
    shell
        .line(COPY)
        .line("countersign gallery show ocifile://kit | head -3");
    shell
        .line(&format!("{install} draw"))
        .line(&format!("{install} chat"));
    shell.line("countersign upgrade --trusted-root root.json");
    let other = format!("{install}@sha256:{} chat", "0".repeat(64));
    shell.line(&other);
    shell.line("countersign copy --gallery galleries.yaml --to kit");
    assert_snapshot!(shell.end(), @"
    $ countersign copy --gallery galleries.yaml --trusted-root root.json -q --entry chat --to ocifile://kit
    $ countersign gallery show ocifile://kit | head -3
    kit ocifile:///srv/me/kit
      has images of chat
      has no images of draw
    $ countersign install --platform linux/amd64 --from ocifile://kit draw
    error: the kit has no image of `draw`
      hint: it has: chat
    [exit code 6]
    $ countersign install --platform linux/amd64 --from ocifile://kit chat
    installed chat in /srv/me/.local/share/countersign/chat: 1 file, 2 B
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      served by  the primary, registry.example.org/acme/app:latest-chat
      read from  the kit ocifile:///srv/me/kit
    $ countersign upgrade --trusted-root root.json
    error: no gallery file is known for `chat`: its record names none
      hint: pass --gallery FILE, or set `gallery` in your countersign.toml
      hint: to write FILE into the record, for later runs: `countersign upgrade --gallery FILE --reinstall chat`
      hint: what was installed from a kit is upgraded from a newer kit: `countersign install --from ocifile://KIT chat`
    [exit code 2]
    $ countersign install --platform linux/amd64 --from ocifile://kit@sha256:0000000000000000000000000000000000000000000000000000000000000000 chat
    error: this is another kit than the one you named: expected sha256:B…, found sha256:C…
      hint: don't use it: ask whoever gave it to you for the kit with the digest that you named
    [exit code 5]
    $ countersign copy --gallery galleries.yaml --to kit
    error: invalid value 'kit' for '--to <NAME>': for a kit in the directory kit write ocifile://kit; for a registry write its name too

    For more information, try '--help'.
    [exit code 2]
    ");
    let (code, document) = shop.run(&["gallery", "show", "ocifile://kit"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(document["kit"]["has"], serde_json::json!(["chat"]));
    assert_eq!(document["kit"]["lacks"], serde_json::json!(["draw"]));
    // A newer kit brings the newer image.
    shop.publish("latest-chat", "v2", LATER);
    fs::remove_dir_all(shop.directory.path().join("kit")).unwrap();
    let copy: Vec<&str> = COPY.split(' ').skip(1).collect();
    assert_eq!(shop.shown(&copy).0, 0);
    let install = [
        "install",
        "--platform=linux/amd64",
        "--from=ocifile://kit",
        "chat",
    ];
    assert_eq!(shop.run(&install).0, 0);
    assert_eq!(shop.version("chat").as_deref(), Some("v2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_is_shown_by_the_flag_that_other_commands_take() {
    let shop = shop().await;
    let (code, document) = shop.run(&["gallery", "show", "--gallery", "galleries.yaml", "draw"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(document["results"][0]["name"], "draw");
    assert_eq!(document["results"].as_array().unwrap().len(), 1);
    let (code, _) = shop.run(&["gallery", "check", "--gallery", "galleries.yaml"]);
    assert_eq!(code, 0);
    // With a file of configuration, a word that is no file is a name.
    shop.write(
        "own.toml",
        "gallery = \"galleries.yaml\"\npolicy = \"policy.yaml\"\ntrust = \"root.json\"\n",
    );
    let issuer = shop.sigstore.issuer();
    shop.write(
        "policy.yaml",
        &format!("{{issuer: '{issuer}', identity: '{SIGNER}'}}"),
    );
    let (code, document) = shop.run(&["gallery", "show", "--config", "own.toml", "draw"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(document["results"][0]["name"], "draw");
    // So is its policy in a tree.
    let app = format!("{}/acme/app:latest-chat", shop.registry.host());
    let (code, document) = shop.run(&["tree", "--config", "own.toml", &app]);
    assert_eq!((code, &document["judged"]), (0, &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged_is_not_told_as_missing() {
    let shop = shop().await;
    assert_eq!(shop.install(&["chat", "draw"]).0, 0);
    fs::write(shop.path("draw/.countersign/record.json"), "{").unwrap();
    let (_, document) = shop.run(&["list"]);
    assert_eq!(
        document["results"][1]["record"], "unreadable",
        "{document:#}"
    );
    let (code, _, told) = shop.shown(&["check", "nope", "chat", "draw"]);
    let says = "can't be read: EOF while parsing an object";
    assert!(told.contains(says), "{told}");
    assert!(!told.contains("no record"), "{told}");
    let (_, told, _) = shop.shown(&["list"]);
    assert!(told.contains(says), "{told}");
    assert_ne!(code, 0);
    // Results come as they were asked for.
    let (_, document) = shop.run(&["check", "chat", "nope"]);
    let results = document["results"].as_array().unwrap();
    let names: Vec<_> = results
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["chat", "nope"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_record_that_says_nothing_is_no_installation_that_is_removed() {
    let shop = shop().await;
    assert_eq!(shop.install(&["chat", "draw"]).0, 0);
    for text in ["{", "{}", ""] {
        fs::write(shop.path("draw/.countersign/record.json"), text).unwrap();
        let (code, _, told) = shop.shown(&["remove", "chat", "draw"]);
        assert_eq!(code, 2, "{told}");
        let way = "`countersign remove --unrecorded draw` removes it";
        assert!(told.contains(way), "{told}");
        // As `check` and `install` tell it.
        assert!(told.contains("the record of `draw` in "), "{told}");
        assert!(!told.contains("has no record"), "{told}");
        assert!(shop.path("chat/.countersign/record.json").exists());
        let (_, told, _) = shop.shown(&["list"]);
        assert!(told.contains("--unrecorded draw"), "{told}");
    }
    assert_eq!(shop.run(&["remove", "--unrecorded", "chat", "draw"]).0, 0);
    assert!(!shop.path("draw").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_name_the_store_and_the_directory_that_are_meant() {
    let shop = shop().await;
    assert_eq!(shop.install(&["--lock", "--store=two", "chat"]).0, 0);
    shop.publish("latest-chat", "v2", LATER);
    assert_eq!(shop.install(&["--store=two", "--reinstall", "chat"]).0, 0);
    let (code, _, told) = shop.shown(&[
        "list",
        "--store=two",
        "--check",
        "countersign.lock",
        "--platform=linux/amd64",
    ]);
    assert_eq!(code, 8, "{told}");
    assert!(
        told.contains("--from-lock=countersign.lock --store two --platform linux/amd64 chat"),
        "{told}"
    );
    let here = shop.directory.path();
    fs::create_dir(here.join("two/notes")).unwrap();
    fs::write(here.join("two/chat/.countersign/record.json"), "{").unwrap();
    let unrecorded = "`countersign remove --unrecorded --store two notes` removes it";
    let check = "--check=countersign.lock";
    for (arguments, says) in [
        (&["list", "--store=two"][..], unrecorded),
        (&["remove", "--store=two", "notes"], unrecorded),
        (
            &["check", "--store=two", "nope"],
            "`countersign list --store two` shows what is installed",
        ),
        (
            &["list", "--store=two", check, "--platform=linux/amd64"],
            "run `countersign remove --unrecorded --store two chat`, then install it again",
        ),
        (
            &["remove", "--store=two", "--lock=countersign.lock", "nope"],
            "countersign.lock has no entry for it either",
        ),
    ] {
        let (_, out, err) = shop.shown(arguments);
        let told = out + &err;
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    fs::write(here.join("file"), "").unwrap();
    let (code, document) = shop.install(&["--store=file", "chat"]);
    assert_eq!(code, 2, "{document}");

    fs::create_dir(shop.directory.path().join("app")).unwrap();
    let (code, _, told) = shop.shown(&["check", "app"]);
    assert_eq!(code, 6, "{told}");
    assert!(
        told.contains("for the directory app here, write ./app"),
        "{told}"
    );

    let (code, _, told) = shop.shown(&["man", "verify"]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("countersign help verify"), "{told}");
    assert!(!shop.directory.path().join("verify").exists());
}
