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
    error: registry.example.org/acme/app:v1 (sha256:A…) is signed, but not as the policy requires:
          sha256:B…          …: a genuine signature, but the signature names no tag, and the policy has `bind_name`
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
          name        registry.example.org/acme/app
          manifest    sha256:B…
          refused     a genuine signature, but the signature names no tag, and the policy has `bind_name`; expected `registry.example.org/acme/app:v1`; found `registry.example.org/acme/app`
        signature   https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
          issuer      https://ci.example.org
          signed at   TODAY
          log entry   3
          name        registry.example.org/acme/app:v1
          manifest    sha256:C…
          accepted    by the policy
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_no_token_is_told_before_anything_is_asked() {
    let (shop, mut shell) = opened().await;
    shop.write("empty", "");
    shop.write("json", "{\"value\": \"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\"}");
    shop.write("bearer", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln");
    shop.write("words", "not yet");
    for token in [
        "token", "@empty", "@json", "@bearer", "@words", "@gone", "@", "''",
    ] {
        shell.line(&format!(
            "{SIGN} --identity-token {token} {APP}@$(cat digest)"
        ));
    }
    shell
        .line(&format!("SIGSTORE_ID_TOKEN= {SIGN} {APP}@$(cat digest)"))
        .line(&format!(
            "SIGSTORE_ID_TOKEN=$(cat bearer) {SIGN} {APP}@$(cat digest)"
        ));
    assert_eq!(shop.sigstore.requests(), []);
    assert_snapshot!(shell.end(), @r"
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token token registry.example.org/acme/app@$(cat digest)
    error: --identity-token takes the token itself, found the name of a file: token
      hint: to read the token from the file, pass --identity-token @token
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @empty registry.example.org/acme/app@$(cat digest)
    error: expected an identity token in the file empty, found nothing
      hint: is the variable set, and did the step before write the token?
    [exit code 9]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @json registry.example.org/acme/app@$(cat digest)
    error: expected an identity token in the file json, found JSON
      hint: pass the text of its `value` or `id_token` alone, without quotes
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @bearer registry.example.org/acme/app@$(cat digest)
    error: expected an identity token in the file bearer, found `Bearer` before it
      hint: leave `Bearer` out
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @words registry.example.org/acme/app@$(cat digest)
    error: the identity token is not an OIDC token: expected a JWT (three parts separated by dots) with iss, sub, aud and exp
      hint: pass --identity-token TOKEN or @FILE; SIGSTORE_ID_TOKEN holds the token itself, never @FILE
      hint: the token is from the file words
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @gone registry.example.org/acme/app@$(cat digest)
    error: the file of the identity token gone can't be read
      caused by: No such file or directory (os error 2)
      hint: check the path, and that you may read it
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @ registry.example.org/acme/app@$(cat digest)
    error: expected the name of a file after the @ of --identity-token, found nothing
      hint: pass --identity-token @FILE
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token '' registry.example.org/acme/app@$(cat digest)
    error: expected an identity token in --identity-token, found nothing
      hint: is the variable set, and did the step before write the token?
    [exit code 9]
    $ SIGSTORE_ID_TOKEN= countersign sign --trusted-root root.json --signing-config signing.json registry.example.org/acme/app@$(cat digest)
    error: there is no identity token, and this is not a CI that has one
      hint: pass --identity-token TOKEN or @FILE, or set SIGSTORE_ID_TOKEN
      hint: to log in yourself, pass --login browser, or --login device on a machine without one
    [exit code 9]
    $ SIGSTORE_ID_TOKEN=$(cat bearer) countersign sign --trusted-root root.json --signing-config signing.json registry.example.org/acme/app@$(cat digest)
    error: expected an identity token in SIGSTORE_ID_TOKEN, found `Bearer` before it
      hint: leave `Bearer` out
    [exit code 2]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_itself_shows_is_told_first_and_in_its_words() {
    let (_shop, mut shell) = opened().await;
    let token = "--identity-token @token";
    let wrong = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let config = "--trusted-root root.json --signing-config";
    shell
        .line(&format!("countersign sign {APP}:v1"))
        .line(&format!(
            "countersign sign {token} --trusted-root root.json {APP}@$(cat digest)"
        ))
        .line(&format!(
            "countersign sign {token} {config} root.json {APP}@$(cat digest)"
        ))
        .line(&format!(
            "countersign sign {token} {config} signing.v2.json --format both {APP}@$(cat digest)"
        ))
        .line(&format!(
            "countersign sign {token} {config} digest {APP}@$(cat digest)"
        ))
        .line(&format!("{SIGN} {token} {APP}@{wrong}"))
        .line(&format!(
            "{SIGN} {token} --then-tag v1 {APP}:v1@$(cat digest)"
        ))
        .line(&format!(
            "{SIGN} {token} --then-tag {APP}:v3 {APP}@$(cat digest)"
        ))
        .line(&format!("{SIGN} {token} --then-tag '' {APP}@$(cat digest)"))
        .line(&format!("{SIGN} {token} {APP}:v1@"));
    assert_snapshot!(shell.end(), @r"
    $ countersign sign registry.example.org/acme/app:v1
    error: expected a digest in each reference, found none in registry.example.org/acme/app:v1: the registry decides what a tag names, and would decide what is signed
      hint: compare with the digest that the push printed; if they are the same, run `countersign sign registry.example.org/acme/app:v1@sha256:A…` with the same flags
      hint: or pass --by-tag to sign whatever the registry answers
    [exit code 2]
    $ countersign sign --identity-token @token --trusted-root root.json registry.example.org/acme/app@$(cat digest)
    error: the signing services are not known: a trusted root doesn't name them
      hint: pass --signing-config FILE, or --fulcio-url URL with --rekor-url URL
    [exit code 2]
    $ countersign sign --identity-token @token --trusted-root root.json --signing-config root.json registry.example.org/acme/app@$(cat digest)
    error: expected a signing config in root.json, found a trusted root
      hint: pass it with --trusted-root; the signing config is another file, `signing_config.json` of the same instance
    [exit code 2]
    $ countersign sign --identity-token @token --trusted-root root.json --signing-config signing.v2.json --format both registry.example.org/acme/app@$(cat digest)
    error: --format simple-signing and --format both need a log of Rekor version 1, and signing.v2.json has none that is valid now
      hint: leave --format out, or name a log of Rekor version 1: --fulcio-url URL with --rekor-url URL
    [exit code 2]
    $ countersign sign --identity-token @token --trusted-root root.json --signing-config digest registry.example.org/acme/app@$(cat digest)
    error: the signing services can't be used: expected a signing config of version 0.2 in JSON, found something else (failed to parse JSON: expected value at line 1 column 1)
      hint: correct the signing config, leave out --rekor-version if it is there, or pass --fulcio-url URL with --rekor-url URL in the place of the config (and --tsa-url URL for Rekor 2)
      hint: the signing config is digest
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token registry.example.org/acme/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    error: registry.example.org/acme/app@sha256:B… was not found
      hint: check the name and the digest; without a login, a registry may say this of a private repository
    [exit code 6]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --then-tag v1 registry.example.org/acme/app:v1@$(cat digest)
    error: registry.example.org/acme/app:v1@sha256:A… can't be used to write a tag: expected a digest without a tag beside it
      hint: name the image registry.example.org/acme/app@sha256:A…, and pass each tag with --then-tag TAG
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --then-tag registry.example.org/acme/app:v3 registry.example.org/acme/app@$(cat digest)
    error: invalid value 'registry.example.org/acme/app:v3' for '--then-tag <TAG>': expected a tag alone, such as v1: the repository is the image's own

    For more information, try '--help'.
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token --then-tag '' registry.example.org/acme/app@$(cat digest)
    error: invalid value '' for '--then-tag <TAG>': expected a tag, found nothing: is the variable set that it comes from?

    For more information, try '--help'.
    [exit code 2]
    $ countersign sign --trusted-root root.json --signing-config signing.json --identity-token @token registry.example.org/acme/app:v1@
    error: invalid value 'registry.example.org/acme/app:v1@' for '<REFERENCE>...': `registry.example.org/acme/app:v1@` is not an image reference (registry/repository:tag or registry/repository@sha256:…): expected a digest such as sha256:<64 hex digits>, found nothing: is the variable set that it comes from?

    For more information, try '--help'.
    [exit code 2]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_without_its_images_is_told_where_they_are_looked_for() {
    let (shop, mut shell) = opened().await;
    let merge = "countersign merge --trusted-root root.json --signing-config signing.json --identity-token @token";
    let image = unsigned("arm");
    image.push(&shop.registry, "acme/cache", None);
    shop.write("arm", &image.digest().to_string());
    let tag = format!("--tag {APP}:v2");
    shell
        .line(&format!("{merge} {tag}"))
        .line("mkdir digests && touch digests/$(cat arm)")
        .line(&format!("{merge} {tag} --digests-from digests"))
        .line(&format!(
            "{merge} {tag} --digests-from digests --from registry.example.org/acme/cache | head -1"
        ))
        .line(&format!(
            "countersign verify --trusted-root root.json --policy policy.yaml --print-digest {APP}:v2"
        ));
    assert_snapshot!(shell.end(), @r"
    $ countersign merge --trusted-root root.json --signing-config signing.json --identity-token @token --tag registry.example.org/acme/app:v2
    error: there is nothing to merge: no image was given
      hint: name the images to merge, by digest: NAME@DIGEST, or --digests-from DIR
    [exit code 2]
    $ mkdir digests && touch digests/$(cat arm)
    $ countersign merge --trusted-root root.json --signing-config signing.json --identity-token @token --tag registry.example.org/acme/app:v2 --digests-from digests
    error: registry.example.org/acme/app@sha256:A… was not found
      hint: check the name and the digest; without a login, a registry may say this of a private repository
      hint: images of --digests-from are looked for in registry.example.org/acme/app, the repository of the first --tag; if they are in another, pass --from NAME
      hint: no tag was changed
    [exit code 6]
    $ countersign merge --trusted-root root.json --signing-config signing.json --identity-token @token --tag registry.example.org/acme/app:v2 --digests-from digests --from registry.example.org/acme/cache | head -1
    merged registry.example.org/acme/app:v2
    $ countersign verify --trusted-root root.json --policy policy.yaml --print-digest registry.example.org/acme/app:v2
    registry.example.org/acme/app@sha256:B…
    ");
}
