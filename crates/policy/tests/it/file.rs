//! Policy files: the shapes that are read, and what each mistake is told.

use countersign_policy::{
    AcceptedSigner, CertificateSigner, Matcher, Policy, PolicyError, PolicyFile, Problem,
};
use insta::assert_snapshot;

const BLOCK: &str = "\
issuer: https://token.actions.githubusercontent.com
identity_regex: https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+
";

fn error(text: &str) -> PolicyError {
    Policy::from_yaml(text, "policy.yaml").unwrap_err()
}

fn certificate_signer(policy: &Policy) -> &CertificateSigner {
    match policy.signers().first() {
        AcceptedSigner::Certificate(signer) => signer,
        AcceptedSigner::Key(signer) => panic!("a key: {signer:?}"),
    }
}

/// The block with `extra` lines at its end.
fn block_and(extra: &str) -> String {
    format!("{BLOCK}{extra}")
}

#[test]
fn the_block_is_read_at_top_level_and_under_its_key_alike() {
    let bare = Policy::from_yaml(BLOCK, "policy.yaml").unwrap();
    let indented = BLOCK.replace("issuer:", "  issuer:");
    let indented = indented.replace("identity_regex:", "  identity_regex:");
    let nested = Policy::from_yaml(&format!("verification:\n{indented}"), "policy.yaml").unwrap();
    assert_eq!(bare, nested);
    assert_eq!(
        certificate_signer(&bare).issuer,
        Matcher::Exact("https://token.actions.githubusercontent.com".into())
    );
}

#[test]
fn json_is_read_as_yaml_is() {
    let json =
        r#"{"verification": {"issuer": "https://accounts.example", "identity": "ci@example"}}"#;
    let yaml = "{issuer: https://accounts.example, identity: ci@example}";
    assert_eq!(
        Policy::from_yaml(json, "policy.json").unwrap(),
        Policy::from_yaml(yaml, "policy.yaml").unwrap()
    );
}

const GALLERIES: &str = "\
- name: first
  url: https://example.org/index.yaml
  mirrors: []
  verification: &ours
    issuer: https://accounts.example
    identity: ci@example
