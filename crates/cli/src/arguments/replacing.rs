//! What an installation may replace: the flags.
//!
//! Without them, nothing older and nothing less proven takes the place of what is installed.

use clap::Args;
use countersign_download::{Downgrade, InstallOptions, WhenBusy, WhenSame};

/// What an installation may replace, and whether it waits for another.
#[derive(Debug, Args)]
pub(crate) struct ReplacingArguments {
    /// Allow an image that was signed before the installed one
    ///
    /// Without this flag, such an image is refused: somebody may have moved the tag back.
    #[arg(long)]
    pub(crate) allow_older: bool,

    /// Install again even if the digest is the same
    ///
    /// This repairs files that were changed or deleted.
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// Do not wait for another run; fail instead
    ///
    /// Without this flag, a run waits while another run installs to the same directory.
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
            downgrade: if allow_older {
                Downgrade::Allow
            } else {
                Downgrade::Refuse
            },
            same: if reinstall {
                WhenSame::Reinstall
            } else {
                WhenSame::Keep
            },
            busy: when_busy(no_wait),
        }
    }
}

/// What `--no-wait` means to the library.
pub(crate) fn when_busy(no_wait: bool) -> WhenBusy {
    if no_wait {
        WhenBusy::Fail
    } else {
        WhenBusy::Wait
    }
}
