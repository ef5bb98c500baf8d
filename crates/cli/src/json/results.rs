//! A document that is written result by result: its text is what it would be as a whole.

use std::cell::Cell;

/// The text before the first result of a document that has nothing but results.
const HEAD: &str = "{\n  \"results\": [\n";
/// The text behind the last one.
const TAIL: &str = "\n  ]\n}\n";
/// The text before what stands beside `results`, in a document without results.
const NO_RESULTS: &str = "{\n  \"results\": [],\n";

/// How far such a document is written.
#[derive(Debug, Default)]
pub(crate) struct Results {
    begun: Cell<bool>,
}

impl Results {
    /// The text that adds the only result of `document` to what is written. `None` if it has anything else.
    pub(crate) fn next(&self, document: &str) -> Option<String> {
        let result = document.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
        let before = if self.begun.replace(true) {
            ",\n"
        } else {
            HEAD
        };
        Some(format!("{before}{result}"))
    }

    /// The text that ends the document, if it is begun.
    pub(crate) fn end(&self) -> Option<&'static str> {
        self.begun.replace(false).then_some(TAIL)
    }

    /// The text of a document that says why the run ended. What is written already stays.
    pub(crate) fn fail(&self, document: &str) -> Option<String> {
        if !self.begun.replace(false) {
            return Some(document.to_owned());
        }
        let rest = document.strip_prefix(NO_RESULTS)?;
        Some(format!("\n  ],\n{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pretty(document: &serde_json::Value) -> String {
        format!("{document:#}\n")
    }

    fn one(number: u32) -> String {
        pretty(&json!({ "results": [{ "number": number, "list": [1, 2] }] }))
    }

    #[test]
    fn result_by_result_is_the_same_text_as_the_whole() {
        let results = Results::default();
        let mut text = String::new();
        for number in 0..3 {
            text.push_str(&results.next(&one(number)).unwrap());
        }
        text.push_str(results.end().unwrap());
        let all: Vec<_> = (0..3)
            .map(|number| json!({ "number": number, "list": [1, 2] }))
            .collect();
        assert_eq!(text, pretty(&json!({ "results": all })));
        assert_eq!(results.end(), None, "it is ended");
    }

    #[test]
    fn a_failure_ends_what_is_written() {
        let failed = pretty(&json!({ "results": [], "error": { "kind": "stopped" } }));
        let results = Results::default();
        assert_eq!(results.fail(&failed).as_deref(), Some(failed.as_str()));
        let mut text = results.next(&one(0)).unwrap();
        text.push_str(&results.fail(&failed).unwrap());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["results"].as_array().unwrap().len(), 1);
        assert_eq!(document["error"]["kind"], "stopped");
    }

    #[test]
    fn a_document_with_more_than_results_is_not_cut() {
        let results = Results::default();
        let more = pretty(&json!({ "results": [{}], "warnings": [] }));
        assert_eq!(results.next(&more), None);
    }
}
