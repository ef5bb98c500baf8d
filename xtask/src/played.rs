//! Runs one ignored test, which plays as much as a variable tells it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::command;

/// The variable that says how much to play. Somebody else may run the ignored tests: without it, nothing is played.
const PLAY: &str = "COUNTERSIGN_PLAY";

/// Runs the test of this name in the tests of `package`, with `input`.
///
/// # Errors
/// When it fails, when there is no such test, or the tests don't compile.
pub(crate) fn play(package: &str, test: &str, input: &str) -> anyhow::Result<()> {
    let mut child = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--locked", "--package", package])
        .args(["--test", "it", test])
        .args(["--", "--exact", "--ignored", "--nocapture"])
        .env(PLAY, input)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo can't be run")?;
    let stdout = child.stdout.take().context("it has a standard output")?;
    let mut passed = false;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        passed |= line.starts_with("test result: ok. 1 passed;");
        println!("{line}");
    }
    let status = child.wait()?;
    ensure!(status.success(), "a run went wrong; see above");
    ensure!(passed, "expected a test {test} in {package}, found none");
    Ok(())
}
