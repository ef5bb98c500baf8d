//! `countersign remove`: takes away what was installed from galleries, and nothing else unless that
//! is asked for.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use countersign_download::{Installation, Name, RemoveOptions, Unrecorded};
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use crate::arguments::replacing::when_busy;
use crate::arguments::store::{StoreArguments, open_store};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json::error::JsonError;
use crate::json::installation::Listed;
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
    let mut report = Report::new(output);
    // All names are looked up before anything is removed: one that is wrong is a mistake.
    for name in &names {
        if let Err(error) = store.removable(name, unrecorded).await {
            let failure = Failure::from(error);
            report.fail(&failure, |error| RemoveResult::failed(name, error));
        }
    }
    if report.has_failed() {
        // Nothing is removed then.
        names.clear();
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
                report.done(RemoveResult::removed(&installation));
            }
            Err(error) => {
                let failure = Failure::from(error);
                report.fail(&failure, |error| RemoveResult::failed(name, error));
            }
        }
    }
    let (results, code) = report.end();
    output.document(&RemoveOutput { results });
    Ok(code)
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
    /// Why it was not removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

impl RemoveResult {
    fn removed(installation: &Installation) -> Self {
        Self {
            name: installation.name.to_string(),
            removed: Some(installation.into()),
            error: None,
        }
    }

    fn failed(name: &Name, error: JsonError) -> Self {
        Self {
            name: name.to_string(),
            removed: None,
            error: Some(error),
        }
    }
}
