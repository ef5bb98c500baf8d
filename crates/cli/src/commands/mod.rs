//! The command line, as clap reads it, and its commands, one file each: a command's own arguments
//! stand beside what it does. Names of flags are the policy file's names.

mod by_name;
mod dry_run;
mod galleries;
mod install;
mod list;
mod policy;
mod remove;
mod sign;
mod text;
mod upgrade;
mod verify;
mod wanted;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::arguments::store::StoreArguments;
use crate::environment::Environment;
use crate::failure::{Failure, exit_codes_help};
use crate::output::{Format, Output};

/// Sign container images in CI; install only what a signature and a policy prove.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = exit_codes_help())]
pub(crate) struct Arguments {
    /// How to print results: for a person, or as one JSON document on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign images in a registry, an index with all its children, and check the result
    Sign(sign::SignArguments),
    /// Prove that images are signed by the signer that a policy names
    Verify(verify::VerifyArguments),
    /// Unpack an image into a directory, if and only if the policy's signer signed it
    Install(install::InstallArguments),
    /// Update what is installed to what its gallery has now, by the gallery's policy
    Upgrade(upgrade::UpgradeArguments),
    /// Show what was installed from galleries, and on what evidence
    List(StoreArguments),
    /// Remove what was installed from galleries
    Remove(remove::RemoveArguments),
    /// Understand and test policy files
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

impl Command {
    /// How long the whole run may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Sign(arguments) => arguments.registry.timeout,
            Self::Verify(arguments) => arguments.registry.timeout,
            Self::Install(arguments) => arguments.registry.timeout,
            Self::Upgrade(arguments) => arguments.registry.timeout,
            Self::Policy(command) => command.timeout(),
            Self::List(_) | Self::Remove(_) => None,
        }
    }

    pub(crate) async fn run(
        self,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        match self {
            Self::Sign(arguments) => sign::run(arguments, environment, output).await,
            Self::Verify(arguments) => verify::run(arguments, environment, output).await,
            Self::Install(arguments) => install::run(arguments, environment, output).await,
            Self::Policy(command) => policy::run(command, environment, output).await,
            Self::Upgrade(arguments) => upgrade::run(arguments, environment, output).await,
            Self::List(arguments) => list::run(&arguments, environment, output).await,
            Self::Remove(arguments) => remove::run(arguments, environment, output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
