//! Which Sigstore instance is trusted: the flags.

use std::path::PathBuf;

use clap::Args;
use url::Url;

/// Which Sigstore instance is trusted.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Trust root (default: the public-good instance, kept fresh through TUF)"
)]
pub(crate) struct TrustArguments {
    /// Trusted root: a trusted_root.json with the keys of CA, logs and timestamp authorities
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tuf_url", "tuf_root"])]
    pub(crate) trusted_root: Option<PathBuf>,

    /// TUF repository that distributes the trusted root
    #[arg(long, value_name = "URL", requires = "tuf_root")]
    pub(crate) tuf_url: Option<Url>,

    /// The TUF repository's initial root.json, obtained from somebody you trust
    #[arg(long, value_name = "FILE", requires = "tuf_url")]
    pub(crate) tuf_root: Option<PathBuf>,

    /// Ask no TUF repository: the trusted root is a file, or what an earlier run left in the cache
    /// and has not expired. Registries and signing services are asked all the same
    #[arg(long)]
    pub(crate) offline: bool,
}
