use super::pattern::whole;
use super::{ImportError, import};
use crate::image_verifier::Mode;
use crate::{AcceptedSigner, Enforcer, Export, Matcher, Policy, WholeRegex};

const CLUSTER: &str = r#"
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: acme}
spec:
  images: [{glob: "quay.io/acme/**"}]
  authorities:
    - keyless:
        url: https://fulcio.sigstore.dev
        identities:
          - issuer: https://token.actions.githubusercontent.com
            subjectRegExp: https://github.com/acme/app/.*
      ctlog: {url: https://rekor.sigstore.dev}
      signatureFormat: bundle
      attestations: [{name: a, predicateType: https://sigstore.dev/cosign/sign/v1}]
"#;

fn refused(text: &str) -> String {
    import(text, "document.yaml").unwrap_err().to_string()
}

#[test]
fn a_cluster_image_policy_becomes_a_policy_for_the_same_signers() {
    let imported = import(CLUSTER, "document.yaml").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
        verification:
          issuer: https://token.actions.githubusercontent.com
          identity_regex: (?s:.*)(?:https://github.com/acme/app/.*)(?s:.*)
        "#);
    assert_eq!(imported.images, ["quay.io/acme/**"]);
    assert_eq!(
        Policy::from_yaml(&imported.text, "policy.yaml").unwrap(),
        imported.policy
    );
    // It searches, so what stands before and behind counts for nothing.
    let Some(AcceptedSigner::Certificate(signer)) = imported.policy.signers().only() else {
        panic!("one signer");
    };
    assert!(
        signer
            .identity
            .matches("x https://github.com/acme/app/.github/workflows/a.yml@refs/heads/main")
    );
}

#[test]
fn a_legacy_authority_becomes_simple_signing_and_a_key_without_a_log_ignores_it() {
    let key = "-----BEGIN PUBLIC KEY-----\n        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0\n        7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==\n        -----END PUBLIC KEY-----\n";
    let text = format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nspec:\n  mode: warn\n  images: [{{glob: '**'}}]\n  \
         authorities:\n  - key:\n      data: |\n        {key}"
    );
    let imported = import(&text, "document.yaml").unwrap();
    assert!(!imported.policy.needs_trusted_root());
    assert!(imported.text.contains("simple_signing"));
    assert_eq!(imported.notes.len(), 1);
}

#[test]
fn what_was_exported_comes_back_as_the_same_policy() {
    let policies = [
        "{issuer: https://a.example, identity: b}",
        r"{issuer_regex: 'https://(a|b)\.example', identity_regex: 'v[0-9]+'}",
        "{identities: [{issuer: https://a.example, identity: b}, {issuer: https://a.example, identity: c}]}",
        "{issuer: https://a.example, identity: b, predicate_types: [https://slsa.dev/provenance/v1]}",
        "{issuer: https://a.example, identity: b, require: [signature, {predicate_type: https://slsa.dev/provenance/v1}]}",
        "{issuer: https://a.example, identity: b, signature_sources: [registry.internal/signatures]}",
    ];
    let images = ["quay.io/acme/**".parse().unwrap()];
    for yaml in policies {
        let policy = Policy::from_yaml(yaml, "policy.yaml").unwrap();
        let export = Export {
            policy: &policy,
            images: &images,
            mode: Mode::Enforce,
            name: "acme",
        };
        let text = export.to(Enforcer::PolicyController).unwrap().text;
        let imported = import(&text, "document.yaml").unwrap();
        assert_eq!(unanchored(imported.policy), policy, "{text}");
    }
}

/// Without the anchors that an export adds.
fn unanchored(mut policy: Policy) -> Policy {
    policy.signers = policy.signers.map(signer_unanchored);
    for proof in &mut policy.require {
        proof.signers = proof.signers.map(signer_unanchored);
    }
    policy
}

fn signer_unanchored(signer: &AcceptedSigner) -> AcceptedSigner {
    let AcceptedSigner::Certificate(signer) = signer else {
        return signer.clone();
    };
    let mut signer = signer.clone();
    for matcher in [&mut signer.issuer, &mut signer.identity] {
        if let Matcher::Regex(pattern) = matcher {
            let inner = pattern
                .as_str()
                .strip_prefix("^(?:")
                .and_then(|rest| rest.strip_suffix(")$"));
            *matcher = Matcher::Regex(WholeRegex::new(inner.unwrap()).unwrap());
        }
    }
    AcceptedSigner::Certificate(signer)
}

#[test]
fn a_search_becomes_a_pattern_for_the_whole() {
    for (pattern, value, expected) in [
        ("acme", "x acme y", true),
        ("acme", "x\nacme\ny", true),
        ("^acme", "acme y", true),
        ("^acme", "x acme", false),
        ("acme$", "x acme", true),
        ("acme$", "acme y", false),
        ("^acme$", "acme", true),
        ("^acme$", "acme y", false),
        ("^a|b$", "ax", true),
        ("^a|b$", "xb", true),
        ("^a|b$", "xa", false),
        ("(?i)^ACME$", "acme", true),
        (r"^\d+$", "12", true),
        (r"^\d+$", "१२", false),
        (r"^[\w-]+$", "a-b_c", true),
        (r"^[\w-]+$", "é", false),
        (r"\bapp\b", "éappé", true),
    ] {
        let here = WholeRegex::new(&whole(pattern).unwrap()).unwrap();
        assert_eq!(here.is_match(value), expected, "{pattern} and {value:?}");
    }
    let refused = [r"[\W]", "[a&&b]", "[[a]", r"\Qa\E", "a**("];
    let reasons = refused.map(|pattern| whole(pattern).unwrap_err().to_string());
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    `\W` in its pattern means something else here; write the pattern by hand
    `a&&b` in its pattern means something else here; write the pattern by hand
    its pattern can't be read: error: unclosed character class
    its pattern can't be read: error: unrecognized escape sequence
    its pattern can't be read: error: unclosed group
    "#);
}

#[test]
fn talos_flux_and_containers_become_policies() {
    let talos = "apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules:\n- {image: 'quay.io/*', keyless: {issuer: https://a.example, \
                 subject: b}}\n- {image: 'docker.io/*', deny: true}";
    let imported = import(talos, "document.yaml").unwrap();
    insta::assert_snapshot!(imported.text, @r#"
        verification:
          issuer: https://a.example
          identity: b
        "#);
    assert_eq!(imported.notes.len(), 2);
    let flux = r"verify: {provider: cosign, matchOIDCIdentity: [{issuer: '^https://a\.example$', subject: ^b$}]}";
    insta::assert_snapshot!(import(flux, "document.yaml").unwrap().text, @r#"
        verification:
          issuer_regex: ^https://a\.example$
          identity_regex: ^b$
        "#);
    let containers = r#"{"default": [{"type": "reject"}], "transports": {"docker": {"quay.io/acme": [{"type": "sigstoreSigned",
        "keyData": "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFL1IrY3MyOTlFb0Z5ajcvdStCZEk2eW92dDVPMAo3RHNzSnFjWHYxNTB3TGFyN0k3UXJYbXlLR2xtQmEwUzV6MkR2VlJlN0xLaDcvVXg5SElUa3JtUUVnPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}]}}}"#;
    let imported = import(containers, "policy.json").unwrap();
    assert!(imported.policy.bind_name());
    assert_eq!(imported.images, ["quay.io/acme"]);
}

#[test]
fn nothing_is_left_out_in_silence() {
    let changed = |from: &str, to: &str| {
        assert!(CLUSTER.contains(from), "{from}");
        refused(&CLUSTER.replace(from, to))
    };
    insta::assert_snapshot!(changed("  images:", "  match: []\n  images:"), @r#"
        unknown field `match`, expected one of `mode`, `images`, `authorities`
        "#);
    insta::assert_snapshot!(changed("name: a, ", "name: a, policy: {type: cue, data: x}, "), @r#"
        unknown field `policy`, expected `name` or `predicateType`
        "#);
    insta::assert_snapshot!(changed("https://fulcio.sigstore.dev", "https://fulcio.internal"), @r#"
        `spec.authorities[0].keyless.url` can't be imported: it is another Sigstore instance, https://fulcio.internal; set `trust` in the new policy by hand
        "#);
    insta::assert_snapshot!(changed("          - issuer: https://token.actions.githubusercontent.com\n            subject", "          - subject"), @r#"
        `spec.authorities[0].keyless.identities[0]` can't be imported: it accepts every issuer, and a policy has to name one
        "#);
    insta::assert_snapshot!(changed("      attestations: [{name: a, predicateType: https://sigstore.dev/cosign/sign/v1}]\n", ""), @r#"
        `spec.authorities[0]` can't be imported: policy-controller finds no bundle without `attestations`; name the types of statement, for example https://sigstore.dev/cosign/sign/v1
        "#);
    insta::assert_snapshot!(changed("bundle", "legacy"), @r#"
        `spec.authorities[0].attestations` can't be imported: attestations in the legacy form are not read here; sign them as bundles
        "#);
    insta::assert_snapshot!(changed("acme/app/.*", r"[\W]"), @r#"
        `spec.authorities[0].keyless.identities[0].subjectRegExp` can't be imported: `\W` in its pattern means something else here; write the pattern by hand
        "#);
    insta::assert_snapshot!(refused("kind: ImageValidatingPolicy"), @r#"
        `validations` can't be imported: Kyverno decides by expressions, which can be any program; write the policy by hand
        "#);
    insta::assert_snapshot!(refused("kind: Pod"), @r#"
        expected a ClusterImagePolicy, an ImageVerificationConfig, an OCIRepository, or a policy.json of containers/image, found the kind `Pod`
        "#);
    insta::assert_snapshot!(refused("[]"), @r#"
        expected a ClusterImagePolicy, an ImageVerificationConfig, an OCIRepository, or a policy.json of containers/image, found no `kind` and no `transports`
        "#);
    insta::assert_snapshot!(refused("a: ["), @r#"
        document.yaml:1:4: the file can't be read as YAML or JSON: unclosed bracket '['
        "#);
    assert!(matches!(
        import("", "empty"),
        Err(ImportError::Syntax(_) | ImportError::Kind { .. })
    ));
    assert!(matches!(import("a: [", "it"), Err(ImportError::Syntax(_))));
    assert!(matches!(
        import("kind: ClusterImagePolicy\nspec: 1", "it"),
        Err(ImportError::Form { .. })
    ));
}
