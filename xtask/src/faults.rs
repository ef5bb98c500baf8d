//! Merges during which each request fails in turn. A test of the crate `sign` plays them, and by default
//! only a sample.

use anyhow::{Context as _, ensure};

use crate::command;

/// Plays all of them.
///
/// # Errors
/// When one went wrong, or the test doesn't compile.
pub(crate) fn run() -> anyhow::Result<()> {
    println!(
        "This merges and signs two images again and again. Each time another request to the registry, \
         Fulcio,\nRekor or the timestamp authority fails. After each, no tag may name anything unsigned, \
         and the next run\nmust end well. It takes about half an hour.\n"
    );
    let status = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--locked", "--package", "countersign-sign"])
        .args(["--test", "it", "faults::the_whole_walk"])
        .args(["--", "--ignored", "--nocapture"])
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "a run went wrong; see above");
    Ok(())
}
