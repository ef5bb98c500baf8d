//! What of a line is marked, and what of it is shown.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{ImageVerifierConfig, PolicyFile};
use serde_json::Value;

use super::*;

/// The keys of our files, but not those of claims, which stand below `claims` alone.
fn keys_of(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            if let Some(Value::Object(properties)) = keywords.get("properties") {
                found.extend(properties.keys().cloned());
            }
            let below = keywords.iter().filter(|(key, _)| *key != "claims");
            below.for_each(|(_, below)| keys_of(below, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_our_files_is_known() {
    let mut found = BTreeSet::new();
    keys_of(&PolicyFile::json_schema(), &mut found);
    keys_of(&ImageVerifierConfig::json_schema(), &mut found);
    let known = OWN_KEYS.iter().chain(OTHER_KEYS);
    let known: BTreeSet<String> = known.map(|key| (*key).to_owned()).collect();
    assert_eq!(found, known);
}

/// What of a line is marked, and may be shown, by the problem. Only a known key or a value is.
#[test]
fn what_is_marked_of_each_problem() {
    let mut marked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for error in countersign_policy::samples::errors() {
        let problem = format!("{:?}", error.problem());
        let name = problem.split(|c: char| !c.is_alphanumeric()).next();
        let what = format!("{:?}", What::of(error.problem()));
        let names = marked.entry(what).or_default();
        names.insert(name.unwrap().to_owned());
    }
    insta::assert_snapshot!(format!("{marked:#?}"));
}

fn find<'a>(line: &'a str, column: u64, what: What, last_key: Option<&str>) -> Mark<'a> {
    let position = Position { line: 1, column };
    Mark::find(line, position, what, last_key).unwrap()
}

/// What is marked, by the text below which the marks stand, which is also where the mark's place is.
fn marks(line: &str, column: u64, what: What, last_key: Option<&str>) -> Option<String> {
    let mark = find(line, column, what, last_key);
    let drawn = mark.draw()?;
    let mut lines = drawn.lines().skip(1);
    let (drawn, marks) = (lines.next()?, lines.next()?);
    let is_marked = |(_, mark): &(char, char)| *mark == '^';
    let pairs = drawn.chars().zip(marks.chars());
    let marked: String = pairs.filter(is_marked).map(|(c, _)| c).collect();
    let before = usize::try_from(mark.position().column).unwrap() - 1;
    let there: String = line.chars().skip(before).collect();
    assert!(there.starts_with(&marked), "{line}: {marked}");
    Some(marked)
}

#[test]
fn the_key_or_the_value_is_marked() {
    for (line, column, key, value) in [
        (
            "issuer: https://a.example # ours",
            1,
            "issuer",
            "https://a.example",
        ),
        ("  issuer: [a, b]", 3, "issuer", "[a, b]"),
        ("issuer: [a, {b: c}]", 1, "issuer", "["),
        ("{issuer: x, identity: 'a, b'}", 13, "identity", "'a, b'"),
        ("{\"ab\": \"c\\\"d\"}", 2, "\"ab\"", "\"c\\\"d\""),
        ("{\"ab\":[\"]\"],\"c\":1}", 2, "\"ab\"", "[\"]\"]"),
        ("verification:", 1, "verification", "verification"),
        ("größe: größer", 1, "größe", "größer"),
    ] {
        let name = Some(unquoted(key));
        let found = marks(line, column, What::Key, name);
        assert_eq!(found.as_deref(), Some(key), "{line}");
        let found = marks(line, column, What::Value, name);
        assert_eq!(found.as_deref(), Some(value), "{line}");
    }
    let found = |line, column| marks(line, column, What::Value, None);
    assert_eq!(found("- eins zwei", 3).as_deref(), Some("eins zwei"));
    assert_eq!(found("{a: 1}", 1).as_deref(), Some("{"));
    // Nothing stands behind the key, where the value would be.
    for column in [9, 10] {
        let empty = marks("  issuer:", column, What::Value, Some("issuer"));
        assert_eq!(empty.as_deref(), Some("issuer"));
    }
    // A mapping in the place of a text: what its keys hold is not shown.
    let inside = marks("  password: x", 3, What::Value, Some("identity"));
    assert_eq!(inside.as_deref(), Some("password"));
}

const SECRET: &str = "dXNlcjpwYXNzd29yZA==";

#[test]
fn nothing_before_and_behind_what_is_marked_is_shown() {
    for line in [
        r#"{"auths":{"r":{"auth":"SECRET"}},"issuer":5,"credsStore":"SECRET"}"#,
        r#"{"issuer": {"r": "SECRET"}, "a": [{"b": "SECRET"}], "name": ["x"]}"#,
        r#"{"password": "SECRET", "identity": "x", "list": ["SECRET", "y"]}"#,
        "password: SECRET # SECRET",
        "{auth: SECRET, issuer: x, auth: SECRET}",
        "- SECRET",
    ] {
        let line = line.replace("SECRET", SECRET);
        for column in 1..=line.chars().count() as u64 {
            // What is marked itself is shown: a secret in the place of a known value has no protection.
            for what in [What::Key, What::Point] {
                let mark = find(&line, column, what, None);
                let drawn = mark.draw().unwrap_or_default();
                let within = |part: &str| part.len() >= 8 && SECRET.contains(part);
                let words = drawn.split(|c: char| !c.is_ascii_alphanumeric());
                let shown: Vec<_> = words.filter(|word| within(word)).collect();
                assert!(shown.is_empty(), "{line} at {column}:\n{drawn}");
            }
        }
        for (at, name) in keys(&line, OWN_KEYS) {
            let column = at as u64 + 1;
            let mark = find(&line, column, What::Value, Some(name));
            let drawn = mark.draw().unwrap();
            assert!(!drawn.contains(SECRET), "{drawn}");
        }
    }
}

#[test]
fn a_point_is_shown_in_our_files_alone() {
    let point = |text: &str, line, column| {
        let mark = Mark::find(text, Position { line, column }, What::Point, None);
        mark.and_then(|mark| mark.draw())
    };
    assert_eq!(point("name: x\nurl: y z: a", 2, 9), None);
    let drawn = point("verification:\n  issuer: \"a\\.b\" # c", 2, 12).unwrap();
    assert!(drawn.contains("issuer: \"a\\.b\" \u{2026}"), "{drawn}");
    assert_eq!(point("verification:\n  auth: \"a\\.b\"", 2, 10), None);
}

#[test]
fn what_may_be_a_secret_is_not_shown() {
    let token = "a: eyJhbGciOiJub25lIn0.e30.";
    assert_eq!(find(token, 1, What::Value, Some("a")).draw(), None);
    let key = find("-----BEGIN PRIVATE KEY-----", 1, What::Point, None);
    assert_eq!(key.draw(), None);
    let key = find("auth: dXNlcjpwYXNzd29yZA==", 1, What::Key, None).draw();
    assert!(key.is_some_and(|key| key.contains("auth") && !key.contains("dXNl")));
}
