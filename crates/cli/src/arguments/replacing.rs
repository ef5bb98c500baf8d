//! What an installation may replace: the flags.
//!
//! Without them, nothing older and nothing less proven takes the place of what is installed.

use clap::Args;
use countersign_download::{Downgrade, Durability, InstallOptions, WhenBusy, WhenSame};

/// What an installation may replace, and whether it waits for another.
#[derive(Debug, Args)]
pub(crate) struct ReplacingArguments {
    /// Allow an image that was signed before the installed one
    ///
    /// Without this flag, such an image is refused: somebody may have moved the tag back. With --lock, so is one that was
    /// signed before the locked one.
    #[arg(long)]
    pub(crate) allow_older: bool,

    /// Install again even if the digest is the same
    ///
    /// This repairs files that were changed or deleted.
    #[arg(long)]
    pub(crate) reinstall: bool,

    /// Check the files of what is up to date
    ///
    /// Without this flag, the record is believed. With it, every file is compared with the digest that it
    /// was unpacked with. Exit code 8 says that something was changed. Not with --reinstall.
    #[arg(long, conflicts_with = "reinstall")]
    pub(crate) check: bool,

    /// Do not wait for another run; fail instead
    ///
    /// Without this flag, a run waits while another run installs to the same directory.
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// Wait for the disk: `full` or `none` [default: full]
    ///
    /// With `none`, a loss of power may take files of an installation that has succeeded.
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub(crate) durability: Option<HowDurable>,
}

/// What a crash of the machine may take of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HowDurable {
    /// Nothing.
    Full,
    /// Any of it.
    None,
}

impl ReplacingArguments {
    pub(crate) fn options(&self) -> InstallOptions {
        let Self {
            allow_older,
            reinstall,
            check: _,
            no_wait,
            durability,
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
            durability: match durability.unwrap_or(HowDurable::Full) {
                HowDurable::Full => Durability::Full,
                HowDurable::None => Durability::None,
            },
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
