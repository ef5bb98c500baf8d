//! What it takes to read the largest gallery that there is: LocalAI's index, merges and all.

use std::fs;
use std::path::Path;

use countersign_sandbox::RegistryServer;

use super::RUNS;
use super::measure::measure;
use super::measured::{Measured, not_met};
use crate::command::{Command, workspace};

/// LocalAI's index lies beside the workspace, where it is there at all: it is not ours to copy.
pub(super) const INDEX: &str = "../shared/galleries/localai-backends.yaml";
const ENTRY: &str = "cpu-llama-cpp";

/// Of the whole program, from its start: reading the index takes most of it.
const MILLISECONDS: f64 = 50.0;

/// Times the plan for one entry, and says which target was missed.
///
/// # Errors
/// When the program can't be run, or fails.
pub(super) fn run(
    countersign: &Path,
    registry: &RegistryServer,
    directory: &Path,
) -> anyhow::Result<Measured> {
    let Ok(index) = workspace().join(INDEX).canonicalize() else {
        return Ok(Measured::skipped(format!(
            "the gallery, because {INDEX} is not there"
        )));
    };
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
    println!("\nThe plan for one of a gallery's 1,033 entries:");
    super::print(&ours, "countersign");
    let found = ours.median().as_secs_f64() * 1e3;
    let missed = format!("gallery: expected under {MILLISECONDS} ms, found {found:.1} ms");
    Ok(not_met([(found < MILLISECONDS, missed)]).into())
}
