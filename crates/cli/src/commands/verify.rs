//! `countersign verify`: judges the digest that each reference names, or one platform's image of it.
//!
//! Several references are judged side by side, with one trusted root. Results come in the order of the
//! references, and one that is refused changes nothing about the others.

pub(super) mod bundle;
mod judged;
mod predicate;
mod result;
mod save;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_oci::{
    Digest, PinnedReference, Platform, PlatformEntry, Reference, Registry, ResolvedImage,
};
use countersign_policy::Policy;
use countersign_verify::{
    Evidence, JudgedIndex, SignatureCache, SignedDocument, Verifier, judge_index, verify_platform,
};
use futures_util::{StreamExt as _, stream};

use self::judged::{Judged, refused};
use self::predicate::PredicateTo;
pub(super) use self::result::{VerifyOutput, VerifyResult};
use self::save::Saving;
use self::text::{line, text};
use super::in_order::told_in_order;
use super::report::Report;
use crate::arguments::cache::CacheArguments;
use crate::arguments::verification::VerificationArguments;
use crate::cache::{signature_cache, warn};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use crate::verification::Verification;

const EXAMPLE: &str = "\
Example: the release workflow of acme/app must have signed the image, for a tag
  countersign verify \\
    --issuer https://token.actions.githubusercontent.com \\
    --identity-regex 'https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/tags/.+' \\
    ghcr.io/acme/app:v1";

/// How many references are judged at the same time. Each needs a few short requests.
const AT_ONCE: usize = 8;

/// `countersign verify`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct VerifyArguments {
    /// Images to verify
    ///
    /// The manifest or index that the reference names must be signed. `ocifile://PATH` is an OCI
    /// image layout: a directory or a tar archive.
    #[arg(required = true, value_name = "REFERENCE", value_parser = operand::image)]
    pub(crate) references: Vec<Reference>,

    /// Verify the image for this platform
    ///
    /// Then the index or the platform's manifest must be signed, as for `install`. Not with --all-platforms.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Verify the images for all platforms
    ///
    /// Each entry of an index for a platform is verified as with `--platform`, and told on its own line: all of
    /// them, if there are several for one platform. `--verbose` prints the details. An image that is not an index
    /// is verified as it is.
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,

    /// Print only `repository@digest` of each verified image
    ///
    /// One line for each, for `podman pull "$(countersign verify --print-digest …)"`. With `--platform` and
    /// `--all-platforms` it is the digest of the platform's manifest. Nothing is printed for an image that is
    /// refused. Not with --output json, which has the digests.
    #[arg(long)]
    pub(crate) print_digest: bool,

    /// Take the signatures from this file
    ///
    /// Those in the registry are not looked at. It is a bundle as `cosign sign --bundle` and `cosign attest
    /// --bundle` write it, or several, one a line, as `gh attestation download` writes them. Each image must be
    /// signed by one of them. The image itself is still asked for in its registry, and so is what the policy
    /// denies. Not with --cache.
    #[arg(long, value_name = "FILE", conflicts_with = "cache")]
    pub(crate) bundle: Option<PathBuf>,

    /// Write the proven predicate to this file
    ///
    /// The predicate is what an attestation says: a provenance or an SBOM, as JSON, byte for byte as it was
    /// signed. `-` is standard output. Only for one reference, and with a policy that accepts the attestation
    /// (`predicate_types` or `require`). Not with --all-platforms.
    #[arg(long, value_name = "FILE", conflicts_with = "all_platforms")]
    pub(crate) save_predicate: Option<PathBuf>,

    /// Write what the verdict stands on to this new directory
    ///
    /// It writes the image's manifest, its signatures, the trusted root, the name and the time. It does so for a refused
    /// image, too. `countersign policy test POLICY --case DIR` comes to the verdict again, without a network. Only for
    /// one reference. Not with --platform and --all-platforms.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["platform", "all_platforms"])]
    pub(crate) save: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,

    #[command(flatten)]
    pub(crate) cache: CacheArguments,
}

