//! What is said of one policy of a file.

use std::path::Path;

use countersign_policy::{
    Demand, Gallery, ImageVerifierConfig, Level, Policy, PolicyFile, Warning,
};
use jiff::Timestamp;

use super::{JsonFinding, PolicyCheckResult};
use crate::commands::policy::denied::Denied;
use crate::failure::Failure;
use crate::json::error::JsonError;

/// The name of the findings about the rules of an image verifier.
pub(super) const IMAGE_RULES: &str = "image-rules";
/// The name of the finding that a gallery asks for no signatures.
pub(super) const NO_VERIFICATION: &str = "no-verification";

/// What is said of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) level: Level,
    pub(super) text: String,
}

/// One policy of the file, or a gallery that has none.
pub(super) struct Part<'a> {
    pub(super) gallery: Option<String>,
    /// The number of an image verifier's rule.
    pub(super) rule: Option<usize>,
    pub(super) policy: Option<&'a Policy>,
    pub(super) explanation: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// What was found by the denied digests, where they were looked up.
    pub(super) denied: Option<Vec<Denied>>,
}

/// The file's one policy, or its galleries.
pub(super) fn parts(file: &PolicyFile) -> Result<Vec<Part<'_>>, Failure> {
    if file.galleries().is_empty() {
        return Ok(vec![Part::of(None, file.policy()?)]);
    }
    Ok(file.galleries().iter().map(Part::of_gallery).collect())
}

/// The rules of an image verifier, and what becomes of all other images.
pub(super) fn rules(config: &ImageVerifierConfig) -> Vec<Part<'_>> {
    let rules = config.rules.iter().enumerate().map(|(index, rule)| {
        let policy = match &rule.demand {
            Demand::Signature(policy) => Some(&**policy),
            Demand::Nothing { .. } => None,
        };
        Part {
            gallery: None,
            rule: Some(index + 1),
            policy,
            explanation: Some(rule.explain()),
            findings: policy.map_or_else(Vec::new, findings),
            denied: None,
        }
    });
    let weaknesses = config.weaknesses().into_iter().map(|weakness| Finding {
        name: IMAGE_RULES,
        level: Level::Warning,
        text: weakness.to_string(),
    });
    let rest = Part {
        gallery: None,
        rule: None,
        policy: None,
        explanation: Some(config.explain_rest()),
        findings: weaknesses.collect(),
        denied: None,
    };
    rules.chain([rest]).collect()
}

/// The policy's weak points, in words. Two signers may be weak in the same way; that is said once.
pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    let mut said = Vec::new();
    for warning in policy.warnings(Timestamp::now()) {
        let finding = Finding {
            name: warning.name(),
            level: warning.level(),
            text: warning.to_string(),
        };
        if !said.contains(&finding) {
            said.push(finding);
        }
    }
    said
}

impl<'a> Part<'a> {
    pub(super) fn of_gallery(gallery: &'a Gallery) -> Self {
        match &gallery.policy {
            Some(policy) => Self::of(Some(gallery.name.clone()), policy),
            None => Self {
                gallery: Some(gallery.name.clone()),
                rule: None,
                policy: None,
                explanation: None,
                findings: vec![Finding {
                    name: NO_VERIFICATION,
                    level: Level::Warning,
                    text:
                        "there is no `verification`: the signatures of its images are not checked"
                            .to_owned(),
                }],
                denied: None,
            },
        }
    }

    pub(super) fn of(gallery: Option<String>, policy: &'a Policy) -> Self {
        Self {
            gallery,
            rule: None,
            policy: Some(policy),
            explanation: Some(policy.explain()),
            findings: findings(policy),
            denied: None,
        }
    }

    /// With what was found by the denied digests, in place of the warning that nobody knows.
    pub(super) fn resolve(&mut self, denied: Vec<Denied>) {
        let unknown = Warning::DeniedIndexes.name();
        self.findings.retain(|finding| finding.name != unknown);
        let found = denied.iter().filter_map(Denied::warning);
        self.findings.extend(found.map(|text| Finding {
            name: unknown,
            level: Level::Warning,
            text,
        }));
        self.denied = Some(denied);
    }

    pub(super) fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level == level)
    }

    /// One line about a finding, with its name.
    pub(super) fn told(&self, finding: &Finding) -> String {
        let Finding { name, text, .. } = finding;
        match (&self.gallery, self.rule) {
            (Some(gallery), _) => format!("gallery {gallery:?}: {text} [{name}]"),
            (None, Some(rule)) => format!("rule {rule}: {text} [{name}]"),
            (None, None) => format!("{text} [{name}]"),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(gallery) = &self.gallery {
            text.push_str(&format!("Gallery {gallery:?}:\n"));
        }
        if let Some(rule) = self.rule {
            text.push_str(&format!("Rule {rule}:\n"));
        }
        if let Some(explanation) = &self.explanation {
            text.push_str(&format!("{explanation}\n"));
        }
        let lines: String = self.denied.iter().flatten().map(Denied::lines).collect();
        if !lines.is_empty() {
            text.push_str("add to `deny_digests`:\n");
            text.push_str(&lines);
        }
        text.push('\n');
        text
    }

    pub(super) fn to_json(&self, file: &Path, error: Option<JsonError>) -> PolicyCheckResult {
        let denied = self.denied.as_ref();
        let to_json = |level| {
            let findings = self.of_level(level);
            let findings = findings.map(|finding| JsonFinding {
                name: finding.name,
                message: finding.text.clone(),
            });
            findings.collect()
        };
        PolicyCheckResult {
            file: file.display().to_string(),
            gallery: self.gallery.clone(),
            rule: self.rule,
            explanation: self.explanation.clone(),
            warnings: to_json(Level::Warning),
            notes: to_json(Level::Note),
            denied: denied.map(|denied| denied.iter().map(Denied::to_json).collect()),
            error,
        }
    }
}
