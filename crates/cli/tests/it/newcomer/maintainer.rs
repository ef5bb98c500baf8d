//! A maintainer who signs and merges by hand before the CI does: what is forgotten at the first try, and what is said of it.

use countersign_sandbox::RekorVersion;
use insta::assert_snapshot;

use crate::newcomer::transcript::Transcript;
use crate::shop::{SIGNER, Shop, unsigned};

const SIGN: &str = "countersign sign --trusted-root root.json --signing-config signing.json";
const APP: &str = "registry.example.org/acme/app";

/// A shop whose maintainer has a token and the signing services, and an image at the tag v1 that nobody signed.
async fn opened() -> (Shop, Transcript) {
    let shop = Shop::open().await;
    let config = |version| shop.sigstore.signing_config_json(version);
    shop.write("signing.json", &config(RekorVersion::V1));
    shop.write("signing.v2.json", &config(RekorVersion::V2));
    shop.write("token", &shop.sigstore.token(SIGNER));
    let issuer = shop.sigstore.issuer();
    let policy = format!("issuer: {issuer}\nidentity: {SIGNER}\nbind_name: true\n");
    shop.write("policy.yaml", &policy);
    let image = unsigned("v1");
    image.push(&shop.registry, "acme/app", Some("v1"));
    shop.write("digest", &image.digest().to_string());
    let shell = shop.shell();
    (shop, shell)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_without_a_tag_is_warned_of_where_the_policy_binds_names() {
    let (_shop, mut shell) = opened().await;
    let sign = format!("{SIGN} --identity-token @token --policy policy.yaml");
    let verify = "countersign verify --trusted-root root.json --policy policy.yaml";
    shell
        .line(&format!("{sign} {APP}@$(cat digest)"))
        .line(&format!(
            "{sign} {APP}@$(cat digest) -o json | grep -A2 warnings"
        ))
        .line(&format!("{verify} {APP}:v1"))
        .line(&format!("{verify} --print-digest {APP}@$(cat digest)"))
        .line(&format!(
            "{sign} --then-tag v1 {APP}@$(cat digest) -o json | grep warnings"
        ))
        .line(&format!("{verify} --print-digest {APP}:v1"))
        // The other signature is there, and is for the tag.
        .line(&format!(
            "{sign} {APP}:v1@$(cat digest) -o json | grep warnings"
        ))
        .line(&format!(
            "countersign tree --trusted-root root.json --policy policy.yaml {APP}:v1"
        ));
    assert_snapshot!(shell.end(), @r#"
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --policy policy.yaml registry.example.org/acme/app@$(cat digest)
    signed registry.example.org/acme/app@sha256:A…
      signature  sha256:B…
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  TODAY
      log entry  2
    warning: the signature of registry.example.org/acme/app@sha256:A… names no tag, and the policy has `bind_name`: installs by tag will be refused; sign registry.example.org/acme/app:TAG@sha256:A… for each tag, or pass --then-tag TAG
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --policy policy.yaml registry.example.org/acme/app@$(cat digest) -o json | grep -A2 warnings
      "warnings": [
        "the signature of registry.example.org/acme/app@sha256:A… names no tag, and the policy has `bind_name`: installs by tag will be refused; sign registry.example.org/acme/app:TAG@sha256:A… for each tag, or pass --then-tag TAG"
      ],
    $ countersign verify --trusted-root root.json --policy policy.yaml registry.example.org/acme/app:v1
    error: registry.example.org/acme/app@sha256:A… is signed, but not as the policy requires:
          sha256:B…          …: a genuine signature, but the signature names no tag
            expected  `registry.example.org/acme/app:v1`
            found     `registry.example.org/acme/app`
      hint: the publisher has to sign the tag: `countersign sign NAME:TAG@DIGEST`, or with --then-tag TAG
    [exit code 4]
    $ countersign verify --trusted-root root.json --policy policy.yaml --print-digest registry.example.org/acme/app@$(cat digest)
    registry.example.org/acme/app@sha256:A…
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --policy policy.yaml --then-tag v1 registry.example.org/acme/app@$(cat digest) -o json | grep warnings
      "warnings": [],
    $ countersign verify --trusted-root root.json --policy policy.yaml --print-digest registry.example.org/acme/app:v1
    registry.example.org/acme/app@sha256:A…
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --policy policy.yaml registry.example.org/acme/app:v1@$(cat digest) -o json | grep warnings
      "warnings": [],
    $ countersign tree --trusted-root root.json --policy policy.yaml registry.example.org/acme/app:v1
    registry.example.org/acme/app:v1
      image       sha256:A…
        verify      accepts it
        signature   https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
          issuer      https://ci.example.org
          signed at   TODAY
          log entry   2
          manifest    sha256:B…
          refused     a genuine signature, but the signature names no tag; expected  `registry.example.org/acme/app:v1`; found     `registry.example.org/acme/app`
        signature   https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
          issuer      https://ci.example.org
          signed at   TODAY
          log entry   3
          manifest    sha256:C…
          accepted    by the policy
    "#);
}
