//! `countersign audit`: how far a roll-out is. A verdict for every image of a list or of galleries, and nothing is
//! installed.
//!
//! Images are read, judged and reported as they come, so that a long list needs no more memory than a short one.

mod document;
mod earlier;
mod fail_on;
mod html;
mod images;
mod junit;
mod markup;
mod merge;
mod metrics;
mod record;
mod report;
mod rules;
mod shard;
mod state_file;
mod tally;
mod text;

use std::cell::{Cell, RefCell};
use std::future::ready;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use countersign_download::{AuditSubject, Audited, Auditor, GallerySubjects, Scope, WhichSources};
use countersign_oci::http::Traffic;
use countersign_oci::{Platform, Registry};
use countersign_verify::{Limits, Verifier};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::task::JoinSet;

pub(super) use self::document::{AuditEnd, AuditOutput};
use self::images::Images;
use self::merge::AuditMergeArguments;
pub(super) use self::record::AuditResult;
use self::report::{AuditReport, ReportArguments};
use self::shard::Shard;
use self::state_file::StateFile;
use super::galleries;
use crate::arguments::limits;
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::verification::VerificationArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::policy::{self, LoadedPolicy};
use crate::progress::Progress;
use crate::trust::{self, Instance};

const EXAMPLE: &str = "\
Example: what of a gallery is signed, and what is not
  countersign audit --gallery galleries.yaml

Example: every image that runs in a cluster
  kubectl get pods --all-namespaces -o json | countersign audit --policy policy.yaml --images -";

const USAGE: &str = "\
countersign audit [OPTIONS] --gallery FILE
       countersign audit [OPTIONS] --policy FILE --images FILE
       countersign audit merge [OPTIONS] FILE...";

/// How many images are judged at the same time. Each needs a few short requests.
const AT_ONCE: usize = 32;
/// How long a registry may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// `countersign audit`
#[derive(Debug, Args)]
#[command(
    override_usage = USAGE,
    after_help = EXAMPLE,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    group = ArgGroup::new("audited").args(["gallery", "images"]).required(true),
)]
pub(crate) struct AuditArguments {
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,

    /// Audit the galleries of this file, each by its policy
    ///
    /// Every entry with an image is audited, whatever hardware it is for. Not with --policy and its fields.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "policy_fields"])]
    pub(crate) gallery: Option<PathBuf>,

    /// Audit the images of a list; `-` is standard input
    ///
    /// The list has a reference a line; empty lines and lines that begin with # are left out. Or it is
    /// JSON, as `kubectl get pods -o json` prints it.
    #[arg(long, value_name = "FILE")]
    pub(crate) images: Option<PathBuf>,

    /// Audit the image for this platform
    ///
    /// Then a signature of the index or of the platform's manifest counts, as for `install`. Without
    /// this flag, what the reference names must be signed.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,

    /// Audit the images for all platforms, each on its own
    ///
    /// Not with --platform.
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

    /// Audit one of several parts, such as 3/16
    ///
    /// What is in a part depends on the images alone, so that several machines can share an audit.
    /// `countersign audit merge` makes one report of all parts.
    #[arg(long, value_name = "NUMBER/PARTS")]
    pub(crate) shard: Option<Shard>,

    /// Ask each host at most so many times a second
    ///
    /// Without this flag, a registry is asked as fast as it answers. If it says how many requests it takes, or asks
    /// for a pause of up to ten minutes, the audit does as it says.
    #[arg(long, value_name = "NUMBER", value_parser = per_second)]
    pub(crate) rate: Option<NonZeroU32>,

    /// Keep what was found in this file, and go on with it
    ///
    /// An audit that was interrupted goes on where it was. Remove the file to begin anew.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) report: ReportArguments,

    #[command(flatten)]
    pub(crate) verification: VerificationArguments,
}

/// What is done with audits that are there.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Make one report of several audits
    ///
    /// It asks no registry. Use it for the parts of an audit with --shard.
    Merge(AuditMergeArguments),
}

/// An image with the auditor that judges it.
type Task = (Arc<Auditor<Verifier>>, AuditSubject);

fn per_second(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok().and_then(NonZeroU32::new);
    number.ok_or_else(|| format!("expected how many requests a second, such as 10, found `{text}`"))
}

