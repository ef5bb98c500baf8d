//! Why a TUF repository did not provide a file.

use std::path::PathBuf;

use countersign_oci::{Error as RegistryError, ErrorKind, MachineFault};

/// Why a TUF repository did not provide a trusted root, or another file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufError {
    /// The cache is missing, damaged or expired, and the network is off.
    #[error("the cache {} can't be used without the network", .cache.display())]
    Cache {
        /// The cache directory.
        cache: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<sigstore_tuf::Error>,
    },
    /// The mirror can't be reached, and there is no valid cache.
    #[error("the mirror can't be reached, and the cache has no metadata that is valid now")]
    Unreachable(#[source] Box<sigstore_tuf::Error>),
    /// The mirror answers, but a file is missing or not valid. A valid cache is not used in its place: the mirror
    /// may hide an update.
    #[error(
        "the mirror answers, but not with metadata that is valid now; the cache is not used in its place"
    )]
    WrongAnswer(#[source] Box<sigstore_tuf::Error>),
}

impl TufError {
    /// The error for a failure of the workflow over the network.
    pub(super) fn of_mirror(source: sigstore_tuf::Error) -> Self {
        let by_network = match &source {
            sigstore_tuf::Error::Transport { source, .. } => source.as_deref(),
            _ => None,
        };
        let by_network = by_network.and_then(|source| source.downcast_ref::<RegistryError>());
        if by_network.is_some_and(RegistryError::is_unreachable) {
            Self::Unreachable(Box::new(source))
        } else {
            Self::WrongAnswer(Box::new(source))
        }
    }

    /// What kind of failure it is. The match names every variant, so a new one does not
    /// compile until it is added here.
    pub fn kind(&self) -> ErrorKind {
        match self {
            // Nobody is asked without the network, so asking again finds nothing else.
            Self::Cache { source, .. } => match MachineFault::of(source.as_ref()) {
                None => ErrorKind::Usage,
                Some(_) => ErrorKind::Machine,
            },
            Self::Unreachable(source) => match source.as_ref() {
                // We write the cache, so a missing permission there is a problem of this machine.
                sigstore_tuf::Error::Io { source, .. } => match MachineFault::of(source) {
                    None => ErrorKind::Unreachable,
                    Some(_) => ErrorKind::Machine,
                },
                other => ErrorKind::of_network(other),
            },
            Self::WrongAnswer(source) => match source.as_ref() {
                // A file is missing, or the mirror refuses access.
                sigstore_tuf::Error::Transport { .. } => match MachineFault::of(source.as_ref()) {
                    None | Some(MachineFault::Permission) => ErrorKind::Rejected,
                    Some(_) => ErrorKind::Machine,
                },
                _ => ErrorKind::Invalid,
            },
        }
    }
}
