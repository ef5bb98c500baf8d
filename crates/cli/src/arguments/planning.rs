//! What entries of galleries are planned by: the flags, the same for installing and upgrading.
//!
//! They can ask for more proof than the file of galleries does, never for less.

use std::path::PathBuf;

use clap::Args;
use countersign_download::{Capability, TagRule};

use super::limits;
use crate::lock::{self, LockFile};

/// Entries that are installed at once, unless the user says otherwise: one is fetched while the other is
/// unpacked.
const JOBS: usize = 2;

/// What is chosen of galleries, the same for all that read them.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Galleries (entries by name)")]
pub(crate) struct ChoosingArguments {
    /// Hardware to choose entries for [default: this machine's]
    ///
    /// One of default, nvidia, nvidia-cuda-12, amd, intel, metal, vulkan and others.
    #[arg(long, value_name = "NAME")]
    pub(crate) capability: Option<Capability>,

    /// Another tag to try if an entry's tag is not there
    ///
    /// For example `latest-*=master-*`. May be given several times.
    #[arg(long = "fallback-tag", value_name = "FROM=TO")]
    pub(crate) fallback_tags: Vec<TagRule>,

    /// Refuse what nothing proves, instead of warning
    ///
    /// This refuses what has neither a policy nor a `sha256`.
    #[arg(long)]
    pub(crate) require_integrity: bool,

    /// Allow entries of remote indexes in private networks
    ///
    /// Without this flag, an index from the internet may not name addresses such as 10.0.0.0/8.
    #[arg(long)]
    pub(crate) allow_private_addresses: bool,

    /// Size of a gallery's index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size)]
    pub(crate) max_index: Option<u64>,
}

/// What entries are planned by, the same for installing and upgrading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries (entries by name)")]
pub(crate) struct PlanningArguments {
    #[command(flatten)]
    pub(crate) choosing: ChoosingArguments,

    /// Directory for installed entries
    ///
    /// Each entry is in a directory with its name. The default is COUNTERSIGN_STORE_DIR, or else
    /// `store` in countersign.toml, or else `countersign` in the user's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Write what is installed to a lock file
    ///
    /// The lock file pins digest and signer. Other entries in it stay as they are. The default FILE
    /// is countersign.lock.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
    )]
    pub(crate) lock: Option<PathBuf>,

    /// Entries to install at the same time, 1 to 16 [default: 2]
    ///
    /// Each needs up to 64 MiB of memory.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: Option<u8>,
}

impl ChoosingArguments {
    /// What indexes are read by where every entry is wanted. Hardware and tags to fall back to decide nothing.
    pub(crate) fn of_every_entry(allow_private_addresses: bool, max_index: Option<u64>) -> Self {
        Self {
            capability: "default".parse().ok(),
            allow_private_addresses,
            max_index,
            ..Self::default()
        }
    }
}

impl PlanningArguments {
    /// How many entries are installed at once.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.map_or(JOBS, usize::from)
    }

    /// The lock file to write.
    pub(crate) fn lock_file(&mut self) -> Option<LockFile> {
        self.lock.take().map(LockFile::new)
    }
}
