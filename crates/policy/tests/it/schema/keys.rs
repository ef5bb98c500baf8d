//! Every key is described, in the tables of documents, and in the pages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use countersign_oci::{Digest, Location, Repository};
use countersign_policy::{
    COSIGN_SIGN_PREDICATE, Claimed, ClaimedSigner, Policy, PolicyFile, PublicKey, SignatureFormat,
    Warning,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{KEY, SIGNER, Validator, accepted, read, refused};

#[test]
fn every_key_is_described_without_rust_s_links() {
    fn descriptions<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
        match schema {
            Value::Object(keywords) => {
                if let Some(Value::Object(properties)) = keywords.get("properties") {
                    for (key, property) in properties {
                        let described = property.get("description").is_some();
                        assert!(described || property.is_boolean(), "{key}");
                    }
                }
                if let Some(Value::String(description)) = keywords.get("description") {
                    found.push(description);
                }
                keywords
                    .values()
                    .for_each(|below| descriptions(below, found));
            }
            Value::Array(items) => items.iter().for_each(|below| descriptions(below, found)),
            _ => {}
        }
    }
    let schema = PolicyFile::json_schema();
    let mut found = Vec::new();
    descriptions(&schema, &mut found);
    for description in found {
        assert!(!description.contains("[`"), "{description}");
        assert!(!description.contains("::"), "{description}");
        assert!(!description.contains('\n'), "{description}");
    }
}

/// The keys of a definition in the schema.
fn keys(definition: &str) -> Vec<String> {
    let schema = PolicyFile::json_schema();
    let properties = schema["$defs"][definition]["properties"].as_object();
    properties.unwrap().keys().cloned().collect()
}

/// Whether `document` has `key` as a key: with a colon behind it, and not as the end of another.
fn has_key(document: &str, key: &str) -> bool {
    document
        .match_indices(&format!("{key}:"))
        .any(|(start, _)| {
            let before = document.get(..start).and_then(|text| text.chars().last());
            before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
        })
}

#[test]
fn every_key_is_in_both_tables_of_documents() {
    let (accepted, refused) = (accepted(), refused());
    for definition in ["Verification", "Signer", "Trust"] {
        for key in keys(definition) {
            for (table, documents) in [("accepted", &accepted), ("refused", &refused)] {
                let there = documents.iter().any(|document| has_key(document, &key));
                assert!(there, "`{key}` is in no document that is {table}");
            }
        }
    }
}

