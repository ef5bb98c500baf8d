//! The tests of the whole workspace.

use anyhow::{Context as _, ensure};

use crate::command;

/// Runs them all, to the end, whatever fails on the way.
///
/// # Errors
/// When a test fails or doesn't compile.
pub(crate) fn run() -> anyhow::Result<()> {
    println!(
        "This runs every test of the workspace. They need no network: registries and Sigstore \
         services are started by the tests themselves, on this machine's loopback interface. Each \
         suite ends with a line of its own; one failure makes this task fail.\n"
    );
    let status = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "not all tests passed; see above");
    Ok(())
}
