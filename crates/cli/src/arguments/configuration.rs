//! Where the defaults come from: the flag. Every command that reads them has it.

use std::path::PathBuf;

use clap::Args;

/// The file of configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct ConfigurationArguments {
    /// Read defaults from this file, and from no other
    ///
    /// Without this flag, they are in the file that COUNTERSIGN_CONFIG names, or else in countersign.toml: of the
    /// working directory or one above it, if `allow` has that directory, of the user, and of this machine. `countersign
    /// config show` prints them.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
