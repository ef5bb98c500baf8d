//! `countersign policy test`: a policy's verdicts on saved signatures, against those expected; or which rule of an
//! image verifier is for an image, and what it demands.
//!
//! No registry is asked: bundles are files, and so are manifests, where not their digests alone are
//! given. Only the trusted root, where it is no file, comes from the network, and with `--offline`
//! not even that.

pub(in crate::commands) mod case;
mod cases;
mod rules;
pub(in crate::commands) mod saved;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_oci::Reference;
use countersign_policy::ImageVerifierConfig;
use countersign_verify::TrustedRoot;
use schemars::JsonSchema;
use serde::Serialize;

use self::case::{Case, Cases, Expectation, Verdict};
use self::cases::Unsigned;
use self::rules::{ImageResult, Rules};
use self::saved::SavedRoot;
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::trust::TrustArguments;
use crate::commands::report::Report;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, worst};
use crate::input::read_text;
use crate::json::error::JsonError;
use crate::output::Output;
use crate::policy::{self, LoadedPolicy};
use crate::printable;
use crate::trust;

const EXAMPLE: &str = "\
Example of a file of cases:
  cases:
    - name: a release is accepted
      manifest: image.json          # the image's manifest or index, as the registry has it
      bundle: release.sigstore.json # the signature: a Sigstore bundle
      expect: accepted
    - name: a fork's workflow is refused
      digest: sha256:DIGEST         # the image's digest is enough
      bundle: fork.sigstore.json
      image: ghcr.io/acme/app:v1    # needed for bind_name, and for the rules of an image verifier
      at: 2026-01-31T12:00:00Z      # the time to judge at; without it, the present time
      expect: refused_policy        # or refused_invalid, refused_unsigned; or refused, for any

`countersign verify --save DIR` writes such a file for an image; pass --case DIR.

In the cases of an image verifier, an image without `bundle` has no signature.
For a policy, write `bundles: []` for an image without a signature.
A case is ok if the verdict is the expected one, also if that is a refusal. The exit code is 4 if one is not.";

/// `countersign policy test`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
#[group(id = "tested", args = ["cases", "images"], required = true)]
pub(crate) struct PolicyTestArguments {
    /// The policy file, or the configuration of an image verifier, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// File of cases, YAML, or a directory that `verify --save` wrote
    ///
    /// Paths in the file are relative to it. May be given several times.
    #[arg(long = "case", value_name = "CASES")]
    pub(crate) cases: Vec<PathBuf>,

    /// Print which rule of an image verifier is for this image, and what it demands
    ///
    /// NAME:TAG as a pod has it, or NAME@DIGEST. No registry is asked. May be given several times. Not with
    /// --case.
    #[arg(long = "image", value_name = "IMAGE", conflicts_with = "cases")]
    pub(crate) images: Vec<String>,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(super) async fn run(
    arguments: PolicyTestArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let text = read_text(&arguments.file, "policy")?;
    let rules = if ImageVerifierConfig::is_one(&text) {
        Some(Rules::read(&arguments.file, environment)?)
    } else {
        None
    };
    if arguments.cases.is_empty() {
        let Some(rules) = &rules else {
            let message = format!("{} has no rules for images", arguments.file.display());
            return Err(Failure::new(Kind::Usage, message)
                .hint("--image is for a configuration of the image verifier; pass --case FILE"));
        };
        return Ok(rulings(rules, &arguments.images, output));
    }
    let judges = match rules {
        Some(rules) => Judges::Rules(Box::new(rules)),
        None => Judges::Policy(Box::new(LoadedPolicy {
            policy: policy::parse_text(&text, &arguments.file)?
                .policy()?
                .clone(),
            file: Some(arguments.file.clone()),
        })),
    };
    let mut report = Report::new(output);
    let (mut passed, mut failed) = (0, 0);
    for given in &arguments.cases {
        let file = if given.is_dir() {
            &given.join(case::FILE)
        } else {
            given
        };
        if arguments.cases.len() > 1 {
            output.answer(&format!("{}:\n", printable::path(file)));
        }
        let told = match Cases::read(file, judges.unsigned()) {
            Err(failure) => Err(failure),
            Ok(cases) => {
                let judging = judges.judge(&cases, file, &arguments.trust, environment);
                judging.await.map(|results| {
                    let count = results.iter().filter(|judged| judged.passed()).count();
                    passed += count;
                    failed += results.len() - count;
                    tell(&results, file, output, &mut report);
                })
            }
        };
        if let Err(failure) = told {
            report.fail(&failure, |error| PolicyTestResult::Unusable {
                cases: file.display().to_string(),
                error,
            });
        }
    }
    if passed + failed > 0 {
        output.answer(&format!("{passed} passed, {failed} failed\n"));
    }
    let (results, code) = report.end();
    output.document(&PolicyTestOutput {
        failed_count: failed,
        results,
    });
    Ok(code)
}

/// What judges the cases.
enum Judges {
    Policy(Box<LoadedPolicy>),
    Rules(Box<Rules>),
}

impl Judges {
    /// Whether a case may name no signatures.
    fn unsigned(&self) -> Unsigned {
        match self {
            Self::Policy(_) => Unsigned::Refused,
            Self::Rules(_) => Unsigned::Allowed,
        }
    }

