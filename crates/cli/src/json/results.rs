//! A document that is written result by result: its text is what it would be as a whole.

use std::cell::Cell;

use serde::Serialize;

use super::error::JsonError;

/// The text before the first result.
const HEAD: &str = "{\n  \"results\": [\n";
/// The text behind the last one.
const TAIL: &str = "\n  ]\n}\n";

/// How far such a document is written.
#[derive(Debug, Default)]
pub(crate) struct Results {
    begun: Cell<bool>,
}

impl Results {
    /// The text that adds `result` to what is written.
    pub(crate) fn next(&self, result: &impl Serialize) -> serde_json::Result<String> {
        let result = indented(result, "    ")?;
        let before = if self.begun.replace(true) {
            ",\n"
        } else {
            HEAD
        };
        Ok(format!("{before}    {result}"))
    }

    /// The text that ends the document, if it is begun.
    pub(crate) fn end(&self) -> Option<&'static str> {
        self.begun.replace(false).then_some(TAIL)
    }

    /// The text that ends the document and says why the run ended, if it is begun. What is written already stays.
    pub(crate) fn fail(&self, error: &JsonError) -> Option<serde_json::Result<String>> {
        let ended = |error| format!("\n  ],\n  \"error\": {error}\n}}\n");
        self.begun
            .replace(false)
            .then(|| indented(error, "  ").map(ended))
    }
}

/// The JSON of something that stands in a document, `indent` further to the right than the document. No string in JSON
/// has a line break.
fn indented(value: &impl Serialize, indent: &str) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(text.replace('\n', &format!("\n{indent}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Kind};
    use serde_json::json;

    fn pretty(document: &serde_json::Value) -> String {
        format!("{document:#}\n")
    }

    fn one(number: u32) -> serde_json::Value {
        json!({ "number": number, "list": [1, 2], "text": "two\nlines" })
    }

    #[test]
    fn result_by_result_is_the_same_text_as_the_whole() {
        let results = Results::default();
        let mut text = String::new();
        for number in 0..3 {
            text.push_str(&results.next(&one(number)).unwrap());
        }
        text.push_str(results.end().unwrap());
        let all: Vec<_> = (0..3).map(one).collect();
        assert_eq!(text, pretty(&json!({ "results": all })));
        assert_eq!(results.end(), None, "it is ended");
    }

    #[test]
    fn a_failure_ends_what_is_written() {
        let error = Failure::new(Kind::Unreachable, "stopped").to_json();
        let results = Results::default();
        assert!(results.fail(&error).is_none(), "nothing is written");
        let mut text = results.next(&one(0)).unwrap();
        text.push_str(&results.fail(&error).unwrap().unwrap());
        let whole = json!({ "results": [one(0)], "error": error });
        assert_eq!(text, pretty(&whole));
        assert_eq!(results.end(), None, "it is ended");
    }
}
