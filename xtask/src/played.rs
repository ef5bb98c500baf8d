//! Runs one ignored test, which plays as much as it is told on standard input.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::command;

/// Runs the test of this name in the tests of `package`, with `input`.
///
/// # Errors
/// When it fails, or the tests don't compile.
pub(crate) fn play(package: &str, test: &str, input: &str) -> anyhow::Result<()> {
    let mut child = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--locked", "--package", package])
        .args(["--test", "it", test])
        .args(["--", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cargo can't be run")?;
    let mut stdin = child.stdin.take().context("it has a standard input")?;
    writeln!(stdin, "{input}")?;
    drop(stdin);
    let status = child.wait()?;
    ensure!(status.success(), "a run went wrong; see above");
    Ok(())
}
