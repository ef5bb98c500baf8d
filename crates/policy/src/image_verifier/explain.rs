//! The configuration in words.

use std::fmt::Write as _;

use countersign_oci::printable;

use super::{Demand, ImageRule, ImageVerifierConfig, Mode, Unmatched};

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
