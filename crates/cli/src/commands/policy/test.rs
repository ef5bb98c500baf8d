//! `countersign policy test`: a policy's verdicts on saved signatures, against those expected.
//!
//! No registry is asked: bundles are files, and so are manifests, where not their digests alone are
//! given. Only the trusted root, where it is no file, comes from the network, and with `--offline`
//! not even that.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_oci::{Digest, Reference, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{RefusalKind, TrustedRoot, judge_digest};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::input::read_text;
use crate::output::Output;
use crate::policy;
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
      image: ghcr.io/acme/app:v1    # needed only for a policy with bind_name
      at: 2026-01-31T12:00:00Z      # the time to judge at; without it, the present time
      expect: refused_policy        # or refused_invalid, refused_unsigned; or refused, for any

The exit code is 4 if a result is not the expected one.";

/// `countersign policy test`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct PolicyTestArguments {
    /// The policy file, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// File of cases, YAML
    ///
    /// Paths in the file are relative to it.
    #[arg(long = "case", value_name = "CASES")]
    pub(crate) cases: PathBuf,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,
}

/// Stands for the name of an image that no condition asks for.
const NAMELESS: &str = "registry.invalid/image";

/// Bytes of one manifest or bundle. Real ones are a hundred times smaller.
const FILE_MAX: u64 = 4 << 20;

pub(super) async fn run(
    arguments: PolicyTestArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let policy = policy::from_file(&arguments.file)?;
    let cases = Cases::read(&arguments.cases)?;
    let instance = trust::instance(&arguments.trust, Some(&policy))?;
    let connection = connection::without_registries(environment)?;
    let trusted_root = instance
        .trusted_root_for(&policy.policy, environment, &connection)
        .await?;

    let directory = arguments.cases.parent().unwrap_or(Path::new(""));
    let mut results = Vec::new();
    for case in &cases.cases {
        let verdict = case.judge(directory, &trusted_root, &policy.policy)?;
        let judged = JudgedCase { case, verdict };
        output.answer(&judged.text());
        results.push(judged);
    }
    let failed = results.iter().filter(|judged| !judged.passed()).count();
    output.answer(&format!(
        "{} passed, {failed} failed\n",
        results.len() - failed
    ));
    output.document(&PolicyTestOutput {
        results: results.iter().map(JudgedCase::to_json).collect(),
        failed_count: failed,
    });
    Ok(if failed > 0 {
        exit_code(Kind::Policy).into()
    } else {
        ExitCode::SUCCESS
    })
}

/// The file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

/// A saved signature, and the verdict that the policy must come to. Paths are relative to the file
/// of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The image's manifest or index, byte for byte as the registry has it; or `digest`.
    manifest: Option<PathBuf>,
    /// The digest of the image's manifest or index.
    digest: Option<Digest>,
    /// The Sigstore bundle.
    bundle: PathBuf,
    /// The name that the image is asked for by; only a policy with `bind_name` needs it.
    image: Option<Reference>,
    /// The time that the signature is judged at (RFC 3339). Without it, the present time.
    at: Option<Timestamp>,
    expect: Expectation,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Verdict")]
enum Expectation {
    /// The policy accepts it.
    Accepted,
    /// Refused, for whatever reason.
    Refused,
    /// Refused because there is no signature that can be used.
    RefusedUnsigned,
    /// Refused because signature, certificate, log entry or digest do not hold.
    RefusedInvalid,
    /// Genuine, and refused by the policy.
    RefusedPolicy,
}

impl Expectation {
    /// As it is written in the file.
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::RefusedUnsigned => "refused_unsigned",
            Self::RefusedInvalid => "refused_invalid",
            Self::RefusedPolicy => "refused_policy",
        }
    }
}

impl Cases {
    fn read(path: &Path) -> Result<Self, Failure> {
        let unusable = |detail: String| {
            let message = format!("the cases {} can't be used: {detail}", path.display());
            Failure::new(Kind::Usage, message)
                .hint("`countersign policy test --help` shows a file of cases")
        };
        let text = read_text(path, "file of cases")?;
        let cases: Self = serde_saphyr::from_str(&text)
            .map_err(|error| unusable(error.without_snippet().to_string()))?;
        if cases.cases.is_empty() {
            // A test of nothing must not look like one that passed.
            return Err(unusable("it has no cases".to_owned()));
        }
        Ok(cases)
    }
}

