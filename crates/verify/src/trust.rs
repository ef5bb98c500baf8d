//! The trusted root: certificate authorities, logs and timestamp authorities.
//!
//! A [`TrustedRoot`] is parsed and checked once and then shared. The caller says where it comes from: this
//! module does not read the environment and does not choose a directory.

mod authority;
mod description;
mod keys;
mod material;
mod tuf;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_oci::ErrorKind;
use countersign_oci::http::Connection;
use countersign_policy::{OneOrMore, Policy, Trust};
use jiff::Timestamp;
use serde_json::value::RawValue;
use sigstore_trust_root::SigstoreInstance;
use url::Url;

use self::material::TrustMaterial;
pub use description::{
    AuthorityDescription, LogDescription, RootDescription, TufMetadata, Validity,
};
pub(crate) use material::{NoLog, RootInUse};
pub use tuf::{TufError, tuf_target};

/// The limit for trusted roots in one file. GitHub's client prints two.
const ROOTS_MAX: usize = 16;

/// Where the trusted root comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrustSource {
    /// Contents of a `trusted_root.json`, and its name for errors.
    File {
        /// Its name in errors, for example the file's path.
        name: String,
        /// The contents.
        json: String,
    },
    /// A TUF repository.
    Tuf {
        /// Where its metadata is.
        url: Url,
        /// A `root.json` of the repository, from a trusted place. Newer ones are verified starting from it.
        root: Vec<u8>,
        /// Directory for verified metadata. Only this repository may use it.
        cache: PathBuf,
        /// Whether the network may be used.
        network: TufNetwork,
    },
    /// The public-good instance, through TUF, starting from the built-in `root.json`.
    PublicGood {
        /// Directory for verified metadata. Only this repository may use it.
        cache: PathBuf,
        /// Whether the network may be used.
        network: TufNetwork,
    },
    /// GitHub's own instance, through TUF, starting from the built-in `root.json`.
    GitHub {
        /// Directory for verified metadata. Only this repository may use it.
        cache: PathBuf,
        /// Whether the network may be used.
        network: TufNetwork,
    },
}

/// Where a source leads.
enum Place<'a> {
    File { name: &'a str, json: &'a str },
    Repository(tuf::TufRepository<'a>, TufNetwork),
}

impl TrustSource {
    /// The URL of the TUF repository and the directory of its cache. None for a file.
    pub fn tuf(&self) -> Option<(&str, &Path)> {
        match self {
            Self::File { .. } => None,
            Self::Tuf { url, cache, .. } => Some((url.as_str(), cache)),
            Self::PublicGood { cache, .. } => Some((SigstoreInstance::PublicGood.tuf_url(), cache)),
            Self::GitHub { cache, .. } => Some((SigstoreInstance::GitHub.tuf_url(), cache)),
        }
    }

    fn place<'a>(&'a self, connection: &'a Connection) -> Place<'a> {
        let named = |instance, cache, network| {
            Place::Repository(tuf::TufRepository::of(instance, cache, connection), network)
        };
        match self {
            Self::File { name, json } => Place::File { name, json },
            Self::Tuf {
                url,
                root,
                cache,
                network,
            } => Place::Repository(
                tuf::TufRepository::new(url.as_str(), root, cache, connection),
                *network,
            ),
            Self::PublicGood { cache, network } => {
                named(SigstoreInstance::PublicGood, cache.as_path(), *network)
            }
            Self::GitHub { cache, network } => {
                named(SigstoreInstance::GitHub, cache.as_path(), *network)
            }
        }
    }
}

/// Whether a TUF repository may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TufNetwork {
    /// The repository is asked if the cache is older than a day or no longer valid.
    Online,
    /// Only the cache is used. If it is missing, damaged or expired, that is an error.
    Offline,
}

/// Trust material, parsed and checked. It is shared and cheap to clone.
///
/// A policy may name its own Sigstore instance ([`Policy::trust`]). Then only that instance's root is used: the
/// caller loads it and says so with [`TrustedRoot::for_trust`].
#[derive(Clone)]
pub struct TrustedRoot {
    roots: Arc<OneOrMore<TrustMaterial>>,
    /// Of the TUF repository, if it is from one.
    metadata: Arc<[TufMetadata]>,
    trust: Option<Arc<Trust>>,
    /// What it was read from.
    json: Arc<str>,
}

impl TrustedRoot {
    /// Parses a `trusted_root.json` (Sigstore's protobuf specifications, `TrustedRoot`), which `name` names in
    /// errors. There may be several of them one after the other, as `gh attestation trusted-root` prints them, one
    /// a line. A signature must be valid by one of them alone: they are never mixed.
    ///
    /// A root without transparency logs is of an instance that has none. Then a bundle must have a timestamp of
    /// the root's timestamp authorities. A root without certificate logs demands no proof that a certificate was
    /// logged.
    ///
    /// # Errors
    /// If it is not a trusted root, has no certificate authority, or has neither a transparency log nor a timestamp
    /// authority. A log whose kind of key is not supported is left out, with a warning. If no log is left, that is an
    /// error.
    pub fn from_json(name: &str, json: &str) -> Result<Self, TrustError> {
        let mut roots = Vec::new();
        for root in serde_json::Deserializer::from_str(json).into_iter::<&RawValue>() {
            let root = root.map_err(|error| TrustError::Malformed {
                name: name.to_owned(),
                detail: error.to_string(),
            })?;
            if roots.len() == ROOTS_MAX {
                return Err(TrustError::Malformed {
                    name: name.to_owned(),
                    detail: format!("it has more than {ROOTS_MAX} trusted roots"),
                });
            }
            roots.push(TrustMaterial::from_json(name, root.get())?);
        }
        let roots = OneOrMore::of(roots).ok_or_else(|| TrustError::Malformed {
            name: name.to_owned(),
            detail: "it is empty".to_owned(),
        })?;
        Ok(Self {
            roots: Arc::new(roots),
            metadata: Arc::default(),
            trust: None,
            json: json.into(),
        })
    }