/// Verifies every reference, whatever became of those before it; the exit code is that of the
/// worst failure.
pub(crate) async fn run(
    arguments: VerifyArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    arguments.require_one_form(output)?;
    let predicate = PredicateTo::of(&arguments, output)?;
    let saving = Saving::of(&arguments)?;
    let verification = Verification::new(&arguments.verification, environment).await?;
    predicate.check(&verification.policy)?;
    let cache = signature_cache(&arguments.cache, environment)?;
    let verifier = match &cache {
        Some(cache) => verification.verifier().with_cache(cache.clone()),
        None => verification.verifier(),
    };
    let verifier = match bundle::read(arguments.bundle.as_deref())? {
        Some(bundles) => verifier.with_bundles(bundles),
        None => verifier,
    };
    let verifier = saving.shown(verifier);

    let mut report = Report::new(output);
    let progress = Progress::new(output, verifying(&arguments.references));
    let judge = Judge {
        registry: &verification.registry,
        verifier: &verifier,
        policy: &verification.policy,
    };
    let teller = Teller {
        arguments: &arguments,
        verification: &verification,
        saving: &saving,
        predicate: &predicate,
        cache: cache.as_ref(),
        output,
    };
    let which = arguments.which();
    let tell = |(position, reference, outcomes, kept): Outcomes<'_>| {
        for judged in outcomes {
            let (failed, mut result) = teller.tell(reference, judged, &progress);
            if let Some(failure) = failed {
                progress.suspend(|| report.fail(&failure, |error| result.failed(error)));
            }
            // Written at once: of thousands of references, only those that wait for their turn are kept.
            output.next_result::<VerifyOutput>(&result);
        }
        if let Err(failure) = kept {
            let reason = failure.line();
            let warning = format!("not all signatures of {reference} are saved: {reason}");
            progress.suspend(|| output.warning(&warning));
        }
        output.judged(position);
    };
    output.judging(arguments.references.iter().map(ToString::to_string));
    let references = arguments.references.iter().enumerate();
    let outcomes = references.map(async |(position, reference)| {
        let judged = judge.reference(reference, which).await;
        let kept = saving.keep_all(&verifier, &judged).await;
        (position, reference, judged, kept)
    });
    told_in_order(outcomes, AT_ONCE, tell).await;
    drop(progress);
    output.end_results();
    warn(
        output,
        "signatures",
        cache.as_ref().and_then(SignatureCache::trouble),
    );
    let (_, code) = report.end();
    Ok(code)
}

/// What became of a reference: its position and itself, its verdicts, and whether all of its signatures are kept.
type Outcomes<'a> = (usize, &'a Reference, Vec<Judged>, Result<(), Failure>);

/// Saves what is to be saved of a verdict, and tells it.
struct Teller<'a> {
    arguments: &'a VerifyArguments,
    verification: &'a Verification,
    saving: &'a Saving<'a>,
    predicate: &'a PredicateTo<'a>,
    cache: Option<&'a SignatureCache>,
    output: &'a Output,
}

impl Teller<'_> {
    /// The result without an error, and why the image is refused or something is not saved.
    fn tell(
        &self,
        reference: &Reference,
        judged: Judged,
        progress: &Progress,
    ) -> (Option<Failure>, VerifyResult) {
        let Judged {
            platform,
            image,
            digest,
            outcome,
        } = judged;
        let platform = platform.as_ref();
        let (verification, output) = (self.verification, self.output);
        let outcome = outcome.map_err(|failure| {
            let failure = verification.told.add_to(failure);
            if self.arguments.references.len() > 1 || self.arguments.all_platforms {
                failure.about(reference, platform)
            } else {
                failure
            }
        });
        let (outcome, saved) = self
            .saving
            .save(image.as_ref(), outcome, verification, output);
        let saved = match &outcome {
            Ok(verified) => saved.and_then(|()| self.predicate.save(verified, output)),
            Err(_) => saved,
        };
        if let (Some(cache), Ok(verified)) = (self.cache, &outcome)
            && output.tells_steps()
            && cache.has_proved(&verified.evidence.digest)
        {
            progress.say(format!("from the cache: the signature of {reference}"));
        }
        if let (Ok(verified), Ok(())) = (&outcome, &saved) {
            progress.suspend(|| self.accepted(reference, platform, verified));
        }
        let result = VerifyResult::new(reference, platform, digest.as_ref(), outcome.as_ref().ok());
        (outcome.err().or(saved.err()), result)
    }

    /// Tells of an image that is verified.
    fn accepted(&self, reference: &Reference, platform: Option<&Platform>, verified: &Verified) {
        let output = self.output;
        match self.arguments.print_digest {
            true => output.answer(&format!("{}\n", verified.proven)),
            // Details of each platform are for whoever asks for them.
            false if self.arguments.all_platforms && !output.tells_steps() => {
                output.result(&line(reference, platform, verified));
            }
            false => {
                let policy = &self.verification.policy;
                self.predicate
                    .tell(output, &text(reference, platform, verified, policy));
            }
        }
    }
}

