//! The image verifier's configuration: what is read, what each mistake is told, and that the schema agrees.

use boon::{Compiler, Schemas};
use countersign_policy::{Demand, ImageVerifierConfig, Mode, Trust, Unmatched};
use insta::assert_snapshot;
use serde_json::Value;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const RULE: &str = "rules: [{images: ['quay.io/acme/**'], verification: {issuer: https://a.example, identity: ci}}]\n";

fn parse(text: &str) -> ImageVerifierConfig {
    ImageVerifierConfig::parse(text, "node.yaml").unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    ImageVerifierConfig::parse(text, "node.yaml")
        .unwrap_err()
        .to_string()
}

/// Every key.
const FULL: &str = "\
default: allow
mode: warn
tuf: {url: https://tuf.example, root: root.json}
login_file: auth.json
ca_file: ca.pem
mirrors: {quay.io: ['mirror.internal:5000/quay', other.example], quay.io/acme: [acme.example]}
deadline: 5s
state_directory: state
cache_age: none
log_file: log
log_bytes: 65536
rules:
  - images: [nginx, quay.io/acme/**]
    mode: enforce
    verification: {issuer: https://a.example, identity: ci}
  - images: ['registry.k8s.io/**']
    allow: true
    reason: see the ticket
";

#[test]
fn what_is_left_out_is_the_strict_choice() {
    let config = parse(RULE);
    assert_eq!(config.default, Unmatched::Deny);
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.trust, None);
    assert_eq!(config.deadline.as_secs(), 8);
    assert_eq!(config.cache_age.unwrap().to_string(), "24h");
    assert_eq!(parse("rules: []").rules, []);
}

#[test]
fn every_key_is_read() {
    let config = parse(FULL);
    assert_eq!(config.default, Unmatched::Allow);
    assert_eq!(config.mode, Mode::Warn);
    assert!(
        matches!(&config.trust, Some(Trust::Tuf { url, root_file }) if url.as_str() == "https://tuf.example/" && root_file == "root.json")
    );
    assert_eq!(config.login_file.as_deref(), Some("auth.json"));
    assert_eq!(config.ca_file.as_deref(), Some("ca.pem"));
    assert_eq!(config.deadline.as_secs(), 5);
    assert_eq!(config.state_directory.as_deref(), Some("state"));
    assert_eq!(config.cache_age, None);
    assert_eq!(config.log_file.as_deref(), Some("log"));
    assert_eq!(config.log_bytes, 65_536);
    assert_eq!(config.rules[0].mode, Some(Mode::Enforce));
    assert!(
        matches!(&config.rules[0].demand, Demand::Signature(policy) if policy.signers().count() == 1)
    );
    assert_eq!(
        config.rules[1].demand,
        Demand::Nothing {
            reason: "see the ticket".to_owned()
        }
    );
    let mirrors = |name: &str| {
        let mirrors = config.mirrors(&name.parse().unwrap());
        let names: Vec<String> = mirrors.iter().map(ToString::to_string).collect();
        names.join(" ")
    };
    assert_eq!(
        mirrors("quay.io/x/y"),
        "mirror.internal:5000/quay/x/y other.example/x/y"
    );
    assert_eq!(mirrors("quay.io/acme/app"), "acme.example/app");
    assert_eq!(
        mirrors("quay.io/acmeevil/app"),
        "mirror.internal:5000/quay/acmeevil/app other.example/acmeevil/app"
    );
    for spelling in ["Quay.io/acme/app", "quay.io:443/acme/app"] {
        assert_eq!(mirrors(spelling), "acme.example/app", "{spelling}");
    }
    assert_eq!(mirrors("quay.io.evil/x"), "");
}

#[test]
fn the_first_rule_that_matches_counts() {
    let config = parse(FULL);
    let digest = DIGEST.parse().unwrap();
    let ruling = |name: &str| {
        let reference = name.parse().unwrap();
        let ruling = config.ruling(&reference, &digest);
        (
            ruling
                .matched
                .map(|matched| format!("{} {}", matched.number, matched.pattern)),
            ruling.mode,
        )
    };
    assert_eq!(
        ruling("nginx:1"),
        (Some("1 docker.io/library/nginx".into()), Mode::Enforce)
    );
    assert_eq!(
        ruling("quay.io/acme/app"),
        (Some("1 quay.io/acme/**".into()), Mode::Enforce)
    );
    assert_eq!(
        ruling("registry.k8s.io/pause:3.10"),
        (Some("2 registry.k8s.io/**".into()), Mode::Warn)
    );
    assert_eq!(ruling("quay.io/acme"), (None, Mode::Warn));
}

#[test]
fn a_policy_file_and_a_configuration_are_told_apart() {
    for text in [RULE, "default: deny", "mode: warn", FULL] {
        assert!(ImageVerifierConfig::is_one(text), "{text}");
    }
    for text in [
        "",
        "[]",
        "issuer: a",
        "verification: {}",
        "rule: []",
        "a: [",
    ] {
        assert!(!ImageVerifierConfig::is_one(text), "{text}");
    }
}

#[test]
fn each_mistake_is_told_with_its_place() {
    assert_snapshot!(error(""), @"node.yaml:1:1: the key `rules` is missing; add it");
    assert_snapshot!(error("mode: warn"), @"node.yaml:1:1: the key `rules` is missing; add it");
    assert_snapshot!(error(&RULE.replace("rules", "mod: warn\nrules")), @"node.yaml:1:1: unknown key `mod`; did you mean `mode`? Valid here: default, mode, trust, trusted_root, tuf, login_file, ca_file, mirrors, deadline, state_directory, cache_age, log_file, log_bytes, journal_socket, rules");
    assert_snapshot!(error(&format!("mode: enforced\n{RULE}")), @"node.yaml:1:1: mode: expected `enforce` or `warn`, found `enforced`; did you mean `enforce`?");
    assert_snapshot!(error(&format!("default: reject\n{RULE}")), @"node.yaml:1:1: default: expected `deny` or `allow`, found `reject`");
    assert_snapshot!(error(&format!("deadline: 8\n{RULE}")), @"node.yaml:1:1: deadline: expected a time in seconds such as 8s, found `8`");
    assert_snapshot!(error(&format!("cache_age: 1w\n{RULE}")), @"node.yaml:1:1: cache_age: expected an age such as 30m, 24h or 7d, found `1w`");
    assert_snapshot!(error(&format!("log_bytes: 1\n{RULE}")), @"node.yaml:1:1: log_bytes: expected at least 65536, found `1`");
    assert_snapshot!(error(&format!("trusted_root: a\ntuf: {{url: https://a.example, root: b}}\n{RULE}")), @"node.yaml:2:1: tuf: expected `trusted_root` or `tuf`, found both; keep the one that you mean");
    assert_snapshot!(error(&format!("trust: github\ntrusted_root: a\n{RULE}")), @"node.yaml:2:1: trusted_root: expected `trust` or `trusted_root`, found both; keep the one that you mean");
    assert_snapshot!(error(&format!("tuf: {{url: https://a.example, root: b}}\ntrust: github\n{RULE}")), @"node.yaml:1:1: tuf: expected `trust` or `tuf`, found both; keep the one that you mean");
    assert_snapshot!(error(&format!("trust: gitub\n{RULE}")), @"node.yaml:1:1: trust: expected `public-good` or `github`, found `gitub`; did you mean `github`?");
    assert_snapshot!(error(&format!("log_file: a\njournal_socket: b\n{RULE}")), @"node.yaml:2:1: journal_socket: expected `log_file` or `journal_socket`, found both; keep the one that you mean");
    assert_snapshot!(error(&format!("journal_socket: ''\n{RULE}")), @"node.yaml:1:1: journal_socket: expected a text, found nothing; fill it in, or remove the key");
    assert_snapshot!(error(&format!("tuf: {{url: https://a.example}}\n{RULE}")), @"node.yaml:1:1: tuf: the key `root` is missing; add it");
    assert_snapshot!(error(&format!("tuf: {{url: ftp://a.example, root: b}}\n{RULE}")), @"node.yaml:1:7: tuf.url: expected an http or https URL such as https://tuf-repo-cdn.sigstore.dev, found `ftp://a.example`");
    assert_snapshot!(error(&format!("mirrors: {{quay: [a.example]}}\n{RULE}")), @"node.yaml:1:11: mirrors.quay: expected a registry's host, or a host and a path, found `quay`");
    assert_snapshot!(error(&format!("mirrors: {{quay.io: [a.example], 'Quay.io:443': [b.example]}}\n{RULE}")), @"node.yaml:1:11: mirrors.quay.io: expected each name once, found `quay.io` and another spelling of it");
    assert_snapshot!(error(&format!("mirrors: {{quay.io: []}}\n{RULE}")), @"node.yaml:1:11: mirrors.quay.io: expected at least one copy, found nothing; fill it in, or remove the key");
    assert_snapshot!(error(&RULE.replace("quay.io/acme/**", "quay*/acme")), @"node.yaml:1:19: rules[0].images[0]: `quay*/acme` is not a pattern of images: a `*` in its first part is neither a host nor a name on Docker Hub; write the host, or `*.DOMAIN`, or `**` alone for every image");
    assert_snapshot!(error(&RULE.replace("'quay.io/acme/**'", "")), @"node.yaml:1:10: rules[0].images: expected at least one entry, found nothing; fill it in, or remove the key");
    assert_snapshot!(error("rules: [{images: [nginx]}]"), @"node.yaml:1:9: rules[0]: expected `verification`, or `allow: true` with a `reason`, found neither");
    assert_snapshot!(error("rules: [{images: [nginx], allow: true}]"), @"node.yaml:1:9: rules[0]: the key `reason` is missing; add it");
    assert_snapshot!(error("rules: [{images: [nginx], allow: false, reason: a}]"), @"node.yaml:1:27: rules[0].allow: expected `true`, or a `verification` in place of `allow`, found `false`");
    assert_snapshot!(error("rules: [{images: [nginx], reason: a}]"), @"node.yaml:1:9: rules[0]: expected `verification`, or `allow: true` with a `reason`, found `reason`");
    assert_snapshot!(error(&RULE.replace("verification", "allow: true, reason: a, verification")), @"node.yaml:1:9: rules[0]: expected `verification`, or `allow: true` with a `reason`, found `verification` and `allow` and `reason`");
    let misspelt = error(&RULE.replace("identity", "identty"));
    let begin =
        "node.yaml:1:81: rules[0].verification: unknown key `identty`; did you mean `identity`?";
    assert!(misspelt.starts_with(begin), "{misspelt}");
}

fn agrees(text: &str) -> bool {
    let mut compiler = Compiler::new();
    compiler
        .add_resource("schema", ImageVerifierConfig::json_schema())
        .unwrap();
    let mut schemas = Schemas::new();
    let schema = compiler.compile("schema", &mut schemas).unwrap();
    let value: Value = serde_saphyr::from_str(text).unwrap();
    schemas.validate(&value, schema).is_ok()
}

#[test]
fn the_schema_takes_what_is_read_and_refuses_what_it_can_say() {
    for text in [
        RULE,
        FULL,
        "rules: []",
        "rules: []\ntrust: github\njournal_socket: /run/systemd/journal/socket",
    ] {
        ImageVerifierConfig::parse(text, "node.yaml").unwrap();
        assert!(agrees(text), "{text}");
    }
    let refused = [
        "mode: warn",
        "rules: [{images: []}]",
        "rules: [{images: [nginx]}]",
        "rules: [{images: [nginx], allow: true}]",
        "rules: [{images: [nginx], allow: false, reason: a}]",
        "rules: [{images: [nginx], allow: true, reason: a, verification: {issuer: a, identity: b}}]",
        "rules: []\nmod: warn",
        "rules: []\nmode: enforced",
        "rules: []\ndefault: reject",
        "rules: []\ndeadline: 8",
        "rules: []\ncache_age: 1w",
        "rules: []\nlog_bytes: 1",
        "rules: []\nmirrors: {quay.io: []}",
        "rules: []\ntuf: {url: https://a.example}",
        "rules: []\ntrusted_root: a\ntuf: {url: https://a.example, root: b}",
        "rules: []\ntrust: gitlab",
        "rules: []\ntrust: github\ntrusted_root: a",
        "rules: []\ntrust: github\ntuf: {url: https://a.example, root: b}",
        "rules: []\nlog_file: a\njournal_socket: b",
        "rules: []\nlog_bytes: 65536\njournal_socket: b",
    ];
    // Each for its own mistake.
    let reasons = refused.map(|text| {
        assert!(!agrees(text), "{text}");
        let error = ImageVerifierConfig::parse(text, "node.yaml").unwrap_err();
        format!("{error}")
    });
    assert_snapshot!(reasons.join("\n"), @r#"
    node.yaml:1:1: the key `rules` is missing; add it
    node.yaml:1:10: rules[0].images: expected at least one entry, found nothing; fill it in, or remove the key
    node.yaml:1:9: rules[0]: expected `verification`, or `allow: true` with a `reason`, found neither
    node.yaml:1:9: rules[0]: the key `reason` is missing; add it
    node.yaml:1:27: rules[0].allow: expected `true`, or a `verification` in place of `allow`, found `false`
    node.yaml:1:9: rules[0]: expected `verification`, or `allow: true` with a `reason`, found `verification` and `allow` and `reason`
    node.yaml:2:1: unknown key `mod`; did you mean `mode`? Valid here: default, mode, trust, trusted_root, tuf, login_file, ca_file, mirrors, deadline, state_directory, cache_age, log_file, log_bytes, journal_socket, rules
    node.yaml:2:1: mode: expected `enforce` or `warn`, found `enforced`; did you mean `enforce`?
    node.yaml:2:1: default: expected `deny` or `allow`, found `reject`
    node.yaml:2:1: deadline: expected a time in seconds such as 8s, found `8`
    node.yaml:2:1: cache_age: expected an age such as 30m, 24h or 7d, found `1w`
    node.yaml:2:1: log_bytes: expected at least 65536, found `1`
    node.yaml:2:11: mirrors.quay.io: expected at least one copy, found nothing; fill it in, or remove the key
    node.yaml:2:1: tuf: the key `root` is missing; add it
    node.yaml:3:1: tuf: expected `trusted_root` or `tuf`, found both; keep the one that you mean
    node.yaml:2:1: trust: expected `public-good` or `github`, found `gitlab`; did you mean `github`?
    node.yaml:3:1: trusted_root: expected `trust` or `trusted_root`, found both; keep the one that you mean
    node.yaml:3:1: tuf: expected `trust` or `tuf`, found both; keep the one that you mean
    node.yaml:3:1: journal_socket: expected `log_file` or `journal_socket`, found both; keep the one that you mean
    node.yaml:3:1: journal_socket: expected `log_bytes` or `journal_socket`, found both; keep the one that you mean
    "#);
}