    /// The text that it was read from, for [`Self::from_json`]. Empty for [`Self::empty`].
    pub fn json(&self) -> &str {
        &self.json
    }

    /// A root without any authority. It is enough for a policy that needs none
    /// ([`Policy::needs_trusted_root`]). By any other policy, every signature is refused with it.
    ///
    /// # Errors
    /// [`TrustError`], if the empty root can't be built, which the tests rule out.
    pub fn empty() -> Result<Self, TrustError> {
        Ok(Self {
            roots: Arc::new(OneOrMore::one(TrustMaterial::empty()?)),
            metadata: Arc::default(),
            trust: None,
            json: Arc::default(),
        })
    }

    /// The same root, with what the TUF repository says of itself.
    fn with_metadata(self, metadata: Vec<TufMetadata>) -> Self {
        Self {
            metadata: metadata.into(),
            ..self
        }
    }

    /// The same root, marked as the one that a policy's `trust` names: it was read from that file or that
    /// TUF repository.
    #[must_use]
    pub fn for_trust(self, trust: Trust) -> Self {
        Self {
            trust: Some(Arc::new(trust)),
            ..self
        }
    }

    /// What each of the roots has.
    pub fn describe(&self) -> Vec<RootDescription> {
        self.roots.iter().map(TrustMaterial::describe).collect()
    }

    /// The metadata of the TUF repository that the root is from. Empty if it is from a file.
    pub fn metadata(&self) -> &[TufMetadata] {
        &self.metadata
    }

    /// The roots, if `policy` names none or these.
    pub(crate) fn serving(
        &self,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<OneOrMore<RootInUse<'_>>> {
        let serves = policy.trust().is_none() || policy.trust() == self.trust.as_deref();
        if !serves {
            return None;
        }
        OneOrMore::of(self.roots.iter().map(|root| root.in_use(now)))
    }

    /// Loads the trusted root that `source` names. TUF repositories are reached by `connection`, which
    /// may be a registry client's ([`Registry::connection`](countersign_oci::Registry::connection)).
    ///
    /// A file is parsed. A TUF repository is asked if its cache is older than a day or no longer valid. All
    /// callers in the process with the same repository, root and cache share the result, and it is fetched
    /// only once. A failure is not remembered. If the repository can't be reached, a cache that is still
    /// valid is used. If it answers wrongly, that is an error.
    ///
    /// # Errors
    /// [`TrustError`]. Offline, also if the cache is missing, damaged or expired.
    pub async fn load(source: &TrustSource, connection: &Connection) -> Result<Self, TrustError> {
        Self::load_at(source, connection, Timestamp::now()).await
    }

    /// As [`Self::load`], but a TUF repository is asked, however fresh its cache is. A file is parsed.
    ///
    /// # Errors
    /// As of [`Self::load`]; also if the repository can't be reached and the cache is still valid.
    pub async fn update(source: &TrustSource, connection: &Connection) -> Result<Self, TrustError> {
        let now = Timestamp::now();
        match source.place(connection) {
            Place::File { name, json } => Self::from_json(name, json),
            Place::Repository(repository, _) => repository.update(now).await,
        }
    }

    /// As [`Self::load`], at the time `now` (TUF specification, section 5.1: the update's start time). It
    /// decides what has expired and when to ask again.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub(crate) async fn load_at(
        source: &TrustSource,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        match source.place(connection) {
            Place::File { name, json } => Self::from_json(name, json),
            Place::Repository(repository, network) => repository.load(now, network).await,
        }
    }
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedRoot").finish_non_exhaustive()
    }
}

/// Why the trusted root could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not a trusted root.
    #[error("{name} is not a trusted root: {detail}")]
    Malformed {
        /// Name of the file or target.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A trusted root without something that its signatures need.
    #[error("the trusted root {name} can't be used: it has no {missing}")]
    Incomplete {
        /// Name of the file or target.
        name: String,
        /// What is missing.
        missing: &'static str,
    },
    /// The TUF repository did not provide a valid one.
    #[error("the trusted root can't be loaded from {url}")]
    Tuf {
        /// The repository.
        url: String,
        /// Why not.
        #[source]
        source: TufError,
    },
}

impl TrustError {
    /// Whether a TUF repository can't be reached.
    fn is_unreachable_mirror(&self) -> bool {
        match self {
            Self::Tuf { source, .. } => matches!(source, TufError::Unreachable(_)),
            Self::Malformed { .. } | Self::Incomplete { .. } => false,
        }
    }

    /// Whether nobody knows the trusted root now: its TUF repository can't be reached or refuses access, or the network is
    /// off and the cache has none. One that is not valid is known to be wrong.
    pub fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Tuf { source, .. } => match source.kind() {
                ErrorKind::Unreachable | ErrorKind::Rejected | ErrorKind::Usage => true,
                ErrorKind::Internal
                | ErrorKind::Machine
                | ErrorKind::Unsigned
                | ErrorKind::Policy
                | ErrorKind::Invalid
                | ErrorKind::NotFound
                | ErrorKind::Differs => false,
            },
            Self::Malformed { .. } | Self::Incomplete { .. } => false,
        }
    }

    /// What kind of failure it is. The match names every variant, so a new one does not
    /// compile until it is added here.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Incomplete { .. } => ErrorKind::Usage,
            Self::Tuf { source, .. } => source.kind(),
        }
    }
}
