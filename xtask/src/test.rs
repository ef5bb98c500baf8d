//! The tests of the whole workspace.

use anyhow::{Context as _, ensure};

use crate::command;

/// How many tests run at once for each processor. Tests mostly wait: for programs and servers that
/// they start, and for pauses before a request is repeated.
const TESTS_PER_PROCESSOR: usize = 4;

/// Runs all tests, also after a failure.
///
/// # Errors
/// When a test fails or doesn't compile.
pub(crate) fn run() -> anyhow::Result<()> {
    println!(
        "This runs every test of the workspace. They need no network: registries and Sigstore \
         services are started by the tests themselves, on this machine's loopback interface. Each \
         suite ends with a line of its own; one failure makes this task fail.\n"
    );
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let status = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .env(
            "RUST_TEST_THREADS",
            (processors * TESTS_PER_PROCESSOR).to_string(),
        )
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "not all tests passed; see above");
    Ok(())
}
