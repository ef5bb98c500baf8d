//! The command line, as clap reads it, and its commands, one file each: a command's own arguments
//! stand beside what it does. Names of flags are the policy file's names.

mod audit;
mod check;
mod completions;
mod config;
mod copy;
mod doctor;
mod galleries;
mod gallery;
pub(crate) mod image_verifier;
mod in_order;
mod install;
mod installer_of_plan;
mod kit;
mod list;
mod list_check;
mod man;
mod merge;
mod policy;
mod preview;
mod recorded;
mod remove;
mod report;
mod requested_entry;
mod schema;
mod sign;
mod signing;
mod store_installer;
mod table;
mod text;
mod told;
mod tree;
mod trust;
mod unusable;
mod upgrade;
mod verify;
mod version;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::terminal::TerminalArguments;
use crate::environment::Environment;
use crate::failure::{Failure, exit_codes_help};
use crate::json::error::Tags;
use crate::output::Output;
use crate::terminal::HELP_STYLES;

/// Sign container images in CI, and install them only if a policy accepts the signature.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    styles = HELP_STYLES,
    after_long_help = exit_codes_help(),
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) terminal: TerminalArguments,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign images in a registry, then verify the signatures
    ///
    /// The signature is bound to a digest. If the image is an index, all images in it are signed
    /// too.
    Sign(sign::SignArguments),
    /// Join the images of several platforms into one, sign it, and only then tag it
    ///
    /// No tag is written before all images are signed and verified. If anything fails before that,
    /// every tag stays as it was.
    Merge(merge::MergeArguments),
    /// Copy an image that a policy accepts, with its signatures and all that refers to it
    ///
    /// The image is verified before anything is written, and again at the destination. The tag is
    /// written last.
    Copy(copy::CopyArguments),
    /// Verify that images are signed as a policy requires
    ///
    /// This installs nothing. It prints who signed, and when.
    Verify(verify::VerifyArguments),
    /// Show what is attached to an image: signatures, attestations, SBOMs
    ///
    /// It judges nothing unless a policy is given. A signer is named only if the signature is genuine.
    Tree(tree::TreeArguments),
    /// Find out which images are signed as a policy requires
    ///
    /// This judges every image of a gallery or of a list, and counts what it found, so that you know
    /// what would break before you enforce a policy. It installs nothing.
    Audit(audit::AuditArguments),
    /// Verify an image and unpack it into a directory
    ///
    /// Nothing is unpacked before it is verified as the policy requires. With --gallery, entries are
    /// installed by name.
    Install(install::InstallArguments),
    /// Install the current image of installed entries
    ///
    /// The gallery's policy must accept the new image.
    Upgrade(upgrade::UpgradeArguments),
    /// Find out which installed entries have another image in their gallery now
    ///
    /// New images are verified as the gallery's policy requires, and nothing is installed. It is the same as
    /// `upgrade --dry-run`.
    #[command(mut_args(upgrade::of_outdated))]
    Outdated(upgrade::UpgradeArguments),
    /// Show and check galleries
    #[command(subcommand)]
    Gallery(gallery::GalleryCommand),
    /// List installed entries of galleries
    #[command(alias = "ls")]
    List(list::ListArguments),
    /// Find out whether installed files are as they were unpacked
    ///
    /// This reads every file, and names what was changed, added or removed since.
    Check(check::CheckArguments),
    /// Remove installed entries of galleries
    #[command(alias = "rm")]
    Remove(remove::RemoveArguments),
    /// Show the trusted root, or fetch it
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// Show the defaults of this directory, this user and this machine
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check and test policy files
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Tell containerd whether an image may be pulled
    ///
    /// A node's containerd runs it before each pull, by the name countersign-image-verifier.
    ImageVerifier(image_verifier::ImageVerifierArguments),
    /// Find out whether this machine verifies images before it pulls them
    #[command(subcommand)]
    Doctor(doctor::DoctorCommand),
    /// Print the version
    Version,
    /// Print completions for a shell
    #[command(alias = "completion")]
    Completions(completions::CompletionsArguments),
    /// Write manual pages, one for each command
    Man(man::ManArguments),
    /// Print the JSON Schemas of output and of policy files
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
}

/// A command that makes signatures.
enum Signing<'a> {
    Sign(&'a sign::SignArguments),
    Merge(&'a merge::MergeArguments),
}

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// In one document at its end, be that of success or of failure.
    AtTheEnd,
    /// It can print a document a line, as they come.
    LineByLine,
    /// Somebody waits for the answer, which only a fault of the request or of the image may refuse.
    WhateverHappens,
}