/// Audits all there is. The exit code is that of the worst verdict that the run is to fail on.
pub(crate) async fn run(
    arguments: AuditArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if let Some(AuditCommand::Merge(arguments)) = &arguments.command {
        return merge::run(arguments, output);
    }
    let shard = arguments.shard.map(|shard| shard.to_string());
    let mut report = AuditReport::new(&arguments.report, &arguments.files(), shard, output)?;
    let setup = Setup {
        arguments: &arguments,
        registry: arguments.registry(environment)?,
        environment,
    };
    let seen = match (&arguments.gallery, &arguments.images) {
        (Some(file), _) => galleries(&setup, file, &mut report, output).await?,
        (None, Some(file)) => images(&setup, file, &mut report, output).await?,
        (None, None) => 0,
    };
    if seen == 0 {
        let failure = Failure::new(Kind::Usage, "there is no image to audit");
        return Err(failure
            .hint("pass --images FILE with an image on each line, or --gallery FILE with galleries that have entries"));
    }
    report.end()
}

/// Audits the entries of galleries. Returns how many there are, in all parts together.
async fn galleries(
    setup: &Setup<'_>,
    file: &Path,
    report: &mut AuditReport<'_>,
    output: &Output,
) -> Result<u64, Failure> {
    let arguments = setup.arguments;
    let choosing = arguments.choosing();
    let load = galleries::load(
        file,
        &choosing,
        &arguments.verification.registry,
        setup.environment,
    );
    let galleries = load.await?;
    let mut tasks = Vec::new();
    let mut rules = arguments.rules();
    for one in galleries.subjects(arguments.which()) {
        rules.push_str(&setup.rules_of(file, &one)?);
        let auditor = Arc::new(setup.for_gallery(file, &one).await?);
        let subjects = one.subjects();
        tasks.push(subjects.map(move |subject| (Arc::clone(&auditor), subject)));
    }
    report.judged_by(&rules);
    let state = arguments.state_file(&rules)?;
    let tasks = stream::iter(tasks.into_iter().flatten());
    audit(tasks, arguments.shard, state, report, output).await
}

/// Audits the images of a list. Returns how many there are, in all parts together.
async fn images(
    setup: &Setup<'_>,
    file: &Path,
    report: &mut AuditReport<'_>,
    output: &Output,
) -> Result<u64, Failure> {
    let arguments = setup.arguments;
    let loaded = policy::from_arguments(&arguments.verification.policy, setup.environment)?;
    let rules = arguments.rules() + &setup.rules(&loaded)?;
    report.judged_by(&rules);
    let state = arguments.state_file(&rules)?;
    let auditor = Arc::new(setup.by(loaded).await?);
    let mut images = Images::open(file)?;
    let subjects = images.subjects();
    let tasks = subjects.map(|subject| (Arc::clone(&auditor), subject));
    let seen = audit(tasks, arguments.shard, state, report, output).await?;
    images.end()?;
    Ok(seen)
}

/// Judges what comes, many at the same time, and reports each verdict as it is found.
async fn audit(
    tasks: impl Stream<Item = Task>,
    shard: Option<Shard>,
    state: Option<StateFile>,
    report: &mut AuditReport<'_>,
    output: &Output,
) -> Result<u64, Failure> {
    let progress = Progress::new(output, "auditing");
    let seen = Cell::new(0);
    let tasks = tasks.filter(|(_, subject)| {
        seen.set(seen.get() + 1);
        ready(shard.is_none_or(|shard| shard.has(subject)))
    });
    let state = state.map(RefCell::new);
    let verdicts = tasks.enumerate().map(|(position, (auditor, subject))| {
        // Subjects come in the order of the file.
        let recalled = match &state {
            Some(state) => state.borrow_mut().recall(&subject),
            None => Ok(None),
        };
        async move {
            if let Some(results) = recalled? {
                return Ok::<_, Failure>((position, results, subject));
            }
            let (subject, audited) = judged(auditor, subject).await?;
            let results = audited.iter().map(|one| AuditResult::new(&subject, one));
            Ok((position, results.collect(), subject))
        }
    });
    let mut verdicts = pin!(verdicts.buffer_unordered(AT_ONCE));
    while let Some(verdict) = verdicts.next().await {
        let (position, results, subject): (_, Vec<_>, _) = verdict?;
        if let Some(state) = &state {
            state.borrow_mut().keep(position, &subject, &results)?;
        }
        progress.suspend(|| report.add(position, results))?;
        progress.audited(report.total());
    }
    Ok(seen.get())
}

/// Judges an image in a task of its own, so that all processors have a part in it. Whoever stops waiting ends it.
async fn judged(
    auditor: Arc<Auditor<Verifier>>,
    subject: AuditSubject,
) -> Result<(AuditSubject, Vec<Audited>), Failure> {
    let mut task = JoinSet::new();
    task.spawn(async move {
        let audited = auditor.judge(&subject).await;
        (subject, audited)
    });
    match task.join_next().await {
        Some(Ok(judged)) => Ok(judged),
        Some(Err(error)) => Err(Failure::caused(
            Kind::Internal,
            "an image was not judged to the end".to_owned(),
            error,
        )),
        None => Err(Failure::new(Kind::Internal, "an image was not judged")),
    }
}

