//! A policy in words, and what is said of a weak one.

use countersign_policy::{Level, Policy, PolicyFile, Warning};
use insta::assert_snapshot;
use jiff::Timestamp;

pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A time after every `not_before` here.
fn now() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::from_yaml(text, "policy.yaml").unwrap()
}

/// The warnings of a policy with one signer and a `not_before`.
pub(crate) fn warnings(issuer: &str, identity: &str, extra: &str) -> Vec<Warning> {
    policy(&format!(
        "{issuer}\n{identity}\nnot_before: 2026-08-05T00:00:00Z\n{extra}\n"
    ))
    .warnings(now())
}

/// One line for each.
pub(crate) fn words(warnings: &[Warning]) -> String {
    let lines: Vec<String> = warnings
        .iter()
        .map(|warning| format!("{}: {warning}", warning.name()))
        .collect();
    lines.join("\n")
}

#[test]
fn the_smallest_policy_in_words() {
    let smallest = policy("{issuer: https://accounts.example, identity: ci@example}");
    assert_snapshot!(smallest.explain(), @r#"
A signature is accepted if all of this is true:
- it is a cosign signature, not another kind of statement;
- its certificate says:
    issuer is exactly https://accounts.example
    identity is exactly ci@example
- a log or a timestamp authority proves when it was made; any time is accepted;
- it is valid by the trusted root in use.
Signatures are looked for in the repository of the image.
"#);
}

/// Every key of a policy, so that each one's words are shown below.
const EVERYTHING: &str = r#"
identities:
  - issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+
    claims: {source_repository_identifier: 1234}
    not_before: 2026-08-06T00:00:00Z
  - issuer_regex: https://gitlab\.com
    identity: https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main
    claims: {runner_environment_regex: github-hosted|gitlab-hosted}
  - key: "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0\n7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==\n-----END PUBLIC KEY-----\n"
    ignore_tlog: false
not_before: 2026-08-05T00:00:00Z
min_age: 24h
predicate_types: [https://sigstore.dev/cosign/sign/v1, https://slsa.dev/provenance/v1]
predicate: {/buildDefinition/buildType: 'https://example.org/build', /run/id_regex: \d+}
signature_formats: [bundle]
annotations: {tier: stable}
bind_name: true
trust: {tuf_url: https://tuf.example, tuf_root: root.json}
signature_sources: [ghcr.io/acme/signatures]
deny_digests: ['sha256:0000000000000000000000000000000000000000000000000000000000000000']
"#;

#[test]
fn every_field_in_words() {
    let schema = PolicyFile::json_schema();
    let keys = schema["$defs"]["Verification"]["properties"].as_object();
    for key in keys.unwrap().keys() {
        // `require` is in another policy, since `predicate_types` can't be beside it.
        let there =
            EVERYTHING.contains(&format!("{key}:")) || REQUIRING.contains(&format!("{key}:"));
        assert!(there, "add `{key}` to EVERYTHING, and read its words");
    }
    let everything = policy(EVERYTHING);
    assert_snapshot!(everything.explain(), @r"
    A signature is accepted if all of this is true:
    - it is a statement of type https://sigstore.dev/cosign/sign/v1 or https://slsa.dev/provenance/v1;
    - its predicate says:
        /buildDefinition/buildType is exactly https://example.org/build
        /run/id as a whole matches \d+
    - it is by one of these signers:
      1.
        issuer is exactly https://token.actions.githubusercontent.com
        identity as a whole matches https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+
        source_repository_identifier is exactly 1234
        signed at or after 2026-08-06T00:00:00Z
      2.
        issuer as a whole matches https://gitlab\.com
        identity is exactly https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main
        runner_environment as a whole matches github-hosted|gitlab-hosted
      3.
        key SHA-256:8e7f42f73ec2effca1d6d58ab32a3689655323cecddf5591379e7a82507f65aa (ECDSA P-256)
    - it was made at or after 2026-08-05T00:00:00Z;
    - it was made at least 24h ago;
    - it has the annotation tier=stable;
    - it names the repository that you ask for, and the tag if you give one;
    - the image is not sha256:0000000000000000000000000000000000000000000000000000000000000000;
    - it is valid by the trusted root of https://tuf.example/, which starts from root.json.
    Signatures are looked for in the repository of the image and in ghcr.io/acme/signatures.
    ");
}

const REQUIRING: &str = r"
issuer: https://accounts.example
identity: ci@example
require:
  - signature
  - predicate_type: https://slsa.dev/provenance/v1
    predicate: {/run/ref_regex: refs/tags/.+}
    claims: {build_trigger: push}
    annotations: {tier: stable}
";

#[test]
fn several_proofs_in_words() {
    let requiring = policy(REQUIRING);
    assert_snapshot!(requiring.explain(), @r"
    The image must have 2 proofs, all of them.

    Proof 1 is a signature.
    A signature is accepted if all of this is true:
    - it is a cosign signature, not another kind of statement;
    - its certificate says:
        issuer is exactly https://accounts.example
        identity is exactly ci@example
    - a log or a timestamp authority proves when it was made; any time is accepted;
    - it is valid by the trusted root in use.
    Signatures are looked for in the repository of the image.

    Proof 2 is an attestation of type https://slsa.dev/provenance/v1.
    A signature is accepted if all of this is true:
    - it is a statement of type https://slsa.dev/provenance/v1;
    - its predicate says:
        /run/ref as a whole matches refs/tags/.+
    - its certificate says:
        issuer is exactly https://accounts.example
        identity is exactly ci@example
        build_trigger is exactly push
    - a log or a timestamp authority proves when it was made; any time is accepted;
    - it has the annotation tier=stable;
    - it is valid by the trusted root in use.
    Signatures are looked for in the repository of the image.
    ");
}

#[test]
fn a_tight_policy_has_no_warnings() {
    let tight = warnings(
        &format!("issuer: {ISSUER}"),
        r"identity_regex: https://github\.com/mudler/LocalAI/\.github/workflows/backend_merge\.yml@refs/(heads/master|tags/.+)",
        "",
    );
    assert_eq!(tight, []);
}

#[test]
fn an_issuer_pattern_for_two_providers_is_weak() {
    let weak = warnings("issuer_regex: https://.*", "identity: ci@example", "");
    assert!(matches!(
        weak.as_slice(),
        [Warning::SeveralProviders { .. }]
    ));
    let weak = warnings(
        r"issuer_regex: https://(gitlab|accounts\.google)\.com",
        "identity: ci@example",
        "",
    );
    assert_snapshot!(weak[0], @r#"the issuer pattern `https://(gitlab|accounts\.google)\.com` matches more than one provider (https://gitlab.com, https://accounts.google.com); set `issuer` to the one you mean"#);
}

#[test]
fn an_issuer_without_its_scheme_is_idle() {
    let idle = |issuer: &str| {
        let warnings = warnings(issuer, "identity: ci@example", "");
        assert!(
            matches!(warnings.as_slice(), [Warning::IssuerWithoutScheme { .. }]),
            "{issuer}: {warnings:?}"
        );
        warnings[0].to_string()
    };
    assert_snapshot!(idle("issuer: token.actions.githubusercontent.com"), @"no certificate has the issuer `token.actions.githubusercontent.com`, because Fulcio records issuers as URLs; write `https://token.actions.githubusercontent.com`");
    assert_snapshot!(idle(r"issuer_regex: ^gitlab\.com$"), @r"no certificate has the issuer `^gitlab\.com$`, because Fulcio records issuers as URLs; write `^https://gitlab\.com$`");
    assert_snapshot!(idle(r"issuer_regex: gitlab\.com|gitlab\.example"), @r"no certificate has the issuer `gitlab\.com|gitlab\.example`, because Fulcio records issuers as URLs; write `https://(gitlab\.com|gitlab\.example)`");
    // Of an issuer that only runs here, the scheme says enough.
    assert_eq!(
        warnings("issuer: http://127.0.0.1:8080", "identity: ci@example", ""),
        []
    );
}

#[test]
fn an_identity_pattern_open_at_the_organisation_is_weak() {
    for pattern in [
        r"https://github\.com/acme/.*",
        r"https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/.+",
        r"^https://github\.com/acme/app.*",
        r".*@acme\.example",
        r"https://github\.com/acme/app/\.github/.+|https://github\.com/acme/.*",
        r"https://github\.com/(acme/app|evil/.*)/\.github/workflows/release\.yml@refs/tags/.+",
        r"https://(github\.com/acme/app|gitlab\.com)/.+",
    ] {
        let weak = warnings(
            &format!("issuer: {ISSUER}"),
            &format!("identity_regex: {pattern}"),
            "",
        );
        assert!(
            matches!(weak.as_slice(), [Warning::OpenRepository { .. }]),
            "{pattern}: {weak:?}"
        );
    }
    let weak = warnings(
        &format!("issuer: {ISSUER}"),
        r"identity_regex: https://github\.com/acme/.*",
        "",
    );
    assert_snapshot!(weak[0], @r#"the identity pattern `https://github\.com/acme/.*` does not fix the repository: every workflow in every repository that it matches can sign; write the owner and the repository in full"#);
}

#[test]
fn an_unescaped_dot_is_weak_and_its_correction_is_ready_to_paste() {
    let github = format!("issuer: {ISSUER}");
    let weak = warnings(
        &github,
        r"identity_regex: https://github.com/acme/app/\.github/workflows/release.yml@refs/tags/.+",
        "",
    );
    assert_snapshot!(words(&weak), @r"unescaped-dot: in the pattern `https://github.com/acme/app/\.github/workflows/release.yml@refs/tags/.+`, a `.` matches any character; write `https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+`");
    let workflow =
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    for (issuer, identity, claims) in [
        (
            "issuer: https://accounts.example",
            r"identity_regex: ci@mail.acme\.example",
            "",
        ),
        (
            &github,
            workflow,
            r"claims: {source_repository_uri_regex: https://github.com/acme/(app|tool)}",
        ),
        (
            r"issuer_regex: https://gitlab.example",
            "identity: ci@example",
            "",
        ),
    ] {
        let weak = warnings(issuer, identity, claims);
        assert!(
            matches!(weak.as_slice(), [Warning::UnescapedDot { .. }]),
            "{weak:?}"
        );
    }
}

#[test]
fn what_no_certificate_can_have_is_told_with_what_it_would_have() {
    let github = format!("issuer: {ISSUER}");
    let workflow =
        "identity: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    let told = |issuer: &str, identity: &str| words(&warnings(issuer, identity, ""));
    assert_eq!(told(&github, workflow), "");
    assert_snapshot!(told(&format!("{github}/"), workflow), @r"almost-known-issuer: the issuer `https://token.actions.githubusercontent.com/` is no well-known one, but nearly `https://token.actions.githubusercontent.com`; if you mean that, write it so");
    assert_snapshot!(told("issuer: https://token.action.githubusercontent.com", workflow), @r"almost-known-issuer: the issuer `https://token.action.githubusercontent.com` is no well-known one, but nearly `https://token.actions.githubusercontent.com`; if you mean that, write it so");
    assert_snapshot!(told("issuer: “https://gitlab.com”", "identity: ci@example"), @r"
    stray-character: no certificate has the issuer `“https://gitlab.com”`: it has the character '“', which may come from copying; remove it
    almost-known-issuer: the issuer `“https://gitlab.com”` is no well-known one, but nearly `https://gitlab.com`; if you mean that, write it so
    ");
    assert_snapshot!(told("issuer: https://accounts.example", "identity: 'ci@example '"), @r"stray-character: no certificate has the identity `ci@example `: it has the character ' ', which may come from copying; remove it");
    assert_snapshot!(told(&github, "identity: ci@acme.example"), @r"impossible-identity: no certificate of the issuer `https://token.actions.githubusercontent.com` has the identity `ci@acme.example`; identities of this issuer look like `https://github.com/OWNER/REPOSITORY/.github/workflows/FILE.yml@refs/heads/BRANCH`");
    assert_snapshot!(told(&github, r"identity_regex: https://github\.com/acme/app"), @r"impossible-identity: no certificate of the issuer `https://token.actions.githubusercontent.com` has the identity `https://github\.com/acme/app`; identities of this issuer look like `https://github.com/OWNER/REPOSITORY/.github/workflows/FILE.yml@refs/heads/BRANCH`; a pattern must match the whole identity");
    assert_snapshot!(told("issuer: https://gitlab.com", "identity: https://gitlab.com/acme/app"), @r"impossible-identity: no certificate of the issuer `https://gitlab.com` has the identity `https://gitlab.com/acme/app`; identities of this issuer look like `https://gitlab.com/GROUP/PROJECT//.gitlab-ci.yml@refs/heads/BRANCH`");
    assert_snapshot!(told("issuer: https://accounts.google.com", workflow), @r"impossible-identity: no certificate of the issuer `https://accounts.google.com` has the identity `https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main`; identities of this issuer look like `name@example.com`; an identity like this is of the issuer `https://token.actions.githubusercontent.com`: if you mean that, write it so");
}

#[test]
fn a_time_that_is_not_reached_yet_refuses_all_that_there_is() {
    let text = "{issuer: https://accounts.example, identity: ci@example, not_before: 2026-11-01T00:00:01Z}";
    assert_snapshot!(words(&policy(text).warnings(now())), @r"future-not-before: `not_before` is 2026-11-01T00:00:01Z, which is in the future: every signature that exists today is refused");
    let reached = now() + jiff::SignedDuration::from_secs(1);
    assert_eq!(policy(text).warnings(reached), []);
}

#[test]
fn a_predicate_type_by_its_name_in_cosign_accepts_nothing() {
    let signer =
        "issuer: https://accounts.example\nidentity: ci@example\nnot_before: 2026-08-05T00:00:00Z";
    let told = |rest: &str| words(&policy(&format!("{signer}\n{rest}\n")).warnings(now()));
    assert_snapshot!(told("predicate_types: [slsaprovenance1, 'https://spdx.dev/Document', CycloneDX]"), @"
    short-predicate-type: no statement has the predicate type `slsaprovenance1`, because cosign writes the type in full; write `https://slsa.dev/provenance/v1`
    short-predicate-type: no statement has the predicate type `cyclonedx`, because cosign writes the type in full; write `https://cyclonedx.org/bom`
    ");
    assert_snapshot!(told("require: [signature, {predicate_type: spdxjson}]"), @"short-predicate-type: no statement has the predicate type `spdxjson`, because cosign writes the type in full; write `https://spdx.dev/Document`");
    assert_eq!(
        told("predicate_types: ['https://slsa.dev/provenance/v1']"),
        ""
    );
}

#[test]
fn a_number_with_a_fraction_meets_no_rule_on_a_predicate() {
    let signer =
        "issuer: https://accounts.example\nidentity: ci@example\nnot_before: 2026-08-05T00:00:00Z";
    let told = |rest: &str| words(&policy(&format!("{signer}\n{rest}\n")).warnings(now()));
    let rule = |value: &str| {
        let types = "predicate_types: ['https://slsa.dev/provenance/v1']";
        told(&format!("{types}\npredicate: {{/a: {value}}}"))
    };
    assert_snapshot!(rule("1.5"), @"predicate-fraction: the rule on the predicate's `/a` is met by the text `1.5` alone: a number with a fraction or an exponent, or a very large one, is always refused; nothing is wrong if a text is meant");
    let listed =
        told("require: [signature, {predicate_type: 'https://a.example', predicate: {/a/b: 2e3}}]");
    assert!(
        listed.contains("`/a/b` is met by the text `2e3` alone"),
        "{listed}"
    );
    for value in ["15", "-3", "true", "1.5.0", "v1.5"] {
        assert_eq!(rule(value), "", "{value}");
    }
}

#[test]
fn each_finding_has_a_name_in_the_list() {
    assert!(Warning::NAMES.is_sorted());
    let finding =
        policy("{issuer: https://accounts.example, identity: ci@example}").warnings(now());
    assert_eq!(finding[0].name(), "no-not-before");
    assert_eq!(finding[0].level(), Level::Note);
    for name in Warning::NAMES {
        assert!(
            include_str!("../../src/warning/name.rs").contains(&format!("=> \"{name}\"")),
            "{name}"
        );
    }
}

#[test]
fn no_not_before_is_weak_unless_every_signer_has_its_own() {
    let none = policy("{issuer: https://accounts.example, identity: ci@example}");
    assert_eq!(none.warnings(now()), [Warning::NoNotBefore]);
    assert_snapshot!(none.warnings(now())[0], @"there is no `not_before`, so signatures of any age are accepted; after an incident, set it to the time from which signatures are good again");
    let own = policy(
        "identities: [{issuer: https://a.example, identity: b, not_before: 2026-08-05T00:00:00Z}]",
    );
    assert_eq!(own.warnings(now()), []);
}

#[test]
fn a_reusable_workflow_is_weak_without_a_claim_on_its_caller() {
    let issuer = format!("issuer: {ISSUER}");
    let identity =
        "identity: https://github.com/acme/workflows/.github/workflows/sign.yml@refs/tags/v1";
    let weak = warnings(&issuer, identity, "");
    assert_eq!(weak.len(), 1);
    assert_snapshot!(weak[0], @"the identity `https://github.com/acme/workflows/.github/workflows/sign.yml@refs/tags/v1` looks like a reusable workflow, which can sign for every repository that calls it; name the repository in `claims`: `source_repository_uri`, or better `source_repository_identifier`");
    let claimed = "claims: {source_repository_identifier: 1234}";
    assert_eq!(warnings(&issuer, identity, claimed), []);
}

#[test]
fn the_legacy_form_of_signatures_is_weak() {
    let signer =
        "issuer: https://accounts.example\nidentity: ci@example\nnot_before: 2026-08-05T00:00:00Z";
    let bundles = policy(&format!("{signer}\nsignature_formats: [bundle]\n"));
    assert_eq!(bundles.warnings(now()), []);
    assert!(!bundles.explain().contains("simple signing"));
    let legacy = policy(&format!("{signer}\nsignature_formats: [simple_signing]\n"));
    assert_eq!(legacy.warnings(now()), [Warning::SimpleSigning]);
    let bound = policy(&format!(
        "{signer}\nsignature_formats: [simple_signing, bundle]\nbind_name: true\n"
    ));
    assert_eq!(
        bound.warnings(now()),
        [Warning::SimpleSigning, Warning::SimpleSigningTag]
    );
    assert_snapshot!(bound.explain(), @r"
    A signature is accepted if all of this is true:
    - it is a cosign signature, not another kind of statement;
    - it is a Sigstore bundle, or in cosign's legacy form (simple signing);
    - its certificate says:
        issuer is exactly https://accounts.example
        identity is exactly ci@example
    - it was made at or after 2026-08-05T00:00:00Z;
    - it names the repository that you ask for, and the tag if you give one;
      a signature in the legacy form may leave the tag out: then any tag is accepted;
    - it is valid by the trusted root in use.
    Signatures are looked for in the repository of the image.
    ");
    let warnings = bound
        .warnings(now())
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_snapshot!(warnings.join("\n"), @r"
    `signature_formats` accepts `simple_signing`, cosign's legacy form: it has the log's promise to include the signature, and no proof that the log did; leave it out as soon as all images are signed with bundles
    signatures in the form `simple_signing` seldom name a tag: for these, `bind_name` binds the repository only, so a signature of one tag is accepted for every other
    ");
}

#[test]
fn a_denied_digest_may_be_of_an_index() {
    let denying = policy(&format!(
        "{{issuer: https://accounts.example, identity: ci@example, not_before: 2026-08-05T00:00:00Z, deny_digests: ['sha256:{}']}}",
        "0".repeat(64)
    ));
    assert_eq!(denying.warnings(now()), [Warning::DeniedIndexes]);
    assert_snapshot!(denying.warnings(now())[0], @"if `deny_digests` lists an index, the images in it are denied only while the repository has that index; list these images too: `countersign policy check --resolve` prints them");
}

#[test]
fn an_explanation_has_no_lines_but_its_own() {
    let odd = policy(
        r#"{issuer: https://a.example, identity: "b\n- it is good\u202e", annotations: {k: "v\u200b"}}"#,
    );
    let text = odd.explain();
    assert!(
        text.contains(r"    identity is exactly b\u{a}- it is good\u{202e}"),
        "{text}"
    );
    assert!(
        text.contains(r"- it has the annotation k=v\u{200b};"),
        "{text}"
    );
    assert!(
        !text.lines().any(|line| line.starts_with("- it is good")),
        "{text}"
    );
}

#[test]
fn an_instance_by_its_name_in_words() {
    let last = |name: &str| {
        let named = policy(&format!("issuer: a\nidentity: b\ntrust: {name}"));
        let words = named.explain().to_string();
        let line = words.lines().find(|line| line.starts_with("- it is valid"));
        line.unwrap_or_default().to_owned()
    };
    assert_snapshot!(last("public-good"), @"- it is valid by the trusted root of public Sigstore.");
    assert_snapshot!(last("github"), @"- it is valid by the trusted root of GitHub's own instance, which has no log: a timestamp proves when it was made.");
}
