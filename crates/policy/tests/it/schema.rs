//! The JSON Schema: that it says of every document what the reader says, and where it can't.

mod keys;
mod refused;

use boon::{Compiler, SchemaIndex, Schemas};
use countersign_policy::{Claim, PolicyError, PolicyFile, Problem};
use serde_json::Value;

/// A validator that nobody here wrote, with formats asserted.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        let name = "policy.schema.json";
        compiler
            .add_resource(name, PolicyFile::json_schema())
            .unwrap();
        let index = compiler.compile(name, &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn accepts(&self, document: &str) -> bool {
        // As editors read YAML: by version 1.2, to which `yes` is a text.
        let options = serde_saphyr::options! { strict_booleans: true };
        let document: Value = serde_saphyr::from_str_with_options(document, options).unwrap();
        self.schemas.validate(&document, self.index).is_ok()
    }
}

/// What `policy check` takes: a file that can be read, with a policy or a gallery in it.
fn read(document: &str) -> Result<(), PolicyError> {
    let file = PolicyFile::parse(document, "policy.yaml")?;
    if file.galleries().is_empty() {
        file.policy()?;
    }
    Ok(())
}

const SIGNER: &str = "issuer: https://accounts.example\nidentity: ci@example\n";
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A whole block, and `extra` at its end.
fn block_and(extra: &str) -> String {
    format!("{SIGNER}{extra}\n")
}

/// A bare list of one gallery, with `extra` (in flow style) among its keys.
fn gallery_and(extra: &str) -> String {
    format!("- {{name: a, url: https://example.org/index.yaml, {extra}}}\n")
}

#[test]
fn the_committed_copy_is_what_the_program_prints() {
    let committed = include_str!("../../../../fixtures/policy.schema.json");
    let now = format!("{:#}\n", PolicyFile::json_schema());
    assert!(
        committed == now,
        "fixtures/policy.schema.json is not what the types say; write it anew: \
         cargo run -p countersign -- schema policy > fixtures/policy.schema.json"
    );
}

/// A public key, as YAML and JSON write it in one line.
const KEY: &str = r#""-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/R+cs299EoFyj7/u+BdI6yovt5O0\n7DssJqcXv150wLar7I7QrXmyKGlmBa0S5z2DvVRe7LKh7/Ux9HITkrmQEg==\n-----END PUBLIC KEY-----\n""#;

/// Documents that reader and schema accept.
fn accepted() -> Vec<String> {
    let mut documents = vec![
        SIGNER.to_owned(),
        "{issuer_regex: .+, identity_regex: .+}".to_owned(),
        r#"{"verification": {"issuer": "https://accounts.example", "identity": "ci@example"}}"#
            .to_owned(),
        "require_integrity: true\nverification: {issuer: a, identity: b}".to_owned(),
        format!("require_integrity: false\ngalleries:\n{}", gallery_and("")),
        gallery_and("mirrors: []"),
        gallery_and("mirrors: [https://mirror.example/index.yaml]"),
        gallery_and("verification: {issuer: a, identity: b}"),
        "- {name: 7, url: file:index.yaml}".to_owned(),
        "- name: a\n  url: file:a\n  verification: &ours {issuer: a, identity: b}\n\
         - name: b\n  url: file:b\n  verification: *ours\n\
         - name: c\n  url: file:c\n  verification: {<<: *ours, bind_name: true}\n"
            .to_owned(),
        "identities: [{issuer: a, identity: b}, {issuer_regex: a, identity: b}]".to_owned(),
        "identities: [{issuer: a, identity: b, not_before: 2026-08-05T00:00:00Z, \
         claims: {build_trigger: push}}]"
            .to_owned(),
        format!("key: {KEY}"),
        format!("{{key: {KEY}, ignore_tlog: true, bind_name: true}}"),
        format!(
            "{{key: {KEY}, ignore_tlog: false, not_before: 2026-08-05T00:00:00Z, min_age: 1h}}"
        ),
        format!("verification:\n  key: {KEY}"),
        format!("identities: [{{issuer: a, identity: b}}, {{key: {KEY}, ignore_tlog: true}}]"),
        "{issuer: a, identity: b, ignore_tlog: false}".to_owned(),
        // YAML takes these for numbers and booleans; in the author's own keys they are as good as texts.
        block_and("claims: {source_repository_identifier: 0123456789}"),
        block_and("annotations: {version: 1.10, stable: true}"),
    ];
    let extras = [
        "not_before: 2026-08-05T00:00:00Z",
        "not_before: 2026-08-05T02:00:00.5+02:00",
        "min_age: 30m",
        "min_age: 24h",
        "min_age: 99999d",
        "predicate_types: [https://slsa.dev/provenance/v1]",
        "predicate_types: [https://slsa.dev/provenance/v1]\npredicate: {/a: b}",
        "predicate_types: [a]\npredicate: {/: 1.0, /a~1b/0_regex: .+, '//': true, /a b: c}",
        "require: [signature]",
        "require: [signature, {predicate_type: a}, {predicate_type: b, predicate: {/a: b}, claims: {build_trigger: push}, annotations: {a: b}}]",
        "signature_formats: [bundle]",
        "signature_formats: [simple_signing, bundle]",
        "bind_name: true",
        "bind_name: false",
        "trust: {trusted_root: trusted_root.json}",
        "trust: github",
        "trust: public-good",
        "trust: {tuf_url: https://tuf.example, tuf_root: root.json}",
        "signature_sources: [ghcr.io/acme/signatures, localhost:5000/app]",
        "signature_sources: [a.io/0, a.io/1, a.io/2, a.io/3, a.io/4, a.io/5, a.io/6, a.io/7]",
    ];
    documents.extend(extras.map(block_and));
    documents.push(block_and(&format!("deny_digests: ['{DIGEST}']")));
    let sha512 = format!("deny_digests: ['sha512:{}']", "0".repeat(128));
    documents.push(block_and(&sha512));
    for claim in Claim::ALL {
        documents.push(block_and(&format!("claims: {{{claim}: a}}")));
        documents.push(block_and(&format!("claims: {{{claim}_regex: a}}")));
    }
    documents
}

