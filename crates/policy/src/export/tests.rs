use super::{Enforcer, Export, ExportedPolicy};
use crate::image_pattern::ImagePattern;
use crate::image_verifier::Mode;
use crate::{Policy, PublicKey};

const WORKFLOW: &str = r"
issuer: https://token.actions.githubusercontent.com
identity_regex: https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\d+
";
const PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0
7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==
-----END PUBLIC KEY-----
";

fn images(patterns: &[&str]) -> Vec<ImagePattern> {
    patterns.iter().map(|text| text.parse().unwrap()).collect()
}

fn exported(yaml: &str, patterns: &[&str], enforcer: Enforcer) -> Result<ExportedPolicy, String> {
    let export = Export {
        policy: &Policy::from_yaml(yaml, "policy.yaml").unwrap(),
        images: &images(patterns),
        mode: Mode::Enforce,
        name: "acme",
    };
    export.to(enforcer).map_err(|error| error.to_string())
}

/// The exported text, whatever is lost.
fn text_for(yaml: &str, patterns: &[&str], enforcer: Enforcer) -> String {
    exported(yaml, patterns, enforcer).unwrap().text
}

/// The exported text, of a policy that loses nothing.
fn whole(yaml: &str, patterns: &[&str], enforcer: Enforcer) -> String {
    let exported = exported(yaml, patterns, enforcer).unwrap();
    assert_eq!(exported.differences, []);
    exported.text
}

/// The fields that are lost.
fn lost(yaml: &str, patterns: &[&str], enforcer: Enforcer) -> Vec<&'static str> {
    let exported = exported(yaml, patterns, enforcer).unwrap();
    let fields = exported
        .differences
        .iter()
        .map(|difference| difference.field);
    fields.collect()
}

fn signed_by_key() -> String {
    let pem = PEM.replace('\n', "\\n");
    format!("key: \"{pem}\"\n")
}

