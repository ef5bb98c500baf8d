//! `countersign policy`: what a policy file means, and whether it does what its author wants.
//!
//! Nothing is installed, and the policy file is never changed.

pub(super) mod check;
mod denied;
pub(super) mod export;
pub(super) mod import;
pub(super) mod init;
pub(super) mod named_files;
pub(super) mod test;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::arguments::configuration::ConfigurationArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

/// `countersign policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Explain a policy file in words, and warn of weak points
    #[command(alias = "validate", alias = "lint")]
    Check(check::PolicyCheckArguments),
    /// Print a policy to begin with
    ///
    /// It accepts those who signed an image, or who three answers describe. Compare it with what the project
    /// publishes: anybody can sign an image.
    Init(init::PolicyInitArguments),
    /// Print a policy in the words of another program
    ///
    /// policy-controller, Kyverno, Talos, Flux, and what podman, skopeo and CRI-O read.
    Export(export::PolicyExportArguments),
    /// Print a policy made from another program's
    ///
    /// policy-controller's ClusterImagePolicy, Talos' ImageVerificationConfig, Flux' OCIRepository, and the
    /// policy.json of podman, skopeo and CRI-O. A key that is not understood is an error.
    Import(import::PolicyImportArguments),
    /// Apply a policy file to saved signatures
    Test(test::PolicyTestArguments),
}

impl PolicyCommand {
    /// The flag of the files of configuration; `None` for a command that asks nobody and trusts nothing.
    pub(super) fn configuration(&self) -> Option<&ConfigurationArguments> {
        match self {
            Self::Check(arguments) => Some(&arguments.configuration),
            Self::Init(arguments) => Some(&arguments.configuration),
            Self::Test(arguments) => Some(&arguments.configuration),
            Self::Export(_) | Self::Import(_) => None,
        }
    }

    /// How long the whole run may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Check(arguments) => arguments.registry.timeout,
            Self::Init(arguments) => arguments.registry.timeout,
            Self::Export(_) | Self::Import(_) | Self::Test(_) => None,
        }
    }

    /// Whether it waits for answers at standard input.
    pub(super) fn asks(&self) -> bool {
        match self {
            Self::Init(arguments) => arguments.from.is_none(),
            Self::Check(_) | Self::Export(_) | Self::Import(_) | Self::Test(_) => false,
        }
    }
}

pub(super) async fn run(
    command: PolicyCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(arguments) => check::run(&arguments, environment, output).await,
        PolicyCommand::Init(arguments) => init::run(arguments, environment, output).await,
        PolicyCommand::Export(arguments) => export::run(&arguments, output),
        PolicyCommand::Import(arguments) => import::run(&arguments, output),
        PolicyCommand::Test(arguments) => test::run(arguments, environment, output).await,
    }
}
