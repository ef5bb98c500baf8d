//! An operator with a gallery and a lock file: what they type on two machines, and what they read.

use insta::assert_snapshot;

use super::transcript::Transcript;
use crate::shop::{EARLIER, LATER, Shop};

/// Two signed entries, and a shell.
async fn opened() -> (Shop, Transcript) {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    let shell = shop.shell();
    (shop, shell)
}

const FLAGS: &str = "--gallery galleries.yaml --trusted-root root.json";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story in a terminal")]
async fn a_machine_is_compared_with_its_lock_file() {
    let (shop, mut shell) = opened().await;
    shell
        .line("countersign list")
        .line("countersign list --store stoer")
        .line(&format!(
            "countersign install {FLAGS} --platform linux/amd64 --lock chat"
        ))
        .line("countersign list")
        .line("countersign list --long")
        .line("countersign list draw")
        .line("countersign list --check countersign.lock --platform linux/amd64");
    assert_snapshot!(shell.end(), @r"
    $ countersign list
    no entry of a gallery is installed: the directory /srv/me/.local/share/countersign doesn't exist
    only entries of galleries are listed; `countersign check DIRECTORY` looks at what was installed into a directory
    $ countersign list --store stoer
    no entry of a gallery is installed: the directory stoer doesn't exist
    only entries of galleries are listed; `countersign check DIRECTORY` looks at what was installed into a directory
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --lock chat
    installed chat in /srv/me/.local/share/countersign/chat: 1 file, 2 B
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      served by  the primary, registry.example.org/acme/app:latest-chat
      locked in  countersign.lock
    $ countersign list
    NAME  GALLERY  TAG          DIGEST        SIGNER                                                          SIGNED      INSTALLED   SIZE  VERIFIED
    chat  acme     latest-chat  A…            github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  TODAY  2 B   yes
    $ countersign list --long
    chat in /srv/me/.local/share/countersign/chat
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      served by  the primary, registry.example.org/acme/app:latest-chat
      gallery    acme
      file       /srv/me/galleries.yaml
      platform   linux/amd64
      installed  TODAY
      size       2 B in 1 file
    $ countersign list draw
    error: `draw` is not installed in /srv/me/.local/share/countersign
      hint: `countersign list` shows what is installed
    [exit code 6]
    $ countersign list --check countersign.lock --platform linux/amd64
    chat is as locked
    ");

    shop.publish("latest-chat", "v2", LATER);
    shell
        .line(&format!("countersign upgrade {FLAGS}"))
        .line("countersign list --check countersign.lock --platform linux/amd64")
        .line(&format!(
            "countersign install {FLAGS} --platform linux/amd64 --from-lock"
        ))
        .line(&format!(
            "countersign install {FLAGS} --platform linux/amd64 --from-lock --allow-older"
        ))
        .line("countersign list --check countersign.lock --platform linux/amd64")
        .line(&format!(
            "countersign install {FLAGS} --platform linux/amd64 draw"
        ))
        .line("countersign list --check countersign.lock")
        .line("countersign list --check countersign.lock --platform linux/amd64 draw")
        .line("countersign remove chat")
        .line("countersign list --check countersign.lock --platform linux/amd64")
        .line("countersign list --check countersign.lock --platform linux/riscv64");
    assert_snapshot!(shell.end(), @r"
    $ countersign upgrade --gallery galleries.yaml --trusted-root root.json
    upgraded chat in /srv/me/.local/share/countersign/chat: 1 file, 2 B
      before     sha256:A…
      image      sha256:B…
      signed     sha256:B…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2025-01-01T00:00:00Z
      log entry  4
      served by  the primary, registry.example.org/acme/app:latest-chat
    warning: chat: countersign.lock in this directory pins sha256:A…; pass --lock to pin what is installed now
    $ countersign list --check countersign.lock --platform linux/amd64
    error: `chat` is not as locked: expected sha256:A…, found sha256:B…
      hint: `countersign install --gallery FILE --from-lock=countersign.lock --platform linux/amd64 chat` installs what is locked; add --allow-older if that is the older one
    [exit code 8]
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --from-lock
    error: `chat` is locked to sha256:A…, and can't be installed from any source
          primary registry.example.org/acme/app:latest-chat@sha256:A…: registry.example.org/acme/app:latest-chat@sha256:A… (sha256:A…) is older than what is installed: it was signed at 2024-01-01T00:00:00Z, what is installed at 2025-01-01T00:00:00Z
      hint: the lock file pins an older image than is installed; if you want that one, pass --allow-older
    [exit code 4]
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --from-lock --allow-older
    rolled back chat in /srv/me/.local/share/countersign/chat: 1 file, 2 B
      before     sha256:B…
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      served by  the primary, registry.example.org/acme/app:latest-chat@sha256:A…
    $ countersign list --check countersign.lock --platform linux/amd64
    chat is as locked
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 draw
    installed draw in /srv/me/.local/share/countersign/draw: 1 file, 2 B
      image      sha256:C…
      signed     sha256:C…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  3
      served by  the primary, registry.example.org/acme/app:latest-draw
    $ countersign list --check countersign.lock
    chat is as locked
    note: draw is installed, and countersign.lock has no entry for it
    $ countersign list --check countersign.lock --platform linux/amd64 draw
    error: `draw` is not in countersign.lock for linux/amd64
      hint: `countersign install --gallery FILE --lock=countersign.lock --platform linux/amd64 draw` adds it
    [exit code 8]
    $ countersign remove chat
    removed chat from /srv/me/.local/share/countersign/chat
    $ countersign list --check countersign.lock --platform linux/amd64
    error: `chat` is locked and not installed
      hint: `countersign install --gallery FILE --from-lock=countersign.lock --platform linux/amd64 chat` installs what is locked
      hint: if it is not wanted any more, `countersign remove --lock=countersign.lock chat` takes it out of the lock file
    note: draw is installed, and countersign.lock has no entry for it
    [exit code 8]
    $ countersign list --check countersign.lock --platform linux/riscv64
    note: draw is installed, and countersign.lock has no entry for it
    error: countersign.lock has no entry for linux/riscv64, so there is nothing to compare
      hint: pass the platform that it was locked for to --platform
    [exit code 6]
    ");
}

/// What differs is the path and the day.
#[tokio::test(flavor = "multi_thread")]
async fn two_machines_of_one_lock_file_print_the_same() {
    let (_shop, mut shell) = opened().await;
    shell.line(&format!(
        "countersign install {FLAGS} --platform linux/amd64 --lock --store one chat draw"
    ));
    shell.line(&format!(
        "countersign install {FLAGS} --platform linux/amd64 --from-lock --store two"
    ));
    shell.end();
    let shown: Vec<String> = ["one", "two"]
        .map(|store| {
            shell.line(&format!("countersign list --store {store}"));
            shell.end().replace(&format!("--store {store}"), "")
        })
        .into();
    assert_eq!(shown[0], shown[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_told_of_a_machine_that_is_not_as_locked() {
    let (shop, _) = opened().await;
    assert_eq!(shop.install(&["--lock", "chat"]).0, 0);
    let check = [
        "list",
        "--check",
        "countersign.lock",
        "--platform",
        "linux/amd64",
    ];
    let (code, document) = shop.run(&check);
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["results"][0]["state"], "as_locked");
    shop.publish("latest-chat", "v2", LATER);
    let (code, upgraded) = shop.upgrade(&[]);
    assert_eq!(code, 0, "{upgraded}");
    let (code, document) = shop.run(&check);
    assert_eq!(code, 8, "{document}");
    let result = &document["results"][0];
    assert_eq!(result["state"], "differs");
    assert_eq!(
        upgraded["results"][0]["pinned_elsewhere"],
        result["expected"]
    );
    // A record that can't be read is never as locked.
    let record = shop.path("chat").join(".countersign/record.json");
    let json = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, json.replace("\"platform\"", "\"plat\"")).unwrap();
    assert_eq!(shop.run(&check).0, 8);
}