/// A whole block with rules on a predicate.
fn predicate(rules: &str) -> String {
    block_and(&format!("predicate_types: [a]\npredicate: {rules}"))
}

#[test]
fn what_the_reader_accepts_the_schema_accepts() {
    let validator = Validator::new();
    for document in accepted() {
        assert_eq!(read(&document), Ok(()), "{document}");
        assert!(validator.accepts(&document), "{document}");
    }
}

/// Documents that reader and schema refuse.
#[expect(clippy::too_many_lines, reason = "a table of documents")]
fn refused() -> Vec<String> {
    let mut documents: Vec<String> = [
        // Nothing to go by.
        "{}",
        "[]",
        "~",
        "a policy",
        "require_integrity: true",
        "galleries: []",
        // Neither of a pair, and both.
        "issuer: a",
        "identity: a",
        "{issuer: a, issuer_regex: a, identity: b}",
        "{issuer: a, identity: b, identity_regex: b}",
        "identities: []",
        "identities: [{issuer: a}]",
        "identities: [{issuer: a, identity: b, identity_regex: b}]",
        "{identities: [{issuer: a, identity: b}], issuer: a}",
        "{identities: [{issuer: a, identity: b}], identity_regex: b}",
        // A key of the block's in the wrong place, or a misspelt one.
        "{verification: {issuer: a, identity: b}, issuer: a}",
        "{verification: {issuer: a, identity: b}, bind_name: true}",
        "{require_integrty: true, verification: {issuer: a, identity: b}}",
        "identities: [{issuer: a, identity: b, bind_name: true}]",
        "identities: [{isuer: a, identity: b}]",
        "{verification: {issuer: a, identity: b}, galleries: [{name: a, url: 'file:a'}]}",
        // Galleries.
        "- {name: a}",
        "- {url: 'file:a'}",
        "- {name: '', url: 'file:a'}",
        "- {name: a, url: ' '}",
        "- a",
        "galleries: {name: a, url: 'file:a'}",
    ]
    .map(str::to_owned)
    .into();
    let verifications = ["{}", "~", "[]", "{issuer: a}", "{isuer: a, identity: b}"];
    documents.extend(verifications.map(|text| format!("verification: {text}")));
    documents.extend(verifications.map(|text| gallery_and(&format!("verification: {text}"))));
    for document in [
        "key:".to_owned(),
        "key: 5".to_owned(),
        "key: ' '".to_owned(),
        "{issuer: a, identity: b, ignore_tlog: true}".to_owned(),
        format!("{{key: {KEY}, issuer: a, identity: b}}"),
        format!("{{key: {KEY}, identity_regex: b}}"),
        format!("{{key: {KEY}, claims: {{build_trigger: push}}}}"),
        format!("{{key: {KEY}, ignore_tlog: maybe}}"),
        format!("{{key: {KEY}, ignore_tlog: true, not_before: 2026-08-05T00:00:00Z}}"),
        format!("{{key: {KEY}, ignore_tlog: true, min_age: 1h}}"),
        format!("{{key: {KEY}, identities: [{{issuer: a, identity: b}}]}}"),
        "{ignore_tlog: true, identities: [{issuer: a, identity: b}]}".to_owned(),
        format!("identities: [{{key: {KEY}, issuer: a}}]"),
        "identities: [{issuer: a, identity: b, ignore_tlog: true}]".to_owned(),
        format!(
            "identities: [{{key: {KEY}, ignore_tlog: true, not_before: 2026-08-05T00:00:00Z}}]"
        ),
    ] {
        documents.push(document);
    }
    documents.push(gallery_and("mirrors: https://mirror.example"));
    documents.push(gallery_and("mirrors: [[]]"));
    // Each key of a text: empty, blank, of another form; and misspelt.
    for key in ["issuer", "issuer_regex", "identity", "identity_regex"] {
        let other = if key.starts_with("issuer") {
            "identity: b"
        } else {
            "issuer: a"
        };
        for value in ["", "''", "'  '", "[a]", "{a: b}", "5", "1.5", "true"] {
            documents.push(format!("{other}\n{key}: {value}\n"));
        }
        documents.push(format!("{other}\n{key}s: a\n"));
    }
    let extras = [
        "isuer_regex: a",
        "notBefore: 2026-08-05T00:00:00Z",
        "not_befor: 2026-08-05T00:00:00Z",
        "min_age:",
        "min_age: ''",
        "min_age: 24",
        "min_age: 0h",
        "min_age: 1.5h",
        "min_age: 1w",
        "min_age: 100000d",
        "min_age: [24h]",
        "not_before:",
        "not_before: ''",
        "not_before: 2026-08-05",
        "not_before: 2026-08-05T00:00:00",
        "not_before: 2026",
        "not_before: yesterday",
        "not_before: [2026-08-05T00:00:00Z]",
        "identites: [{issuer: a, identity: b}]",
        "identities: [{issuer: a, identity: b}]",
        "claim: {build_trigger: push}",
        "claims:",
        "claims: {}",
        "claims: []",
        "claims: {build_triger: push}",
        "claims: {build_trigger: ''}",
        "claims: {build_trigger: }",
        "claims: {build_trigger: [push]}",
        "claims: {build_trigger: push, build_trigger_regex: push}",
        "claims: {build_trigger_regexp: push}",
        "predicate_type: [a]",
        "predicate_types:",
        "predicate_types: []",
        "predicate_types: ['']",
        "predicate_types: a",
        "predicate: {/a: b}",
        "predicate_types: [a]\npredicates: {/a: b}",
        "predicate_types: [a]\npredicate: ",
        "predicate_types: [a]\npredicate: {}",
        "predicate_types: [a]\npredicate: [/a]",
        "predicate_types: [a]\npredicate: {a: b}",
        "predicate_types: [a]\npredicate: {'': b}",
        "predicate_types: [a]\npredicate: {_regex: b}",
        "predicate_types: [a]\npredicate: {a/b: c}",
        "predicate_types: [a]\npredicate: {/a~2: b}",
        "predicate_types: [a]\npredicate: {/a~: b}",
        "predicate_types: [a]\npredicate: {/a~_regex: b}",
        "predicate_types: [a]\npredicate: {/a: ''}",
        "predicate_types: [a]\npredicate: {/a: }",
        "predicate_types: [a]\npredicate: {/a: {b: c}}",
        "require:",
        "require: []",
        "require: signature",
        "require: [signatures]",
        "require: [signature, signature]",
        "require: [{predicate_type: a, predicate: {/a: b}}, signature, {predicate_type: a, predicate: {/a: b}}]",
        "require: ['']",
        "require: [{}]",
        "require: [[signature]]",
        "require: [{predicate: {/a: b}}]",
        "require: [{predicate_type: ''}]",
        "require: [{predicate_type: a, predicate: {a: b}}]",
        "require: [{predicate_type: a, predicates: {/a: b}}]",
        "require: [{predicate_type: a, claims: {}}]",
        "require: [{predicate_type: a, identity: b}]",
        "requires: [signature]",
        "require: [signature]\npredicate_types: [a]",
        "require: [signature]\npredicate_types: [a]\npredicate: {/a: b}",
        "signature_format: [bundle]",
        "signature_formats:",
        "signature_formats: []",
        "signature_formats: [bundles]",
        "signature_formats: ['']",
        "signature_formats: bundle",
        "annotation: {a: b}",
        "annotations:",
        "annotations: {}",
        "annotations: {a: ''}",
        "annotations: {'': a}",
        "annotations: {a: [b]}",
        "annotations: [a=b]",
        "bind_nam: true",
        "bind_name:",
        "bind_name: yes",
        "bind_name: 1",
        "trusts: {trusted_root: a}",
        "trust:",
        "trust: {}",
        "trust: trusted_root.json",
        "trust: GitHub",
        "trust: [github]",
        "trust: {trusted_roots: a}",
        "trust: {trusted_root: ''}",
        "trust: {trusted_root: a, tuf_root: b}",
        "trust: {trusted_root: a, tuf_url: https://tuf.example, tuf_root: b}",
        "trust: {tuf_url: https://tuf.example}",
        "trust: {tuf_root: a}",
        "trust: {tuf_url: tuf.example, tuf_root: a}",
        "trust: {tuf_url: file:///srv/tuf, tuf_root: a}",
        "trust: {tuf_url: 5, tuf_root: a}",
        "signature_source: [ghcr.io/acme/app]",
        "signature_sources:",
        "signature_sources: []",
        "signature_sources: ['']",
        "signature_sources: ghcr.io/acme/app",
        "signature_sources: [a.io/0, a.io/1, a.io/2, a.io/3, a.io/4, a.io/5, a.io/6, a.io/7, a.io/8]",
        "deny_digest: []",
        "deny_digests:",
        "deny_digests: []",
        "deny_digests: ['']",
        "deny_digests: [sha256:abc]",
        "deny_digests: [md5:00000000000000000000000000000000]",
        "colour: green",
    ];
    documents.extend(extras.map(block_and));
    documents
}

