//! `countersign remove`: takes away what was installed from galleries, and nothing else.

use std::process::ExitCode;

use serde_json::json;

use super::gallery::open_store;
use crate::arguments::RemoveArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(
    arguments: RemoveArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let store = open_store(arguments.store.store.as_deref(), environment)?;
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    let mut code = None;
    for name in &arguments.names {
        match store.remove(name).await {
            Ok(installation) => {
                let directory = installation.directory.display();
                output.result(&format!("removed {name} from {directory}\n"));
                removed.push(installation);
            }
            Err(error) => {
                let failure = Failure::from(error);
                code.get_or_insert(failure.kind);
                output.failure(&failure);
                failed.push(json!({ "name": name, "error": failure.to_json() }));
            }
        }
    }
    output.document(&json!({ "removed": removed, "failed": failed }));
    Ok(code.map_or(ExitCode::SUCCESS, |kind| kind.exit_code().into()))
}
