//! The cache of signatures: the flags. Without them there is none.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::registry::parse_duration;

/// Whether signatures that proved an image are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache of signatures (default: none)")]
pub(crate) struct CacheArguments {
    /// Keep the signatures that count, for the next run
    ///
    /// The next run judges them again instead of asking the registry. A signature counts until this long after
    /// it was found in the registry: `30m`, `1h`, `24h`. It is judged by the policy and the trusted root of now
    /// each time. A refusal is never kept.
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    pub(crate) cache: Option<Duration>,

    /// Directory for them [default: in the user's cache directory]
    #[arg(long, value_name = "DIRECTORY", requires = "cache")]
    pub(crate) cache_dir: Option<PathBuf>,
}
