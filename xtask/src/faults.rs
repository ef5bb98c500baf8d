//! Merges during which each request fails in turn. A test of the crate `sign` plays them, and by default
//! only a sample.

use crate::played;

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
    played::play("countersign-sign", "faults::the_whole_walk", "")
}
