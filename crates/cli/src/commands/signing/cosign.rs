//! `--also-verify-with cosign`: runs `cosign verify` on what was signed.
//!
//! cosign gets none of the variables by which this program gets an identity token, and its output is bounded and escaped.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use countersign_oci::{excerpt, printable};
use countersign_policy::{SignatureFormat, SigstoreInstance};
use countersign_sign::{Signed, WrittenFormats};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::process::Command;

use crate::ci;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::program::{self, NotRun};
use crate::trust::{Choice, Instance};

/// Runs of cosign at once.
const AT_ONCE: usize = 4;
/// For one run of cosign. It waits for a registry, and perhaps for a TUF repository.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of its output that are kept, from its end.
const OUTPUT_MAX: usize = 16 << 10;
/// Lines of its output that are shown, from the end, where it says why.
const LINES_MAX: usize = 8;

/// cosign, as it was found, and the trusted root that it is given.
#[derive(Debug, Clone)]
pub(super) struct Cosign {
    program: PathBuf,
    /// `None` for the public-good instance, whose trusted root cosign gets by itself.
    trusted_root: Option<PathBuf>,
    formats: WrittenFormats,
}

/// One question to cosign. Several names of an image need one answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    format: SignatureFormat,
    image: String,
    identity: String,
    issuer: String,
}

/// Why cosign does not confirm a signature.
#[derive(Debug, thiserror::Error)]
enum CosignError {
    #[error("cosign can't be run")]
    Run(#[source] std::io::Error),
    #[error("`cosign verify {image}` did not end within {} s", LIMIT.as_secs())]
    Late { image: String },
    #[error("`cosign verify {image}` failed ({status}): {}", if .said.is_empty() { "it says nothing" } else { .said })]
    Refused {
        image: String,
        status: String,
        said: String,
    },
}

impl Cosign {
    /// Looks for cosign in the directories of `PATH`.
    pub(super) fn find(
        environment: &Environment,
        instance: &Instance,
        formats: WrittenFormats,
    ) -> Result<Self, Failure> {
        let trusted_root = match &instance.choice {
            Choice::File(path) => Some(path.clone()),
            Choice::Named(SigstoreInstance::PublicGood) => None,
            Choice::Tuf { .. } | Choice::Named(SigstoreInstance::GitHub) => {
                return Err(Failure::new(
                    Kind::Usage,
                    "cosign can't be given the trusted root of a TUF repository",
                )
                .hint("pass the trusted root as a file with --trusted-root FILE, or leave out --also-verify-with"));
            }
        };
        let program = environment.program("cosign").ok_or_else(|| {
            Failure::new(
                Kind::Usage,
                "--also-verify-with needs cosign, and no directory of PATH has it; nothing was signed",
            )
            .hint("install cosign, or leave out --also-verify-with")
        })?;
        Ok(Self {
            program,
            trusted_root,
            formats,
        })
    }

    /// Verifies each manifest as a signature by the identity of its certificate.
    pub(super) async fn verify(
        self,
        signed: Vec<Signed>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let questions: BTreeSet<Question> = signed
            .iter()
            .flat_map(|one| self.formats.each().iter().map(move |format| (one, *format)))
            .map(|(one, format)| {
                let holder = one.evidence.signer.certificate();
                Question {
                    format,
                    image: format!("{}@{}", one.reference.location(), one.digest),
                    identity: holder
                        .map(|holder| holder.identity.clone())
                        .unwrap_or_default(),
                    issuer: holder
                        .map(|holder| holder.issuer.clone())
                        .unwrap_or_default(),
                }
            })
            .collect();
        stream::iter(questions.into_iter().map(|question| self.ask(question)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    async fn ask(&self, question: Question) -> Result<(), CosignError> {
        let mut command = Command::new(&self.program);
        command.arg("verify").arg(match question.format {
            SignatureFormat::Bundle => "--new-bundle-format",
            SignatureFormat::SimpleSigning => "--new-bundle-format=false",
        });
        if let Some(path) = &self.trusted_root {
            command.arg("--trusted-root").arg(path);
        }
        command
            .arg(format!("--certificate-identity={}", question.identity))
            .arg(format!("--certificate-oidc-issuer={}", question.issuer))
            .arg("--")
            .arg(&question.image);
        // cosign needs no identity to verify.
        for secret in ci::identity_secrets() {
            command.env_remove(secret);
        }
        let image = question.image;
        match program::run(command, LIMIT, OUTPUT_MAX).await {
            Ok(ran) if ran.status.success() => Ok(()),
            Ok(ran) => Err(CosignError::Refused {
                image,
                status: ran.status.to_string(),
                said: last_lines(&ran.stderr.text()),
            }),
            Err(NotRun::Late(_)) => Err(CosignError::Late { image }),
            Err(NotRun::Failed(error)) => Err(CosignError::Run(error)),
        }
    }
}

/// The last lines of what it wrote to standard error.
fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    let last = lines.iter().skip(from).map(|line| excerpt(line));
    printable(&last.collect::<Vec<_>>().join("; "))
}
