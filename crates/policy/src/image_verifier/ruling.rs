//! Which rule is for an image.

use countersign_oci::{Digest, Reference};

use super::{ImageRule, ImageVerifierConfig, Mode};
use crate::image_pattern::ImagePattern;

/// What the configuration says of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// The first rule that matches. `None` if no rule does.
    pub matched: Option<RuleMatch<'a>>,
    /// Whether a refusal is carried out.
    pub mode: Mode,
}

/// A rule that matches an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleMatch<'a> {
    /// The number of the rule, from 1.
    pub number: usize,
    /// The rule.
    pub rule: &'a ImageRule,
    /// The pattern of the rule that matched.
    pub pattern: &'a ImagePattern,
}

impl ImageVerifierConfig {
    /// What the first matching rule says of the image that is asked for as `reference`, and has this `digest`.
    pub fn ruling(&self, reference: &Reference, digest: &Digest) -> Ruling<'_> {
        let matched = self.rules.iter().enumerate().find_map(|(index, rule)| {
            let mut patterns = rule.images.iter();
            let pattern = patterns.find(|pattern| pattern.matches(reference, digest))?;
            Some(RuleMatch {
                number: index + 1,
                rule,
                pattern,
            })
        });
        let mode = matched.and_then(|matched| matched.rule.mode);
        Ruling {
            matched,
            mode: mode.unwrap_or(self.mode),
        }
    }
}
