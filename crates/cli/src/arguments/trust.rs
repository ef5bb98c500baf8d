//! Which Sigstore instance is trusted: the flags.
//!
//! Without them it is the policy's instance, or the public-good one; never none.

use std::path::PathBuf;

use clap::Args;
use url::Url;

/// Which Sigstore instance is trusted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trusted root (default: public Sigstore, through TUF)")]
pub(crate) struct TrustArguments {
    /// Sigstore keys: a trusted_root.json
    ///
    /// The file has the keys of the certificate authorities, logs and timestamp authorities.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tuf_url", "tuf_root"])]
    pub(crate) trusted_root: Option<PathBuf>,

    /// TUF repository with the trusted root
    #[arg(long, value_name = "URL", requires = "tuf_root")]
    pub(crate) tuf_url: Option<Url>,

    /// First root.json of the TUF repository
    ///
    /// Get this file from somebody you trust.
    #[arg(long, value_name = "FILE", requires = "tuf_url")]
    pub(crate) tuf_root: Option<PathBuf>,

    /// Do not ask a TUF repository
    ///
    /// The trusted root is then a file, or the cache of an earlier run while it is valid.
    /// Registries and signing services are still asked.
    #[arg(long)]
    pub(crate) offline: bool,
}
