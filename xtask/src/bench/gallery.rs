//! What it takes to read the largest gallery that there is: LocalAI's index, merges and all.
//!
//! It is `backend/index.yaml` in LocalAI's repository. It isn't ours to copy, so whoever measures names the file.

use std::fs;
use std::path::Path;

use countersign_sandbox::RegistryServer;

use super::RUNS;
use super::measure::measure;
use super::measured::{Measured, not_met};
use crate::command::Command;

/// Why parts that read the index are skipped without it.
pub(super) const NO_INDEX: &str = "--gallery FILE was not given: LocalAI's backend/index.yaml";
const ENTRY: &str = "cpu-llama-cpp";

/// Of the whole program, from its start: reading the index takes most of it.
const MILLISECONDS: f64 = 50.0;

/// Times the plan for one entry of `index`, and says which target was missed.
///
/// # Errors
/// When the program can't be run, or fails.
pub(super) fn run(
    countersign: &Path,
    index: Option<&Path>,
    registry: &RegistryServer,
    directory: &Path,
) -> anyhow::Result<Measured> {
    let Some(index) = index else {
        return Ok(Measured::skipped(format!(
            "the gallery, because {NO_INDEX}"
        )));
    };
    let index = index.canonicalize()?;
    let galleries = format!(
        "- {{name: localai, url: 'file:{}', verification: {{issuer: a, identity: b}}}}\n",
        index.display()
    );
    fs::write(directory.join("galleries.yaml"), galleries)?;
    let plan = Command::new(countersign)
        .args(["gallery", "show", "galleries.yaml"])
        .args(["--capability", "default", ENTRY])
        .directory(directory)
        .env("HOME", directory);
    let [ours] = measure([&plan], registry, RUNS)?;
    println!("\nThe plan for one entry of a large gallery:");
    super::print(&ours, "countersign");
    let found = ours.median().as_secs_f64() * 1e3;
    let missed = format!("gallery: expected under {MILLISECONDS} ms, found {found:.1} ms");
    Ok(not_met([(found < MILLISECONDS, missed)]).into())
}
