//! An operator who writes a gallery's files for the first time: what they get wrong, and what they read.

use insta::assert_snapshot;

use crate::shop::{EARLIER, LATER, SIGNER, Shop};

const FLAGS: &str = "--gallery galleries.yaml --trusted-root root.json --platform linux/amd64";
const ROOT: &str = "--trusted-root root.json --platform linux/amd64";

/// `draw` stands for two entries, by hardware.
fn with_hardware(shop: &Shop) {
    let host = shop.registry.host();
    shop.write(
        "index.yaml",
        &format!(
            "- {{name: chat, uri: '{host}/acme/app:latest-chat'}}\n\
             - {{name: draw, capabilities: {{default: draw-cpu, nvidia: draw-cuda}}}}\n\
             - {{name: draw-cpu, uri: '{host}/acme/app:latest-cpu'}}\n\
             - {{name: draw-cuda, uri: '{host}/acme/app:latest-cuda'}}\n"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_under_another_word_is_never_passed_over() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let mut shell = shop.shell();
    shell
        .line("sed s/verification:/verify:/ galleries.yaml > wrong.yaml")
        .line(&format!(
            "countersign install --gallery wrong.yaml {ROOT} chat 2>&1 | cut -c1-90"
        ))
        .line("countersign policy check wrong.yaml > /dev/null")
        .line(&format!(
            "countersign install --gallery index.yaml {ROOT} chat"
        ));
    assert_snapshot!(shell.end(), @r"
    $ sed s/verification:/verify:/ galleries.yaml > wrong.yaml
    $ countersign install --gallery wrong.yaml --trusted-root root.json --platform linux/amd64 chat 2>&1 | cut -c1-90
    error: wrong.yaml:1:39: [0]: unknown key `verify`; did you mean `verification`? Valid here
          |
        1 | …verify: …
          |  ^^^^^^
      hint: correct the file at that place
    $ countersign policy check wrong.yaml > /dev/null
    error: wrong.yaml:1:39: [0]: unknown key `verify`; did you mean `verification`? Valid here: name, url, mirrors, verification
          |
        1 | …verify: …
          |  ^^^^^^
      hint: correct the file at that place
    [exit code 2]
    $ countersign install --gallery index.yaml --trusted-root root.json --platform linux/amd64 chat
    error: index.yaml:1:1: this is an index (its entries have `uri` or `capabilities`), and no gallery file; in a gallery file, name the index by `url`, such as `url: file:index.yaml`
      hint: correct the file at that place
    [exit code 2]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_stays_with_the_hardware_that_was_chosen() {
    let shop = Shop::open().await;
    with_hardware(&shop);
    shop.publish("latest-cpu", "cpu1", EARLIER);
    shop.publish("latest-cuda", "cuda1", EARLIER);
    let mut shell = shop.shell();
    shell.line(&format!(
        "countersign install {FLAGS} --capability nvidia draw"
    ));
    shop.publish("latest-cpu", "cpu2", LATER);
    shell
        .line("countersign outdated --gallery galleries.yaml --trusted-root root.json")
        .line("countersign upgrade --gallery galleries.yaml --trusted-root root.json --capability default")
        .line("countersign upgrade --gallery galleries.yaml --trusted-root root.json --capability nvidia")
        .line("countersign copy --gallery galleries.yaml --trusted-root root.json --entry draw --to ocifile://kit")
        .line("countersign copy --gallery galleries.yaml --trusted-root root.json --entry acme@chap --to ocifile://kit");
    assert_snapshot!(shell.end(), @r"
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --capability nvidia draw
    installed draw in /srv/me/.local/share/countersign/draw: 1 file, 5 B
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  3
      served by  the primary, registry.example.org/acme/app:latest-cuda
    $ countersign outdated --gallery galleries.yaml --trusted-root root.json
    draw in /srv/me/.local/share/countersign/draw is up to date by its record
      image      sha256:A…
    $ countersign upgrade --gallery galleries.yaml --trusted-root root.json --capability default
    installed draw in /srv/me/.local/share/countersign/draw, in place of registry.example.org/acme/app:latest-cuda (linux/amd64): 1 file, 4 B
      replaced   sha256:A…
      image      sha256:B…
      signed     sha256:B…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2025-01-01T00:00:00Z
      log entry  4
      served by  the primary, registry.example.org/acme/app:latest-cpu
    $ countersign upgrade --gallery galleries.yaml --trusted-root root.json --capability nvidia
    error: `draw` can't be installed from any source
          primary registry.example.org/acme/app:latest-cuda: registry.example.org/acme/app:latest-cuda (sha256:A…) is older than what is installed, which is another image, registry.example.org/acme/app:latest-cpu (linux/amd64): it was signed at 2024-01-01T00:00:00Z, what is installed at 2025-01-01T00:00:00Z
      hint: if you want it in the place of the other image, pass --allow-older; to keep both, install to another directory or store
    [exit code 4]
    $ countersign copy --gallery galleries.yaml --trusted-root root.json --entry draw --to ocifile://kit
    copied draw-cpu: registry.example.org/acme/app:latest-cpu
    copied draw-cuda: registry.example.org/acme/app:latest-cuda
    2 of 2 images copied
      kit        ocifile:///srv/me/kit@sha256:C…
    $ countersign copy --gallery galleries.yaml --trusted-root root.json --entry acme@chap --to ocifile://kit
    error: no gallery has an image with the name `acme@chap`
      hint: see the names with `countersign gallery show FILE`
    [exit code 6]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_may_have_the_signatures_later() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let host = shop.registry.host();
    let image = crate::shop::unsigned("v1");
    image.push(&shop.registry, "acme/copy", Some("v1"));
    shop.write(
        "index.yaml",
        &format!(
            "[{{name: chat, uri: 'localhost:1/acme/app:v1', mirrors: ['{host}/acme/copy:v1']}}]"
        ),
    );
    let mut shell = shop.shell();
    shell.line(&format!("countersign install {FLAGS} chat"));
    assert_snapshot!(shell.end(), @r"
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat
    error: `chat` can't be installed from any source
          primary localhost:1/acme/app:v1: no complete answer from http://localhost:1/v2/acme/app/manifests/v1: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
          mirror registry.example.org/acme/copy:v1: registry.example.org/acme/copy@sha256:A… is not signed: no signature was found
      hint: check the host name, the port, the network and the proxy
      hint: a mirror lacks the signatures: `countersign copy` takes them along, and `signature_sources` of the policy names where else they are
    [exit code 7]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_digest_keeps_the_tag_that_it_was_locked_by() {
    let shop = Shop::open().await;
    shop.publish("v1", "v1", EARLIER);
    shop.publish("v2", "v2", LATER);
    let host = shop.registry.host();
    let index = |tag: &str| {
        shop.write(
            "index.yaml",
            &format!("[{{name: chat, uri: '{host}/acme/app:{tag}'}}]"),
        );
    };
    index("v1");
    let mut shell = shop.shell();
    shell.line(&format!("countersign install {FLAGS} --lock chat"));
    index("v2");
    shell.line("countersign upgrade --gallery galleries.yaml --trusted-root root.json");
    shell.end();
    shell
        .line(&format!("countersign install {FLAGS} --from-lock"))
        .line(&format!(
            "countersign install {FLAGS} --from-lock --allow-older"
        ))
        .line("countersign list");
    assert_snapshot!(shell.end(), @r"
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --from-lock
    error: `chat` is locked to sha256:A…, and can't be installed from any source
          primary registry.example.org/acme/app:v1@sha256:A…: registry.example.org/acme/app:v1@sha256:A… (sha256:A…) is older than what is installed: it was signed at 2024-01-01T00:00:00Z, what is installed at 2025-01-01T00:00:00Z
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
      served by  the primary, registry.example.org/acme/app:v1@sha256:A…
    $ countersign list
    NAME  GALLERY  TAG  DIGEST        SIGNER                                                          SIGNED      INSTALLED   SIZE  VERIFIED
    chat  acme     v1   A…            github.com/acme/app/.github/workflows/release.yml@refs/tags/v1  2024-01-01  TODAY  2 B   yes
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_image_in_the_place_of_an_image_is_named() {
    let shop = Shop::open().await;
    for (name, version, at) in [
        ("app", "a", LATER),
        ("old", "o", EARLIER),
        ("new", "n", "2025-06-01T00:00:00Z"),
    ] {
        let image = crate::shop::unsigned(version);
        let published = shop
            .scene()
            .publish(&image, name, "v1", SIGNER, at.parse().unwrap());
        published.unwrap();
    }
    let policy = "--policy galleries.yaml";
    let mut shell = shop.shell();
    for name in ["app", "old", "new"] {
        shell.line(&format!(
            "countersign install {policy} {ROOT} registry.example.org/{name}:v1 there"
        ));
    }
    assert_snapshot!(shell.end(), @r"
    $ countersign install --policy galleries.yaml --trusted-root root.json --platform linux/amd64 registry.example.org/app:v1 there
    installed registry.example.org/app:v1 (linux/amd64) in there: 1 file, 1 B
      image      sha256:A…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2025-01-01T00:00:00Z
      log entry  2
    $ countersign install --policy galleries.yaml --trusted-root root.json --platform linux/amd64 registry.example.org/old:v1 there
    error: registry.example.org/old:v1 (sha256:B…) is older than what is installed, which is another image, registry.example.org/app:v1 (linux/amd64): it was signed at 2024-01-01T00:00:00Z, what is installed at 2025-01-01T00:00:00Z
      hint: if you want it in the place of the other image, pass --allow-older; to keep both, install to another directory or store
    [exit code 4]
    $ countersign install --policy galleries.yaml --trusted-root root.json --platform linux/amd64 registry.example.org/new:v1 there
    installed registry.example.org/new:v1 (linux/amd64) in there, in place of registry.example.org/app:v1 (linux/amd64): 1 file, 1 B
      replaced   sha256:A…
      image      sha256:C…
      signed     sha256:C…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2025-06-01T00:00:00Z
      log entry  4
    ");
}
