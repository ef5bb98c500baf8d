//! What `install` by name and `upgrade` have in common: all that is installed by them is installed
//! here, so that neither can ask for less than the other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use countersign_download::{
    Galleries, InstallOptions, InstallRequest, Installer, LayerCache, Limits, Lock, Name, Outcome,
    Plan, Store,
};
use countersign_oci::{Options, Platform, Registry};
use countersign_verify::Verifier;
use futures_util::{StreamExt, stream};

use super::kit::OpenKit;
use super::report::Report;
use super::requested_entry::{Group, RequestedEntry};
use super::told::{CheckFiles, Checked, Told, check_files};
use crate::arguments::trust::TrustArguments;
use crate::cache::warn;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::installation::{InstallOutput, InstallResult};
use crate::json::wanted::Wanted;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::policy::LoadedPolicy;
use crate::printable;
use crate::progress::Board;
use crate::trust;

/// A store to install to, and how.
pub(super) struct StoreInstaller {
    pub(super) store: Store,
    pub(super) options: InstallOptions,
    /// Whether the files of what is up to date are looked at.
    pub(super) check: CheckFiles,
    pub(super) layers: Option<LayerCache>,
    pub(super) limits: Limits,
    pub(super) trust: TrustArguments,
    pub(super) registry: Registry,
    /// Where what was installed is pinned.
    pub(super) lock_file: Option<LockFile>,
    /// A lock file in the working directory that is not written.
    pub(super) lock_here: Option<Lock>,
    /// The way to tarballs.
    pub(super) connection: Options,
    /// How many entries are installed at once.
    pub(super) jobs: usize,
    /// The kit that all is read from.
    pub(super) kit: Option<OpenKit>,
}

/// Where the names of the entries to install come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamesFrom {
    /// The user gave them. One that is wrong is a mistake: then nothing is installed.
    User,
    /// They are of all that is installed. If a gallery no longer has one of them, the others are still
    /// upgraded.
    Store,
}

/// An entry that can be installed.
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The user's file that names its gallery; `None` where a kit names it.
    file: Option<PathBuf>,
    pub(super) directory: PathBuf,
    pub(super) platform: Platform,
}

/// The result of an entry before anything has become of it.
fn result_of(plan: &Plan, directory: &Path) -> InstallResult {
    InstallResult {
        wanted: Wanted::entry(plan, directory),
        ..InstallResult::default()
    }
}

impl StoreInstaller {
    /// Plans all, then installs them, several at once. From then on a failure of one does not keep
    /// the others from being installed. The results are told in the order of the request.
    pub(super) async fn run(
        &self,
        groups: &[Group],
        names_from: NamesFrom,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        // One that can't be used is better known of before anything is installed.
        if let Some(file) = &self.lock_file {
            file.require()?;
        }
        let mut report = Report::new(output);
        let planned = self.plan(groups, &mut report, |one, failure| {
            let result = InstallResult {
                wanted: Wanted::unplanned(&one.name),
                ..InstallResult::default()
            };
            result.failed(failure.to_json())
        });
        let planned = match names_from {
            NamesFrom::User if report.has_failed() => Vec::new(),
            NamesFrom::User | NamesFrom::Store => planned,
        };
        let board = &Board::new(output, planned.len());
        let installations = planned.into_iter().map(|one| async move {
            let installed = self.install(&one, environment, board).await;
            (one, installed)
        });
        let mut installations = std::pin::pin!(stream::iter(installations).buffered(self.jobs));
        while let Some((planned, installed)) = installations.next().await {
            let Planned {
                plan, directory, ..
            } = &planned;
            let result = result_of(plan, directory);
            let (outcome, checked) = match installed {
                Ok(installed) => installed,
                Err(failure) => {
                    let result = result.failed(failure.to_json());
                    board.suspend(|| report.fail(&failure, result));
                    continue;
                }
            };
            let told = Told {
                name: plan.name(),
                outcome: &outcome,
                directory,
                source: plan.lock().map_or("its source", |_| "the lock file"),
                checked,
            };
            let (result, told) = board.suspend(|| {
                let (result, told) = told.tell(result, output);
                let result = self.pinned_elsewhere(&planned, &outcome, result, output);
                (result, told)
            });
            if let (Some(kit), Outcome::Installed { .. }) = (&self.kit, &outcome) {
                let kit = printable::lines(&kit.reference.to_string());
                board.suspend(|| output.result(&format!("  read from  the kit {kit}\n")));
            }
            let told = match told {
                Ok(()) => self.lock(&outcome, board, output).await,
                Err(failure) => Err(failure),
            };
            match told {
                Ok(()) => report.done(result),
                Err(failure) => {
                    let result = result.failed(failure.to_json());
                    board.suspend(|| report.fail(&failure, result));
                }
            }
        }
        warn(
            output,
            "layers",
            self.layers.as_ref().and_then(LayerCache::trouble),
        );
        let (results, code) = report.end();
        output.document(&InstallOutput { results });
        Ok(code)
    }