/// What a command does that is stopped, before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenStopped {
    /// It waits for its threads, which remove the files that are unfinished.
    RemovesFiles,
    /// The same, and keeps files that are whole: the next run goes on from them.
    KeepsWholeFiles,
    /// It waits for its threads.
    AwaitsThreads,
    /// It ends even while a thread waits, for a name server or for standard input: there is nothing to clean up, and such
    /// a thread can't be told to stop.
    LeavesThreads,
}

impl WhenStopped {
    /// Whether files that are unfinished are removed.
    pub(crate) fn removes_files(self) -> bool {
        match self {
            Self::RemovesFiles | Self::KeepsWholeFiles => true,
            Self::AwaitsThreads | Self::LeavesThreads => false,
        }
    }
}

impl Command {
    /// How long the whole run may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Sign(arguments) => arguments.signing.registry.timeout,
            Self::Merge(arguments) => arguments.signing.registry.timeout,
            Self::Copy(arguments) => arguments.verification.registry.timeout,
            Self::Verify(arguments) => arguments.verification.registry.timeout,
            Self::Tree(arguments) => arguments.verification.registry.timeout,
            Self::Audit(arguments) => arguments.verification.registry.timeout,
            Self::Install(arguments) => arguments.verification.registry.timeout,
            Self::Upgrade(arguments) | Self::Outdated(arguments) => arguments.registry.timeout,
            Self::Gallery(command) => command.timeout(),
            Self::Policy(command) => command.timeout(),
            Self::Trust(command) => command.timeout(),
            Self::List(_)
            | Self::Check(_)
            | Self::Remove(_)
            // It has a deadline of its own.
            | Self::ImageVerifier(_)
            | Self::Doctor(_)
            | Self::Version
            | Self::Config(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_) => None,
        }
    }

    /// The tags that it is to write, as they are before it begins: not written. `None` for a command that writes none.
    pub(crate) fn tags_to_write(&self) -> Option<Tags> {
        match self.signing()? {
            Signing::Sign(arguments) => arguments.tags_to_write(),
            Signing::Merge(arguments) => arguments.tags_to_write(),
        }
    }

    /// Whether it makes signatures.
    pub(crate) fn signs(&self) -> bool {
        self.signing().is_some()
    }

    /// It as a command that makes signatures. It names every command, so that a new one has to be thought of here.
    fn signing(&self) -> Option<Signing<'_>> {
        match self {
            Self::Sign(arguments) => Some(Signing::Sign(arguments)),
            Self::Merge(arguments) => Some(Signing::Merge(arguments)),
            Self::Verify(_)
            | Self::Tree(_)
            | Self::Copy(_)
            | Self::Audit(_)
            | Self::Install(_)
            | Self::Upgrade(_)
            | Self::Outdated(_)
            | Self::Gallery(_)
            | Self::List(_)
            | Self::Check(_)
            | Self::Remove(_)
            | Self::Policy(_)
            | Self::Trust(_)
            | Self::Config(_)
            | Self::Doctor(_)
            | Self::ImageVerifier(_)
            | Self::Version
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_) => None,
        }
    }

    /// The flag of the files of configuration. `None` for a command that doesn't read them: it decides nothing by them, or
    /// has a configuration of its own.
    pub(crate) fn configuration(&self) -> Option<&ConfigurationArguments> {
        Some(match self {
            Self::Sign(arguments) => &arguments.signing.configuration,
            Self::Merge(arguments) => &arguments.signing.configuration,
            Self::Copy(arguments) => &arguments.verification.configuration,
            Self::Verify(arguments) => &arguments.verification.configuration,
            Self::Tree(arguments) => &arguments.verification.configuration,
            Self::Audit(arguments) if arguments.command.is_none() => {
                &arguments.verification.configuration
            }
            Self::Install(arguments) => &arguments.verification.configuration,
            Self::Upgrade(arguments) | Self::Outdated(arguments) => &arguments.configuration,
            Self::Gallery(command) => command.configuration(),
            Self::Policy(command) => return command.configuration(),
            Self::List(arguments) => &arguments.store.configuration,
            Self::Check(arguments) => &arguments.store.configuration,
            Self::Remove(arguments) => &arguments.store.configuration,
            Self::Trust(command) => command.configuration(),
            Self::Config(command) => command.configuration(),
            Self::Audit(_)
            | Self::ImageVerifier(_)
            | Self::Doctor(_)
            | Self::Version
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_) => return None,
        })
    }

    /// Whether it can print a document a line, as they come.
    pub(crate) fn prints_lines(&self) -> bool {
        self.answering() == Answering::LineByLine
    }

    /// What it does if it is stopped. It names every command, so that a new one has to be thought of here.
    pub(crate) fn when_stopped(&self) -> WhenStopped {
        let writes_files = match self {
            Self::ImageVerifier(_) => return WhenStopped::LeavesThreads,
            Self::Policy(command) if command.asks() => return WhenStopped::LeavesThreads,
            Self::Install(arguments) => !arguments.dry_run,
            Self::Upgrade(arguments) => !arguments.dry_run,
            Self::Copy(arguments) if arguments.writes_directory() => {
                return WhenStopped::KeepsWholeFiles;
            }
            Self::Copy(arguments) => arguments.writes_layout(),
            Self::Sign(_)
            | Self::Merge(_)
            | Self::Verify(_)
            | Self::Tree(_)
            | Self::Audit(_)
            | Self::Outdated(_)
            | Self::Gallery(_)
            | Self::List(_)
            | Self::Check(_)
            | Self::Remove(_)
            | Self::Policy(_)
            | Self::Trust(_)
            | Self::Config(_)
            | Self::Doctor(_)
            | Self::Version
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_) => false,
        };
        if writes_files {
            WhenStopped::RemovesFiles
        } else {
            WhenStopped::AwaitsThreads
        }
    }

    /// Whether somebody waits for an answer, which only a fault of the request or of the image may refuse.
    pub(crate) fn must_answer(&self) -> bool {
        self.answering() == Answering::WhateverHappens
    }

    /// How it answers. It names every command, so that a new one has to be thought of here.
    fn answering(&self) -> Answering {
        match self {
            Self::Audit(_) => Answering::LineByLine,
            Self::ImageVerifier(arguments) if arguments.is_request() => Answering::WhateverHappens,
            Self::Sign(_)
            | Self::Merge(_)
            | Self::Copy(_)
            | Self::Verify(_)
            | Self::Tree(_)
            | Self::Install(_)
            | Self::Upgrade(_)
            | Self::Outdated(_)
            | Self::Gallery(_)
            | Self::List(_)
            | Self::Check(_)
            | Self::Remove(_)
            | Self::Policy(_)
            | Self::Trust(_)
            | Self::Config(_)
            | Self::Doctor(_)
            | Self::ImageVerifier(_)
            | Self::Version
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_) => Answering::AtTheEnd,
        }
    }

    /// The end of a run that this machine does not let begin.
    pub(crate) fn not_begun(
        &self,
        failure: Failure,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        match self {
            Self::ImageVerifier(arguments) if self.must_answer() => Ok(image_verifier::refuse(
                arguments,
                failure,
                environment,
                output,
            )),
            _ => Err(failure),
        }
    }

    pub(crate) async fn run(
        self,
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        match self {
            Self::Sign(arguments) => sign::run(arguments, environment, output).await,
            Self::Merge(arguments) => merge::run(arguments, environment, output).await,
            Self::Copy(arguments) => copy::run(arguments, environment, output).await,
            Self::Verify(arguments) => verify::run(arguments, environment, output).await,
            Self::Tree(arguments) => tree::run(arguments, environment, output).await,
            Self::Audit(arguments) => audit::run(arguments, environment, output).await,
            Self::Install(arguments) => install::run(arguments, environment, output).await,
            Self::Policy(command) => policy::run(command, environment, output).await,
            Self::Upgrade(arguments) => upgrade::run(arguments, environment, output).await,
            Self::Outdated(arguments) => upgrade::outdated(arguments, environment, output).await,
            Self::Gallery(command) => gallery::run(command, environment, output).await,
            Self::List(arguments) => list::run(&arguments, environment, output).await,
            Self::Check(arguments) => check::run(arguments, environment, output).await,
            Self::Remove(arguments) => remove::run(arguments, environment, output).await,
            Self::ImageVerifier(arguments) => {
                image_verifier::run(arguments, environment, output).await
            }
            Self::Trust(command) => trust::run(command, environment, output).await,
            Self::Config(command) => config::run(command, environment, output),
            Self::Doctor(command) => doctor::run(command, environment, output).await,
            Self::Version => {
                version::run(output);
                Ok(ExitCode::SUCCESS)
            }
            Self::Completions(arguments) => {
                completions::run(&arguments, output);
                Ok(ExitCode::SUCCESS)
            }
            Self::Man(arguments) => {
                man::run(&arguments, output)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Schema(command) => {
                schema::run(command, output);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

#[cfg(test)]
mod tests;
