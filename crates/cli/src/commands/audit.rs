//! `countersign audit`: how far a roll-out is. A verdict for every image of a list or of galleries, and nothing is
//! installed.
//!
//! Images are read, judged and reported as they come, so that a long list needs no more memory than a short one.

mod document;
mod fail_on;
mod images;
mod record;
mod tally;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use countersign_download::{Auditor, GallerySubjects, Scope, Subject, WhichSources};
use countersign_oci::{Platform, Registry};
use countersign_verify::Verifier;
use futures_util::{Stream, StreamExt as _, stream};

pub(super) use self::document::{AuditEnd, AuditOutput};
use self::fail_on::FailOn;
use self::images::Images;
pub(super) use self::record::AuditResult;
use self::tally::Tally;
use super::galleries;
use crate::arguments::limits;
use crate::arguments::planning::PlanningArguments;
use crate::arguments::policy::PolicyArguments;
use crate::arguments::registry::RegistryArguments;
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::output::Output;
use crate::policy::{self, LoadedPolicy};
use crate::progress::Progress;
use crate::trust;

const EXAMPLE: &str = "\
Example: what of a gallery is signed, and what is not
  countersign audit --gallery galleries.yaml

Example: every image that runs in a cluster
  kubectl get pods --all-namespaces -o json | countersign audit --policy policy.yaml --images -";

const USAGE: &str = "\
countersign audit [OPTIONS] --gallery FILE
       countersign audit [OPTIONS] --policy FILE --images FILE";

/// How many images are judged at the same time. Each needs a few short requests.
const AT_ONCE: usize = 32;

/// `countersign audit`
#[derive(Debug, Args)]
#[command(
    override_usage = USAGE,
    after_help = EXAMPLE,
    group = ArgGroup::new("audited").args(["gallery", "images"]).required(true),
)]
pub(crate) struct AuditArguments {
    /// Audit the galleries of this file, each by its policy
    ///
    /// Every entry with an image is audited, whatever hardware it is for.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "policy_fields"])]
    pub(crate) gallery: Option<PathBuf>,

    /// Audit the images of a list; `-` is standard input
    ///
    /// The list has a reference a line; empty lines and lines that begin with # are left out. Or it is
    /// JSON, as `kubectl get pods -o json` prints it.
    #[arg(long, value_name = "FILE")]
    pub(crate) images: Option<PathBuf>,

    /// What makes the run fail [default: any]
    ///
    /// any is every image that is not proven. none is nothing. Otherwise states, separated by commas:
    /// stale, other_condition, other_signer, legacy_only, attestation_only, unsigned, invalid, denied,
    /// missing, unreachable, uncovered, unusable.
    #[arg(
        long,
        value_name = "STATE,...",
        default_value = "any",
        hide_default_value = true
    )]
    pub(crate) fail_on: FailOn,

    /// Audit the image for this platform
    ///
    /// Then a signature of the index or of the platform's manifest counts, as for `install`. Without
    /// this flag, what the reference names must be signed.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Audit the images for all platforms, each on its own
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,

    /// Audit the mirrors of entries too
    ///
    /// A mirror is asked for the digest that the entry's uri resolved to, as by `install`.
    #[arg(long, requires = "gallery")]
    pub(crate) mirrors: bool,

    /// Allow entries of remote indexes in private networks
    #[arg(long, requires = "gallery")]
    pub(crate) allow_private_addresses: bool,

    /// Size of a gallery's index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size, requires = "gallery")]
    pub(crate) max_index: Option<u64>,

    #[command(flatten)]
    pub(crate) policy: PolicyArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,
}

/// An image with the auditor that judges it.
type Task = (Arc<Auditor<Verifier>>, Subject);

/// Audits all there is. The exit code is that of the worst verdict that the run is to fail on.
pub(crate) async fn run(
    arguments: AuditArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let registry = connection::registry(&arguments.registry, environment)?;
    let setup = Setup {
        arguments: &arguments,
        registry,
        environment,
    };
    let mut tally = Tally::default();
    let mut kept = Vec::new();
    match (&arguments.gallery, &arguments.images) {
        (Some(file), _) => {
            let planning = arguments.planning();
            let load = galleries::load(file, &planning, &arguments.registry, environment);
            let galleries = load.await?;
            let mut tasks = Vec::new();
            for one in galleries.subjects(arguments.which()) {
                let auditor = Arc::new(setup.for_gallery(file, &one).await?);
                let subjects = one.subjects();
                tasks.push(subjects.map(move |subject| (Arc::clone(&auditor), subject)));
            }
            let tasks = stream::iter(tasks.into_iter().flatten());
            audit(tasks, output, &mut tally, &mut kept).await;
        }
        (None, Some(file)) => {
            let auditor = Arc::new(setup.for_images().await?);
            let mut images = Images::open(file)?;
            let subjects = images.subjects();
            let tasks = subjects.map(|subject| (Arc::clone(&auditor), subject));
            audit(tasks, output, &mut tally, &mut kept).await;
            images.end()?;
        }
        (None, None) => return Err(nothing_to_audit()),
    }
    if tally.total() == 0 {
        return Err(nothing_to_audit());
    }
    finish(&arguments.fail_on, &tally, kept, output)
}