impl Case {
    /// What the policy says of the case. The error is of the files, not of the verdict.
    fn judge(
        &self,
        directory: &Path,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        let asked = self.asked(policy)?;
        let digest = self.digest(directory, &asked)?;
        let bundle = read(&directory.join(&self.bundle), "bundle")?;
        let judged = judge_digest(
            &digest,
            &asked,
            &bundle,
            trusted_root,
            policy,
            self.at.unwrap_or_else(Timestamp::now),
        );
        Ok(match judged {
            Ok(_) => Verdict::Accepted,
            Err(failure) => Verdict::Refused {
                kind: failure.kind(),
                reason: Failure::new(Kind::Policy, failure).line(),
            },
        })
    }

    /// The name that the image is asked for by.
    fn asked(&self, policy: &Policy) -> Result<Reference, Failure> {
        match &self.image {
            Some(image) => Ok(image.clone()),
            None if policy.bind_name() => {
                Err(self.unusable("the policy has `bind_name`: add `image`, the name of the image"))
            }
            None => NAMELESS.parse().map_err(|error| self.unusable(error)),
        }
    }

    /// The digest of the image that the case is about.
    fn digest(&self, directory: &Path, asked: &Reference) -> Result<Digest, Failure> {
        let digest = match (&self.manifest, &self.digest) {
            (Some(path), None) => {
                let manifest = read(&directory.join(path), "manifest")?;
                let image = ResolvedImage::from_bytes(asked.location(), manifest.into(), None)
                    .map_err(|error| self.unusable(error))?;
                image.digest().clone()
            }
            (None, Some(digest)) => digest.clone(),
            (None, None) => {
                return Err(self.unusable("expected `manifest` or `digest`, found neither"));
            }
            (Some(_), Some(_)) => {
                return Err(self.unusable("expected `manifest` or `digest`, found both"));
            }
        };
        match asked.digest() {
            Some(named) if *named != digest => Err(self.unusable(format_args!(
                "`image` names {named}, but the case is about {digest}"
            ))),
            _ => Ok(digest),
        }
    }

    fn unusable(&self, detail: impl fmt::Display) -> Failure {
        let message = format!("the case `{}` can't be used: {detail}", self.name);
        Failure::new(Kind::Usage, message)
    }
}

/// What the policy says of a case.
enum Verdict {
    Accepted,
    Refused { kind: RefusalKind, reason: String },
}

impl Verdict {
    /// The narrowest expectation that this meets.
    fn exactly(&self) -> Expectation {
        match self {
            Self::Accepted => Expectation::Accepted,
            Self::Refused { kind, .. } => match kind {
                RefusalKind::Unsigned => Expectation::RefusedUnsigned,
                RefusalKind::Invalid => Expectation::RefusedInvalid,
                RefusalKind::OtherSigner | RefusalKind::Policy => Expectation::RefusedPolicy,
            },
        }
    }
}

struct JudgedCase<'a> {
    case: &'a Case,
    verdict: Verdict,
}

impl JudgedCase<'_> {
    fn passed(&self) -> bool {
        let found = self.verdict.exactly();
        self.case.expect == found
            || self.case.expect == Expectation::Refused && found != Expectation::Accepted
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

    fn text(&self) -> String {
        let (name, found) = (&self.case.name, self.found());
        if self.passed() {
            return format!("ok     {name}: {found}\n");
        }
        let expected = self.case.expect.as_str();
        let mut text = format!("FAILED {name}: expected {expected}, found {found}\n");
        if let Some(reason) = self.reason() {
            let reason = reason.replace('\n', "\n       ");
            text.push_str(&format!("       {reason}\n"));
        }
        text
    }

    fn to_json(&self) -> PolicyTestResult {
        PolicyTestResult {
            name: self.case.name.clone(),
            passed: self.passed(),
            expected: self.case.expect,
            found: self.verdict.exactly(),
            reason: self.reason().map(ToOwned::to_owned),
        }
    }
}

/// What `countersign policy test` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyTestOutput {
    /// One for each case, in their order.
    results: Vec<PolicyTestResult>,
    /// How many did not pass.
    failed_count: usize,
}

/// One case.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyTestResult {
    name: String,
    /// Whether the verdict is the one expected.
    passed: bool,
    expected: Expectation,
    found: Expectation,
    /// Why the policy refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A file, whole, or an error where it is larger than such files are.
fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::unreadable(path, what, error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_MAX {
        let message = format!(
            "the {what} {} is larger than {FILE_MAX} bytes",
            path.display()
        );
        return Err(Failure::new(Kind::Usage, message));
    }
    Ok(bytes)
}
