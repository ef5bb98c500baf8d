//! Gallery indexes, LocalAI's own among them.

use std::path::Path;

use countersign_policy::{EntryContent, GalleryEntry, GalleryIndex, Problem};
use insta::assert_snapshot;

/// LocalAI's index lies beside the workspace, where it is there at all: it is not ours to copy.
const LOCALAI: &str = "../shared/galleries/localai-backends.yaml";

#[test]
fn an_empty_uri_is_as_good_as_none() {
    for (uri, content) in [
        ("", EntryContent::Meta),
        (", uri: ''", EntryContent::Meta),
        (", uri: null", EntryContent::Meta),
        (", uri: quay.io/a/b:1", EntryContent::At("quay.io/a/b:1")),
    ] {
        let index = GalleryIndex::parse(&format!("[{{name: app{uri}}}]"), "index.yaml").unwrap();
        let entry = index.named("app").unwrap();
        assert_eq!(entry.content(), content, "{uri}");
    }
}

#[test]
fn localai_s_own_index_is_read_with_its_merges_applied() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = workspace.join(LOCALAI);
    if !path.exists() {
        eprintln!("skipped: {LOCALAI} is not there");
        return;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let index = GalleryIndex::parse(&text, "localai-backends.yaml").unwrap();
    let entries = index.entries();
    let count = |holds: fn(&&countersign_policy::GalleryEntry) -> bool| {
        entries.iter().filter(holds).count()
    };
    assert_eq!(entries.len(), 1033);
    assert_eq!(count(|entry| entry.alias.is_some()), 931);
    assert_eq!(count(|entry| entry.content() != EntryContent::Meta), 893);
    assert_eq!(count(|entry| !entry.mirrors.is_empty()), 892);
    let cpu = index.named("cpu-llama-cpp").unwrap();
    assert_eq!(cpu.alias.as_deref(), Some("llama-cpp"));
    assert!(cpu.uri.as_deref().unwrap().starts_with("quay.io/"));
}

#[test]
fn entries_keep_their_own_keys_over_merged_ones_and_tolerate_unknown_keys() {
    let text = "\
- &base
  name: base
  alias: base
  tags: [a]
  colour: {of: [the, wall]}
- !!merge <<: *base
  name: derived
  uri: quay.io/acme/derived:latest
";
    let index = GalleryIndex::parse(text, "index.yaml").unwrap();
    let derived = index.named("derived").unwrap();
    assert_eq!(derived.alias.as_deref(), Some("base"));
    assert_eq!(derived.tags, ["a"]);
    let base = index.named("base").unwrap();
    assert_eq!(base.content(), EntryContent::Meta);
    assert!(matches!(derived.content(), EntryContent::At(_)));
}

#[test]
fn null_takes_back_what_was_merged_in() {
    let text = "\
- &meta
  name: app
  capabilities: {default: cpu-app}
  mirrors: [acme/app:latest]
- !!merge <<: *meta
  name: cpu-app
  uri: quay.io/acme/app:latest
  capabilities: null
  mirrors: ~
";
    let index = GalleryIndex::parse(text, "index.yaml").unwrap();
    let derived = index.named("cpu-app").unwrap();
    assert!(derived.capabilities.is_empty() && derived.mirrors.is_empty());
}

#[test]
fn a_broken_entry_says_where() {
    let error = |text: &str| GalleryIndex::parse(text, "index.yaml").unwrap_err();
    assert_snapshot!(error("- {}\n- uri: b\n"), @"index.yaml:1:3: [0]: the key `name` is missing; add it");
    assert_snapshot!(error("- name: a\n  mirrors: b\n"), @"index.yaml:2:12: [0].mirrors: expected a list, found `b`");
    assert_snapshot!(error("galleries: []"), @"index.yaml:1:1: expected a list, found a mapping");
    assert_snapshot!(error("<html><body>login</body></html>"), @"index.yaml:1:1: expected a list, found `<html><body>login</body></html>`");
    let page = "<!doctype html>\n<title>404: Not Found</title>\n";
    assert_snapshot!(error(page), @"index.yaml:1:1: expected a list, found `<!doctype html>`");
}

/// Else a list would be told in the place of the name.
#[test]
fn a_bracket_that_is_left_open_is_what_is_wrong_with_an_index() {
    let text = "- name: a\n  uri: quay.io/a\n- name: [\n";
    let told = GalleryIndex::parse(text, "index.yaml").unwrap_err();
    let told = told.to_string();
    assert!(told.contains("can't be read as YAML or JSON"), "{told}");
}

#[test]
fn a_broken_entry_breaks_itself_alone() {
    let text = "- name: a\n- uri: b\n- {name: c, mirrors: b}\n- [d]\n- {name: e, capabilities: {default: [a]}}\n\
                - {name: 1, uri: 'quay.io/f', sha256: ~, license: 2.0, tags: [1]}\n- {name: [x]}\n";
    let index = GalleryIndex::parse(text, "index.yaml").unwrap();
    let entry = |entry: &GalleryEntry| match entry.content() {
        EntryContent::Unreadable(fault) => format!("{}: {fault}", entry.name),
        EntryContent::At(_) | EntryContent::Meta => format!(
            "{} {:?} {:?} {:?}",
            entry.name, entry.uri, entry.license, entry.tags
        ),
    };
    let entries: Vec<String> = index.entries().iter().map(entry).collect();
    assert_snapshot!(entries.join("\n"), @r#"
    a None None []
    [1]: index.yaml:2:3: [1]: the key `name` is missing; add it
    c: index.yaml:3:13: [2].mirrors: expected a list, found `b`
    [3]: index.yaml:4:3: [3]: expected a mapping, found a list
    e: index.yaml:5:28: [4].capabilities.default: expected a text, found a list
    1 Some("quay.io/f") Some("2.0") ["1"]
    [6]: index.yaml:7:4: [6].name: expected a text, found a list
    "#);
    // An alias still leads to it, and to nothing else.
    let aliased = GalleryIndex::parse(
        "- {name: a}\n- {name: b, alias: chat, uri: []}\n",
        "index.yaml",
    );
    assert_eq!(aliased.unwrap().entries()[1].alias.as_deref(), Some("chat"));
    // What is read is the same as without a broken entry.
    let whole = "- {name: 1, uri: 'quay.io/f', sha256: ~, license: 2.0, tags: [1]}\n";
    let whole = GalleryIndex::parse(whole, "index.yaml").unwrap();
    assert_eq!(index.entries()[5], whole.entries()[0]);
}

#[test]
fn an_index_that_unfolds_without_end_is_refused() {
    let mut bomb = String::from("- &a0 {name: x, tags: [x, x, x, x, x, x, x, x, x, x]}\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("- &a{level} {{name: x, other: [{below}]}}\n"));
    }
    let error = GalleryIndex::parse(&bomb, "index.yaml").unwrap_err();
    assert!(matches!(error.problem(), Problem::Budget { .. }), "{error}");
}
