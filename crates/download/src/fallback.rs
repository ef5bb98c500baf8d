//! Tags to fall back to if the tag that an entry names is not found.
//!
//! There are none unless the caller configures some: whoever can make a registry answer *not found*
//! chooses which of the configured tags is installed. Each is verified like the first.

use std::fmt;
use std::str::FromStr;

use countersign_oci::{Reference, excerpt};

use crate::source::Source;

/// Rules for tags to fall back to, in the order in which they are tried. By default there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FallbackTags(Vec<TagRule>);

/// Makes one tag of another: `latest-*=master-*` makes `master-cpu` of `latest-cpu`. Each side has
/// one `*`, which stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRule {
    from: Pattern,
    to: Pattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    before: String,
    after: String,
}

impl FallbackTags {
    /// These rules, in this order. Each applies to the tag that the entry names, not to what
    /// another rule made of it.
    pub fn new(rules: Vec<TagRule>) -> Self {
        Self(rules)
    }

    /// As LocalAI falls back, from a release to the development build of the same name:
    /// `latest-*=master-*`, then `latest-*=master-*-development`.
    pub fn localai() -> Self {
        let latest = || Pattern::new("latest-", "");
        Self(vec![
            TagRule {
                from: latest(),
                to: Pattern::new("master-", ""),
            },
            TagRule {
                from: latest(),
                to: Pattern::new("master-", "-development"),
            },
        ])
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[TagRule] {
        &self.0
    }

    /// What to fall back to from `sources`, rule by rule and, within one, in their order. An image
    /// that is named by digest has no fallback: other content is not what was asked for.
    pub(crate) fn sources(&self, sources: &[Source]) -> Vec<Source> {
        let mut fallbacks: Vec<Source> = Vec::new();
        for rule in &self.0 {
            for source in sources {
                let fallback = source.reference().and_then(|named| rule.apply(named));
                if let Some(reference) = fallback {
                    let source = Source::Image { reference };
                    if !fallbacks.contains(&source) && !sources.contains(&source) {
                        fallbacks.push(source);
                    }
                }
            }
        }
        fallbacks
    }
}

impl TagRule {
    /// The same repository with the tag that this rule makes of the reference's tag; `None` if the
    /// rule doesn't fit that tag.
    fn apply(&self, reference: &Reference) -> Option<Reference> {
        if reference.digest().is_some() {
            return None;
        }
        let part = self.from.part(reference.tag()?)?;
        let tag = format!("{}{part}{}", self.to.before, self.to.after);
        // What it makes may be too long to be a tag; then nothing can be there.
        reference.with_tag(&tag).ok()
    }
}

impl Pattern {
    fn new(before: &str, after: &str) -> Self {
        Self {
            before: before.into(),
            after: after.into(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once('*')?;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        (before.chars().all(word) && after.chars().all(word)).then(|| Self::new(before, after))
    }

    /// The part of `tag` that the `*` stands for.
    fn part<'t>(&self, tag: &'t str) -> Option<&'t str> {
        tag.strip_prefix(&self.before)?.strip_suffix(&self.after)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.before, self.after)
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl FromStr for TagRule {
    type Err = TagRuleError;

    fn from_str(text: &str) -> Result<Self, TagRuleError> {
        let rule = text.split_once('=').and_then(|(from, to)| {
            Some(Self {
                from: Pattern::parse(from)?,
                to: Pattern::parse(to)?,
            })
        });
        rule.ok_or_else(|| TagRuleError {
            found: excerpt(text),
        })
    }
}

/// A text that is not a [`TagRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected two patterns of a tag with one `*` each, such as latest-*=master-*, found `{found}`"
)]
pub struct TagRuleError {
    found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> Vec<Source> {
        let parse = |text: &&str| Source::parse(text, None).unwrap();
        texts.iter().map(parse).collect()
    }

    fn tags(fallbacks: &FallbackTags, texts: &[&str]) -> Vec<String> {
        let fallbacks = fallbacks.sources(&sources(texts));
        fallbacks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn there_are_none_by_default() {
        let none = FallbackTags::default();
        assert!(tags(&none, &["quay.io/a/b:latest-cpu"]).is_empty());
    }

    #[test]
    fn localai_s_rules_lead_from_latest_to_master_to_development() {
        assert_eq!(
            tags(
                &FallbackTags::localai(),
                &["quay.io/a/b:latest-cpu", "c/d:latest-cpu"]
            ),
            [
                "quay.io/a/b:master-cpu",
                "docker.io/c/d:master-cpu",
                "quay.io/a/b:master-cpu-development",
                "docker.io/c/d:master-cpu-development",
            ]
        );
        let rules: Vec<String> = FallbackTags::localai()
            .rules()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            rules,
            ["latest-*=master-*", "latest-*=master-*-development"]
        );
        let parsed = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        assert_eq!(FallbackTags::new(parsed), FallbackTags::localai());
    }

    #[test]
    fn other_tags_digests_and_other_sources_have_no_fallback() {
        let pinned = format!("quay.io/a/b:latest-cpu@sha256:{}", "0".repeat(64));
        let texts = [
            "quay.io/a/b:master-cpu",
            "quay.io/a/b:latest",
            "quay.io/a/b",
            &pinned,
            "/srv/latest-cpu",
            "ocifile:///latest-cpu",
            "https://example.org/latest-cpu.tar",
        ];
        assert!(tags(&FallbackTags::localai(), &texts).is_empty());
    }

    #[test]
    fn a_fallback_that_is_a_source_already_or_no_tag_is_left_out() {
        let localai = FallbackTags::localai();
        let long = format!("quay.io/a/b:latest-{}", "x".repeat(121));
        assert_eq!(
            tags(&localai, &["quay.io/a/b:latest-x", "quay.io/a/b:master-x"]),
            ["quay.io/a/b:master-x-development"]
        );
        // `master-…` is as long as `latest-…`; with the suffix it is too long.
        assert_eq!(tags(&localai, &[&long]), [long.replace("latest", "master")]);
    }

    #[test]
    fn a_rule_has_one_star_on_either_side() {
        for text in [
            "", "latest", "latest-*", "a=b", "a*=b", "a=b*", "a**=b*", "a*=b*=c*", "a/*=b*",
        ] {
            assert_eq!(text.parse::<TagRule>().unwrap_err().found, text);
        }
    }
}
