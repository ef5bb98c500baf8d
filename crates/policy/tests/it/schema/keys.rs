//! Every key is described, in the tables of documents, and in the pages.

use std::fs;
use std::path::Path;

use countersign_policy::PolicyFile;
use serde_json::Value;

use super::{KEY, accepted, refused};

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

#[test]
fn every_key_of_a_policy_is_in_the_table_of_its_page_and_in_the_changelog() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let [page, changelog] =
        ["docs/policy.md", "CHANGELOG.md"].map(|name| fs::read_to_string(root.join(name)).unwrap());
    for key in keys("Verification") {
        let row = format!("| `{key}` | ");
        let there = page.lines().any(|line| line.starts_with(&row));
        assert!(there, "docs/policy.md has no row for the field `{key}`");
        let there = ["`", ": "].map(|end| changelog.contains(&format!("`{key}{end}")));
        let there = there.contains(&true);
        assert!(there, "CHANGELOG.md doesn't name the field `{key}`");
    }
}

#[test]
fn the_page_has_an_example_of_every_key_that_can_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/policy.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let examples: Vec<(&str, &str)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [key, _, example] = cells.as_slice() else {
                panic!("a row with another number of cells: {row}");
            };
            (
                key.trim().trim_matches('`'),
                example.trim().trim_matches('`'),
            )
        })
        .collect();
    let mut named: Vec<&str> = examples.iter().map(|(key, _)| *key).collect();
    let mut known = keys("Verification");
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
    for (key, example) in examples {
        assert!(example.starts_with(&format!("{key}: ")), "{example}");
        let beside = match key {
            "issuer" | "issuer_regex" => "identity: me",
            "identity" | "identity_regex" => "issuer: https://gitlab.com",
            "key" | "identities" => "bind_name: false",
            "ignore_tlog" => "key: cosign.pub",
            "predicate" => {
                "issuer: https://gitlab.com\nidentity: me\npredicate_types: [https://slsa.dev/provenance/v1]"
            }
            _ => "issuer: https://gitlab.com\nidentity: me",
        };
        let document = format!("{example}\n{beside}\n");
        let read = |_: &str| Ok(serde_json::from_str(KEY).unwrap());
        let file = PolicyFile::parse_with_keys(&document, "policy.yaml", &read);
        file.unwrap_or_else(|error| panic!("{document}: {error}"));
    }
}
