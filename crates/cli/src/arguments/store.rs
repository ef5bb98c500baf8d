//! Where entries of galleries are installed: the flag, and the store that it names.
//!
//! Where neither the flag nor the environment names a directory, none is guessed.

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_download::Store;

use super::configuration::ConfigurationArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};

/// Where entries are installed.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// Directory for installed entries
    ///
    /// Each entry is in a directory with its name. The default is COUNTERSIGN_STORE_DIR, or else
    /// `store` in countersign.toml, or else `countersign` in the user's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

/// The store at `directory`, else the one that the environment names.
pub(crate) fn open_store(
    directory: Option<&Path>,
    environment: &Environment,
) -> Result<Store, Failure> {
    store_directory(directory, environment).map(Store::new)
}

/// Where that store is.
pub(crate) fn store_directory(
    directory: Option<&Path>,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    let directory = directory.map(ToOwned::to_owned);
    let usual = || Some(environment.store_directory()?.0);
    let directory = directory.or_else(usual);
    directory.ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "there is no directory for installed entries: HOME is not set",
        )
        .hint("pass --store DIR, or set COUNTERSIGN_STORE_DIR, or `store` in countersign.toml")
    })
}
