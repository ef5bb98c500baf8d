//! `countersign list`: what was installed from galleries, by its records.
//!
//! It reads the store and changes nothing. A record that can't be read is listed as that.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_download::{Installation, Name, Provenance, RecordState, Store, StoreError};
use countersign_oci::Platform;
use schemars::JsonSchema;
use serde::Serialize;

use super::list_check;
use super::report::Report;
use super::table::table;
use super::text::{details, digest_text};
use super::unusable;
use crate::arguments::store::{StoreArguments, store_directory};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json::error::JsonError;
use crate::json::installation::Listed;
use crate::lock;
use crate::output::{self, Output};
use crate::printable;

/// `countersign list`
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Entries to list [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,

    /// Show all that is recorded, not a table
    ///
    /// This shows whole digests and identities, the source of each entry, and why other sources
    /// were not used.
    #[arg(long)]
    pub(crate) long: bool,

    /// Compare what is installed with a lock file
    ///
    /// This goes by the records. Exit code 8 says that something is missing or other than locked. The default LOCK is
    /// countersign.lock. Not with --long.
    #[arg(
        long,
        value_name = "LOCK",
        num_args = 0..=1,
        default_missing_value = lock::DEFAULT,
        conflicts_with = "long",
    )]
    pub(crate) check: Option<PathBuf>,

    /// Platform to compare [default: the installed one's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", requires = "check")]
    pub(crate) platform: Option<Platform>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

pub(crate) async fn run(
    arguments: &ListArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let named = arguments.store.store.as_deref();
    let store = store_directory(named, environment)?;
    let mut installations = Store::new(&store).list().await?;
    if let Some(lock) = &arguments.check {
        let platform = arguments.platform.as_ref();
        let names = &arguments.names;
        return list_check::run(lock, names, platform, &installations, named, output);
    }
    let mut report = Report::new(output);
    for name in &arguments.names {
        if !installations.iter().any(|one| one.name == *name) {
            let (name, store) = (name.clone(), store.clone());
            let missing = StoreError::NotInstalled {
                name: name.clone(),
                store,
            };
            let failure = Failure::of_store(missing, named);
            report.fail(&failure, |error| ListResult::failed(&name, error));
        }
    }
    if report.has_failed() {
        let (results, code) = report.end();
        output.document(&ListOutput { results });
        return Ok(code);
    }
    if !arguments.names.is_empty() {
        installations.retain(|one| arguments.names.contains(&one.name));
    }
    if installations.is_empty() {
        // It may be the wrong place that was looked at.
        let shown = printable::path(&store);
        output.note(&if store.exists() {
            format!("no entry of a gallery is installed in {shown}")
        } else {
            format!("no entry of a gallery is installed: the directory {shown} doesn't exist")
        });
        output.note(
            "only entries of galleries are listed; `countersign check DIRECTORY` looks at what was installed into a directory",
        );
    } else if arguments.long {
        for installation in &installations {
            output.answer(&long(installation, named));
        }
    } else {
        output.answer(&table(&installations, output.width()));
        for installation in &installations {
            if let Some(advice) = advice(installation, named) {
                output.answer(&format!("{}: {advice}\n", installation.name));
            }
        }
    }
    let listed = installations
        .iter()
        .map(|one| ListResult::Listed(Box::new(one.into())));
    output.document(&ListOutput {
        results: listed.collect(),
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign list` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ListOutput {
    /// One for each thing in the store, by name. If a name that was given is wrong, only the wrong ones are here.
    results: Vec<ListResult>,
}

/// Something in the store, or a name that nothing there has.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum ListResult {
    Listed(Box<Listed>),
    Missing {
        name: String,
        /// Why it is not listed.
        error: Box<JsonError>,
    },
}

impl ListResult {
    fn failed(name: &Name, error: JsonError) -> Self {
        Self::Missing {
            name: name.to_string(),
            error: Box::new(error),
        }
    }
}

/// Everything that is recorded, in aligned lines.
fn long(installation: &Installation, named: Option<&Path>) -> String {
    let directory = printable::path(&installation.directory);
    let mut text = format!("{} in {directory}\n", installation.name);
    if let Some(recorded) = installation.recorded() {
        text.push_str(&digest_text(&recorded.digest, recorded.reference.as_ref()));
        text.push_str(&details(&recorded.grounds, recorded.provenance.as_ref()));
        if let Some(provenance) = &recorded.provenance {
            text.push_str(&origin(provenance));
        }
        text.push_str(&format!("  platform   {}\n", recorded.platform));
        text.push_str(&format!("  installed  {}\n", recorded.installed_at));
        if let (Some(files), Some(bytes)) = (recorded.files, recorded.bytes) {
            let bytes = output::bytes(bytes);
            let files = output::counted(files, "file", "files");
            text.push_str(&format!("  size       {bytes} in {files}\n"));
        }
    }
    if let Some(advice) = advice(installation, named) {
        text.push_str(&format!("  warning    {advice}\n"));
    }
    text
}

/// Which entry it is, and which file names its gallery.
fn origin(provenance: &Provenance) -> String {
    let mut text = format!("  gallery    {}\n", provenance.gallery);
    if provenance.entry != provenance.name {
        text.push_str(&format!("  entry      {}\n", provenance.entry));
    }
    if let Some(file) = &provenance.file {
        let file = printable::path(Path::new(file));
        text.push_str(&format!("  file       {file}\n"));
    }
    text
}

/// What to do about one that has no record that can be read.
fn advice(installation: &Installation, store: Option<&Path>) -> Option<String> {
    let name = &installation.name;
    let way_out = || unusable::way_out(installation, store).unwrap_or_default();
    let wrong = || unusable::what_is_wrong(installation).unwrap_or_default();
    let store = printable::option("--store", store);
    Some(match installation.record {
        RecordState::Read(_) => return None,
        RecordState::Missing => format!(
            "no record says what this is; `countersign remove --unrecorded{store} {name}` removes it"
        ),
        RecordState::Unfinished => format!(
            "unfinished: a run is at work or was killed; `countersign remove{store} {name}` removes what it left"
        ),
        RecordState::Later => format!("a later Countersign wrote the record; {}", way_out()),
        RecordState::Unrecognised | RecordState::Unreadable => {
            format!("the record {}; {}", wrong(), way_out())
        }
    })
}
