//! `countersign remove`: takes away what was installed from galleries, and nothing else unless that
//! is asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_download::{Name, RemoveOptions, Store, StoreError, Unrecorded};
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use super::unusable::what_is_wrong;
use crate::arguments::replacing::when_busy;
use crate::arguments::store::{StoreArguments, open_store};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json::error::JsonError;
use crate::json::installation::Listed;
use crate::lock::{self, LockFile};
use crate::output::Output;
use crate::printable;
use crate::progress::Progress;

/// `countersign remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// Installed entries to remove
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<Name>,

    /// Also remove what has no record of an installation
    ///
    /// This removes a file or directory in the store that has one of these names.
    #[arg(long)]
    pub(crate) unrecorded: bool,

    /// Do not wait for another run; fail instead
    ///
    /// Without this flag, a run waits while another run installs to the same directory.
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// Also take the entries out of a lock file
    ///
    /// All platforms of a name are taken out. A name that is only in the lock file is taken out too. The default FILE is
    /// countersign.lock.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
    )]
    pub(crate) lock: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

pub(crate) async fn run(
    arguments: RemoveArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let RemoveArguments {
        mut names,
        unrecorded,
        no_wait,
        lock,
        store,
    } = arguments;
    let named_store = store.store;
    let store = open_store(named_store.as_deref(), environment)?;
    let unrecorded = if unrecorded {
        Unrecorded::Remove
    } else {
        Unrecorded::Refuse
    };
    let options = RemoveOptions {
        unrecorded,
        busy: when_busy(no_wait),
    };
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let lock = match lock {
        Some(path) => {
            let file = LockFile::new(path);
            file.read()?;
            file.require()?;
            Some(file)
        }
        None => None,
    };
    let removal = Removal {
        store,
        named_store,
        options,
        lock,
    };
    let mut report = Report::new(output);
    // All names are looked up before anything is removed: one that is wrong is a mistake.
    for name in &names {
        if let Err(failure) = removal.require(name).await {
            report.fail(&failure, |error| RemoveResult::new(name).failed(error));
        }
    }
    if report.has_failed() {
        // Nothing is removed then.
        names.clear();
    }
    for name in &names {
        let mut result = RemoveResult::new(name);
        match removal.remove(name, &mut result, output).await {
            Ok(()) => report.done(result),
            Err(failure) => report.fail(&failure, |error| result.failed(error)),
        }
    }
    let (results, code) = report.end();
    output.document(&RemoveOutput { results });
    Ok(code)
}

/// What names are removed from, and how.
struct Removal {
    store: Store,
    /// What `--store` names.
    named_store: Option<PathBuf>,
    options: RemoveOptions,
    /// The lock file that they are taken out of.
    lock: Option<LockFile>,
}

impl Removal {
    /// Refuses a name that there is nothing to remove of.
    async fn require(&self, name: &Name) -> Result<(), Failure> {
        match self.store.removable(name, self.options.unrecorded).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotInstalled { .. }) if self.is_locked(name)? => Ok(()),
            Err(error) => Err(self.not_removed(name, error).await),
        }
    }

    async fn not_removed(&self, name: &Name, error: StoreError) -> Failure {
        let is_nowhere = matches!(error, StoreError::NotInstalled { .. });
        if let StoreError::NoRecord { .. } = &error
            && let Ok(installation) = self.store.installation(name).await
            && let Some(what) = what_is_wrong(&installation)
        {
            // It has a record, of which nothing is known.
            let place = printable::path(&installation.directory);
            let failure = Failure::of_store(error, self.named_store.as_deref());
            let message = format!("the record of `{name}` in {place} {what}");
            let told = Failure::new(failure.kind, message);
            return failure.hints().into_iter().fold(told, Failure::hint);
        }
        let failure = Failure::of_store(error, self.named_store.as_deref());
        match &self.lock {
            Some(file) if is_nowhere => failure.hint(format!(
                "{} has no entry for it either",
                printable::path(file.path())
            )),
            Some(_) | None => failure,
        }
    }

    fn is_locked(&self, name: &Name) -> Result<bool, Failure> {
        let Some(file) = &self.lock else {
            return Ok(false);
        };
        let lock = file.read()?;
        let name = name.to_string();
        Ok(lock.entries().any(|entry| entry.name == name))
    }

    /// Removes what is installed, then takes it out of the lock file.
    async fn remove(
        &self,
        name: &Name,
        result: &mut RemoveResult,
        output: &Output,
    ) -> Result<(), Failure> {
        let progress = Progress::new(output, format!("removing {name}"));
        let events = |event| progress.installing(&event);
        let removed = self.store.remove(name, self.options, &events).await;
        drop(progress);
        match removed {
            Ok(installation) => {
                let directory = printable::path(&installation.directory);
                output.result(&format!("removed {name} from {directory}\n"));
                result.removed = Some((&installation).into());
            }
            Err(StoreError::NotInstalled { .. }) if self.is_locked(name)? => {}
            Err(error) => return Err(self.not_removed(name, error).await),
        }
        if let Some(file) = &self.lock
            && file.take_out(&name.to_string()).await?
        {
            let path = printable::path(file.path());
            output.result(&format!("took {name} out of {path}\n"));
            result.taken_out_of = Some(file.path().to_string_lossy().into_owned());
        }
        Ok(())
    }
}

/// What `countersign remove` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RemoveOutput {
    /// One for each name. If one is wrong, nothing is removed, and only the wrong ones are here.
    results: Vec<RemoveResult>,
}

/// What became of one name.
#[derive(Debug, Serialize, JsonSchema)]
struct RemoveResult {
    name: String,
    /// What was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Listed>,
    /// The lock file that it was taken out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_out_of: Option<String>,
    /// Why it was not removed. Beside `removed`: it is still in the lock file.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

impl RemoveResult {
    fn new(name: &Name) -> Self {
        Self {
            name: name.to_string(),
            removed: None,
            taken_out_of: None,
            error: None,
        }
    }

    fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }
}
