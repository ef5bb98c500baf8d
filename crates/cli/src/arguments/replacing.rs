//! What an installation may replace: the flags.

use clap::Args;
use countersign_download::InstallOptions;

/// What an installation may replace, and whether it waits for another.
#[derive(Debug, Args)]
pub(crate) struct ReplacingArguments {
    /// Let an image replace one that was signed later. Without this flag, a tag that was moved back
    /// is refused
    #[arg(long)]
    pub(crate) allow_older: bool,

    /// Fetch and replace what is installed even if the digest is the same. Repairs files that were
    /// changed or deleted
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// Fail if another run installs to the same directory, instead of waiting for it
    #[arg(long)]
    pub(crate) no_wait: bool,
}

impl ReplacingArguments {
    pub(crate) fn options(&self) -> InstallOptions {
        let Self {
            allow_older,
            reinstall,
            no_wait,
        } = *self;
        InstallOptions {
            allow_older,
            reinstall,
            wait: !no_wait,
        }
    }
}