    /// The verdicts on the cases of a file.
    async fn judge<'a>(
        &self,
        cases: &'a Cases,
        file: &Path,
        trust: &TrustArguments,
        environment: &Environment,
    ) -> Result<Vec<JudgedCase<'a>>, Failure> {
        let directory = file.parent().unwrap_or(Path::new(""));
        let saved = cases.trusted_root.as_ref();
        let saved = saved.filter(|_| !trust.name_an_instance());
        let saved = saved.map(|path| SavedRoot::read(&directory.join(path)));
        let saved = saved.transpose()?;
        match self {
            Self::Rules(rules) => {
                let judging =
                    rules.judge(&cases.cases, directory, saved.as_ref(), trust, environment);
                judging.await
            }
            Self::Policy(policy) => {
                let root = match &saved {
                    Some(saved) => saved.for_policy(&policy.policy)?,
                    None => trusted_root(policy, trust, environment).await?,
                };
                by_policy(policy, &cases.cases, directory, &root)
            }
        }
    }
}

/// The trusted root of the flags, of the policy, or of the public-good instance.
async fn trusted_root(
    policy: &LoadedPolicy,
    trust: &TrustArguments,
    environment: &Environment,
) -> Result<TrustedRoot, Failure> {
    let instance = trust::instance(trust, Some(policy), environment)?;
    let connection = connection::without_registries(environment)?;
    instance
        .trusted_root_for(&policy.policy, environment, &connection)
        .await
}

/// The verdicts of one policy.
///
/// # Errors
/// Each case that can't be used, not only the first.
fn by_policy<'a>(
    policy: &LoadedPolicy,
    cases: &'a [Case],
    directory: &Path,
    root: &TrustedRoot,
) -> Result<Vec<JudgedCase<'a>>, Failure> {
    let (mut judged, mut wrong) = (Vec::new(), Vec::new());
    for case in cases {
        match case.judge(directory, root, &policy.policy) {
            Ok(verdict) => judged.push(JudgedCase {
                case,
                rule: None,
                verdict,
            }),
            Err(failure) => wrong.push(failure),
        }
    }
    require_all_usable(wrong)?;
    Ok(judged)
}

/// Refuses the file if any of its cases can't be used: by one failure that names all of them.
fn require_all_usable(mut wrong: Vec<Failure>) -> Result<(), Failure> {
    let kinds: Vec<Kind> = wrong.iter().map(|failure| failure.kind).collect();
    let Some(kind) = worst(&kinds) else {
        return Ok(());
    };
    if wrong.len() == 1
        && let Some(only) = wrong.pop()
    {
        return Err(only);
    }
    let lines: Vec<String> = wrong.iter().map(Failure::line).collect();
    let message = format!("{} cases can't be used:\n{}", lines.len(), lines.join("\n"));
    Err(Failure::new(kind, message).hint("`countersign policy test --help` shows a file of cases"))
}