/// What was verified, and which of its documents is signed.
struct Verified {
    /// What a signature proves: the digest that the reference named, or the platform's manifest.
    proven: PinnedReference,
    evidence: Evidence,
    /// Of the other proofs, if the policy requires several.
    further: Vec<Evidence>,
    signed: SignedDocument,
    /// The platform's manifest, where a platform was asked for.
    manifest: Option<Digest>,
    /// The JSON of the proven predicate, if there is a statement.
    predicate: Option<String>,
}

/// What the terminal shows meanwhile.
fn verifying(references: &[Reference]) -> String {
    match references {
        [only] => format!("verifying {only}"),
        several => format!("verifying {} references", several.len()),
    }
}

/// Which of an image's documents are verified.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// The one that the reference names.
    Named,
    Platform(&'a Platform),
    AllPlatforms,
}

impl VerifyArguments {
    /// Refuses two forms of what is printed.
    fn require_one_form(&self, output: &Output) -> Result<(), Failure> {
        if self.print_digest && output.is_json() {
            let message = "--print-digest can't be combined with --output json";
            return Err(Failure::new(Kind::Usage, message)
                .hint("leave one of them out: the JSON has the digests, too"));
        }
        Ok(())
    }

    fn which(&self) -> Which<'_> {
        match &self.platform {
            Some(platform) => Which::Platform(platform),
            None if self.all_platforms => Which::AllPlatforms,
            None => Which::Named,
        }
    }
}

/// What is said of an index without an image for any platform.
fn no_platform() -> Failure {
    Failure::new(Kind::NotFound, "the index lists no image for any platform")
        .hint("to verify the index itself, leave --all-platforms out")
}

/// What every reference is judged with.
struct Judge<'a> {
    registry: &'a Registry,
    verifier: &'a Verifier,
    policy: &'a Policy,
}

impl Judge<'_> {
    /// At least one verdict.
    async fn reference(&self, reference: &Reference, which: Which<'_>) -> Vec<Judged> {
        let image = match self.verifier.resolve(reference, self.policy).await {
            Ok(image) => image,
            Err(error) => {
                let (platform, digest) = match which {
                    Which::Named | Which::AllPlatforms => (None, reference.digest().cloned()),
                    Which::Platform(platform) => (Some(platform.clone()), None),
                };
                return vec![Judged {
                    platform,
                    digest,
                    ..Judged::failed(error.into())
                }];
            }
        };
        match which {
            Which::Named => vec![self.named(image).await],
            Which::Platform(platform) => vec![self.platform(&image, platform.clone()).await],
            Which::AllPlatforms => self.platforms(&image).await,
        }
    }

    async fn platforms(&self, image: &ResolvedImage) -> Vec<Judged> {
        match self.registry.platform_entries(image).await {
            Ok(entries) if entries.is_empty() => vec![match SignedDocument::of(image) {
                SignedDocument::Manifest => self.named(image.clone()).await,
                SignedDocument::Index => Judged {
                    digest: Some(image.digest().clone()),
                    ..Judged::failed(no_platform())
                },
            }],
            Ok(entries) => match judge_index(self.verifier, image, self.policy).await {
                Ok(index) => {
                    stream::iter(entries)
                        .map(|entry| self.entry(image, &index, entry))
                        .buffered(AT_ONCE)
                        .collect()
                        .await
                }
                Err(error) => vec![Judged {
                    digest: Some(image.digest().clone()),
                    ..Judged::failed(refused(error, image))
                }],
            },
            Err(error) => vec![Judged::failed(error.into())],
        }
    }

    async fn named(&self, image: ResolvedImage) -> Judged {
        let proof = self.verifier.verify(&image, self.policy).await;
        let outcome = proof.map(|proof| Verified {
            proven: image.reference().clone(),
            evidence: proof.evidence().clone(),
            further: proof.further_evidence().to_vec(),
            signed: SignedDocument::of(&image),
            manifest: None,
            predicate: proof.predicate().map(str::to_owned),
        });
        Judged {
            platform: None,
            digest: Some(image.digest().clone()),
            outcome: outcome.map_err(|error| refused(error, &image)),
            image: Some(image),
        }
    }

    async fn platform(&self, image: &ResolvedImage, platform: Platform) -> Judged {
        let verifying =
            verify_platform(self.registry, self.verifier, image, &platform, self.policy);
        let verified = verifying.await;
        Judged::of_platform(platform, None, image, verified)
    }

    async fn entry(
        &self,
        image: &ResolvedImage,
        index: &JudgedIndex<'_>,
        entry: PlatformEntry,
    ) -> Judged {
        let verifying = index.entry(self.registry, self.verifier, &entry);
        let verified = verifying.await;
        let digest = entry.digest().clone();
        Judged::of_platform(entry.platform, Some(digest), image, verified)
    }
}