#[test]
fn a_workflow_s_policy_for_policy_controller() {
    let exported = whole(
        WORKFLOW,
        &["quay.io/acme/**", "nginx:1.*"],
        Enforcer::PolicyController,
    );
    insta::assert_snapshot!(exported, @r#"
        apiVersion: policy.sigstore.dev/v1beta1
        kind: ClusterImagePolicy
        metadata:
          name: acme
        spec:
          mode: enforce
          images:
          - glob: quay.io/acme/**
          - glob: index.docker.io/library/nginx:1.*
          authorities:
          - name: signer-1
            keyless:
              url: https://fulcio.sigstore.dev
              identities:
              - issuer: https://token.actions.githubusercontent.com
                subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
            ctlog:
              url: https://rekor.sigstore.dev
            signatureFormat: bundle
            attestations:
            - name: statement-1
              predicateType: https://sigstore.dev/cosign/sign/v1
        "#);
}

#[test]
fn a_workflow_s_policy_for_kyverno() {
    let exported = whole(WORKFLOW, &["quay.io/acme/**"], Enforcer::Kyverno);
    insta::assert_snapshot!(exported, @r#"
        apiVersion: policies.kyverno.io/v1
        kind: ImageValidatingPolicy
        metadata:
          name: acme
        spec:
          failurePolicy: Fail
          validationActions:
          - Deny
          matchConstraints:
            resourceRules:
            - apiGroups:
              - ""
              apiVersions:
              - v1
              operations:
              - CREATE
              - UPDATE
              resources:
              - pods
              - pods/ephemeralcontainers
          matchImageReferences:
          - expression: ref.matches(r'^quay\.io/acme/[^/:@]+(?:/[^/:@]+)*(?::[^/:@]+)?(?:@.+)?$')
          attestors:
          - name: signer1
            cosign:
              keyless:
                identities:
                - issuer: https://token.actions.githubusercontent.com
                  subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
          attestations:
          - name: statement1
            intoto:
              type: https://sigstore.dev/cosign/sign/v1
          validations:
          - expression: images.containers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
            message: an image of containers is not signed as the policy acme demands
          - expression: images.initContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
            message: an image of initContainers is not signed as the policy acme demands
          - expression: images.ephemeralContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
            message: an image of ephemeralContainers is not signed as the policy acme demands
        "#);
}

#[test]
fn a_workflow_s_policy_for_talos() {
    let exported = whole(WORKFLOW, &["quay.io/acme/**"], Enforcer::Talos);
    insta::assert_snapshot!(exported, @r#"
        apiVersion: v1alpha1
        kind: ImageVerificationConfig
        rules:
        - image: quay.io/acme/*
          keyless:
            issuer: https://token.actions.githubusercontent.com
            subjectRegex: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
        "#);
}

#[test]
fn a_workflow_s_policy_for_flux() {
    let exported = whole(WORKFLOW, &[], Enforcer::Flux);
    insta::assert_snapshot!(exported, @r#"
        verify:
          provider: cosign
          matchOIDCIdentity:
          - issuer: ^https://token\.actions\.githubusercontent\.com$
            subject: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
        "#);
}

#[test]
fn a_key_s_policy_for_containers() {
    let yaml = format!(
        "{}ignore_tlog: true\nsignature_formats: [simple_signing]\n",
        signed_by_key()
    );
    let exported = exported(
        &yaml,
        &["quay.io/acme/**", "nginx:1.29"],
        Enforcer::Containers,
    )
    .unwrap();
    assert_eq!(exported.differences, []);
    insta::assert_snapshot!(exported.text, @r#"
        {
          "default": [
            {
              "type": "reject"
            }
          ],
          "transports": {
            "docker": {
              "quay.io/acme": [
                {
                  "type": "sigstoreSigned",
                  "signedIdentity": {
                    "type": "matchRepository"
                  },
                  "keyData": "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFL1IrY3MyOTlFb0Z5ajcvdStCZEk2eW92dDVPMAo3RHNzSnFjWHYxNTB3TGFyN0k3UXJYbXlLR2xtQmEwUzV6MkR2VlJlN0xLaDcvVXg5SElUa3JtUUVnPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="
                }
              ],
              "docker.io/library/nginx:1.29": [
                {
                  "type": "sigstoreSigned",
                  "signedIdentity": {
                    "type": "matchRepository"
                  },
                  "keyData": "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFL1IrY3MyOTlFb0Z5ajcvdStCZEk2eW92dDVPMAo3RHNzSnFjWHYxNTB3TGFyN0k3UXJYbXlLR2xtQmEwUzV6MkR2VlJlN0xLaDcvVXg5SElUa3JtUUVnPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="
                }
              ]
            }
          }
        }
        "#);
}

#[test]
fn several_ways_to_be_accepted_are_alternatives_and_proofs_that_are_all_required_are_not() {
    let several = format!(
        "{WORKFLOW}signature_formats: [bundle, simple_signing]\nsignature_sources: [registry.internal/signatures]\n"
    );
    let text = text_for(&several, &["**"], Enforcer::PolicyController);
    insta::assert_snapshot!(text, @r#"
        apiVersion: policy.sigstore.dev/v1beta1
        kind: ClusterImagePolicy
        metadata:
          name: acme
        spec:
          mode: enforce
          images:
          - glob: "**"
          authorities:
          - name: signer-1
            keyless:
              url: https://fulcio.sigstore.dev
              identities:
              - issuer: https://token.actions.githubusercontent.com
                subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
            ctlog:
              url: https://rekor.sigstore.dev
            signatureFormat: bundle
            attestations:
            - name: statement-1
              predicateType: https://sigstore.dev/cosign/sign/v1
          - name: signer-2
            keyless:
              url: https://fulcio.sigstore.dev
              identities:
              - issuer: https://token.actions.githubusercontent.com
                subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
            ctlog:
              url: https://rekor.sigstore.dev
            signatureFormat: legacy
          - name: signer-3
            keyless:
              url: https://fulcio.sigstore.dev
              identities:
              - issuer: https://token.actions.githubusercontent.com
                subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
            ctlog:
              url: https://rekor.sigstore.dev
            signatureFormat: bundle
            attestations:
            - name: statement-1
              predicateType: https://sigstore.dev/cosign/sign/v1
            source:
            - oci: registry.internal/signatures
          - name: signer-4
            keyless:
              url: https://fulcio.sigstore.dev
              identities:
              - issuer: https://token.actions.githubusercontent.com
                subjectRegExp: ^(?:https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v\p{Nd}+)$
            ctlog:
              url: https://rekor.sigstore.dev
            signatureFormat: legacy
            source:
            - oci: registry.internal/signatures
        "#);
    let required = format!(
        "{WORKFLOW}require: [signature, {{predicate_type: https://slsa.dev/provenance/v1}}]\n"
    );
    let text = text_for(&required, &["**"], Enforcer::Kyverno);
    assert!(text.contains(
        "verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0 && \
         verifyAttestationSignatures(image, attestations.statement2, [attestors.signer1]) > 0"
    ));
    let text = text_for(&required, &["**"], Enforcer::PolicyController);
    assert_eq!(text.matches("predicateType").count(), 2);
    assert_eq!(text.matches("keyless").count(), 1);
}

#[test]
fn what_a_program_reads_is_what_was_meant() {
    for enforcer in [
        Enforcer::PolicyController,
        Enforcer::Kyverno,
        Enforcer::Talos,
    ] {
        let text = text_for(WORKFLOW, &["quay.io/acme/**"], enforcer);
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let found = read.to_string();
        assert!(
            found.contains(r"^(?:https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/v\\p{Nd}+)$"),
            "{found}"
        );
    }
}

/// The page's table is complete, and what it calls lost is told as lost.
#[test]
fn the_page_on_other_programs_has_every_key_and_what_is_lost() {
    let page = include_str!("../../../../docs/other-programs.md");
    let (_, table) = page.split_once("| Key |").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let enforcers = [
        Enforcer::PolicyController,
        Enforcer::Kyverno,
        Enforcer::Talos,
    ];
    let mut named = Vec::new();
    for row in &rows {
        let (keys, cells) = row.split_first().unwrap();
        for key in keys.split(", ").map(|key| key.trim_matches('`')) {
            named.push(key);
            for (enforcer, cell) in enforcers.into_iter().zip(cells) {
                if *cell == "lost" {
                    let lost = lost(&with(key), &["quay.io/acme/**"], enforcer);
                    assert!(lost.contains(&key), "{enforcer}: {key}: {lost:?}");
                }
            }
        }
    }
    let schema = crate::PolicyFile::json_schema();
    let keys = schema["$defs"]["Verification"]["properties"].as_object();
    let mut known: Vec<&str> = keys.unwrap().keys().map(String::as_str).collect();
    // It stands for a key whose log is not read, and has a note of its own.
    known.retain(|key| *key != "ignore_tlog");
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

/// A workflow's policy that has `key`, as the page on policies shows it.
fn with(key: &str) -> String {
    let page = include_str!("../../../../docs/policy.md");
    let begin = format!("| `{key}` | ");
    let row = page.lines().find(|line| line.starts_with(&begin)).unwrap();
    let example = row.trim_matches('|').rsplit(" | ").next().unwrap();
    let beside = match key {
        "predicate" => "predicate_types: [https://slsa.dev/provenance/v1]\n",
        _ => "",
    };
    format!("{WORKFLOW}{beside}{}\n", example.trim().trim_matches('`'))
}

/// Beside what the page's table has: by the value, of a signer, and of one of several proofs.
#[test]
fn what_is_lost_depends_on_the_value_too() {
    for (trust, is_lost) in [("public-good", false), ("github", true)] {
        let policy = format!("{WORKFLOW}trust: {trust}\n");
        for enforcer in [
            Enforcer::PolicyController,
            Enforcer::Kyverno,
            Enforcer::Talos,
        ] {
            let lost = lost(&policy, &["quay.io/acme/**"], enforcer);
            assert_eq!(lost.contains(&"trust"), is_lost, "{enforcer}: {trust}");
        }
    }
    let sources = format!("{WORKFLOW}signature_sources: [registry.internal/signatures]\n");
    assert_eq!(
        lost(&sources, &["**"], Enforcer::Talos),
        ["signature_sources"]
    );
    assert_eq!(
        lost(&sources, &["**"], Enforcer::Kyverno),
        Vec::<&str>::new()
    );
    let signer = "identities: [{issuer: https://a, identity: b, not_before: 2026-01-01T00:00:00Z}]";
    assert_eq!(lost(signer, &["**"], Enforcer::Kyverno), ["not_before"]);
    let proof = format!(
        "{WORKFLOW}require: [signature, {{predicate_type: https://a/b, claims: {{build_trigger: push}}}}]"
    );
    assert_eq!(lost(&proof, &["**"], Enforcer::Kyverno), ["claims"]);
    assert_eq!(
        lost(&proof, &["**"], Enforcer::Talos),
        ["require", "claims"]
    );
}

#[test]
fn what_can_t_be_written_is_an_error_that_says_what_to_do() {
    let two = "identities: [{issuer: https://a, identity: b}, {issuer: https://a, identity: c}]";
    let failed =
        |yaml: &str, patterns: &[&str], enforcer| exported(yaml, patterns, enforcer).unwrap_err();
    insta::assert_snapshot!(failed(two, &["**"], Enforcer::Talos), @r#"
        talos can't express `identities`: a rule there has one signer, and only the first rule that matches counts; join them in one `identity_regex`
        "#);
    insta::assert_snapshot!(failed(WORKFLOW, &[], Enforcer::Kyverno), @r#"
        kyverno can't express `images`: it has to know for which images the policy is, and none are named; name them, for example `quay.io/acme/**`
        "#);
    insta::assert_snapshot!(failed(WORKFLOW, &["**"], Enforcer::Flux), @r#"
        flux can't express `images`: the object that gets the block names its image; leave the patterns out
        "#);
    insta::assert_snapshot!(failed(WORKFLOW, &["quay.io/acme/app:v1"], Enforcer::Talos), @r#"
        talos can't express `images`: it compares names without tag and digest, and `quay.io/acme/app:v1` has one
        "#);
    insta::assert_snapshot!(failed(WORKFLOW, &["**"], Enforcer::Containers), @r#"
        containers can't express `identity`: it knows e-mail addresses only, and no bundles; pull what `countersign verify --print-digest` prints, or use a `key`
        "#);
    insta::assert_snapshot!(failed(&signed_by_key(), &["**"], Enforcer::PolicyController), @r#"
        policy-controller can't express `key`: of what was signed with a key it reads only the legacy form; with `signature_formats: [simple_signing]` it can be exported
        "#);
    let key = format!("{}signature_formats: [simple_signing]\n", signed_by_key());
    insta::assert_snapshot!(failed(&key, &["quay.io/*/app"], Enforcer::Containers), @r#"
        containers can't express `images`: `quay.io/*/app` has a `*` where it has no word for one; a scope there is a host, a part of a path up to a slash, or one image
        "#);
    insta::assert_snapshot!(failed(r"{issuer: https://a, identity_regex: '\w+'}", &["**"], Enforcer::Kyverno), @r#"
        kyverno can't express `identity_regex`: its patterns are Go's, and `\w` means something else in them; write `[0-9A-Za-z_]`
        "#);
}

#[test]
fn a_key_is_exported_as_it_was_read() {
    let key = PublicKey::from_pem(PEM).unwrap();
    assert_eq!(key.to_pem(), PEM);
}
