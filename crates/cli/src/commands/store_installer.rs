//! What `install` by name and `upgrade` have in common: all that is installed by them is installed
//! here, so that neither can ask for less than the other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use countersign_download::{
    CheckResult, Galleries, InstallOptions, InstallRequest, LayerCache, Limits, Lock, Name,
    Outcome, Plan, Store, StoreError,
};
use countersign_oci::{Digest, Options, Platform, Registry};

use super::in_order::told_in_order;
use super::kit::OpenKit;
use super::report::Report;
use super::requested_entry::{Group, RequestedEntry};
use super::told::{CheckFiles, Checked, Pinned, PinnedIn, SuccessfulInstall, check_files};
use super::unusable::not_installed;
use crate::arguments::trust::TrustArguments;
use crate::cache::warn;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::error::JsonError;
use crate::json::installation::{InstallOutput, InstallResult};
use crate::json::wanted::Wanted;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::printable;
use crate::progress::Board;

/// A store to install to, and how.
pub(super) struct StoreInstaller {
    pub(super) store: Store,
    /// What `--store` names.
    pub(super) named_store: Option<PathBuf>,
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
    pub(super) file: Option<PathBuf>,
    pub(super) directory: PathBuf,
    pub(super) platform: Platform,
}

/// What became of an entry that is installed.
struct Installed<'a> {
    outcome: Outcome,
    checked: Checked,
    pinned: Pinned<'a>,
}

/// What stays installed, with a record that names a gallery file which is not there any more.
#[derive(Default)]
struct LostFiles {
    names: Vec<String>,
    /// The file that was used.
    used: Option<PathBuf>,
}

impl LostFiles {
    fn look_at(&mut self, planned: &Planned, outcome: &Outcome) {
        let (Outcome::Unchanged { recorded, .. }, Some(used)) = (outcome, &planned.file) else {
            return;
        };
        let recorded = recorded
            .provenance
            .as_ref()
            .and_then(|from| from.file.as_ref());
        if recorded.is_some_and(|file| !Path::new(file).exists()) {
            self.names.push(planned.plan.name().to_owned());
            self.used = Some(used.clone());
        }
    }

    fn tell(&self, store: Option<&Path>, output: &Output) {
        let Some(used) = &self.used else {
            return;
        };
        let names = self.names.join(" ");
        output.note(&format!(
            "a gallery file that is not there any more is in the record of {}; `countersign upgrade --reinstall --gallery {}{} {names}` \
             records this one",
            self.names.join(", "),
            printable::word(used),
            printable::option("--store", store)
        ));
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
        self.lock_file.as_ref().map(LockFile::require).transpose()?;
        let mut report = Report::kept::<InstallOutput>(output);
        let planned = self.planned_or_none(groups, names_from, &mut report);
        let board = &Board::new(output, planned.len());
        // All that waits for a disk or for another process is done in here, beside the other installations.
        let installations = planned.into_iter().map(|one| async move {
            let installed = self.install_one(&one, environment, board, output).await;
            (one, installed)
        });
        let mut lost = LostFiles::default();
        let tell = |(planned, installed): (Planned, Result<Installed<'_>, Failure>)| {
            if let Ok(installed) = &installed {
                lost.look_at(&planned, &installed.outcome);
            }
            board.suspend(|| self.tell(&planned, installed, &mut report, output));
        };
        told_in_order(installations, self.jobs, tell).await;
        lost.tell(self.named_store.as_deref(), output);
        let trouble = self.layers.as_ref().and_then(LayerCache::trouble);
        warn(output, "layers", trouble);
        let (results, code) = report.end();
        output.document(&InstallOutput::from(results));
        Ok(code)
    }

    /// A plan for each entry; none where one of the user's names is wrong.
    fn planned_or_none(
        &self,
        groups: &[Group],
        names_from: NamesFrom,
        report: &mut Report<'_, InstallResult>,
    ) -> Vec<Planned> {
        let planned = self.plan(groups, report, |one, error| {
            let result = InstallResult {
                wanted: Wanted::unplanned(&one.name),
                ..InstallResult::default()
            };
            result.failed(error)
        });
        match names_from {
            NamesFrom::User if report.has_failed() => Vec::new(),
            NamesFrom::User | NamesFrom::Store => planned,
        }
    }