#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let validator = Validator::new();
    for document in refused() {
        assert!(read(&document).is_err(), "{document}");
        assert!(!validator.accepts(&document), "{document}");
    }
}

/// A schema describes forms. What is right by its form and wrong all the same is the reader's.
#[test]
fn what_the_schema_can_not_say_the_reader_refuses_still() {
    let validator = Validator::new();
    let refused = |document: &str| {
        assert!(validator.accepts(document), "{document}");
        let error = read(document).unwrap_err();
        error.problem().clone()
    };
    // The dialect of patterns is not JSON Schema's.
    for pattern in ["(a", r"(?<=a)b", r"a\1"] {
        let document = format!("issuer: a\nidentity_regex: '{pattern}'");
        let problem = refused(&document);
        assert!(matches!(problem, Problem::Regex { .. }), "{problem:?}");
    }
    // The grammar of repositories.
    let document = block_and("signature_sources: ['https://ghcr.io/acme']");
    assert!(matches!(refused(&document), Problem::Repository { .. }));
    // One field by its value and by a pattern.
    let document = predicate("{/a: b, /a_regex: b}");
    let problem = refused(&document);
    assert!(matches!(problem, Problem::Both { .. }), "{problem:?}");
    // One annotation for each proof, and another for one of them.
    let document =
        block_and("annotations: {a: b}\nrequire: [{predicate_type: a, annotations: {a: c}}]");
    let problem = refused(&document);
    assert!(
        matches!(problem, Problem::DuplicateKey { .. }),
        "{problem:?}"
    );
    // One name in two places.
    let document = gallery_and("").repeat(2);
    let problem = refused(&document);
    assert!(
        matches!(problem, Problem::DuplicateGallery { .. }),
        "{problem:?}"
    );
}

/// The reader is lenient where nothing is left open; an editor may well mark it.
#[test]
fn what_the_schema_marks_the_reader_reads_still() {
    let validator = Validator::new();
    for extra in [
        "bind_name: 'true'",
        // RFC 3339, section 5.6, allows it; not all who check the format do.
        "not_before: 2026-08-05 00:00:00Z",
    ] {
        let document = block_and(extra);
        assert_eq!(read(&document), Ok(()), "{document}");
        assert!(!validator.accepts(&document), "{document}");
    }
}
