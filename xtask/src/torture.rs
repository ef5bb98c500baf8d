//! Installations that are killed, or that a registry misbehaves for. Tests of the crate `cli` play them,
//! and by default only a sample.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::command;

/// Kills the program `kills` times and plays `faults` schedules of faults. All follows from `seed`.
///
/// # Errors
/// When one went wrong, or the tests don't compile.
pub(crate) fn run(kills: usize, faults: usize, seed: u64) -> anyhow::Result<()> {
    ensure!(
        kills > 0 || faults > 0,
        "expected --kill N or --faults N, found neither"
    );
    println!(
        "This installs and upgrades again and again, with the seed {seed}. The program is killed, or the \
         registry\nmisbehaves. After each run, the old version or the new one must be there, whole, and \
         nothing else.\n"
    );
    if kills > 0 {
        play("torture::kill::all_that_is_asked_for", kills, seed)?;
    }
    if faults > 0 {
        play("torture::faults::all_that_are_asked_for", faults, seed)?;
    }
    Ok(())
}

/// Runs one ignored test, which reads on standard input how many to play and the seed.
fn play(test: &str, count: usize, seed: u64) -> anyhow::Result<()> {
    let mut child = std::process::Command::new(env!("CARGO"))
        .current_dir(command::workspace())
        .args(["test", "--locked", "--package", "countersign"])
        .args(["--test", "it", test])
        .args(["--", "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cargo can't be run")?;
    let mut stdin = child.stdin.take().context("it has a standard input")?;
    writeln!(stdin, "{count} {seed}")?;
    drop(stdin);
    let status = child.wait()?;
    ensure!(status.success(), "a run went wrong; see above");
    Ok(())
}
