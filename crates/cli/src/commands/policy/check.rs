//! `countersign policy check`: a policy file in words, then what is legal in it but weak.
//!
//! The words come from the checked policy, by which signatures are judged. Without `--resolve` nothing is asked of
//! any server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use countersign_oci::Location;
use countersign_policy::{
    Demand, Gallery, ImageVerifierConfig, Level, Policy, PolicyFile, Warning,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::denied::{Denied, JsonDenied};
use super::named_files::{MISSING_FILE, NamedFiles};
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::registry::RegistryArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::input::read_text;
use crate::json::error::JsonError;
use crate::operand;
use crate::output::{Output, counted};
use crate::policy;

/// `countersign policy check`
#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArguments {
    /// The policy file, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// End with exit code 4 if there are warnings
    ///
    /// A file with a mistake always ends with exit code 2.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Leave out this warning, by its name
    ///
    /// Each warning ends in its name, in brackets. May be given several times.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    pub(crate) allow: Vec<String>,

    /// Look up denied digests in this repository
    ///
    /// If a denied digest is an index, its images are printed, ready to paste. May be given several
    /// times.
    #[arg(long, value_name = "REPOSITORY", value_parser = operand::location)]
    pub(crate) resolve: Vec<Location>,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(super) async fn run(
    arguments: &PolicyCheckArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let name = arguments.file.display().to_string();
    let text = read_text(&arguments.file, "policy")?;
    let source = Source::parse(&text, &arguments.file)?;
    let (mut parts, named) = match &source {
        Source::Policy(file) => (parts(file)?, NamedFiles::of_policies(file)),
        Source::ImageVerifier(config) => (rules(config), NamedFiles::of_verifier(config)),
    };
    let missing = named.check(&text, &arguments.file)?.into_iter();
    if let Some(last) = parts.last_mut() {
        last.findings.extend(missing.map(|text| Finding {
            name: MISSING_FILE,
            level: Level::Warning,
            text,
        }));
    }
    if !arguments.resolve.is_empty() {
        let registry = connection::registry(&arguments.registry, environment)?;
        for part in &mut parts {
            if let Some(policy) = part.policy {
                let denied = Denied::look_up(policy, &arguments.resolve, &registry).await?;
                part.resolve(denied);
            }
        }
    }
    for part in &mut parts {
        let allowed = |finding: &Finding| arguments.allow.iter().any(|name| name == finding.name);
        part.findings.retain(|finding| !allowed(finding));
    }
    let count = |level| parts.iter().map(|part| part.of_level(level).count()).sum();
    let (warnings, notes): (usize, usize) = (count(Level::Warning), count(Level::Note));

    let fails = arguments.strict && warnings > 0;
    for part in &parts {
        output.answer(&part.text());
        for finding in &part.findings {
            let text = part.told(finding);
            match finding.level {
                // It is why the command fails, so `--quiet` leaves it.
                Level::Warning if fails && !output.tells() => {
                    output.answer(&format!("warning: {text}\n"));
                }
                Level::Warning => output.warning(&text),
                Level::Note => output.note(&format!("note: {text}")),
            }
        }
    }
    output.answer(&if fails {
        format!("{name} is refused by --strict, {}\n", with(warnings, notes))
    } else {
        format!("{name} can be used, {}\n", with(warnings, notes))
    });
    output.document(&PolicyCheckOutput {
        file: name,
        results: parts
            .iter()
            .map(|part| part.to_json(arguments.strict))
            .collect(),
        warning_count: warnings,
    });
    Ok(if fails {
        exit_code(Kind::Policy).into()
    } else {
        ExitCode::SUCCESS
    })
}

/// What `--strict` comes to.
fn refused(warnings: usize) -> Failure {
    let warnings = counted(warnings as u64, "warning", "warnings");
    Failure::new(Kind::Policy, format!("refused by --strict: {warnings}"))
        .hint("correct what `warnings` names, or pass --allow NAME for each that is meant")
}

/// `with 1 warning and 2 notes`
fn with(warnings: usize, notes: usize) -> String {
    let of_warnings = counted(warnings as u64, "warning", "warnings");
    let of_notes = counted(notes as u64, "note", "notes");
    match (warnings, notes) {
        (0, 0) => "without warnings".to_owned(),
        (0, _) => format!("without warnings, with {of_notes}"),
        (_, 0) => format!("with {of_warnings}"),
        (_, _) => format!("with {of_warnings} and {of_notes}"),
    }
}

/// A file of a kind that can be checked.
enum Source {
    Policy(Box<PolicyFile>),
    ImageVerifier(Box<ImageVerifierConfig>),
}

impl Source {
    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        Ok(if ImageVerifierConfig::is_one(text) {
            Self::ImageVerifier(Box::new(policy::parse_image_verifier(text, path)?))
        } else {
            Self::Policy(Box::new(policy::parse_text(text, path)?))
        })
    }
}

