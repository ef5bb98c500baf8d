//! What `install` by name and `upgrade` have in common: all that is installed by them is installed
//! here, so that neither can ask for less than the other.

use std::path::PathBuf;
use std::process::ExitCode;

use countersign_download::{
    Galleries, InstallOptions, Installer, Limits, Name, Outcome, Plan, Store,
};
use countersign_oci::{Options, Platform, Registry};
use countersign_verify::Verifier;
use serde_json::{Value, json};

use super::text::{outcome_text, warn};
use super::wanted::Wanted;
use crate::arguments::trust::TrustArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::lock::LockFile;
use crate::output::Output;
use crate::policy::LoadedPolicy;
use crate::printable;
use crate::progress::Progress;
use crate::trust;

/// Galleries to install from, and a store to install to.
pub(super) struct ByName {
    /// The file that names the galleries.
    pub(super) file: PathBuf,
    pub(super) galleries: Galleries,
    pub(super) store: Store,
    pub(super) options: InstallOptions,
    pub(super) limits: Limits,
    pub(super) trust: TrustArguments,
    pub(super) registry: Registry,
    /// Where what was installed is pinned.
    pub(super) lock_file: Option<LockFile>,
    /// The way to tarballs.
    pub(super) connection: Options,
}

/// Whether the names are the user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// One that is wrong is a mistake: then nothing is installed.
    ByUser,
    /// They are all that is installed: one that a gallery has no more keeps no other from its
    /// upgrade.
    ByStore,
}

/// An entry that can be installed.
struct Planned {
    plan: Plan,
    directory: PathBuf,
    platform: Platform,
}

/// What became of each entry.
struct Report<'a> {
    output: &'a Output,
    done: Vec<Value>,
    failed: Vec<Value>,
    first: Option<Kind>,
}

impl Report<'_> {
    fn fail(&mut self, name: &str, failure: &Failure) {
        self.first.get_or_insert(failure.kind);
        self.output.failure(failure);
        self.failed
            .push(json!({ "name": name, "error": failure.to_json() }));
    }

    /// The exit code is that of the first failure.
    fn end(self) -> ExitCode {
        self.output
            .document(&json!({ "done": self.done, "failed": self.failed }));
        self.first
            .map_or(ExitCode::SUCCESS, |kind| exit_code(kind).into())
    }
}

impl ByName {
    /// Plans all, then installs one after the other. From then on a failure of one does not keep
    /// the others from being installed.
    pub(super) async fn run(
        &self,
        wanted: &[Wanted],
        named: Named,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        // One that can't be read is better known of before anything is installed.
        if let Some(file) = &self.lock_file {
            file.read_if_there()?;
        }
        let mut report = Report {
            output,
            done: Vec::new(),
            failed: Vec::new(),
            first: None,
        };
        let planned = self.plan(wanted, &mut report);
        if named == Named::ByUser && !report.failed.is_empty() {
            return Ok(report.end());
        }
        for one in planned {
            let Planned {
                plan, directory, ..
            } = &one;
            match self.install(&one, environment, output).await {
                Ok(outcome) => {
                    let name = plan.name();
                    let source = plan.lock().map_or("its source", |_| "the lock file");
                    output.result(&outcome_text(name, &outcome, directory, source));
                    warn(output, name, &outcome);
                    report.done.push(json!({
                        "name": name,
                        "directory": directory.to_string_lossy(),
                        "result": outcome,
                    }));
                    if let Err(failure) = self.lock(&outcome, output) {
                        report.fail(name, &failure);
                    }
                }
                Err(failure) => report.fail(plan.name(), &failure),
            }
        }
        Ok(report.end())
    }

    /// A plan for each entry, and where it is installed to. No two are installed to one directory.
    fn plan(&self, wanted: &[Wanted], report: &mut Report<'_>) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        for one in wanted {
            let plan = one
                .plan(&self.galleries)
                .map_err(Failure::from)
                .and_then(|plan| {
                    let directory = self.store.directory(&plan.name().parse::<Name>()?);
                    Ok(Planned {
                        plan,
                        directory,
                        platform: one.platform.clone(),
                    })
                });
            match plan {
                Ok(plan) if planned.iter().any(|two| two.directory == plan.directory) => {
                    let name = plan.plan.name();
                    let message = format!("`{name}` is named twice");
                    let failure = Failure::new(Kind::Usage, message)
                        .hint("remove one of them, or install it with another --store");
                    report.fail(&one.name, &failure);
                }
                Ok(plan) => planned.push(plan),
                Err(failure) => report.fail(&one.name, &failure),
            }
        }
        planned
    }

    async fn install(
        &self,
        planned: &Planned,
        environment: &Environment,
        output: &Output,
    ) -> Result<Outcome, Failure> {
        let Planned { plan, platform, .. } = planned;
        let registry = self.registry.clone();
        let installer = match self.verifier(plan, environment).await? {
            Some(verifier) => Installer::new(registry, verifier),
            None => Installer::without_verifier(registry),
        };
        let installer = installer
            .with_connection(self.connection.clone())
            .with_limits(self.limits.clone());
        let progress = Progress::new(output, format!("resolving {}", plan.name()));
        let events = |event| progress.installing(&event);
        let outcome = self
            .store
            .install(&installer, plan, platform, self.options, &events)
            .await;
        drop(progress);
        Ok(outcome?)
    }

    /// Pins what was installed, where that is asked for.
    fn lock(&self, outcome: &Outcome, output: &Output) -> Result<(), Failure> {
        let (Some(file), Some(entry)) = (&self.lock_file, outcome.locked()) else {
            return Ok(());
        };
        file.record(entry)?;
        output.result(&format!("  locked in  {}\n", printable::path(file.path())));
        Ok(())
    }

    /// The verifier for an entry. Where the gallery has no policy there is nothing to verify, and
    /// the trusted root is not asked for.
    async fn verifier(
        &self,
        plan: &Plan,
        environment: &Environment,
    ) -> Result<Option<Verifier>, Failure> {
        let gallery = plan.gallery().and_then(|name| self.galleries.gallery(name));
        let Some(policy) = gallery.and_then(|gallery| gallery.policy.as_ref()) else {
            return Ok(None);
        };
        let loaded = LoadedPolicy {
            policy: policy.clone(),
            file: Some(self.file.clone()),
        };
        let instance = trust::instance(&self.trust, Some(&loaded))?;
        let trusted_root = instance
            .trusted_root(environment, self.registry.connection())
            .await?;
        Ok(Some(Verifier::new(self.registry.clone(), trusted_root)))
    }
}