fn nothing_to_audit() -> Failure {
    Failure::new(Kind::Usage, "there is no image to audit")
        .hint("name images with --images FILE, one a line, or a gallery with --gallery FILE")
}

/// Judges what comes, many at the same time, and reports each verdict as it is found.
async fn audit(
    tasks: impl Stream<Item = Task>,
    output: &Output,
    tally: &mut Tally,
    kept: &mut Vec<(usize, Vec<AuditResult>)>,
) {
    let progress = Progress::new(output, "auditing");
    let judged = tasks
        .enumerate()
        .map(|(position, (auditor, subject))| async move {
            let audited = auditor.judge(&subject).await;
            let results = audited.iter().map(|one| AuditResult::new(&subject, one));
            (position, results.collect::<Vec<_>>())
        });
    let mut judged = std::pin::pin!(judged.buffer_unordered(AT_ONCE));
    while let Some((position, results)) = judged.next().await {
        for result in &results {
            tally.count(result);
            progress.suspend(|| output.line(result));
        }
        if output.keeps_results() {
            kept.push((position, results));
        }
        progress.audited(tally.total());
    }
}

/// Tells what was found, and with which exit code the run ends.
fn finish(
    fail_on: &FailOn,
    tally: &Tally,
    mut kept: Vec<(usize, Vec<AuditResult>)>,
    output: &Output,
) -> Result<ExitCode, Failure> {
    kept.sort_by_key(|(position, _)| *position);
    output.answer(&text::summary(tally));
    let summary = tally.summary();
    output.document(&AuditOutput {
        results: kept.into_iter().flat_map(|(_, results)| results).collect(),
        summary: summary.clone(),
    });
    output.line(&AuditEnd { summary });
    let Some(failed) = fail_on.failed(tally) else {
        return Ok(ExitCode::SUCCESS);
    };
    let code = exit_code(failed.kind).into();
    output.failure(&failed);
    Ok(code)
}

impl AuditArguments {
    fn which(&self) -> WhichSources {
        match self.mirrors {
            true => WhichSources::Mirrors,
            false => WhichSources::Primary,
        }
    }

    fn scope(&self) -> Scope {
        match &self.platform {
            Some(platform) => Scope::Platform(platform.clone()),
            None if self.all_platforms => Scope::AllPlatforms,
            None => Scope::Named,
        }
    }

    /// What indexes are read by. Hardware and tags to fall back to decide nothing here.
    fn planning(&self) -> PlanningArguments {
        PlanningArguments {
            capability: "default".parse().ok(),
            fallback_tags: Vec::new(),
            require_integrity: false,
            allow_private_addresses: self.allow_private_addresses,
            max_index: self.max_index,
            store: None,
            lock: None,
        }
    }
}

/// What auditors are made from.
struct Setup<'a> {
    arguments: &'a AuditArguments,
    registry: Registry,
    environment: &'a Environment,
}

impl Setup<'_> {
    async fn for_images(&self) -> Result<Auditor<Verifier>, Failure> {
        self.by(policy::from_arguments(&self.arguments.policy)?)
            .await
    }

    async fn for_gallery(
        &self,
        file: &Path,
        subjects: &GallerySubjects<'_>,
    ) -> Result<Auditor<Verifier>, Failure> {
        let auditor = match &subjects.gallery().policy {
            Some(policy) => {
                let loaded = LoadedPolicy {
                    policy: policy.clone(),
                    file: Some(file.to_owned()),
                };
                self.by(loaded).await?
            }
            None => Auditor::without_policy(self.registry.clone(), self.arguments.scope()),
        };
        Ok(match subjects.address_limit() {
            Some(limit) => auditor.within(limit)?,
            None => auditor,
        })
    }

    async fn by(&self, loaded: LoadedPolicy) -> Result<Auditor<Verifier>, Failure> {
        let instance = trust::instance(&self.arguments.trust, Some(&loaded))?;
        let connection = self.registry.connection();
        let root = instance.trusted_root(self.environment, connection).await?;
        let verifier = Arc::new(Verifier::new(self.registry.clone(), root));
        let registry = self.registry.clone();
        let scope = self.arguments.scope();
        Ok(Auditor::new(registry, verifier, loaded.policy, scope))
    }
}