impl AuditArguments {
    /// A client that is polite for long.
    fn registry(&self, environment: &Environment) -> Result<Registry, Failure> {
        let mut options = connection::options(&self.verification.registry, environment)?;
        options.traffic = Traffic::new(Traffic::AT_ONCE, self.rate);
        options.retries.longest_pause = LONGEST_PAUSE;
        Ok(Registry::new(options)?)
    }

    fn which(&self) -> WhichSources {
        if self.mirrors {
            WhichSources::Mirrors
        } else {
            WhichSources::Primary
        }
    }

    fn scope(&self) -> Scope {
        match &self.platform {
            Some(platform) => Scope::Platform(platform.clone()),
            None if self.all_platforms => Scope::AllPlatforms,
            // What an installation of the entry would find.
            None if self.gallery.is_some() => Scope::Installable,
            None => Scope::Named,
        }
    }

    /// The file of `--state`, of an audit by these rules.
    fn state_file(&self, rules: &str) -> Result<Option<StateFile>, Failure> {
        let Some(path) = &self.state else {
            return Ok(None);
        };
        let part = match self.shard {
            Some(shard) => format!("part {shard}"),
            None => "all of it".to_owned(),
        };
        StateFile::open(path, &format!("{rules}, {part}")).map(Some)
    }

    /// The files that the command line names, to be read.
    fn files(&self) -> Vec<&Path> {
        let (policy, trust) = (&self.verification.policy, &self.verification.trust);
        let files = [
            &self.gallery,
            &self.images,
            &self.state,
            &policy.policy,
            &policy.fields.key,
            &trust.trusted_root,
            &trust.tuf_root,
            &self.verification.registry.registry_ca,
            &self.verification.configuration.config,
        ];
        let files = files.into_iter().flatten().map(PathBuf::as_path);
        files.filter(|path| *path != Path::new("-")).collect()
    }

    /// What indexes are read by. Hardware and tags to fall back to decide nothing here.
    fn choosing(&self) -> ChoosingArguments {
        ChoosingArguments::of_every_entry(self.allow_private_addresses, self.max_index)
    }
}

/// A registry's pause is part of the time of a verification. It is waited for, so it must not use that time up.
fn verifier_limits() -> Limits {
    let mut limits = Limits::default();
    limits.total += LONGEST_PAUSE;
    limits
}

/// What auditors are made from.
struct Setup<'a> {
    arguments: &'a AuditArguments,
    registry: Registry,
    environment: &'a Environment,
}

impl Setup<'_> {
    fn instance(&self, loaded: &LoadedPolicy) -> Result<Instance, Failure> {
        let trust = &self.arguments.verification.trust;
        trust::instance(trust, Some(loaded), self.environment)
    }

    async fn for_gallery(
        &self,
        file: &Path,
        subjects: &GallerySubjects<'_>,
    ) -> Result<Auditor<Verifier>, Failure> {
        let auditor = match loaded(file, subjects) {
            Some(loaded) => self.by(loaded).await?,
            None => Auditor::without_policy(self.registry.clone(), self.arguments.scope()),
        };
        Ok(match subjects.address_limit() {
            Some(limit) => auditor.within(limit)?,
            None => auditor,
        })
    }

    async fn by(&self, loaded: LoadedPolicy) -> Result<Auditor<Verifier>, Failure> {
        let instance = self.instance(&loaded)?;
        let connection = self.registry.connection();
        let root = instance
            .trusted_root_for(&loaded.policy, self.environment, connection)
            .await?;
        let verifier = Verifier::new(self.registry.clone(), root).with_limits(verifier_limits());
        let verifier = Arc::new(verifier);
        let registry = self.registry.clone();
        let scope = self.arguments.scope();
        Ok(Auditor::new(registry, verifier, loaded.policy, scope))
    }
}

/// The policy of a gallery.
fn loaded(file: &Path, subjects: &GallerySubjects<'_>) -> Option<LoadedPolicy> {
    let policy = subjects.gallery().policy.as_ref()?;
    Some(LoadedPolicy {
        policy: policy.clone(),
        file: Some(file.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_leaves_a_verification_its_usual_time() {
        let usual = Limits::default().total;
        assert_eq!(verifier_limits().total, usual + LONGEST_PAUSE);
    }
}
