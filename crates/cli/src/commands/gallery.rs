//! `countersign gallery`: what galleries offer, and what is wrong with them.

pub(super) mod check;
pub(super) mod show;
mod shown_gallery;
mod shown_kit;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::arguments::configuration::ConfigurationArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

/// `countersign gallery`
#[derive(Debug, Subcommand)]
pub(crate) enum GalleryCommand {
    /// Show the sources of entries, and what has to be proven of them
    ///
    /// It shows what is planned for each entry on this machine. It asks no registry.
    Show(show::GalleryShowArguments),
    /// Find mistakes in a gallery's index
    ///
    /// It finds entries that lead nowhere, misspelt keys, and values that can't be read. It asks no registry. The
    /// exit code is 2 if an entry can't be installed.
    Check(check::GalleryCheckArguments),
}

impl GalleryCommand {
    /// The flag of the files of configuration.
    pub(super) fn configuration(&self) -> &ConfigurationArguments {
        match self {
            Self::Show(arguments) => &arguments.configuration,
            Self::Check(arguments) => &arguments.configuration,
        }
    }

    /// How long the whole run may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Show(arguments) => arguments.registry.timeout,
            Self::Check(arguments) => arguments.registry.timeout,
        }
    }
}

pub(super) async fn run(
    command: GalleryCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match command {
        GalleryCommand::Show(arguments) => show::run(arguments, environment, output).await,
        GalleryCommand::Check(arguments) => check::run(arguments, environment, output).await,
    }
}
