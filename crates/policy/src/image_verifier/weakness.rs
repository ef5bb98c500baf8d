//! What is legal in a configuration but weak.

use super::{Demand, ImageVerifierConfig, Mode, Unmatched};
use crate::image_pattern::ImagePattern;

/// A weak point of a configuration, without those of its rules' policies. Rules are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Weakness {
    /// Images that no rule matches are allowed.
    #[error(
        "`default: allow` lets in every image that no rule matches: one whose registry has a second name, too"
    )]
    DefaultAllow,
    /// Refusals are only told.
    #[error("`mode: warn` refuses nothing, unless a rule says `mode: enforce`")]
    OnlyWarns,
    /// A pattern whose images an earlier rule matches.
    #[error(
        "rule {rule} never counts for `{pattern}`: rule {earlier} matches those images before it"
    )]
    NeverCounts {
        /// The rule.
        rule: usize,
        /// Its pattern.
        pattern: ImagePattern,
        /// The rule that counts.
        earlier: usize,
    },
    /// A pattern with a tag.
    #[error("rule {rule}: `{pattern}` does not match an image that is asked for by its digest")]
    NeedsTag {
        /// The rule.
        rule: usize,
        /// Its pattern.
        pattern: ImagePattern,
    },
    /// A rule that needs no signature, of every image.
    #[error("rule {rule} allows every image that no rule before it matches")]
    AllowsEvery {
        /// The rule.
        rule: usize,
    },
}

impl ImageVerifierConfig {
    /// What is legal here but weak, without what is weak in a rule's policy.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        if self.default == Unmatched::Allow {
            found.push(Weakness::DefaultAllow);
        }
        if self.mode == Mode::Warn {
            found.push(Weakness::OnlyWarns);
        }
        let mut earlier: Vec<(usize, &ImagePattern)> = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let number = index + 1;
            for pattern in &rule.images {
                let same = earlier
                    .iter()
                    .find(|(_, other)| *other == pattern || other.is_every());
                match same {
                    Some((first, _)) if *first != number => found.push(Weakness::NeverCounts {
                        rule: number,
                        pattern: pattern.clone(),
                        earlier: *first,
                    }),
                    Some(_) | None => {}
                }
                earlier.push((number, pattern));
                if pattern.needs_tag() {
                    found.push(Weakness::NeedsTag {
                        rule: number,
                        pattern: pattern.clone(),
                    });
                }
                if pattern.is_every() && matches!(rule.demand, Demand::Nothing { .. }) {
                    found.push(Weakness::AllowsEvery { rule: number });
                }
            }
        }
        found
    }
}
