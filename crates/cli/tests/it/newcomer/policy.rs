//! The author of a policy: what is written at the first try, what is said of it, and how it is mended until the image is
//! accepted.

use insta::assert_snapshot;

use crate::shop::{EARLIER, SIGNER, Shop};

const VERIFY: &str = "countersign verify --trusted-root root.json";

/// A policy with `identity` as it is written in the file.
fn policy(shop: &Shop, name: &str, identity: &str) {
    let issuer = shop.sigstore.issuer();
    shop.write(
        name,
        &format!("verification:\n  issuer: {issuer}\n  {identity}\n"),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "all that a person reads")]
async fn a_policy_is_written_tried_and_mended() {
    let shop = Shop::open().await;
    shop.publish("v1", "v1", EARLIER);
    let mut shell = shop.shell();
    policy(
        &shop,
        "policy.yaml",
        r"identity_regex: 'https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*'",
    );
    shell
        .line("countersign policy init --from registry.example.org/acme/app:v1 --trusted-root root.json")
        .line("countersign policy check policy.yaml > /dev/null")
        .line("countersign policy check -q --strict policy.yaml | tail -4")
        .line(&format!("{VERIFY} --policy policy.yaml --save case registry.example.org/acme/app:v1"))
        .line("countersign policy test policy.yaml --case case");
    policy(
        &shop,
        "policy.yaml",
        r"identity_regex: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*'",
    );
    shell
        .line("countersign policy check policy.yaml > /dev/null")
        .line("countersign policy test policy.yaml --case case")
        .line("sed -i 's/expect: .*/expect: accepted/' case/cases.yaml")
        .line("countersign policy test policy.yaml --case case")
        .line(&format!(
            "{VERIFY} --policy policy.yaml registry.example.org/acme/app:v1"
        ));
    assert_snapshot!(shell.end(), @r"
    $ countersign policy init --from registry.example.org/acme/app:v1 --trusted-root root.json
    # Accepts those who signed registry.example.org/acme/app:v1.
    # Anybody can sign an image: compare this with what the project publishes.
    verification:
      issuer: 'https://ci.example.org'
      identity: 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1'
      # In place of `identity`, for every tag:
      # identity_regex: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+'
      # The instance that signed. A relative path is relative to this file.
      trust: {trusted_root: '/srv/me/root.json'}
    compare the signer with what the project publishes: anybody can sign an image
    $ countersign policy check policy.yaml > /dev/null
    warning: the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*` asks for a backslash, which no certificate has; outside double quotes, write one backslash for each two: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*` [doubled-backslash]
    warning: in the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*`, `v*` matches any number of `v`, and no other text; for any text, write `.*`: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*` [glob-pattern]
    note: there is no `not_before`, so signatures of any age are accepted; after an incident, set it to the time from which signatures are good again [no-not-before]
    $ countersign policy check -q --strict policy.yaml | tail -4

    warning: the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*` asks for a backslash, which no certificate has; outside double quotes, write one backslash for each two: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*` [doubled-backslash]
    warning: in the pattern `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*`, `v*` matches any number of `v`, and no other text; for any text, write `.*`: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.*` [glob-pattern]
    policy.yaml is refused by --strict, with 2 warnings and 1 note
    $ countersign verify --trusted-root root.json --policy policy.yaml --save case registry.example.org/acme/app:v1
    saved in case: `countersign policy test policy.yaml --case case` judges it again, without the registry
    it expects the refusal; to work on the policy until the image is accepted, write `expect: accepted` in case/cases.yaml
    error: registry.example.org/acme/app:v1 (sha256:A…) is signed, but not as the policy requires:
          sha256:…: a genuine signature, but not by the policy's signer: the issuer matches, but the identity does not
            expected  a match of `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*`
            found     `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1`
      hint: do not use the image; if you are sure that the policy is wrong, correct it: `countersign policy check FILE` tells of patterns and names that no signer has
    [exit code 4]
    $ countersign policy test policy.yaml --case case
    ok     registry.example.org/acme/app:v1: refused_policy, as expected
           registry.example.org/acme/app@sha256:A… is signed, but not as the policy requires:
             signature-1.sigstore.json: a genuine signature, but not by the policy's signer: the issuer matches, but the identity does not
               expected  a match of `https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v*`
               found     `https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1`
    1 passed, 0 failed
    $ countersign policy check policy.yaml > /dev/null
    note: there is no `not_before`, so signatures of any age are accepted; after an incident, set it to the time from which signatures are good again [no-not-before]
    $ countersign policy test policy.yaml --case case
    FAILED registry.example.org/acme/app:v1: expected refused_policy, found accepted
           if accepted is right, write `expect: accepted` in case/cases.yaml
    0 passed, 1 failed
    [exit code 4]
    $ sed -i 's/expect: .*/expect: accepted/' case/cases.yaml
    $ countersign policy test policy.yaml --case case
    ok     registry.example.org/acme/app:v1: accepted, as expected
    1 passed, 0 failed
    $ countersign verify --trusted-root root.json --policy policy.yaml registry.example.org/acme/app:v1
    verified registry.example.org/acme/app:v1
      signed     sha256:A…
      signer     https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
      issuer     https://ci.example.org
      signed at  2024-01-01T00:00:00Z
      log entry  2
      by         the manifest's own signature
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mistake_is_told_once_for_all_signatures() {
    let shop = Shop::open().await;
    let image = crate::shop::unsigned("v1");
    for tag in ["v1", "v2", "latest"] {
        shop.publish_image(tag, &image, EARLIER);
    }
    let mut shell = shop.shell();
    shell.line(&format!(
        "{VERIFY} --issuer https://ci.example.org/ --identity {SIGNER} registry.example.org/acme/app:v1"
    ));
    shop.write(
        "slsa.yaml",
        &format!(
            "issuer: {}\nidentity: {SIGNER}\npredicate_types: [https://slsa.dev/provenance/v1]\n",
            shop.sigstore.issuer()
        ),
    );
    shell.line(&format!(
        "{VERIFY} --policy slsa.yaml registry.example.org/acme/app:v1"
    ));
    let unsigned = crate::shop::unsigned("v3");
    unsigned.push(&shop.registry, "acme/app", Some("v3"));
    shell.line(&format!(
        "{VERIFY} --policy slsa.yaml registry.example.org/acme/app:v3"
    ));
    shell.line(&format!(
        "sed s,https.*v1,slsaprovenance, slsa.yaml > short.yaml && {VERIFY} --policy short.yaml registry.example.org/acme/app:v3"
    ));
    shell.line(&format!(
        "COSIGN_REPOSITORY=registry.example.org/sigs {VERIFY} --issuer https://ci.example.org --identity {SIGNER} registry.example.org/acme/app:v3"
    ));
    assert_snapshot!(shell.end(), @r"
    $ countersign verify --trusted-root root.json --issuer https://ci.example.org/ --identity https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1 registry.example.org/acme/app:v1
    error: registry.example.org/acme/app:v1 (sha256:A…) is signed, but not as the policy requires:
          sha256:… and 2 more: a genuine signature, but not by the policy's signer: the issuer does not match
            expected  `https://ci.example.org/`
            found     `https://ci.example.org`
                                             ^ first difference
      hint: do not use the image; if you are sure that the flags are wrong, correct them: texts are compared letter by letter, and patterns are --issuer-regex and --identity-regex
    [exit code 4]
    $ countersign verify --trusted-root root.json --policy slsa.yaml registry.example.org/acme/app:v1
    error: registry.example.org/acme/app:v1 (sha256:A…) lacks an attestation of type https://slsa.dev/provenance/v1. Found instead:
          sha256:… and 2 more: a signature, not the attestation that is asked for: expected predicate type https://slsa.dev/provenance/v1, found https://sigstore.dev/cosign/sign/v1
      hint: if the policy means an attestation, attach it in the image's CI, with `cosign attest --type TYPE --predicate FILE`, GitHub's `actions/attest` or another tool; if it means a signature, `predicate_types` is a mistake there; for both, use `require`
    [exit code 3]
    $ countersign verify --trusted-root root.json --policy slsa.yaml registry.example.org/acme/app:v3
    error: registry.example.org/acme/app:v3 (sha256:B…) lacks an attestation of type https://slsa.dev/provenance/v1: nothing was found
      hint: attach the attestation that is missing, in the image's CI, with `cosign attest --type TYPE --predicate FILE` (cosign 3, or 2.6 with --new-bundle-format), GitHub's `actions/attest` or another tool; countersign makes none
    [exit code 3]
    $ sed s,https.*v1,slsaprovenance, slsa.yaml > short.yaml && countersign verify --trusted-root root.json --policy short.yaml registry.example.org/acme/app:v3
    error: registry.example.org/acme/app:v3 (sha256:B…) lacks an attestation of type slsaprovenance: nothing was found
      hint: the policy names the type `slsaprovenance`, which no attestation has; write `https://slsa.dev/provenance/v0.2`
    [exit code 3]
    $ COSIGN_REPOSITORY=registry.example.org/sigs countersign verify --trusted-root root.json --issuer https://ci.example.org --identity https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1 registry.example.org/acme/app:v3
    error: registry.example.org/acme/app:v3 (sha256:B…) is not signed: no signature was found
      hint: sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)
      hint: COSIGN_REPOSITORY is not used: for signatures in registry.example.org/sigs, write `signature_sources: [registry.example.org/sigs]` into a policy file
    [exit code 3]
    ");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "all that a person reads")]
async fn a_file_that_is_no_policy_is_told_with_what_to_write() {
    let shop = Shop::open().await;
    let mut shell = shop.shell();
    let signer = "issuer: https://ci.example.org\nidentity: ci@acme.example\n";
    for (name, text) in [
        (
            "time.yaml",
            format!("{signer}not_before: 1722816000\nmin_age: 24\n"),
        ),
        (
            "star.yaml",
            "issuer: https://ci.example.org\nidentity_regex: *\n".to_owned(),
        ),
        (
            "at.yaml",
            "issuer: https://ci.example.org\nidentity: @acme\n".to_owned(),
        ),
        (
            "comma.json",
            "{\"issuer\": \"https://ci.example.org\"\n \"identity\": \"me\"}\n".to_owned(),
        ),
        (
            "tab.yaml",
            "verification:\n  issuer: https://ci.example.org\n\tidentity: me\n".to_owned(),
        ),
        ("flat.yaml", format!("verification:\n{signer}")),
        (
            "list.yaml",
            "- issuer: https://ci.example.org\n  identity: ci@acme.example\n".to_owned(),
        ),
        (
            "types.yaml",
            format!("{signer}predicate_types: slsaprovenance1\npredicate: {{/a: b}}\n"),
        ),
        (
            "root.yaml",
            format!("{signer}trust: {{trusted_root: gone.json}}\n"),
        ),
        (
            "roots.yaml",
            format!("{signer}trust:\n  trusted_root: root.yaml\n"),
        ),
        (
            "bracket.yaml",
            "issuer: https://ci.example.org\nidentity_regex: refs/(heads\n".to_owned(),
        ),
    ] {
        shop.write(name, &text);
        shell.line(&format!("countersign policy check {name}"));
    }
    shell
        .line("printf 'issuer: \\377\\n' > bytes.yaml; countersign policy check bytes.yaml")
        .line(&format!(
            "{VERIFY} --policy root.yaml registry.example.org/acme/app:v1"
        ))
        .line("countersign verify --policy root.yaml registry.example.org/acme/app:v1")
        .line("countersign policy validate time.yaml");
    assert_snapshot!(shell.end(), @r#"
    $ countersign policy check time.yaml
    error: time.yaml:3:13: not_before: expected an RFC 3339 time such as TODAY, found `1722816000`
          |
        3 | not_before: 1722816000
          |             ^^^^^^^^^^
    error: time.yaml:4:10: min_age: expected an age such as 30m, 24h or 7d, found `24`
          |
        4 | min_age: 24
          |          ^^
      hint: correct the file at each of these places
    [exit code 2]
    $ countersign policy check star.yaml
    error: star.yaml:2:17: the file can't be read as YAML or JSON: while scanning an anchor or alias, did not find expected alphabetic or numeric character
          |
        2 | identity_regex: *
          |                 ^
      hint: put a value that begins with `*`, `&`, `@`, `%`, `!` or a backquote in 'single quotes'
    [exit code 2]
    $ countersign policy check at.yaml
    error: at.yaml:2:11: the file can't be read as YAML or JSON: unexpected character: `@'
          |
        2 | identity: @acme
          |           ^
      hint: put a value that begins with `*`, `&`, `@`, `%`, `!` or a backquote in 'single quotes'
    [exit code 2]
    $ countersign policy check comma.json
    error: comma.json:2:2: the file can't be read as YAML or JSON: while parsing a flow mapping, did not find expected ',' or '}'
          |
        2 |  "identity": "me"}
          |  ^
      hint: look before that place: a comma is missing there, or a quote ends the text too early
    [exit code 2]
    $ countersign policy check tab.yaml
    error: tab.yaml:2:11: the file can't be read as YAML or JSON: while scanning a plain scalar, found a tab
          |
        2 |   issuer: https://ci.example.org
          |           ^
      hint: indent with spaces and not tabs; the tab may be on the line below
    [exit code 2]
    $ countersign policy check flat.yaml
    error: flat.yaml:1:1: verification: `verification` is empty, and its keys stand beside it: indent `issuer` and the other keys of the policy further than `verification`
          |
        1 | verification:
          | ^^^^^^^^^^^^
      hint: correct the file at that place
    [exit code 2]
    $ countersign policy check list.yaml
    error: list.yaml:1:1: a list is read as galleries, and this entry is a policy: write its keys without the `-` in front; for several signers, write one policy with `identities`, a list where each entry has its own issuer and identity
      hint: correct the file at that place
    [exit code 2]
    $ countersign policy check types.yaml
    error: types.yaml:3:18: predicate_types: expected a list, found `slsaprovenance1`
          |
        3 | predicate_types: slsaprovenance1
          |                  ^^^^^^^^^^^^^^^
      hint: correct the file at that place
    [exit code 2]
    $ countersign policy check root.yaml
    error: root.yaml:3:23: the trusted root gone.json can't be read: No such file or directory (os error 2)
      hint: check the path, and that you may read it; a path that does not begin with `/` is relative to the directory of root.yaml
    [exit code 2]
    $ countersign policy check roots.yaml
    error: roots.yaml:4:17: root.yaml is not a trusted root: expected value at line 1 column 1
      hint: pass a trusted_root.json from the TUF repository of the Sigstore instance; a path that does not begin with `/` is relative to the directory of roots.yaml
    [exit code 2]
    $ countersign policy check bracket.yaml
    error: bracket.yaml:2:17: identity_regex: `refs/(heads` is not a usable regular expression: unclosed group
          |
        2 | identity_regex: refs/(heads
          |                 ^^^^^^^^^^^
      hint: close the bracket, or put a backslash before it if it is meant literally: `\(`, `\[`
    [exit code 2]
    $ printf 'issuer: \377\n' > bytes.yaml; countersign policy check bytes.yaml
    error: the policy bytes.yaml can't be read
      caused by: expected text in UTF-8, found another byte at 8
      hint: check that it is the file you mean
    [exit code 2]
    $ countersign verify --trusted-root root.json --policy root.yaml registry.example.org/acme/app:v1
    error: the policy file and the flags name two Sigstore instances
      hint: remove the flags, or, if the policy is no kit's, its `trust`
    [exit code 2]
    $ countersign verify --policy root.yaml registry.example.org/acme/app:v1
    error: the trusted root gone.json can't be read
      caused by: No such file or directory (os error 2)
      hint: check the path, and that you may read it
      hint: the policy's `trust` names it: a path that does not begin with `/` is relative to the policy file
    [exit code 2]
    $ countersign policy validate time.yaml
    error: time.yaml:3:13: not_before: expected an RFC 3339 time such as TODAY, found `1722816000`
          |
        3 | not_before: 1722816000
          |             ^^^^^^^^^^
    error: time.yaml:4:10: min_age: expected an age such as 30m, 24h or 7d, found `24`
          |
        4 | min_age: 24
          |          ^^
      hint: correct the file at each of these places
    [exit code 2]
    "#);
}