    /// A plan for each entry, and where it is installed to. No two are installed to one directory. `failed` makes the
    /// result of one that has no plan.
    pub(super) fn plan<R>(
        &self,
        groups: &[Group],
        report: &mut Report<'_, R>,
        failed: impl Fn(&RequestedEntry, &Failure) -> R,
    ) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        for group in groups {
            match &group.galleries {
                Ok(galleries) => {
                    for one in &group.requested {
                        match self.plan_one(group, galleries, one, &planned) {
                            Ok(plan) => planned.push(plan),
                            Err(failure) => report.fail(&failure, failed(one, &failure)),
                        }
                    }
                }
                Err(failure) => {
                    let mut results = group.requested.iter().map(|one| failed(one, failure));
                    if let Some(first) = results.next() {
                        report.fail(failure, first);
                    }
                    for result in results {
                        report.fail_too(failure, result);
                    }
                }
            }
        }
        planned
    }

    fn plan_one(
        &self,
        group: &Group,
        galleries: &Galleries,
        requested: &RequestedEntry,
        planned: &[Planned],
    ) -> Result<Planned, Failure> {
        let plan = requested.plan(galleries)?;
        let plan = match group.recorded_file() {
            Some(file) => plan.named_in(&file),
            None => plan,
        };
        let name = plan.name();
        let others = plan.sources().iter().map(|planned| &planned.source);
        if self.kit.is_some()
            && let Some(other) = others.clone().find(|source| source.reference().is_none())
        {
            let message = format!("`{name}`: a kit has only images, found {}", other.kind());
            return Err(Failure::new(Kind::NotFound, message).hint("install it without --from"));
        }
        if let Some(kit) = &self.kit {
            kit.require_image(&plan, galleries)?;
        }
        let directory = self.store.directory(&name.parse::<Name>()?);
        if planned.iter().any(|other| other.directory == directory) {
            let message = format!("`{name}` is named twice");
            return Err(Failure::new(Kind::Usage, message)
                .hint("remove one of them, or install it with another --store"));
        }
        Ok(Planned {
            plan,
            file: group.file.clone(),
            directory,
            platform: requested.platform.clone(),
        })
    }

    async fn install(
        &self,
        planned: &Planned,
        environment: &Environment,
        board: &Board,
    ) -> Result<(Outcome, Checked), Failure> {
        let Planned {
            plan,
            directory,
            platform,
            file: _,
        } = planned;
        let progress = board.row(plan.name());
        let installer = self.installer(planned, environment).await?;
        let events = |event| progress.installing(&event);
        let request = InstallRequest::new(plan, platform).with_options(self.options);
        let installing = self.store.install(&installer, request.with_events(&events));
        let outcome = installing.await?;
        let checked = check_files(&outcome, self.check, directory, &progress).await;
        Ok((outcome, checked))
    }

    /// What installs it.
    pub(super) async fn installer(
        &self,
        planned: &Planned,
        environment: &Environment,
    ) -> Result<Installer<Verifier>, Failure> {
        let registry = self.registry.clone();
        let installer = match self.verifier(planned, environment).await? {
            Some(verifier) => Installer::new(registry, verifier),
            None => Installer::without_verifier(registry),
        };
        let installer = installer
            .with_connection(self.connection.clone())
            .with_limits(self.limits.clone());
        Ok(match self.layers.clone() {
            Some(layers) => installer.with_layer_cache(layers),
            None => installer,
        })
    }

    /// Pins what was installed, where that is asked for.
    async fn lock(&self, outcome: &Outcome, board: &Board, output: &Output) -> Result<(), Failure> {
        let (Some(file), Some(entry)) = (&self.lock_file, outcome.locked()) else {
            return Ok(());
        };
        file.record(entry).await?;
        let path = printable::path(file.path());
        board.suspend(|| output.result(&format!("  locked in  {path}\n")));
        Ok(())
    }

    /// Says that a lock file here pins something else than what is installed now.
    fn pinned_elsewhere(
        &self,
        planned: &Planned,
        outcome: &Outcome,
        result: InstallResult,
        output: &Output,
    ) -> InstallResult {
        let name = planned.plan.name();
        let pinned = self.lock_here.as_ref();
        let pinned = pinned.and_then(|lock| lock.entry(name, &planned.platform).ok());
        match (pinned, outcome.locked()) {
            (Some(pinned), Some(installed)) if pinned.digest != installed.digest => {
                output.warning(&format!(
                    "{name}: {} in this directory pins {}; pass --lock to pin what is installed now",
                    lock::DEFAULT,
                    pinned.digest
                ));
                InstallResult {
                    pinned_elsewhere: Some(pinned.digest.to_string()),
                    ..result
                }
            }
            _ => result,
        }
    }

    /// The verifier for an entry. Where its plan requires no signature there is nothing to
    /// verify, and the trusted root is not asked for.
    async fn verifier(
        &self,
        planned: &Planned,
        environment: &Environment,
    ) -> Result<Option<Verifier>, Failure> {
        let Planned { plan, file, .. } = planned;
        let Some(policy) = plan.requirement().policy() else {
            return Ok(None);
        };
        let loaded = LoadedPolicy {
            policy: policy.clone(),
            file: file.clone(),
        };
        // Whoever brings their own gallery file decides by it who is trusted: then the kit's root is not used.
        let kit_decides = file.is_none() && !self.trust.name_an_instance();
        let trusted_root = match &self.kit {
            Some(kit) if kit_decides => kit.trusted_root(policy)?,
            _ => {
                let instance = trust::instance(&self.trust, Some(&loaded), environment)?;
                let connection = self.registry.connection();
                let root = instance.trusted_root_for(policy, environment, connection);
                root.await?
            }
        };
        Ok(Some(Verifier::new(self.registry.clone(), trusted_root)))
    }
}
