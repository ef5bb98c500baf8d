//! `countersign upgrade`: what is installed, again from its gallery, by the same rules.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Args};
use countersign_download::{EntryName, Name, RecordState, Store};
use countersign_oci::Platform;

use super::recorded::{self, InstalledEntry, Reading, Records};
use super::report::Report;
use super::requested_entry::{Group, RequestedEntry};
use super::store_installer::{NamesFrom, StoreInstaller};
use super::told::CheckFiles;
use super::unusable::unusable;
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::dry_run;
use crate::arguments::layers::LayerArguments;
use crate::arguments::limits::LimitArguments;
use crate::arguments::planning::PlanningArguments;
use crate::arguments::registry::RegistryArguments;
use crate::arguments::replacing::ReplacingArguments;
use crate::arguments::store::store_directory;
use crate::arguments::trust::TrustArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::installation::{InstallOutput, InstallResult};
use crate::json::preview::{PreviewOutput, PreviewResult};
use crate::json::wanted::Wanted;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::printable;

/// `countersign upgrade`
#[derive(Debug, Args)]
pub(crate) struct UpgradeArguments {
    /// Installed entries to upgrade [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,

    /// Gallery file, as for `install`
    ///
    /// Without this flag, it is the one that `--gallery` named when the entry was installed, or else `gallery` in
    /// countersign.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: Option<PathBuf>,

    /// Verify, say what would be done, and install nothing
    ///
    /// `countersign outdated` does the same. Not with --lock, --check, --no-wait, --durability, --jobs and --layer-cache.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) replacing: ReplacingArguments,

    #[command(flatten)]
    pub(crate) planning: PlanningArguments,

    #[command(flatten)]
    pub(crate) layers: LayerArguments,