/// A key with nothing behind it, or with an empty value, would be a condition that silently isn't one.
#[test]
fn no_key_is_read_without_a_value() {
    let validator = Validator::new();
    let mut silent = Vec::new();
    for definition in DEFINITIONS {
        // A gallery may have no mirrors: that is no condition.
        for key in keys(definition).iter().filter(|key| *key != "mirrors") {
            for empty in ["", " ''", " []", " {}"] {
                let document = document(definition, key, empty);
                if !has_key(&document, key) || read(&document).is_ok() {
                    silent.push(format!("read: {document}"));
                }
                if validator.accepts(&document) {
                    silent.push(format!("accepted: {document}"));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn no_number_is_read_as_a_text() {
    let schema = PolicyFile::json_schema();
    for definition in DEFINITIONS {
        let properties = schema["$defs"][definition]["properties"].as_object();
        let texts = properties.unwrap().iter();
        // A trusted root is asked for by URLs and paths, which have rules of their own.
        let texts = texts.filter(|(_, says)| definition != "Trust" && says["type"] == "string");
        for (key, _) in texts {
            let document = document(definition, key, " 5");
            assert!(read(&document).is_err(), "{document}");
        }
    }
}

/// Quotes around it would be no better, so nothing may advise them.
#[test]
fn a_number_in_place_of_a_text_of_a_form_is_told_the_form() {
    let schema = PolicyFile::json_schema();
    let mut of_a_form = Vec::new();
    for definition in ["Verification", "Signer"] {
        let properties = schema["$defs"][definition]["properties"].as_object();
        for (key, says) in properties.unwrap() {
            // This pattern is of a text that is not empty.
            let pattern = says.get("pattern").filter(|pattern| *pattern != r"\S");
            if pattern.is_none() && says.get("format").is_none() {
                continue;
            }
            let error = |value| read(&document(definition, key, value)).unwrap_err();
            assert_eq!(error(" 5").to_string(), error(" '5'").to_string(), "{key}");
            of_a_form.push(key.as_str());
        }
    }
    assert!(of_a_form.contains(&"min_age"), "{of_a_form:?}");
}

/// The mappings that a policy file is made of.
const DEFINITIONS: [&str; 6] = [
    "Document",
    "Gallery",
    "Verification",
    "Signer",
    "Attestation",
    "Trust",
];

/// A file with `key` in a mapping of that kind. Without the key it could be read.
fn document(definition: &str, key: &str, value: &str) -> String {
    let gallery = |lines: String| format!("galleries:\n- {}", lines.trim_start());
    match definition {
        "Document" => match key {
            "galleries" => format!("{key}:{value}\nverification: {{issuer: a, identity: b}}"),
            "verification" => {
                format!("{}\n{key}:{value}", gallery(GALLERY.to_owned()))
            }
            _ => format!("verification: {{issuer: a, identity: b}}\n{key}:{value}"),
        },
        "Gallery" => {
            let without = GALLERY.lines().filter(|line| !has_key(line, key));
            let without: Vec<_> = without.collect();
            gallery(format!("{}\n  {key}:{value}", without.join("\n")))
        }
        "Verification" => format!("{key}:{value}\n{}", beside(key)),
        "Signer" => {
            let beside = beside(key).replace('\n', "\n  ");
            format!("identities:\n- {key}:{value}\n  {beside}")
        }
        "Attestation" => {
            let beside = match key {
                "predicate_type" => "annotations: {a: b}",
                _ => "predicate_type: https://slsa.dev/provenance/v1",
            };
            format!("{SIGNER}require:\n- {key}:{value}\n  {beside}")
        }
        "Trust" => {
            let beside = match key {
                "trusted_root" => "tuf_url: https://tuf.example\n  tuf_root: root.json",
                _ => "trusted_root: root.json",
            };
            format!("{SIGNER}trust:\n  {key}:{value}\n  {beside}")
        }
        other => panic!("no document with a {other}"),
    }
}

const GALLERY: &str = "  name: a\n  url: https://example.org/index.yaml";

/// What makes a signer of a mapping that has `key`, if `key` says nothing.
fn beside(key: &str) -> &'static str {
    match key {
        "issuer" => "issuer_regex: a\nidentity: b",
        "identity" => "issuer: a\nidentity_regex: b",
        _ => "issuer: a\nidentity: b",
    }
}

/// Whatever goes by the time of a signature is refused beside `ignore_tlog`, by the reader and the schema.
#[test]
fn a_condition_on_the_time_is_refused_beside_ignore_tlog() {
    let validator = Validator::new();
    let digest = Digest::sha256(b"");
    let location: Location = "ghcr.io/acme/app".parse::<Repository>().unwrap().into();
    let public_key: String = serde_json::from_str(KEY).unwrap();
    let public_key = PublicKey::from_pem(&public_key).unwrap();
    let annotations = BTreeMap::new();
    let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let mut refused = Vec::new();
    for (key, example) in examples() {
        if ["key", "ignore_tlog"].contains(&key.as_str()) {
            continue;
        }
        let dated = format!("key: {KEY}\n{example}");
        // It belongs to a certificate, or not beside a key.
        let Ok(policy) = Policy::from_yaml(&dated, "policy.yaml") else {
            continue;
        };
        let is_accepted = |earliest: Timestamp, latest: Timestamp| {
            let judged = policy.judge(Claimed {
                format: SignatureFormat::Bundle,
                digest: &digest,
                signer: ClaimedSigner::Key(&public_key),
                earliest: Some(earliest),
                latest: Some(latest),
                now,
                predicate_type: COSIGN_SIGN_PREDICATE,
                predicate: None,
                annotations: &annotations,
                subject_name: None,
                location: &location,
                tag: None,
            });
            judged.is_ok()
        };
        let old = Timestamp::UNIX_EPOCH;
        let needs_time = is_accepted(old, old) != is_accepted(now, now);
        // Whoever has a signature can have it logged or timestamped once more.
        let is_renewed = !is_accepted(old, old) && is_accepted(old, now);
        assert!(
            !is_renewed,
            "`{key}`: a later time makes an old signature count"
        );
        let undated = format!("{dated}\nignore_tlog: true");
        assert_eq!(read(&undated).is_err(), needs_time, "{undated}");
        assert_eq!(validator.accepts(&undated), !needs_time, "{undated}");
        if needs_time {
            refused.push(key);
        }
    }
    assert_eq!(refused, ["not_before", "min_age"]);
    let refused: Vec<_> = refused.iter().map(|key| format!("`{key}`")).collect();
    let refused = refused.join(" and ");
    let says = format!("- {refused} are an error in such a policy.");
    assert!(page("docs/policy.md").contains(&says), "{says}");
}

/// A signer judges its own signature at once, and alone.
#[test]
fn the_page_on_signing_names_what_a_new_signature_is_not_asked_for() {
    let mut left_out = Vec::new();
    for (key, example) in examples() {
        let document = format!("{example}\n{}\n", beside_example(&key));
        let policy = policy(&document);
        if policy.clone().dangerous_for_new_signature() != policy {
            left_out.push(format!("[`{key}`](policy.md#{key})"));
        }
    }
    let page = page("docs/signing.md");
    let (_, section) = page
        .split_once("\n## Sign for the installer's policy\n")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (_, list) = section
        .split_once("Left out is what a new signature can't meet: ")
        .unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let named = list.match_indices("[`").count();
    for key in &left_out {
        assert!(
            list.contains(key),
            "docs/signing.md does not say that {key} is left out"
        );
    }
    assert_eq!(
        named,
        left_out.len(),
        "docs/signing.md names others: {list}"
    );
}

#[test]
fn every_key_of_a_policy_is_in_the_table_of_its_page_and_in_the_changelog() {
    let [page, changelog] = ["docs/policy.md", "CHANGELOG.md"].map(page);
    for key in keys("Verification") {
        let row = format!("| `{key}` | ");
        let there = page.lines().any(|line| line.starts_with(&row));
        assert!(there, "docs/policy.md has no row for the field `{key}`");
        let there = ["`", ": "].map(|end| changelog.contains(&format!("`{key}{end}")));
        let there = there.contains(&true);
        assert!(there, "CHANGELOG.md doesn't name the field `{key}`");
    }
}

/// What a signer of `identities` may have, and an entry of `require`.
#[test]
fn the_page_names_the_keys_of_a_signer_and_of_an_attestation() {
    let page = page("docs/policy.md").replace('\n', " ");
    let (_, row) = page
        .split_once("| `identities` | A list of signers: each has")
        .unwrap();
    let (row, _) = row.split_once('|').unwrap();
    for key in keys("Signer") {
        let key = key.trim_end_matches("_regex");
        let named = row.contains(&format!("`{key}`"));
        assert!(named, "docs/policy.md, `identities`, doesn't name `{key}`");
    }
    let (_, list) = page.split_once("The keys in an entry (").unwrap();
    let (list, _) = list.split_once(") apply to that attestation only").unwrap();
    let mut named: Vec<String> = list.split(", ").map(|key| key.replace('`', "")).collect();
    named.push("predicate_type".to_owned());
    let mut known = keys("Attestation");
    named.sort();
    known.sort();
    assert_eq!(named, known, "docs/policy.md, `require`");
}

#[test]
fn the_page_has_an_example_of_every_key_that_can_be_read() {
    let examples = examples();
    let mut named: Vec<&str> = examples.iter().map(|(key, _)| key.as_str()).collect();
    let mut known = keys("Verification");
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
    for (key, example) in examples {
        assert!(example.starts_with(&format!("{key}: ")), "{example}");
        let policy = policy(&format!("{example}\n{}\n", beside_example(&key)));
        // The others are no whole policy.
        if key == "identities" {
            let warnings = policy.warnings(Timestamp::now());
            let impossible = warnings
                .iter()
                .any(|warning| matches!(warning, Warning::ImpossibleIdentity { .. }));
            assert!(!impossible, "{example}: {warnings:?}");
        }
    }
}

/// What makes a policy of the page's example of a key.
fn beside_example(key: &str) -> &'static str {
    match key {
        "issuer" | "issuer_regex" => "identity: me",
        "identity" | "identity_regex" => "issuer: https://gitlab.com",
        "key" | "identities" => "bind_name: false",
        "ignore_tlog" => "key: cosign.pub",
        "predicate" => {
            "issuer: https://gitlab.com\nidentity: me\npredicate_types: [https://slsa.dev/provenance/v1]"
        }
        _ => "issuer: https://gitlab.com\nidentity: me",
    }
}

/// The policy of a file with a key beside it, wherever it names one.
fn policy(document: &str) -> Policy {
    let read = |_: &str| Ok(serde_json::from_str(KEY).unwrap());
    let file = PolicyFile::parse_with_keys(document, "policy.yaml", &read);
    let file = file.unwrap_or_else(|error| panic!("{document}: {error}"));
    file.policy().unwrap().clone()
}

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(name)).unwrap()
}

/// Each key of a policy with the example of it in the page.
fn examples() -> Vec<(String, String)> {
    let page = page("docs/policy.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [key, _, example] = cells.as_slice() else {
            panic!("a row with another number of cells: {row}");
        };
        let unquoted = |cell: &str| cell.trim().trim_matches('`').to_owned();
        (unquoted(key), unquoted(example))
    })
    .collect()
}
