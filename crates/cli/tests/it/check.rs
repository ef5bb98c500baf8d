//! `check`, and `--check` of `install` and `upgrade`, as a person and a script meet them.

use std::fs;

use insta::assert_snapshot;

use crate::newcomer::transcript::Transcript;
use crate::shop::{EARLIER, Shop};
use countersign_sandbox::image::{Compression, Image, Layer};

/// `chat` with several files, installed; and a shell.
async fn opened() -> (Shop, Transcript) {
    let shop = Shop::open().await;
    let layer = Layer::builder()
        .file("bin/chat", "#!/bin/sh\n", 0o755)
        .file("lib/model.bin", "weights", 0o644)
        .file("version", "v1", 0o644)
        .symlink("chat", "bin/chat");
    let image = Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build();
    shop.publish_image("latest-chat", &image, EARLIER);
    let mut shell = shop.shell();
    shell.line(&format!("countersign {INSTALL}"));
    shell.end();
    (shop, shell)
}

const INSTALL: &str =
    "install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_named_and_a_reinstallation_repairs_it() {
    let (_shop, mut shell) = opened().await;
    shell
        .line("countersign check")
        .line("cd .local/share/countersign/chat && echo 'curl evil' >> bin/chat && rm version && touch lib/extra")
        .line("countersign check chat")
        .line(&format!("countersign {INSTALL}"))
        .line(&format!("countersign {INSTALL} --check"))
        .line(&format!("countersign {INSTALL} --reinstall"))
        .line(&format!("countersign {INSTALL} --check"));
    assert_snapshot!(shell.end(), @r"
    $ countersign check
    chat in /srv/me/.local/share/countersign/chat is as it was unpacked: 3 files, 19 B
    $ cd .local/share/countersign/chat && echo 'curl evil' >> bin/chat && rm version && touch lib/extra
    $ countersign check chat
    chat in /srv/me/.local/share/countersign/chat has changed: 3 differences
      changed    bin/chat
      added      lib/extra
      removed    version
    error: chat is not as it was unpacked
      hint: find out who changed it; --reinstall of `install` and `upgrade` fetches it again
    [exit code 8]
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat
    chat in /srv/me/.local/share/countersign/chat is up to date by its record, which has the same digest as its source
      image      sha256:A…
      files      not checked; --check compares them, --reinstall replaces them
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat --check
    chat in /srv/me/.local/share/countersign/chat has changed: 3 differences
      changed    bin/chat
      added      lib/extra
      removed    version
    error: chat is not as it was unpacked
      hint: find out who changed it; --reinstall of `install` and `upgrade` fetches it again
    [exit code 8]
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat --reinstall
    reinstalled chat in /srv/me/.local/share/countersign/chat: 3 files, 19 B
      before     sha256:A…
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      served by  the primary, registry.example.org/acme/app:latest-chat
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat --check
    chat in /srv/me/.local/share/countersign/chat is up to date by its record, which has the same digest as its source
      image      sha256:A…
      files      as they were unpacked: 3 files, 19 B
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_compare_is_no_success() {
    let (shop, mut shell) = opened().await;
    shell
        .line("countersign check chta")
        .line("countersign check ./nowhere")
        .line("mkdir notes && countersign check ./notes")
        .line("countersign check --store stoer");
    let record = shop.directory.path();
    let record = record.join(".local/share/countersign/chat/.countersign/record.json");
    let mut old: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("inventory");
    fs::write(&record, old.to_string()).unwrap();
    shell.line("countersign check");
    assert_snapshot!(shell.end(), @r"
    $ countersign check chta
    error: `chta` is not installed in /srv/me/.local/share/countersign
      hint: `countersign list` shows what is installed
    [exit code 6]
    $ countersign check ./nowhere
    error: ./nowhere has no record of an installation
      hint: name a directory that `countersign install` made
    [exit code 6]
    $ mkdir notes && countersign check ./notes
    error: ./notes has no record of an installation
      hint: name a directory that `countersign install` made
    [exit code 6]
    $ countersign check --store stoer
    error: there is nothing to check: the directory stoer doesn't exist
      hint: name the store with --store, or a directory that `countersign install` made
    [exit code 6]
    $ countersign check
    error: the files of chat in /srv/me/.local/share/countersign/chat can't be checked: an earlier Countersign wrote its record, without digests of files
      hint: install it again with --reinstall; its record then has them
    [exit code 8]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_gets_every_difference_and_an_exit_code_of_its_own() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let (code, document) = shop.run(&["check"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["check"]["state"], "intact");
    let (code, document) = shop.upgrade(&["--check"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["check"]["files"], 1);

    fs::write(shop.path("chat").join("version"), "v9").unwrap();
    let changed = serde_json::json!([{"path": "version", "change": "content"}]);
    for (code, document) in [
        shop.run(&["check", "chat"]),
        shop.upgrade(&["--check"]),
        shop.install(&["--check", "chat"]),
    ] {
        assert_eq!(code, 8, "{document}");
        let result = &document["results"][0];
        assert_eq!(result["check"]["differences"], changed);
        assert_eq!(result["error"]["kind"], "differs");
    }
    let (code, document) = shop.upgrade(&["--reinstall"]);
    assert_eq!(code, 0, "{document}");
    assert_eq!(shop.run(&["check"]).0, 0);
}
