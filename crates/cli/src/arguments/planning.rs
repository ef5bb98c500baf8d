//! What entries of galleries are planned by: the flags, the same for installing and upgrading.

use std::path::PathBuf;

use clap::Args;
use countersign_download::{Capability, TagRule};

use super::limits;
use crate::lock::{self, LockFile};

/// What entries are planned by, the same for installing and upgrading.
#[derive(Debug, Args)]
#[command(next_help_heading = "Galleries: entries to install by name")]
pub(crate) struct PlanningArguments {
    /// The hardware to choose entries for: default, nvidia, nvidia-cuda-12, amd, intel, metal,
    /// vulkan … [default: this machine's]
    #[arg(long, value_name = "NAME")]
    pub(crate) capability: Option<Capability>,

    /// A tag to fall back to where an entry's isn't there, such as `latest-*=master-*`; may be
    /// given several times [default: none]
    #[arg(long = "fallback-tag", value_name = "FROM=TO")]
    pub(crate) fallback_tags: Vec<TagRule>,

    /// Refuse what no policy covers, and tarballs without sha256, instead of warning
    #[arg(long)]
    pub(crate) require_integrity: bool,

    /// Let an index from elsewhere name addresses in private networks (such as 10.0.0.0/8)
    #[arg(long)]
    pub(crate) allow_private_addresses: bool,

    /// Size of a gallery's index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size)]
    pub(crate) max_index: Option<u64>,

    /// Directory that entries are installed in, each under its name [default:
    /// COUNTERSIGN_STORE_DIR, else countersign in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Pin digest and signer of what is installed in a lock file. Its other entries stay as they are
    /// [default FILE: countersign.lock]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = lock::DEFAULT,
    )]
    pub(crate) lock: Option<PathBuf>,
}

impl PlanningArguments {
    /// The lock file to write.
    pub(crate) fn lock_file(&mut self) -> Option<LockFile> {
        self.lock.take().map(LockFile::new)
    }
}
