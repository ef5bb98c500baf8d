//! Runs package clients.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::Command;

/// Time for one run: enough for the largest program on two slow cores without caches.
const INSTALL_LIMIT: Duration = Duration::from_secs(25 * 60);

/// A package client. It gets the user's environment, and more time than other programs.
pub(super) fn client(program: impl Into<PathBuf>) -> Command {
    Command::new(program)
        .inherit_environment()
        .limit(INSTALL_LIMIT)
}
