//! What may be printed as the one JSON document of a run.
//!
//! A type that the committed schema doesn't have is never printed: it doesn't compile.

use serde::Serialize;

/// A document that the committed schema has. Only the list in `commands/schema.rs` implements it, so
/// that a command can't print a document that the schema doesn't know.
pub(crate) trait OutputDocument: Serialize {}

/// A document whose `results` can be written one by one. If a failure ends the run, it has those that came before, `error`,
/// and nothing else.
pub(crate) trait Streamed: OutputDocument {
    /// What one of its results is.
    type Result: Serialize;
}
