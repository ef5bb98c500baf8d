//! `countersign policy check`: a policy file in words, then what is legal in it but weak.
//!
//! The words come from the checked policy, by which signatures are judged. Without `--resolve` nothing is asked of
//! any server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_oci::Reference;
use countersign_policy::{Gallery, Policy, PolicyFile, Warning};
use schemars::JsonSchema;
use serde::Serialize;

use super::denied::{Denied, JsonDenied};
use crate::arguments::registry::RegistryArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::input::read_text;
use crate::operand;
use crate::output::Output;

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

    /// Look up denied digests in this repository
    ///
    /// If a denied digest is an index, its images are printed, ready to paste. May be given several
    /// times.
    #[arg(long, value_name = "REPOSITORY", value_parser = operand::image)]
    pub(crate) resolve: Vec<Reference>,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

pub(super) async fn run(
    arguments: &PolicyCheckArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let name = arguments.file.display().to_string();
    let text = read_text(&arguments.file, "policy")?;
    let file = PolicyFile::parse(&text, &name)?;
    let mut parts = parts(&file)?;
    if !arguments.resolve.is_empty() {
        let registry = connection::registry(&arguments.registry, environment)?;
        for part in &mut parts {
            if let Some(policy) = part.policy {
                let denied = Denied::look_up(policy, &arguments.resolve, &registry).await?;
                part.resolve(policy, denied);
            }
        }
    }
    let warnings: usize = parts.iter().map(|part| part.warnings.len()).sum();

    for part in &parts {
        output.answer(&part.text());
        for warning in &part.warnings {
            output.warning(&match &part.gallery {
                Some(gallery) => format!("gallery {gallery:?}: {warning}"),
                None => warning.clone(),
            });
        }
    }
    output.answer(&match warnings {
        0 => format!("{name} can be used, without warnings\n"),
        1 => format!("{name} can be used, with 1 warning\n"),
        count => format!("{name} can be used, with {count} warnings\n"),
    });
    output.document(&PolicyCheckOutput {
        file: name,
        results: parts.iter().map(Part::to_json).collect(),
        warning_count: warnings,
    });
    Ok(if arguments.strict && warnings > 0 {
        exit_code(Kind::Policy).into()
    } else {
        ExitCode::SUCCESS
    })
}

/// What `countersign policy check` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyCheckOutput {
    /// The policy file.
    file: String,
    /// One for the file's policy, or one for each of its galleries.
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
    /// The policy in words. Left out of a gallery that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
    /// What is legal in it but weak, a sentence each.
    warnings: Vec<String>,
    /// With `--resolve`: what was found by each digest of `deny_digests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<Vec<JsonDenied>>,
}

/// One policy of the file, or a gallery that has none.
struct Part<'a> {
    gallery: Option<String>,
    policy: Option<&'a Policy>,
    explanation: Option<String>,
    warnings: Vec<String>,
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

/// The warnings in words. Two signers may be weak in the same way; that is said once.
fn distinct(warnings: impl Iterator<Item = Warning>) -> Vec<String> {
    let mut said = Vec::new();
    for warning in warnings {
        let words = warning.to_string();
        if !said.contains(&words) {
            said.push(words);
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
                policy: None,
                explanation: None,
                warnings: vec![
                    "there is no `verification`: the signatures of its images are not checked"
                        .to_owned(),
                ],
                denied: None,
            },
        }
    }

    fn of(gallery: Option<String>, policy: &'a Policy) -> Self {
        Self {
            gallery,
            policy: Some(policy),
            explanation: Some(policy.explain()),
            warnings: distinct(policy.warnings().into_iter()),
            denied: None,
        }
    }

    /// With what was found by the denied digests, in place of the warning that nobody knows.
    fn resolve(&mut self, policy: &Policy, denied: Vec<Denied>) {
        let known = policy.warnings().into_iter();
        let known = known.filter(|warning| *warning != Warning::DeniedIndexes);
        self.warnings = distinct(known);
        self.warnings
            .extend(denied.iter().filter_map(Denied::warning));
        self.denied = Some(denied);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(gallery) = &self.gallery {
            text.push_str(&format!("Gallery {gallery:?}:\n"));
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

    fn to_json(&self) -> PolicyCheckResult {
        let denied = self.denied.as_ref();
        PolicyCheckResult {
            gallery: self.gallery.clone(),
            explanation: self.explanation.clone(),
            warnings: self.warnings.clone(),
            denied: denied.map(|denied| denied.iter().map(Denied::to_json).collect()),
        }
    }
}
