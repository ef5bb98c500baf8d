//! `countersign image-verifier refresh`: fetches the trusted roots that the configuration names, for a timer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign_download::FileLock;
use countersign_verify::TufNetwork;
use schemars::JsonSchema;
use serde::Serialize;

use super::configuration::Configuration;
use super::root;
use crate::commands::report::Report;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::error::JsonError;
use crate::output::Output;
use crate::trust::Instance;

/// How long another process may fetch the trusted root. It has a time limit for each request.
const TURN: Duration = Duration::from_secs(120);

/// `countersign image-verifier refresh`
#[derive(Debug, Args)]
pub(crate) struct RefreshArguments {
    /// The configuration of the image verifier
    ///
    /// Without this flag it is the file that COUNTERSIGN_IMAGE_VERIFIER_CONFIG names, or
    /// /etc/countersign/image-verifier.yaml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(
    arguments: &RefreshArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let configuration = match &arguments.config {
        Some(file) => Configuration::read(file, environment)?,
        None => Configuration::load(environment)?,
    };
    // No registry is asked, so no login is needed.
    let connection = connection::without_registries(&configuration.environment)?;
    let _lock = turn(configuration.state_directory(), TURN).await?;
    let mut report = Report::new(output);
    for instance in instances(&configuration) {
        let mut instance = instance?;
        let source = instance.name();
        instance.network = TufNetwork::Online;
        let loaded = instance
            .trusted_root(&configuration.environment, &connection)
            .await;
        match loaded {
            Ok(_) => {
                output.result(&format!("the trusted root of {source} is valid\n"));
                report.done(RefreshResult {
                    trusted_root: source,
                    error: None,
                });
            }
            // The others may be reached.
            Err(failure) => {
                let failure = failure.hint("or set `trusted_root` in the configuration to a file");
                report.fail(&failure, |error| RefreshResult {
                    trusted_root: source,
                    error: Some(error),
                });
            }
        }
    }
    let (results, code) = report.end();
    output.document(&RefreshOutput { results });
    Ok(code)
}

/// Waits until no other process fetches a trusted root.
///
/// # Errors
/// If one still does after `longest_wait`.
async fn turn(directory: PathBuf, longest_wait: Duration) -> Result<Option<FileLock>, Failure> {
    let file = root::lock_file(&directory);
    let waiting = tokio::time::timeout(longest_wait, root::lock(directory)).await;
    waiting.map_err(|_| {
        let message = format!(
            "another process has held {} for {} s: it fetches the trusted root, or hangs",
            file.display(),
            longest_wait.as_secs()
        );
        Failure::new(Kind::Machine, message)
            .hint("wait until the other process ends, or end it; then run this again")
    })
}

/// Of each trusted root that a rule needs, its instance, once.
fn instances(configuration: &Configuration) -> impl Iterator<Item = Result<Instance, Failure>> {
    let policies = configuration.policies_on_roots();
    let all = policies.map(move |policy| configuration.instance(Some(policy)));
    let mut seen = BTreeSet::new();
    all.filter(move |found| match found {
        Ok(instance) => seen.insert(identity(instance)),
        Err(_) => true,
    })
}

/// What tells a trusted root from others. One whose files can't be read goes by its name: to load it tells why.
fn identity(instance: &Instance) -> String {
    instance.identity().unwrap_or_else(|_| instance.name())
}

/// Each trusted root that a rule needs, and whether it is on the disk and valid.
pub(crate) async fn trusted_roots(
    configuration: &Configuration,
) -> Result<Vec<(String, Result<(), Failure>)>, Failure> {
    let environment = &configuration.environment;
    let connection = connection::without_registries(environment)?;
    let mut roots: Vec<(String, Result<(), Failure>)> = Vec::new();
    for instance in instances(configuration) {
        let mut instance = instance?;
        let name = instance.name();
        instance.network = TufNetwork::Offline;
        let loaded = instance.trusted_root(environment, &connection).await;
        roots.push((name, loaded.map(|_| ())));
    }
    Ok(roots)
}

/// What `countersign image-verifier refresh` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RefreshOutput {
    /// One for each trusted root that a rule needs.
    results: Vec<RefreshResult>,
}

/// A trusted root that is valid now, or why it isn't.
#[derive(Debug, Serialize, JsonSchema)]
struct RefreshResult {
    /// Where it is from: a file or a URL.
    trusted_root: String,
    /// Why it is not valid, or not to be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_lock_does_not_wait_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let held = turn(path.clone(), TURN).await.unwrap();
        assert!(held.is_some());
        let late = turn(path.clone(), Duration::ZERO).await.unwrap_err();
        assert_eq!(late.kind, Kind::Machine);
        assert!(late.line().contains("trusted-root.lock"), "{}", late.line());
        drop(held);
        assert!(turn(path, TURN).await.unwrap().is_some());
    }
}