    #[command(flatten)]
    pub(crate) limits: LimitArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(crate) async fn run(
    arguments: UpgradeArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    // Also where there is nothing to plan by it.
    environment.require_integrity()?;
    if arguments.dry_run {
        require_effect(&arguments, "upgrade --dry-run")?;
    }
    let UpgradeArguments {
        names,
        gallery,
        dry_run,
        mut planning,
        replacing,
        layers,
        limits,
        trust,
        registry,
        configuration: _,
    } = arguments;
    let directory = store_directory(planning.store.as_deref(), environment)?;
    let (store, named_store) = (Store::new(&directory), planning.store.as_deref());
    // The others are upgraded all the same.
    let mut failed = Vec::new();
    let (mut installed, names_from) = if names.is_empty() {
        let (installed, unusable) = installed_from_galleries(&store, named_store).await?;
        failed = unusable;
        if installed.is_empty() && failed.is_empty() {
            let place = printable::path(&directory);
            let note = format!("nothing from a gallery is installed in {place}");
            output.note(&note);
        }
        (installed, NamesFrom::Store)
    } else {
        let (installed, wrong) = installed_by_name(&store, &names, named_store).await;
        if !wrong.is_empty() {
            return Ok(refuse(&wrong, dry_run, output));
        }
        (installed, NamesFrom::User)
    };
    if planning.choosing.capability.is_some() {
        // The user chooses anew.
        installed
            .iter_mut()
            .for_each(|entry| entry.requested.kept = None);
    }
    let reading = Reading::new(&planning.choosing, &registry, environment);
    let groups = match gallery {
        Some(file) => vec![of_file(file, installed, &failed, reading).await?],
        None => {
            let records = Records::of_store(planning.store.as_deref(), environment);
            recorded::groups(installed, records, named_store, reading, output).await
        }
    };
    let groups: Vec<Group> = failed.into_iter().chain(groups).collect();
    let installer = StoreInstaller {
        store,
        named_store: planning.store.clone(),
        options: replacing.options(),
        check: CheckFiles::asked(&replacing),
        layers: layers.cache(),
        limits: limits.limits(),
        lock_here: match planning.lock {
            // One that can't be read pins nothing. Whoever uses it is told.
            None => LockFile::new(lock::DEFAULT.into()).read().ok(),
            Some(_) => None,
        },
        jobs: planning.jobs(),
        lock_file: planning.lock_file(),
        trust,
        connection: connection::options(&registry, environment)?,
        registry: connection::registry(&registry, environment)?,
        kit: None,
    };
    if dry_run {
        installer.preview(&groups, environment, output).await
    } else {
        let installing = installer.run(&groups, names_from, environment, output);
        installing.await
    }
}

/// An option of `upgrade` as `outdated` has it: what has no effect there is not in its help.
pub(super) fn of_outdated(option: Arg) -> Arg {
    let long = option.get_long().unwrap_or_default();
    if long == "dry-run" || dry_run::has_no_effect(long) {
        option.hide(true)
    } else {
        option
    }
}

/// Refuses what has no effect where nothing is installed.
fn require_effect(arguments: &UpgradeArguments, command: &str) -> Result<(), Failure> {
    let UpgradeArguments {
        replacing,
        planning,
        layers,
        ..
    } = arguments;
    dry_run::require_effect(command, replacing, planning, layers)
}

/// `countersign outdated`: as `upgrade --dry-run`.
pub(crate) async fn outdated(
    arguments: UpgradeArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    require_effect(&arguments, "outdated")?;
    if arguments.dry_run {
        let message = "--dry-run has no effect: `outdated` installs nothing";
        return Err(Failure::new(Kind::Usage, message).hint("leave it out"));
    }
    let dry_run = true;
    let arguments = UpgradeArguments {
        dry_run,
        ..arguments
    };
    run(arguments, environment, output).await
}

/// All entries, of the galleries that `file` names. If these can't be had, the run ends, unless there is something else to
/// tell: what `failed` before.
async fn of_file(
    file: PathBuf,
    installed: Vec<InstalledEntry>,
    failed: &[Group],
    reading: Reading<'_>,
) -> Result<Group, Failure> {
    let requested: Vec<RequestedEntry> = installed.into_iter().map(|one| one.requested).collect();
    let galleries = match reading.load(&file).await {
        Err(failure) if failed.is_empty() || requested.is_empty() => return Err(failure),
        Err(failure) => Err(recorded::of_entries(failure, &requested)),
        galleries => galleries,
    };
    Ok(Group {
        galleries,
        recorded: reading.environment.settings().gallery() != Some(&file),
        file: Some(file),
        requested,
    })
}

/// What can't be upgraded, by its name, and why not.
type Wrong = Vec<(Name, Failure)>;

/// All that is installed in the store from a gallery, and a failure for each that has a record that can't be read.
async fn installed_from_galleries(
    store: &Store,
    named: Option<&Path>,
) -> Result<(Vec<InstalledEntry>, Vec<Group>), Failure> {
    let (mut installed, mut failed) = (Vec::new(), Vec::new());
    for installation in store.list().await? {
        match &installation.record {
            RecordState::Read(recorded) => {
                installed.extend(InstalledEntry::new(&installation, recorded));
            }
            RecordState::Unreadable | RecordState::Unrecognised | RecordState::Later => {
                failed.extend(unusable(&installation, named).map(|failure| {
                    let name = EntryName::from(installation.name.to_string().as_str());
                    let requested = RequestedEntry::new(name, Platform::host());
                    recorded::failed(failure, vec![requested])
                }));
            }
            // Not an installation: there is nothing to upgrade.
            RecordState::Missing | RecordState::Unfinished => {}
        }
    }
    Ok((installed, failed))
}

/// What is installed in the store by these names; and each name that isn't installed from a gallery, or whose record
/// can't be read.
async fn installed_by_name(
    store: &Store,
    names: &[Name],
    named: Option<&Path>,
) -> (Vec<InstalledEntry>, Wrong) {
    let (mut installed, mut wrong) = (Vec::new(), Wrong::new());
    for name in names {
        match installed_as(store, name, named).await {
            Ok(entry) => installed.push(entry),
            Err(failure) => wrong.push((name.clone(), failure)),
        }
    }
    (installed, wrong)
}

async fn installed_as(
    store: &Store,
    name: &Name,
    named: Option<&Path>,
) -> Result<InstalledEntry, Failure> {
    let installation = store.installation(name).await;
    let installation = installation.map_err(|error| Failure::of_store(error, named))?;
    if let Some(failure) = unusable(&installation, named) {
        return Err(failure);
    }
    let recorded = installation.recorded();
    let entry = recorded.and_then(|recorded| InstalledEntry::new(&installation, recorded));
    entry.ok_or_else(|| {
        let message = format!("`{name}` was not installed from a gallery");
        Failure::new(Kind::Usage, message).hint("install it again with `countersign install`")
    })
}

/// Tells which names are wrong. Nothing is upgraded then.
fn refuse(wrong: &[(Name, Failure)], dry_run: bool, output: &Output) -> ExitCode {
    let wanted = |name: &Name| Wanted::unplanned(&EntryName::from(name.to_string().as_str()));
    if dry_run {
        let mut report = Report::new(output);
        for (name, failure) in wrong {
            let result = PreviewResult {
                wanted: wanted(name),
                ..PreviewResult::default()
            };
            report.fail(failure, |error| result.failed(error));
        }
        let (results, code) = report.end();
        output.document(&PreviewOutput::from(results));
        return code;
    }
    let mut report = Report::new(output);
    for (name, failure) in wrong {
        let result = InstallResult {
            wanted: wanted(name),
            ..InstallResult::default()
        };
        report.fail(failure, |error| result.failed(error));
    }
    let (results, code) = report.end();
    output.document(&InstallOutput::from(results));
    code
}