/// The name of the findings about the rules of an image verifier.
const IMAGE_RULES: &str = "image-rules";
/// The name of the finding that a gallery asks for no signatures.
const NO_VERIFICATION: &str = "no-verification";

/// The names of all findings.
fn names() -> Vec<&'static str> {
    let mut names = Warning::NAMES.to_vec();
    names.extend([NO_VERIFICATION, IMAGE_RULES, MISSING_FILE]);
    names.sort_unstable();
    names
}

/// What `countersign policy check` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyCheckOutput {
    /// The policy file.
    file: String,
    /// One for the file's policy, or one for each of its galleries. For an image verifier's configuration, one for
    /// each rule, and one for all other images.
    results: Vec<PolicyCheckResult>,
    /// How many warnings there are in all.
    warning_count: usize,
}

/// One policy.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyCheckResult {
    /// The gallery whose policy it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
    /// The number of the image verifier's rule, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    /// The policy in words. Left out of a gallery that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
    /// What is legal in it but weak. With `--strict`, one of these fails the check.
    warnings: Vec<JsonFinding>,
    /// What is worth knowing. It fails nothing.
    notes: Vec<JsonFinding>,
    /// With `--resolve`: what was found by each digest of `deny_digests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<Vec<JsonDenied>>,
    /// With `--strict`, if there are warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// A weak point of a policy, or what is worth knowing about it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct JsonFinding {
    /// Its name, for `--allow`. It stays when the text changes.
    name: &'static str,
    /// A sentence about it.
    message: String,
}

/// What is said of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    name: &'static str,
    level: Level,
    text: String,
}

/// One policy of the file, or a gallery that has none.
struct Part<'a> {
    gallery: Option<String>,
    /// The number of an image verifier's rule.
    rule: Option<usize>,
    policy: Option<&'a Policy>,
    explanation: Option<String>,
    findings: Vec<Finding>,
    /// What was found by the denied digests, where they were looked up.
    denied: Option<Vec<Denied>>,
}

/// The file's one policy, or its galleries.
fn parts(file: &PolicyFile) -> Result<Vec<Part<'_>>, Failure> {
    if file.galleries().is_empty() {
        return Ok(vec![Part::of(None, file.policy()?)]);
    }
    Ok(file.galleries().iter().map(Part::of_gallery).collect())
}

/// The rules of an image verifier, and what becomes of all other images.
fn rules(config: &ImageVerifierConfig) -> Vec<Part<'_>> {
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
fn findings(policy: &Policy) -> Vec<Finding> {
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
    fn of_gallery(gallery: &'a Gallery) -> Self {
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

    fn of(gallery: Option<String>, policy: &'a Policy) -> Self {
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
    fn resolve(&mut self, denied: Vec<Denied>) {
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

    fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.level == level)
    }

    /// One line about a finding, with its name.
    fn told(&self, finding: &Finding) -> String {
        let Finding { name, text, .. } = finding;
        match (&self.gallery, self.rule) {
            (Some(gallery), _) => format!("gallery {gallery:?}: {text} [{name}]"),
            (None, Some(rule)) => format!("rule {rule}: {text} [{name}]"),
            (None, None) => format!("{text} [{name}]"),
        }
    }

    fn text(&self) -> String {
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

    fn to_json(&self, strict: bool) -> PolicyCheckResult {
        let denied = self.denied.as_ref();
        let warnings = self.of_level(Level::Warning).count();
        let to_json = |level| {
            let findings = self.of_level(level);
            let findings = findings.map(|finding| JsonFinding {
                name: finding.name,
                message: finding.text.clone(),
            });
            findings.collect()
        };
        PolicyCheckResult {
            gallery: self.gallery.clone(),
            rule: self.rule,
            explanation: self.explanation.clone(),
            warnings: to_json(Level::Warning),
            notes: to_json(Level::Note),
            denied: denied.map(|denied| denied.iter().map(Denied::to_json).collect()),
            error: (strict && warnings > 0).then(|| refused(warnings).to_json()),
        }
    }
}
