//! `countersign policy check`: a policy file in words, then what is legal in it but weak.
//!
//! The words come from the checked policy, by which signatures are judged. Without `--resolve` nothing is asked of
//! any server.

mod part;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use countersign_oci::{Location, Registry};
use countersign_policy::{ImageVerifierConfig, Level, PolicyFile, Warning};
use schemars::JsonSchema;
use serde::Serialize;

use self::part::{Finding, IMAGE_RULES, NO_VERIFICATION, Part, parts, rules};
use super::denied::{Denied, JsonDenied};
use super::named_files::{MISSING_FILE, NamedFiles};
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::registry::RegistryArguments;
use crate::commands::report::Report;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::json::error::JsonError;
use crate::operand;
use crate::output::{Output, counted};
use crate::policy;

/// `countersign policy check`
#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArguments {
    /// Policy files, YAML or JSON
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// End with exit code 4 if there are warnings
    ///
    /// A file with a mistake always ends with exit code 2.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Leave out this warning, by its name
    ///
    /// Each warning ends in its name, in brackets. Several are separated by commas, or the flag is given several
    /// times.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
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
    let registry = match arguments.resolve.as_slice() {
        [] => None,
        _ => Some(connection::registry(&arguments.registry, environment)?),
    };
    let checking = Checking {
        arguments,
        registry,
        output,
    };
    let mut report = Report::new(output);
    let mut warning_count = 0;
    for file in &arguments.files {
        match checking.check(file, &mut report).await {
            Ok(warnings) => warning_count += warnings,
            Err(failure) => report.fail(&failure, |error| PolicyCheckResult {
                file: file.display().to_string(),
                error: Some(error),
                ..PolicyCheckResult::default()
            }),
        }
    }
    let (results, code) = report.end();
    output.document(&PolicyCheckOutput {
        results,
        warning_count,
    });
    Ok(code)
}

/// What is done with each file.
struct Checking<'a> {
    arguments: &'a PolicyCheckArguments,
    /// Where denied digests are looked up, with `--resolve`.
    registry: Option<Registry>,
    output: &'a Output,
}

impl Checking<'_> {
    /// Explains a file, and returns how many warnings there are.
    ///
    /// # Errors
    /// If it can't be used, or a registry gives no answer.
    async fn check(
        &self,
        file: &Path,
        report: &mut Report<'_, PolicyCheckResult>,
    ) -> Result<usize, Failure> {
        let arguments = self.arguments;
        let text = read_text(file, "policy")?;
        let source = Source::parse(&text, file)?;
        let (mut parts, named) = match &source {
            Source::Policy(file) => (parts(file)?, NamedFiles::of_policies(file)),
            Source::ImageVerifier(config) => (rules(config), NamedFiles::of_verifier(config)),
        };
        let missing = named.check(&text, file)?.into_iter();
        if let Some(last) = parts.last_mut() {
            last.findings.extend(missing.map(|text| Finding {
                name: MISSING_FILE,
                level: Level::Warning,
                text,
            }));
        }
        for part in &mut parts {
            if let (Some(registry), Some(policy)) = (&self.registry, part.policy) {
                let denied = Denied::look_up(policy, &arguments.resolve, registry).await?;
                part.resolve(denied);
            }
            let allowed =
                |finding: &Finding| arguments.allow.iter().any(|name| name == finding.name);
            part.findings.retain(|finding| !allowed(finding));
        }
        let warnings = self.tell(&parts, file);
        for part in &parts {
            let of_part = part.of_level(Level::Warning).count();
            if arguments.strict && of_part > 0 {
                // The text says it.
                let error = refused(of_part);
                report.fail_too(&error, |error| part.to_json(file, Some(error)));
            } else {
                report.done(part.to_json(file, None));
            }
        }
        Ok(warnings)
    }

    /// Tells what was found in a file, and returns how many warnings there are.
    fn tell(&self, parts: &[Part<'_>], file: &Path) -> usize {
        let (arguments, output) = (self.arguments, self.output);
        let count = |level| parts.iter().map(|part| part.of_level(level).count()).sum();
        let (warnings, notes): (usize, usize) = (count(Level::Warning), count(Level::Note));
        let name = file.display();
        let of_file = match arguments.files.len() {
            1 => String::new(),
            _ => format!("{name}: "),
        };
        let fails = arguments.strict && warnings > 0;
        for part in parts {
            output.answer(&part.text());
            for finding in &part.findings {
                let text = format!("{of_file}{}", part.told(finding));
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
        warnings
    }
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
    /// One for each file's policy, or one for each of its galleries. For an image verifier's configuration, one for
    /// each rule, and one for all other images. One for each file that can't be used.
    results: Vec<PolicyCheckResult>,
    /// How many warnings there are in all.
    warning_count: usize,
}

/// One policy.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct PolicyCheckResult {
    /// The policy file.
    file: String,
    /// The gallery whose policy it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
    /// The number of the image verifier's rule, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    /// The policy in words. Left out of a gallery that has none, and if there is an error in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
    /// What is legal in it but weak. With `--strict`, one of these fails the check.
    warnings: Vec<JsonFinding>,
    /// What is worth knowing. It fails nothing.
    notes: Vec<JsonFinding>,
    /// With `--resolve`: what was found by each digest of `deny_digests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<Vec<JsonDenied>>,
    /// If the file can't be used; with `--strict`, also if there are warnings.
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