/// Tells which rule is for each image. One that can't be read doesn't keep the others from being told.
fn rulings(rules: &Rules, images: &[String], output: &Output) -> ExitCode {
    let mut report = Report::new(output);
    for image in images {
        match image.parse::<Reference>() {
            Ok(reference) => {
                let result = rules.ruling(&reference);
                output.answer(&result.text());
                report.done(PolicyTestResult::Image(result));
            }
            Err(error) => {
                let message = format!("`{image}` is no image: {error}");
                let failure = Failure::new(Kind::Usage, message)
                    .hint("name it as a pod does: NAME:TAG or NAME@DIGEST");
                let image = image.clone();
                report.fail(&failure, |error| PolicyTestResult::Unread { image, error });
            }
        }
    }
    let (results, code) = report.end();
    let unread = |result: &&PolicyTestResult| matches!(result, PolicyTestResult::Unread { .. });
    output.document(&PolicyTestOutput {
        failed_count: results.iter().filter(unread).count(),
        results,
    });
    code
}

/// Tells which cases passed.
fn tell(
    results: &[JudgedCase<'_>],
    file: &Path,
    output: &Output,
    report: &mut Report<'_, PolicyTestResult>,
) {
    for judged in results {
        output.answer(&judged.text(file));
        let result = |error| PolicyTestResult::Case(judged.to_json(file, error));
        if judged.passed() {
            report.done(result(None));
        } else {
            // The text says it.
            report.fail_too(&judged.failure(), |error| result(Some(error)));
        }
    }
}

struct JudgedCase<'a> {
    case: &'a Case,
    /// The number of the rule of an image verifier that was applied.
    rule: Option<usize>,
    verdict: Verdict,
}

impl JudgedCase<'_> {
    fn passed(&self) -> bool {
        let found = self.verdict.exactly();
        let expected = self.case.expect;
        expected == found || expected == Expectation::Refused && found != Expectation::Accepted
    }

    fn found(&self) -> &'static str {
        self.verdict.exactly().as_str()
    }

    fn reason(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Accepted => None,
            Verdict::Refused { reason, .. } => Some(reason),
        }
    }

    /// Whether it is as expected, and why it is refused, if it is: a refusal that is expected may be so for another
    /// reason than its author thinks. `file` is where the expectation stands.
    fn text(&self, file: &Path) -> String {
        let (name, found) = (&self.case.name, self.found());
        let by = self
            .rule
            .map_or_else(String::new, |rule| format!(" by rule {rule}"));
        let mut text = if self.passed() {
            format!("ok     {name}: {found}{by}, as expected\n")
        } else {
            let expected = self.case.expect.as_str();
            format!("FAILED {name}: expected {expected}, found {found}{by}\n")
        };
        let mut below = |line: &str| {
            text.push_str(&format!("       {}\n", line.replace('\n', "\n       ")));
        };
        if let Some(reason) = self.reason() {
            below(reason);
        }
        if !self.passed() {
            below(&format!(
                "if {found} is right, write `expect: {found}` in {}",
                printable::path(file)
            ));
        }
        text
    }

    fn to_json(&self, file: &Path, error: Option<JsonError>) -> CaseResult {
        CaseResult {
            cases: file.display().to_string(),
            name: self.case.name.clone(),
            passed: self.passed(),
            expected: self.case.expect,
            found: self.verdict.exactly(),
            rule: self.rule,
            reason: self.reason().map(ToOwned::to_owned),
            error,
        }
    }

    /// What it is if it did not pass.
    fn failure(&self) -> Failure {
        let (expected, found) = (self.case.expect.as_str(), self.found());
        let message = format!("expected {expected}, found {found}");
        let failure = match self.reason() {
            Some(reason) => Failure::caused(Kind::Policy, message, reason),
            None => Failure::new(Kind::Policy, message),
        };
        failure.hint("correct the policy, or `expect` in the case")
    }
}

/// What `countersign policy test` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyTestOutput {
    /// One for each case or each image, in their order.
    results: Vec<PolicyTestResult>,
    /// How many did not pass.
    failed_count: usize,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum PolicyTestResult {
    /// With `--case`.
    Case(CaseResult),
    /// With `--image`.
    Image(ImageResult),
    /// With `--case`: a file of cases that can't be used.
    Unusable {
        /// The file.
        cases: String,
        error: JsonError,
    },
    /// With `--image`: what names no image.
    Unread {
        /// As it was given.
        image: String,
        error: JsonError,
    },
}

/// One case.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyTestCase")]
struct CaseResult {
    /// The file of cases.
    cases: String,
    name: String,
    /// Whether the verdict is the one expected.
    passed: bool,
    expected: Expectation,
    found: Expectation,
    /// The number of the image verifier's rule that was applied, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    /// Why the policy refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// If it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}
