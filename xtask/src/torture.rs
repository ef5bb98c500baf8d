//! Installations that are killed, or that a registry misbehaves for. Tests of the crate `cli` play them,
//! and by default only a sample.

use anyhow::ensure;

use crate::played;

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
    let play = |test: &str, count| played::play("countersign", test, &format!("{count} {seed}"));
    if kills > 0 {
        play("torture::kill::all_that_is_asked_for", kills)?;
    }
    if faults > 0 {
        play("torture::faults::all_that_are_asked_for", faults)?;
    }
    Ok(())
}