    /// A plan for each entry, and where it is installed to. No two are installed to one directory. `failed` makes the
    /// result of one that has no plan.
    pub(super) fn plan<R>(
        &self,
        groups: &[Group],
        report: &mut Report<'_, R>,
        failed: impl Fn(&RequestedEntry, JsonError) -> R,
    ) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        for group in groups {
            match &group.galleries {
                Ok(galleries) => {
                    for one in &group.requested {
                        match self.plan_one(group, galleries, one, &planned) {
                            Ok(plan) => planned.push(plan),
                            Err(failure) => report.fail(&failure, |error| failed(one, error)),
                        }
                    }
                }
                Err(failure) => {
                    let mut requested = group.requested.iter();
                    if let Some(first) = requested.next() {
                        report.fail(failure, |error| failed(first, error));
                    }
                    for one in requested {
                        report.fail_too(failure, |error| failed(one, error));
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
        let plan = requested.plan(galleries).map_err(|error| {
            let store = self.named_store.as_deref();
            let failure = requested.unplanned(error, group.file.as_deref(), store);
            match &self.kit {
                Some(kit) => failure.of_kit(&kit.reference.to_string()),
                None => failure,
            }
        })?;
        let plan = match group.recorded_file() {
            Some(file) => plan.named_in(&file),
            None => plan,
        };
        self.require_in_kit(&plan)?;
        if let (Some(kit), None) = (&self.kit, &requested.lock) {
            kit.require_image(&plan, galleries, group.file.as_deref())?;
        }
        let name = plan.name();
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

    /// Installs it, looks at its files and pins it, as far as that is asked for.
    async fn install_one(
        &self,
        planned: &Planned,
        environment: &Environment,
        board: &Board,
        output: &Output,
    ) -> Result<Installed<'_>, Failure> {
        let Planned {
            plan,
            directory,
            platform,
            file: _,
        } = planned;
        let progress = board.row(plan.name());
        let installer = self.installer(planned, environment).await?;
        let events = |event| progress.installing(&event);
        // Another run may have put something into it meanwhile. It is read once more when this is put into it.
        let lock = self.lock_file.as_ref().map(LockFile::read_if_there);
        let lock = lock.transpose()?;
        let mut request = InstallRequest::new(plan, platform).with_options(self.options);
        if let Some(lock) = &lock {
            request = request.with_lock(lock);
        }
        let installing = self.store.install(&installer, request.with_events(&events));
        let outcome = match installing.await {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.not_installed(error, plan, platform).await),
        };
        // What follows may take its time.
        if let Outcome::Installed { .. } = &outcome {
            output.remember_done();
        }
        let checked = check_files(&outcome, self.check, directory, &progress).await;
        let pinned = match &checked {
            Ok(None | Some(CheckResult::Intact { .. })) => self.pin(&outcome).await,
            // It is told as failed.
            Ok(Some(CheckResult::Changed { .. } | CheckResult::NoInventory)) | Err(_) => Ok(None),
        };
        if let Ok(Some(_)) = &pinned {
            output.remember_done();
        }
        Ok(Installed {
            outcome,
            checked,
            pinned,
        })
    }

    /// What is said of an entry that could not be installed.
    pub(super) async fn not_installed(
        &self,
        error: StoreError,
        plan: &Plan,
        platform: &Platform,
    ) -> Failure {
        if let (Some(kit), Kind::NotFound) = (&self.kit, error.kind())
            && let Some(failure) = Box::pin(kit.lacks_platform(plan, platform)).await
        {
            return failure;
        }
        not_installed(error, plan.name(), &self.store, self.named_store.as_deref()).await
    }

    /// Pins what was installed, where that is asked for.
    async fn pin(&self, outcome: &Outcome) -> Pinned<'_> {
        match (&self.lock_file, outcome.locked()) {
            (Some(file), Some(entry)) => {
                let before = file.record(entry, self.options.downgrade).await?;
                // What says more of the time stays.
                let there = file.read_if_there().unwrap_or_default();
                let found = there.entry(&entry.name, &entry.platform).ok();
                let found = found.filter(|found| found.digest == entry.digest);
                Ok(Some(PinnedIn {
                    file,
                    entry: found.unwrap_or(entry).clone(),
                    before,
                }))
            }
            (None, _) | (_, None) => Ok(None),
        }
    }

    /// Tells what became of an entry, and reports it.
    fn tell(
        &self,
        planned: &Planned,
        installed: Result<Installed<'_>, Failure>,
        report: &mut Report<'_, InstallResult>,
        output: &Output,
    ) {
        let Planned {
            plan, directory, ..
        } = planned;
        let result = InstallResult {
            wanted: Wanted::entry(plan, directory),
            ..InstallResult::default()
        };
        let Installed {
            outcome,
            checked,
            pinned,
        } = match installed {
            Ok(installed) => installed,
            Err(failure) => {
                return report.fail_entry(plan.name(), &failure, |error| result.failed(error));
            }
        };
        let elsewhere = self.pinned_elsewhere(planned, &outcome);
        let installed = SuccessfulInstall {
            name: plan.name(),
            outcome: &outcome,
            directory,
            source: plan.lock().map_or("its source", |_| "the lock file"),
            checked,
            pinned,
        };
        let result = InstallResult {
            pinned_elsewhere: elsewhere.map(ToString::to_string),
            ..result
        };
        installed.tell(result, report, output);
        if let (Some(kit), Outcome::Installed { .. }) = (&self.kit, &outcome) {
            let kit = printable::lines(&kit.reference.to_string());
            output.result(&format!("  read from  the kit {kit}\n"));
        }
        if let Some(digest) = elsewhere {
            let (name, file) = (plan.name(), lock::DEFAULT);
            output.warning(&format!(
                "{name}: {file} in this directory pins {digest}; pass --lock to pin what is installed now"
            ));
        }
    }

    /// What a lock file here pins, if that is something else than what is installed now.
    fn pinned_elsewhere(&self, planned: &Planned, outcome: &Outcome) -> Option<&Digest> {
        let lock = self.lock_here.as_ref()?;
        let pinned = lock.entry(planned.plan.name(), &planned.platform).ok()?;
        let installed = outcome.locked()?;
        (pinned.digest != installed.digest).then_some(&pinned.digest)
    }
}
