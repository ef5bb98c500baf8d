//! `countersign remove`: takes away what was installed from galleries, and nothing else unless that
//! is asked for.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use countersign_download::{Installation, Name, RemoveOptions, StoreError, Unrecorded};
use serde_json::{Value, json};

use crate::arguments::replacing::when_busy;
use crate::arguments::store::{StoreArguments, open_store};
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
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
        store,
    } = arguments;
    let store = open_store(store.store.as_deref(), environment)?;
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
    let mut report = Report {
        output,
        removed: Vec::new(),
        failed: Vec::new(),
        first: None,
    };
    // All names are looked up before anything is removed: one that is wrong is a mistake.
    for name in &names {
        if let Err(error) = store.removable(name, unrecorded).await {
            report.fail(name, error);
        }
    }
    if !report.failed.is_empty() {
        return Ok(report.end());
    }
    for name in &names {
        let progress = Progress::new(output, format!("removing {name}"));
        let events = |event| progress.installing(&event);
        let removed = store.remove(name, options, &events).await;
        drop(progress);
        match removed {
            Ok(installation) => {
                let directory = printable::path(&installation.directory);
                output.result(&format!("removed {name} from {directory}\n"));
                report.removed.push(installation);
            }
            Err(error) => report.fail(name, error),
        }
    }
    Ok(report.end())
}

/// What became of each name.
struct Report<'a> {
    output: &'a Output,
    removed: Vec<Installation>,
    failed: Vec<Value>,
    first: Option<Kind>,
}

impl Report<'_> {
    fn fail(&mut self, name: &Name, error: StoreError) {
        let failure = Failure::from(error);
        self.first.get_or_insert(failure.kind);
        self.output.failure(&failure);
        self.failed
            .push(json!({ "name": name, "error": failure.to_json() }));
    }

    /// The exit code is that of the first failure.
    fn end(self) -> ExitCode {
        self.output
            .document(&json!({ "removed": self.removed, "failed": self.failed }));
        self.first
            .map_or(ExitCode::SUCCESS, |kind| exit_code(kind).into())
    }
}
