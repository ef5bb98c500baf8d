//! Rules on the fields of an attestation's predicate.
//!
//! A field is named by a JSON pointer (RFC 6901): `/buildDefinition/buildType`. Texts are compared as they are,
//! whole numbers and booleans as JSON writes them: `42`, `true`. Nothing else can be compared: a field that is
//! not there, `null`, a list, an object, and a number with a fraction or an exponent, which writers write in
//! different ways. A rule on it fails, even a pattern that matches everything.

use std::fmt;

use countersign_oci::printable;
use serde_json::Value;

use crate::matcher::Matcher;

/// How many names of fields are shown.
const NAMES_SHOWN: usize = 8;

/// A JSON pointer to something in a document. It is not empty, so it is never the whole document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JsonPointer(String);

/// What the key of a rule has to look like. For the schema.
pub(crate) const POINTER_PATTERN: &str = "^(/([^~/]|~[01])*)+$";

impl JsonPointer {
    /// The pointer in `text`, if it is one: each part begins with `/`, and `~` is followed by `0` or `1`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut after_tilde = text.split('~').skip(1);
        let escaped = after_tilde.all(|rest| rest.starts_with(['0', '1']));
        (text.starts_with('/') && escaped).then(|| Self(text.to_owned()))
    }

    /// The pointer as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it points to in `document`, in words, where that can't be compared.
    fn describe(&self, document: &Value) -> String {
        let mut known = "";
        let mut at = document;
        for (end, _) in self
            .0
            .match_indices('/')
            .skip(1)
            .chain([(self.0.len(), "")])
        {
            let Some(part) = self.0.get(..end) else { break };
            match document.pointer(part) {
                Some(value) => (known, at) = (part, value),
                None => {
                    let parent = match known {
                        "" => "the predicate".to_owned(),
                        known => format!("`{}`", printable(known)),
                    };
                    return format!("nothing there: {parent} is {}", kind(at));
                }
            }
        }
        kind(at)
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one field of the predicate must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredicateRule {
    /// Where the field is.
    pub pointer: JsonPointer,
    /// What it must be. A field that can't be compared never matches.
    pub matcher: Matcher,
}

impl PredicateRule {
    /// Checks the rule on a predicate.
    ///
    /// # Errors
    /// What is there instead, in words.
    pub(crate) fn judge(&self, predicate: &Value) -> Result<(), String> {
        match predicate.pointer(self.pointer.as_str()).and_then(text) {
            Some(found) if self.matcher.matches(&found) => Ok(()),
            Some(found) => Err(format!("`{}`", printable(&found))),
            None => Err(self.pointer.describe(predicate)),
        }
    }
}

/// The text by which a value is compared.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a value is, in words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) if number.is_f64() => {
            "a number with a fraction or an exponent, or a very large one".to_owned()
        }
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) if fields.is_empty() => "an object without fields".to_owned(),
        Value::Object(fields) => {
            let names = fields.keys().take(NAMES_SHOWN);
            let names: Vec<String> = names.map(|name| format!("`{}`", printable(name))).collect();
            let more = match fields.len().saturating_sub(NAMES_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("an object with {}{more}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::WholeRegex;
    use serde_json::json;

    fn rule(pointer: &str, matcher: Matcher) -> PredicateRule {
        let pointer = JsonPointer::parse(pointer).unwrap();
        PredicateRule { pointer, matcher }
    }

    fn exact(text: &str) -> Matcher {
        Matcher::Exact(text.to_owned())
    }

    fn anything() -> Matcher {
        Matcher::Regex(WholeRegex::new("(?s).*").unwrap())
    }

    #[test]
    fn a_pointer_has_parts_and_known_escapes() {
        for good in ["/", "/a", "/a/0/b", "/a~1b~0c", "//", "/a b"] {
            assert!(JsonPointer::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a", "a/b", "#/a", "/a~", "/a~2", "/a~/b"] {
            assert_eq!(JsonPointer::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn texts_whole_numbers_and_booleans_are_compared_as_json_writes_them() {
        let predicate = json!({
            "text": "a", "a/b~c": "escaped", "": "empty name", "list": [{ "x": "in a list" }],
            "true": true, "small": -7, "large": u64::MAX, "empty": "",
        });
        for (pointer, expected) in [
            ("/text", "a"),
            ("/a~1b~0c", "escaped"),
            ("/", "empty name"),
            ("/list/0/x", "in a list"),
            ("/true", "true"),
            ("/small", "-7"),
            ("/large", "18446744073709551615"),
        ] {
            assert_eq!(
                rule(pointer, exact(expected)).judge(&predicate),
                Ok(()),
                "{pointer}"
            );
            let other = rule(pointer, exact(&format!("{expected}x"))).judge(&predicate);
            assert_eq!(other, Err(format!("`{expected}`")));
        }
        assert_eq!(rule("/empty", anything()).judge(&predicate), Ok(()));
    }

    #[test]
    fn what_can_not_be_compared_matches_nothing_and_is_told() {
        let fields: serde_json::Map<String, Value> =
            (0..10).map(|n| (format!("f{n}"), json!(n))).collect();
        let predicate = json!({
            "null": null, "list": ["a", "b"], "object": { "x\u{1b}": 1 }, "none": {},
            "fraction": 1.0, "exponent": 1e3, "text": "a", "many": fields,
        });
        let found = |pointer: &str| rule(pointer, anything()).judge(&predicate).unwrap_err();
        assert_eq!(found("/null"), "null");
        assert_eq!(found("/list"), "a list of 2");
        assert_eq!(found("/object"), r"an object with `x\u{1b}`");
        for number in ["/fraction", "/exponent"] {
            assert!(
                found(number).starts_with("a number with a fraction"),
                "{number}"
            );
        }
        assert_eq!(found("/list/2"), "nothing there: `/list` is a list of 2");
        // An index has one way to be written.
        assert_eq!(found("/list/00"), "nothing there: `/list` is a list of 2");
        assert_eq!(found("/text/a/b"), "nothing there: `/text` is a text");
        assert_eq!(
            found("/none/a"),
            "nothing there: `/none` is an object without fields"
        );
        assert_eq!(
            found("/many/x"),
            "nothing there: `/many` is an object with `f0`, `f1`, `f2`, `f3`, `f4`, `f5`, `f6`, `f7` and 2 more"
        );
        assert!(found("/x").starts_with("nothing there: the predicate is an object with `null`, "));
        let scalar = rule("/x", anything()).judge(&json!("a")).unwrap_err();
        assert_eq!(scalar, "nothing there: the predicate is a text");
    }
}
