use super::{RulesExport, covers};
use crate::ImageVerifierConfig;
use crate::export::{Enforcer, ExportedPolicy};

/// A policy that containers/image can say.
const KEY: &str = r#"verification: {key: "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0\n7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==\n-----END PUBLIC KEY-----\n", ignore_tlog: true, signature_formats: [simple_signing]}"#;

const SIGNED: &str = "verification: {issuer: https://a.example, identity: ci}";

/// Rules as most have them: none of two meet, and all else is refused.
const USUAL: &str = r"
rules:
- images: [registry.k8s.io/**]
  allow: true
  reason: signed by others
- images: [quay.io/acme/**, nginx]
  verification: {issuer: https://a.example, identity: ci}
- images: [ghcr.io/acme/app]
  verification: {issuer: https://a.example, identity: other}
";

fn exported(text: &str, enforcer: Enforcer) -> Result<ExportedPolicy, String> {
    let config = &ImageVerifierConfig::parse(text, "node.yaml").unwrap();
    let export = RulesExport {
        config,
        name: "acme",
    };
    export.to(enforcer).map_err(|error| error.to_string())
}

/// The text of what loses nothing.
fn whole(text: &str, enforcer: Enforcer) -> String {
    let exported = exported(text, enforcer).unwrap();
    assert_eq!(exported.differences, [], "{enforcer}");
    exported.text
}

/// What is lost, a line each.
fn lost(text: &str, enforcer: Enforcer) -> String {
    let differences = exported(text, enforcer).unwrap().differences;
    let lines = differences.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_usual_rules_for_policy_controller() {
    insta::assert_snapshot!(whole(USUAL, Enforcer::PolicyController), @"
    apiVersion: policy.sigstore.dev/v1beta1
    kind: ClusterImagePolicy
    metadata:
      name: acme-1
    spec:
      mode: enforce
      images:
      - glob: registry.k8s.io/**
      authorities:
      - name: exempt
        static:
          action: pass
    ---
    apiVersion: policy.sigstore.dev/v1beta1
    kind: ClusterImagePolicy
    metadata:
      name: acme-2
    spec:
      mode: enforce
      images:
      - glob: quay.io/acme/**
      - glob: index.docker.io/library/nginx:**
      - glob: index.docker.io/library/nginx@**
      authorities:
      - name: signer-1
        keyless:
          url: https://fulcio.sigstore.dev
          identities:
          - issuer: https://a.example
            subject: ci
        ctlog:
          url: https://rekor.sigstore.dev
        signatureFormat: bundle
        attestations:
        - name: statement-1
          predicateType: https://sigstore.dev/cosign/sign/v1
    ---
    apiVersion: policy.sigstore.dev/v1beta1
    kind: ClusterImagePolicy
    metadata:
      name: acme-3
    spec:
      mode: enforce
      images:
      - glob: ghcr.io/acme/app:**
      - glob: ghcr.io/acme/app@**
      authorities:
      - name: signer-1
        keyless:
          url: https://fulcio.sigstore.dev
          identities:
          - issuer: https://a.example
            subject: other
        ctlog:
          url: https://rekor.sigstore.dev
        signatureFormat: bundle
        attestations:
        - name: statement-1
          predicateType: https://sigstore.dev/cosign/sign/v1
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: config-policy-controller
      namespace: cosign-system
    data:
      no-match-policy: deny
    ");
}

#[test]
fn the_usual_rules_for_talos() {
    insta::assert_snapshot!(whole(USUAL, Enforcer::Talos), @r#"
    apiVersion: v1alpha1
    kind: ImageVerificationConfig
    rules:
    - image: registry.k8s.io/*
      skip: true
    - image: quay.io/acme/*
      keyless:
        issuer: https://a.example
        subject: ci
    - image: index.docker.io/library/nginx
      keyless:
        issuer: https://a.example
        subject: ci
    - image: ghcr.io/acme/app
      keyless:
        issuer: https://a.example
        subject: other
    - image: "*"
      deny: true
    "#);
}

#[test]
fn the_usual_rules_for_kyverno_leave_out_what_earlier_rules_match() {
    let text = whole(USUAL, Enforcer::Kyverno);
    let references = text
        .lines()
        .filter(|line| line.starts_with("  - expression: "));
    insta::assert_snapshot!(references.collect::<Vec<_>>().join("\n"), @r#"
    - expression: ref.matches(r'^quay\.io/acme/[^/:@]+(?:/[^/:@]+)*(?::[^/:@]+)?(?:@.+)?$')
    - expression: ref.matches(r'^(?:(?:index\.|registry-1\.)?docker\.io/)?(?:library/)?nginx(?::[^/:@]+)?(?:@.+)?$')
    - expression: images.containers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: images.initContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: images.ephemeralContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: ref.matches(r'^ghcr\.io/acme/app(?::[^/:@]+)?(?:@.+)?$')
    - expression: images.containers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: images.initContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: images.ephemeralContainers.map(image, verifyAttestationSignatures(image, attestations.statement1, [attestors.signer1]) > 0).all(accepted, accepted)
    - expression: "!ref.matches(r'^registry\\.k8s\\.io/[^/:@]+(?:/[^/:@]+)*(?::[^/:@]+)?(?:@.+)?$') && !ref.matches(r'^quay\\.io/acme/[^/:@]+(?:/[^/:@]+)*(?::[^/:@]+)?(?:@.+)?$') && !ref.matches(r'^(?:(?:index\\.|registry-1\\.)?docker\\.io/)?(?:library/)?nginx(?::[^/:@]+)?(?:@.+)?$') && !ref.matches(r'^ghcr\\.io/acme/app(?::[^/:@]+)?(?:@.+)?$')"
    - expression: images.containers.map(image, false).all(accepted, accepted)
    - expression: images.initContainers.map(image, false).all(accepted, accepted)
    - expression: images.ephemeralContainers.map(image, false).all(accepted, accepted)
    "#);
    let nested = format!(
        "rules:\n- {{images: [quay.io/acme/**], allow: true, reason: a}}\n- {{images: ['**'], {SIGNED}}}\n"
    );
    let text = whole(&nested, Enforcer::Kyverno);
    assert_eq!(
        text.matches("kind: ImageValidatingPolicy").count(),
        1,
        "no policy for all others: {text}"
    );
    assert!(
        text.contains(r"- expression: ref.matches(r'^.*$') && !ref.matches(r'^quay\.io/acme/"),
        "{text}"
    );
}

#[test]
fn the_default_and_the_modes_are_those_of_the_file() {
    let rules =
        |above: &str| format!("{above}\nrules: [{{images: [nginx], mode: enforce, {SIGNED}}}]\n");
    for (above, word) in [
        ("default: deny", "deny"),
        ("default: allow", "allow"),
        ("mode: warn", "warn"),
        ("default: allow\nmode: warn", "allow"),
    ] {
        let text = whole(&rules(above), Enforcer::PolicyController);
        assert!(
            text.contains(&format!("no-match-policy: {word}\n")),
            "{text}"
        );
        assert!(text.contains("mode: enforce"), "{text}");
    }
    let kyverno = whole(&rules("mode: warn"), Enforcer::Kyverno);
    assert_eq!(kyverno.matches("- Warn\n").count(), 1, "{kyverno}");
    assert_eq!(kyverno.matches("- Deny\n").count(), 1, "{kyverno}");
    let allowing = whole(&rules("default: allow"), Enforcer::Kyverno);
    assert_eq!(allowing.matches("kind:").count(), 1, "{allowing}");
    let talos = whole(&rules("default: allow"), Enforcer::Talos);
    assert!(!talos.contains("deny"), "{talos}");
    insta::assert_snapshot!(exported(&rules("mode: warn"), Enforcer::Talos).unwrap_err(), @"talos can't express `mode`: it has no warnings; write `mode: enforce`, or `default: allow`");
    let warns = format!("rules: [{{images: [nginx], mode: warn, {SIGNED}}}]");
    insta::assert_snapshot!(exported(&warns, Enforcer::Talos).unwrap_err(), @"talos can't express `mode` of rule 1: it has no warnings; the mode has to be `enforce`");
    insta::assert_snapshot!(exported(&warns, Enforcer::Flux).unwrap_err(), @"flux can't express `rules`: the object that gets the block names its image; put the `verification` of one rule into a policy file, and export that");
}

#[test]
fn an_order_that_another_program_has_no_word_for_is_told() {
    let nested = format!(
        "rules:\n- {{images: [quay.io/acme/**], allow: true, reason: a}}\n- {{images: ['quay.io/**'], {SIGNED}}}\n"
    );
    insta::assert_snapshot!(lost(&nested, Enforcer::PolicyController), @"`images` of rule 2: an image that rule 1 matches too must be accepted by both there, not only by rule 1");
    assert_eq!(lost(&nested, Enforcer::Talos), "");
    assert_eq!(lost(&nested, Enforcer::Kyverno), "");
    let wider = "rules: [{images: ['quay.io/*/app'], allow: true, reason: a}]";
    insta::assert_snapshot!(lost(wider, Enforcer::Talos), @"`images` of rule 1: a `*` there stands for slashes too, so more images are pulled without a signature");
    let tag = format!("rules: [{{images: ['nginx:1'], {SIGNED}}}]");
    insta::assert_snapshot!(lost(&tag, Enforcer::Kyverno), @"`images` of rule 1: an image that is asked for by such a tag and a digest is under this rule there too");
    let allow = "{images: [quay.io/acme/**], allow: true, reason: a}";
    let all = "{images: [quay.io/**], allow: true, reason: a}";
    insta::assert_snapshot!(lost(&format!("rules: [{allow}, {all}]"), Enforcer::Containers), @"`images` of rule 1: the repository `quay.io/acme` itself is pulled without a signature there too");
    insta::assert_snapshot!(lost(&format!("rules: [{all}, {allow}]"), Enforcer::Containers), @"
    `images` of rule 2: `quay.io/acme` counts there before rule 1, because it is the longer name
    `images` of rule 2: the repository `quay.io/acme` itself is pulled without a signature there too
    ");
    insta::assert_snapshot!(lost(&format!("rules: [{allow}, {allow}]"), Enforcer::Containers), @"`images` of rule 1: the repository `quay.io/acme` itself is pulled without a signature there too");
}

#[test]
fn a_scope_of_containers_that_demands_more_is_noted() {
    let notes = |images: &str| {
        let text = format!("rules: [{{images: [{images}], {KEY}}}]");
        let exported = exported(&text, Enforcer::Containers).unwrap();
        let told = exported
            .notes
            .iter()
            .filter(|note| note.contains("no pattern here matches"));
        told.count()
    };
    assert_eq!(notes("quay.io/acme/app"), 1);
    assert_eq!(notes("'quay.io/acme/**'"), 1);
    assert_eq!(notes("'quay.io/acme', 'quay.io/acme/**'"), 0);
    assert_eq!(notes("'quay.io/acme/app:v1'"), 0);
}

#[test]
fn a_scope_of_containers_that_allows_more_is_told() {
    let of = |images: &str| {
        let text = format!("rules: [{{images: [{images}], allow: true, reason: a}}]");
        lost(&text, Enforcer::Containers)
    };
    insta::assert_snapshot!(of("quay.io/acme/app"), @"`images` of rule 1: everything below `quay.io/acme/app` is pulled without a signature there too");
    insta::assert_snapshot!(of("'quay.io/acme/**'"), @"`images` of rule 1: the repository `quay.io/acme` itself is pulled without a signature there too");
    for exact in [
        "'quay.io/**'",
        "'**'",
        "'*.example.com/**'",
        "'quay.io/acme/app:v1'",
        "'quay.io/acme', 'quay.io/acme/**'",
    ] {
        assert_eq!(of(exact), "", "{exact}");
    }
}

#[test]
fn a_later_rule_never_takes_the_scope_of_an_earlier_one() {
    let signed = KEY;
    let text = format!(
        "rules:\n- {{images: ['quay.io/**'], {signed}}}\n- {{images: ['quay.io/a/**'], {signed}}}\n\
         - {{images: ['quay.io/a/**'], allow: true, reason: a}}\n"
    );
    insta::assert_snapshot!(lost(&text, Enforcer::Containers), @"`images` of rule 2: `quay.io/a` counts there before rule 1, because it is the longer name");
    let exported = exported(&text, Enforcer::Containers).unwrap().text;
    assert!(!exported.contains("insecureAcceptAnything"), "{exported}");
    assert_eq!(exported.matches("sigstoreSigned").count(), 2, "{exported}");
    let other = format!(
        "rules:\n- {{images: ['quay.io/a'], {signed}}}\n- {{images: ['quay.io/a/**'], {signed}}}\n"
    );
    insta::assert_snapshot!(lost(&other, Enforcer::Containers), @"`images` of rule 2: `quay.io/a` is under rule 1 there, with everything below it");
}

#[test]
fn what_is_lost_of_a_rule_names_the_rule_and_a_trusted_root_of_the_file_is_lost_too() {
    let text = format!(
        "trust: github\nlogin_file: auth.json\nrules:\n- {{images: [nginx], {SIGNED}}}\n- images: [quay.io/a]\n  \
         verification: {{issuer: https://a.example, identity: ci, bind_name: true}}\n"
    );
    insta::assert_snapshot!(lost(&text, Enforcer::Kyverno), @"
    `trust`: the public-good instance is trusted there; put the trusted root below `cosign`, as `trustedRoot.value`
    `bind_name` of rule 2: the signature may be about another name there
    ");
    let notes = exported(&text, Enforcer::Kyverno).unwrap().notes;
    assert!(
        notes[0].starts_with("logins, certificate authorities and mirrors"),
        "{notes:?}"
    );
    let word = SIGNED.replace("identity: ci", r"identity_regex: '\w'");
    let error = exported(
        &format!("rules: [{{images: [nginx], {word}}}]"),
        Enforcer::Kyverno,
    );
    insta::assert_snapshot!(error.unwrap_err(), @r"kyverno can't express `identity_regex` of rule 1: its patterns are Go's, and `\w` means something else in them; write `[0-9A-Za-z_]`");
}

#[test]
fn a_scope_covers_what_is_below_it() {
    for (other, scope, expected) in [
        ("", "quay.io", true),
        ("quay.io", "quay.io", true),
        ("quay.io", "quay.io/acme", true),
        ("quay.io", "quay.io.evil/acme", false),
        ("quay.io/acme", "quay.io/acme:v1", true),
        ("quay.io/acme", "quay.io/acme2", false),
        ("*.example.com", "a.example.com/x", true),
        ("*.example.com", "example.com/x", false),
    ] {
        assert_eq!(covers(other, scope), expected, "{other} and {scope}");
    }
}
