//! `countersign list`: what was installed from galleries, by its records.

use std::process::ExitCode;

use countersign_download::{Installation, RecordState, Store};
use serde_json::json;

use super::text::{details, digest_text};
use crate::arguments::store::{StoreArguments, store_directory};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;
use crate::printable;

pub(crate) async fn run(
    arguments: &StoreArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let store = store_directory(arguments.store.as_deref(), environment)?;
    let installations = Store::new(&store).list().await?;
    if installations.is_empty() {
        // It may be the wrong place that was looked at.
        let store = printable::path(&store);
        output.note(&format!("nothing is installed in {store}"));
    }
    for installation in &installations {
        let what = match &installation.recorded {
            Some(recorded) => format!(
                "{}{}",
                digest_text(&recorded.digest, recorded.reference.as_ref()),
                details(&recorded.grounds, recorded.provenance.as_ref()),
            ),
            None => warning(installation),
        };
        let directory = printable::path(&installation.directory);
        output.result(&format!("{} in {directory}\n{what}", installation.name));
    }
    output.document(&json!({ "installations": installations }));
    Ok(ExitCode::SUCCESS)
}

/// What stands in the place of a record.
fn warning(installation: &Installation) -> String {
    let name = &installation.name;
    match installation.record {
        RecordState::Missing => format!(
            "  warning    no record says what it is; `countersign remove --unrecorded {name}` removes it\n"
        ),
        RecordState::Unfinished => format!(
            "  warning    unfinished: a run is at work or was killed; `countersign remove {name}` clears it away\n"
        ),
        _ => "  warning    its record can't be read: remove it, and install it again\n".into(),
    }
}
