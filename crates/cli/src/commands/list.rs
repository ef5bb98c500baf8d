//! `countersign list`: what was installed from galleries, by its records.

use std::process::ExitCode;

use serde_json::json;

use super::StoreArguments;
use super::fulfil::{details, digest_text};
use super::gallery::open_store;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(
    arguments: &StoreArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let installations = open_store(arguments.store.as_deref(), environment)?
        .list()
        .await?;
    for installation in &installations {
        let recorded = &installation.recorded;
        output.result(&format!(
            "{} in {}\n{}{}",
            installation.name,
            installation.directory.display(),
            digest_text(&recorded.digest, recorded.reference.as_ref()),
            details(&recorded.grounds, recorded.provenance.as_ref()),
        ));
    }
    output.document(&json!({ "installations": installations }));
    Ok(ExitCode::SUCCESS)
}
