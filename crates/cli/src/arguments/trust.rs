//! Which Sigstore instance is trusted: the flags.
//!
//! Without them it is the policy's instance, or the public-good one; never none.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use countersign_policy::SigstoreInstance;
use url::Url;

use super::registry::parse_url;

/// Which Sigstore instance is trusted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trusted root (default: public Sigstore, through TUF)")]
pub(crate) struct TrustArguments {
    /// Sigstore instance by its name: public-good or github
    ///
    /// `github` is GitHub's own instance, which signs for private repositories. Its keys come through its TUF
    /// repository, and both start from roots that are built into this program. Not with --trusted-root, --tuf-url and
    /// --tuf-root.
    #[arg(long, value_name = "NAME", value_parser = instances(), hide_possible_values = true,
        conflicts_with_all = ["trusted_root", "tuf_url", "tuf_root"])]
    pub(crate) trust: Option<SigstoreInstance>,

    /// Sigstore keys: a trusted_root.json
    ///
    /// The file has the keys of the certificate authorities, logs and timestamp authorities. Not with --tuf-url and
    /// --tuf-root.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tuf_url", "tuf_root"])]
    pub(crate) trusted_root: Option<PathBuf>,

    /// TUF repository with the trusted root
    #[arg(long, value_name = "URL", requires = "tuf_root", value_parser = parse_url)]
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

impl TrustArguments {
    /// The flag that names an instance, if one does.
    pub(crate) fn naming_flag(&self) -> Option<&'static str> {
        // Whole, so that a new flag has to be thought of here.
        let Self {
            trust,
            trusted_root,
            tuf_url,
            tuf_root: _,
            offline: _,
        } = self;
        let given = [
            ("--trust", trust.is_some()),
            ("--trusted-root", trusted_root.is_some()),
            ("--tuf-url", tuf_url.is_some()),
        ];
        let mut given = given.into_iter();
        given.find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    /// Whether they name an instance.
    pub(crate) fn name_an_instance(&self) -> bool {
        self.naming_flag().is_some()
    }
}

/// A parser of the names of instances.
pub(crate) fn instances() -> impl clap::builder::TypedValueParser<Value = SigstoreInstance> {
    PossibleValuesParser::new(SigstoreInstance::ALL.map(SigstoreInstance::name)).try_map(|name| {
        SigstoreInstance::named(&name).ok_or_else(|| format!("there is no instance {name}"))
    })
}
