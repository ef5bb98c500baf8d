//! The configuration in words, and what is weak in it.

use std::fmt::Write as _;

use countersign_oci::printable;

use super::{Demand, ImageRule, ImageVerifierConfig, Mode, Unmatched};
use crate::image_pattern::ImagePattern;

impl ImageVerifierConfig {
    /// Says in one line what becomes of an image that no rule matches, and whether refusals are carried out.
    pub fn explain_rest(&self) -> String {
        let rest = match self.default {
            Unmatched::Deny => "refused",
            Unmatched::Allow => "allowed, whoever signed it",
        };
        let mode = match self.mode {
            Mode::Enforce => "",
            Mode::Warn => "; refusals are only told (`mode: warn`)",
        };
        format!("An image that no rule matches is {rest}{mode}.")
    }

    /// What is legal here but weak, a sentence each, without what is weak in a rule's policy.
    pub fn weaknesses(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.default == Unmatched::Allow {
            said.push(
                "`default: allow` lets in every image that no rule matches: one whose registry has a second name, too"
                    .to_owned(),
            );
        }
        if self.mode == Mode::Warn {
            said.push(
                "`mode: warn` refuses nothing, unless a rule says `mode: enforce`".to_owned(),
            );
        }
        let mut earlier: Vec<(usize, &ImagePattern)> = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let number = index + 1;
            for pattern in &rule.images {
                let same = earlier
                    .iter()
                    .find(|(_, other)| *other == pattern || other.is_every());
                match same {
                    Some((first, _)) if *first != number => said.push(format!(
                        "rule {number} never counts for `{pattern}`: rule {first} matches those images before it"
                    )),
                    _ => {}
                }
                earlier.push((number, pattern));
                if pattern.needs_tag() {
                    said.push(format!(
                        "rule {number}: `{pattern}` does not match an image that is asked for by its digest"
                    ));
                }
                if pattern.is_every() && matches!(rule.demand, Demand::Nothing { .. }) {
                    said.push(format!(
                        "rule {number} allows every image that no rule before it matches"
                    ));
                }
            }
        }
        said
    }
}

impl ImageRule {
    /// Says in words which images the rule is for, and what it demands. The text has several printable lines. The
    /// last one has no line break.
    pub fn explain(&self) -> String {
        let mut text = "Images:\n".to_owned();
        for pattern in &self.images {
            // Writing to a String does not fail.
            let _ = writeln!(text, "- {}", printable(&pattern.to_string()));
        }
        match self.mode {
            None => {}
            Some(Mode::Enforce) => {
                text.push_str("A refusal is carried out, whatever `mode` is above.\n");
            }
            Some(Mode::Warn) => text.push_str("A refusal is only told (`mode: warn`).\n"),
        }
        match &self.demand {
            Demand::Signature(policy) => text.push_str(&policy.explain()),
            Demand::Nothing { reason } => {
                let _ = write!(text, "No signature is needed: {}", printable(reason));
            }
        }
        text
    }
}
