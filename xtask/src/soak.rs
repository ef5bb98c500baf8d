//! Verifications and installations in one process, as of a library's user that runs for months. A test of the crate
//! `download` plays them, and by default only a few.

use crate::played;

/// Plays so many rounds.
///
/// # Errors
/// When one went wrong, when memory, open files or threads grew, or the test doesn't compile.
pub(crate) fn run(rounds: usize) -> anyhow::Result<()> {
    println!(
        "This verifies and installs an image again and again in one process. Its trusted root expires every two\n\
         seconds. Memory, open files and threads must stay as they are.\n"
    );
    let test = "soak::all_rounds_that_are_asked_for";
    played::play("countersign-download", test, &rounds.to_string())
}
