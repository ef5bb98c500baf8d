//! Files that the command line names.
//!
//! Whatever can't be read is an error that names the file; nothing is ever taken for empty.

use std::path::Path;

use crate::failure::Failure;

/// A text file named on the command line. `what` says in errors which one it is.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, what, error))
}