- name: second
  url: https://example.net/index.yaml
  mirrors: [https://mirror.example/index.yaml]
  verification: *ours
- name: third
  url: https://example.com/index.yaml
";

#[test]
fn a_bare_list_of_galleries_is_read_with_keys_of_the_installer_s_own() {
    let file = PolicyFile::parse(GALLERIES, "galleries.yaml").unwrap();
    let names: Vec<_> = file.galleries().iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert!(!file.require_integrity());
    assert_eq!(
        file.galleries()[1].mirrors,
        ["https://mirror.example/index.yaml"]
    );
    assert!(file.galleries()[2].policy.is_none());
    let second = file.galleries()[1].policy.as_ref();
    assert_eq!(second.unwrap(), file.policy().unwrap());
}

#[test]
fn a_galleries_document_may_ask_for_strict_mode() {
    let text = format!("require_integrity: true\ngalleries:\n{GALLERIES}");
    let file = PolicyFile::parse(&text, "galleries.yaml").unwrap();
    assert!(file.require_integrity());
    assert_eq!(file.galleries().len(), 3);
}

#[test]
fn galleries_with_different_policies_have_no_one_policy() {
    let text = GALLERIES.replace(
        "verification: *ours",
        "verification: {issuer: https://accounts.example, identity: other@example}",
    );
    assert_snapshot!(error(&text), @"policy.yaml: the galleries have different policies; name one of them: `first`, `second`");
}

#[test]
fn a_file_without_a_policy_says_what_to_write() {
    assert_snapshot!(error(""), @"policy.yaml:1:1: found no policy; expected a `verification:` block with `issuer` and `identity` or `key`, or a list of galleries that have one");
    assert!(matches!(
        error("require_integrity: true").problem(),
        Problem::NoPolicy
    ));
    assert!(matches!(
        error("- {name: a, url: https://example.org}").problem(),
        Problem::NoPolicy
    ));
}

#[test]
fn a_policy_beside_galleries_is_refused() {
    let text = format!(
        "verification: {{issuer: https://a.example, identity: b}}\ngalleries:\n{GALLERIES}"
    );
    assert_snapshot!(error(&text), @"policy.yaml:1:1: verification: expected `verification` or `galleries`, found both; give each gallery its own `verification`");
}

#[test]
fn misspelt_keys_are_answered_with_the_nearest() {
    assert_snapshot!(error(&BLOCK.replace("identity_regex", "identityRegexp")), @"policy.yaml:2:1: unknown key `identityRegexp`; did you mean `identity_regex`? Valid here: issuer, issuer_regex, identity, identity_regex, key, ignore_tlog, not_before, min_age, identities, claims, predicate_types, predicate, require, signature_formats, annotations, bind_name, trust, signature_sources, deny_digests, verification, galleries, require_integrity");
    assert_snapshot!(error(&block_and("notBefore: 2026-08-05T00:00:00Z\n")), @"policy.yaml:3:1: unknown key `notBefore`; did you mean `not_before`? Valid here: issuer, issuer_regex, identity, identity_regex, key, ignore_tlog, not_before, min_age, identities, claims, predicate_types, predicate, require, signature_formats, annotations, bind_name, trust, signature_sources, deny_digests, verification, galleries, require_integrity");
    assert_snapshot!(error("verificaton: {issuer: https://a.example, identity: b}"), @"policy.yaml:1:1: unknown key `verificaton`; did you mean `verification`? Valid here: issuer, issuer_regex, identity, identity_regex, key, ignore_tlog, not_before, min_age, identities, claims, predicate_types, predicate, require, signature_formats, annotations, bind_name, trust, signature_sources, deny_digests, verification, galleries, require_integrity");
    assert_snapshot!(error(&block_and("claims:\n  source_repositry_uri: https://github.com/acme/app\n")), @"policy.yaml:4:3: claims: unknown key `source_repositry_uri`; did you mean `source_repository_uri`? Valid here: build_signer_uri, build_signer_digest, runner_environment, source_repository_uri, source_repository_digest, source_repository_ref, source_repository_identifier, source_repository_owner_uri, source_repository_owner_identifier, build_config_uri, build_config_digest, build_trigger, run_invocation_uri, source_repository_visibility_at_signing, deployment_environment, token_subject");
    assert_snapshot!(error("require_integrty: true\ngalleries: []"), @"policy.yaml:1:1: unknown key `require_integrty`; did you mean `require_integrity`? Valid here: require_integrity, verification, galleries");
}

#[test]
fn a_misspelt_verification_leaves_no_gallery_uncovered() {
    let text = GALLERIES.replace("verification: *ours", "verificaton: *ours");
    assert_snapshot!(error(&text), @"policy.yaml:10:3: [1]: unknown key `verificaton`; did you mean `verification`? Valid here: name, url, mirrors, verification");
}

#[test]
fn no_key_beside_a_gallery_s_own_is_passed_over() {
    for word in [
        "verify",
        "policy",
        "verifications",
        "signature",
        "cosign",
        "signers",
        "Trust-Policy",
    ] {
        for value in ["*ours", "true"] {
            let text = GALLERIES.replace("verification: *ours", &format!("{word}: {value}"));
            let error = error(&text);
            let Problem::UnknownKey { found, nearest, .. } = error.problem() else {
                panic!("{error}");
            };
            assert_eq!(
                (found.as_str(), nearest.as_deref()),
                (word, Some("verification"))
            );
        }
    }
    // The policy's keys without their block, a key of an entry, and one that nobody knows.
    for key in [
        "issuer: a",
        "key: k.pem",
        "mirror: [a]",
        "battery: included",
        "7: seven",
    ] {
        for text in [
            GALLERIES.replace("verification: *ours", key),
            GALLERIES.replace(
                "verification: *ours",
                &format!("verification: *ours\n  {key}"),
            ),
        ] {
            assert!(
                matches!(error(&text).problem(), Problem::UnknownKey { .. }),
                "{text}"
            );
        }
    }
}

#[test]
fn an_index_is_not_a_gallery_file() {
    let index = "- {name: chat, uri: 'ghcr.io/acme/chat:v1'}\n- {name: draw, capabilities: {default: chat}}\n";
    // One of its entries has a key of a gallery.
    for index in [
        "- {name: a, url: 'quay.io/a/a:1'}\n- {name: b, uri: 'quay.io/a/b:1'}",
        "- {name: b, uri: 'quay.io/a/b:1', url: x}",
    ] {
        assert!(
            error(index).to_string().contains("this is an index"),
            "{}",
            error(index)
        );
    }
    // A gallery's policy is never taken for a part of an index.
    let gallery =
        "- {name: a, uri: 'file:i.yaml', verification: {issuer: 'https://a.example', identity: b}}";
    assert!(
        error(gallery).to_string().contains("unknown key `uri`"),
        "{}",
        error(gallery)
    );
    assert_snapshot!(error(index), @"policy.yaml:1:1: this is an index (its entries have `uri` or `capabilities`), and no gallery file; in a gallery file, name the index by `url`, such as `url: file:index.yaml`");
    let mistakes = PolicyFile::mistakes(index, "policy.yaml", &|_: &str| {
        Err(std::io::ErrorKind::NotFound.into())
    });
    assert_eq!(mistakes.len(), 1);
}

#[test]
fn a_mistake_in_a_gallery_names_the_gallery_s_place() {
    let text = GALLERIES.replace(
        "verification: *ours",
        "verification: {issuer: https://a.example}",
    );
    assert_snapshot!(error(&text), @"policy.yaml:10:3: [1].verification: expected `identity` or `identity_regex`, found neither; add one of them");
}

#[test]
fn a_mistake_behind_an_alias_is_shown_where_it_is_written() {
    let text = GALLERIES.replace("identity: ci@example", "identity_regex: (ci");
    assert_snapshot!(error(&text), @"policy.yaml:6:5: [0].verification.identity_regex: `(ci` is not a usable regular expression: unclosed group");
}

#[test]
fn exactly_one_of_each_pair() {
    assert_snapshot!(error("identity: b"), @"policy.yaml:1:1: expected `issuer` or `issuer_regex`, found neither; add one of them");
    assert_snapshot!(error("issuer: https://a.example"), @"policy.yaml:1:1: expected `identity` or `identity_regex`, found neither; add one of them");
    assert_snapshot!(error(&block_and("issuer_regex: .*\n")), @"policy.yaml:3:1: issuer_regex: expected `issuer` or `issuer_regex`, found both; keep the one that you mean");
    assert_snapshot!(error(&block_and("identity: b\n")), @"policy.yaml:2:1: identity_regex: expected `identity` or `identity_regex`, found both; keep the one that you mean");
    assert_snapshot!(
        error(&block_and("claims: {build_trigger: push, build_trigger_regex: push|release}\n")),
        @"policy.yaml:3:31: claims.build_trigger_regex: expected `build_trigger` or `build_trigger_regex`, found both; keep the one that you mean"
    );
    assert_snapshot!(
        error(&block_and("identities: [{issuer: https://a.example, identity: b}]\n")),
        @"policy.yaml:1:1: issuer: expected `identities` or one signer's `issuer`, found both; move that signer into `identities`"
    );
}

#[test]
fn empty_values_are_refused_and_never_read_as_no_condition() {
    for extra in [
        "not_before:\n",
        "not_before: ''\n",
        "not_before: ~\n",
        "claims:\n",
        "claims: {}\n",
        "claims: {build_trigger: ''}\n",
        "claims: {build_trigger: }\n",
        "annotations: {}\n",
        "annotations: {tier: ''}\n",
        "predicate_types: []\n",
        "predicate_types: ['']\n",
        "deny_digests: []\n",
        "deny_digests:\n",
        "deny_digests: ['']\n",
        "signature_sources: []\n",
        "identities: []\n",
        "trust:\n",
        "trust: {}\n",
        "bind_name:\n",
    ] {
        let text = block_and(extra);
        let (key, _) = extra.split_once(':').unwrap();
        let error = error(&text).to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
    assert_snapshot!(error("issuer: ''\nidentity: b"), @"policy.yaml:1:1: issuer: expected a text, found nothing; fill it in, or remove the key");
    assert_snapshot!(error("issuer:\nidentity: b"), @"policy.yaml:1:7: issuer: expected a text, found nothing; fill it in, or remove the key");
    assert_snapshot!(error(&block_and("not_before:\n")), @"policy.yaml:3:11: not_before: expected a text, found nothing; fill it in, or remove the key");
    assert_snapshot!(error(&block_and("claims:\n")), @"policy.yaml:3:7: claims: expected a mapping, found nothing");
    assert_snapshot!(error("identities: []"), @"policy.yaml:1:1: identities: expected at least one entry, found nothing; fill it in, or remove the key");
    assert_snapshot!(error(&block_and("deny_digests: []\n")), @"policy.yaml:3:1: deny_digests: expected at least one entry, found nothing; fill it in, or remove the key");
}

#[test]
fn values_that_can_t_be_understood_are_shown() {
    assert_snapshot!(error(&BLOCK.replace(".+", "(.+")), @r#"policy.yaml:2:1: identity_regex: `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/(.+` is not a usable regular expression: unclosed group"#);
    assert_snapshot!(error(&block_and("not_before: 2026-08-05\n")), @"policy.yaml:3:1: not_before: expected an RFC 3339 time such as 2026-08-05T00:00:00Z, found `2026-08-05`: a date has no time of day; add a time and `Z`");
    assert_snapshot!(error(&block_and("deny_digests: [sha256:abc]\n")), @"policy.yaml:3:16: deny_digests[0]: expected 64 lower-case hex digits after `sha256:`, found `abc` (3 characters)");
    let named = error(&block_and(&format!(
        "deny_digests: ['localhost:5000/a@sha256:{}']\n",
        "0".repeat(64)
    )))
    .to_string();
    assert!(
        named.contains("expected the digest alone, sha256:000"),
        "{named}"
    );
    assert_snapshot!(error(&block_and("signature_sources: ['https://ghcr.io/acme']\n")), @"policy.yaml:3:21: signature_sources[0]: expected a repository such as ghcr.io/acme/app: `https://ghcr.io/acme` is not an image reference (registry/repository:tag or registry/repository@sha256:…): write it without `https://`");
    let sources: Vec<String> = (0..9).map(|number| format!("a.io/{number}")).collect();
    let sources = format!("signature_sources: [{}]\n", sources.join(", "));
    assert_snapshot!(error(&block_and(&sources)), @"policy.yaml:3:85: signature_sources[8]: expected at most 8 repositories, found 9");
    assert_snapshot!(error(&block_and("trust: {tuf_url: https://tuf.example}\n")), @"policy.yaml:3:1: trust: expected `public-good`, `github`, `trusted_root` alone, or `tuf_url` together with `tuf_root`, found `tuf_url`");
    assert_snapshot!(error(&block_and("trust: gitlab\n")), @"policy.yaml:3:1: trust: expected `public-good`, `github`, or a mapping with `trusted_root` or `tuf_url`, found `gitlab`");
    assert_snapshot!(error(&block_and("trust: {tuf_url: tuf.example, tuf_root: root.json}\n")), @"policy.yaml:3:9: trust.tuf_url: expected an http or https URL such as https://tuf-repo-cdn.sigstore.dev, found `tuf.example`");
    assert_snapshot!(error(&block_and("bind_name: yes\n")), @"policy.yaml:3:12: bind_name: expected `true` or `false`, found `yes`");
    assert_snapshot!(error(&block_and("annotations: [a=b]\n")), @"policy.yaml:3:14: annotations: expected a mapping, found a list");
    assert_snapshot!(error("issuer: [a]\nidentity: b"), @"policy.yaml:1:9: issuer: expected a text, found a list; for several signers write `identities`, a list where each entry has its own issuer and identity");
    assert_snapshot!(error("- name: a\n  verification: {}"), @"policy.yaml:1:3: [0]: the key `url` is missing; add it");
}

#[test]
fn a_repository_s_number_needs_no_quotes() {
    let policy = Policy::from_yaml(
        &block_and("claims: {source_repository_identifier: 0123456789}\n"),
        "policy.yaml",
    )
    .unwrap();
    assert_eq!(
        certificate_signer(&policy).claims[0].matcher,
        Matcher::Exact("0123456789".into())
    );
}

#[test]
fn texts_that_are_no_document_say_where() {
    assert_snapshot!(error("issuer: [a"), @"policy.yaml:1:9: the file can't be read as YAML or JSON: unclosed bracket '['");
    assert_snapshot!(error("issuer: a\nissuer: b\nidentity: c"), @"policy.yaml:2:1: the key `issuer` appears twice; keep one");
    assert_snapshot!(error("issuer: a\n---\nissuer: b"), @"policy.yaml:3:1: the file can't be read as YAML or JSON: only single YAML document expected but multiple found");
    assert_snapshot!(error("issuer: *nobody"), @"policy.yaml:1:9: the file can't be read as YAML or JSON: reference to unknown value");
    assert_snapshot!(error("a policy"), @"policy.yaml:1:1: expected a mapping, found `a policy`");
    assert_snapshot!(error("issuer: !secret a\nidentity: b"), @"policy.yaml:1:17: the file can't be read as YAML or JSON: unsupported tag `!secret`");
}

#[test]
fn alias_bombs_and_deep_nesting_end_in_an_error() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(matches!(error(&bomb).problem(), Problem::Budget { .. }));

    let deep = format!("issuer: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(
        error(&deep).problem(),
        Problem::Budget { .. } | Problem::Syntax { .. }
    ));
    let blocks: String = (0..100)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert!(matches!(error(&blocks).problem(), Problem::Budget { .. }));

    let long = format!("issuer: {}", "a".repeat(2 << 20));
    assert!(matches!(error(&long).problem(), Problem::Budget { .. }));
}

/// What is missing is told where something asks for it, and what is beside `require` as that.
#[test]
fn a_predicate_without_its_type_is_told_where_it_stands() {
    let rules = "predicate: {/a: b}\n";
    assert_snapshot!(error(&block_and(rules)), @"policy.yaml:3:1: predicate: the key `predicate_types` is missing; add it");
    assert_snapshot!(error(&block_and(&format!("{rules}require: [signature]\n"))), @"policy.yaml:3:1: predicate: expected `require` or `predicate`, found both; move `predicate` into an entry of `require`");
    assert_snapshot!(error(&block_and("require:\n- signature\n- predicate: {/a: b}\n")), @"policy.yaml:5:3: require[1]: the key `predicate_type` is missing; add it");
}
