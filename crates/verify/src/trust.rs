//! The trusted root: certificate authorities, logs and timestamp authorities.
//!
//! A [`TrustedRoot`] is parsed and checked once and then shared. The caller says where it comes from: this
//! module does not read the environment and does not choose a directory.

mod authority;
mod keys;
mod tuf;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_oci::ErrorKind;
use countersign_oci::http::Connection;
use countersign_policy::{Policy, Trust};
use jiff::Timestamp;
use serde_json::json;
use sigstore_trust_root::SigstoreInstance;
use sigstore_types::Sha256Hash;
use sigstore_verify::crypto::{Keyring, VerificationKey};
use url::Url;

use self::keys::UnusableKeys;
pub use tuf::TufError;

/// The media type of a trusted root begins with this, in every version.
const MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.trustedroot";

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
    inner: Arc<TrustMaterial>,
    trust: Option<Arc<Trust>>,
}

struct TrustMaterial {
    verifier: sigstore_verify::Verifier,
    logs: Keyring,
    unusable: UnusableKeys,
    /// DER of the certificates of all timestamp authorities.
    timestamp_certificates: BTreeSet<Vec<u8>>,
}

impl TrustedRoot {
    /// Parses a `trusted_root.json` (Sigstore's protobuf specifications, `TrustedRoot`), which
    /// `name` names in errors.
    ///
    /// # Errors
    /// If it is not a trusted root, or has no certificate authority, no certificate log or no transparency
    /// log: every signature needs these. A log whose kind of key is not supported is left out, with a
    /// warning.
    pub fn from_json(name: &str, json: &str) -> Result<Self, TrustError> {
        let malformed = |detail: String| TrustError::Malformed {
            name: name.to_owned(),
            detail,
        };
        let mut root = sigstore_trust_root::TrustedRoot::from_json(json)
            .map_err(|error| malformed(error.to_string()))?;
        if !root.media_type.starts_with(MEDIA_TYPE_PREFIX) {
            return Err(malformed(format!(
                "expected the media type {MEDIA_TYPE_PREFIX}+json;version=0.1, found {:?}",
                root.media_type
            )));
        }
        authority::narrow(&mut root.certificate_authorities, |authority| {
            let chain = authority.cert_chain.certificates.iter();
            let chain = chain.map(|certificate| certificate.raw_bytes.clone());
            (chain.collect(), &mut authority.valid_for)
        })
        .map_err(|error| malformed(format!("a certificate authority: {error}")))?;
        authority::narrow(&mut root.timestamp_authorities, |authority| {
            let chain = authority.cert_chain.certificates.iter();
            let chain = chain.map(|certificate| certificate.raw_bytes.clone());
            (chain.collect(), &mut authority.valid_for)
        })
        .map_err(|error| malformed(format!("a timestamp authority: {error}")))?;
        let authorities = root.timestamp_authorities.iter();
        let timestamp_certificates = authorities
            .flat_map(|authority| &authority.cert_chain.certificates)
            .map(|certificate| certificate.raw_bytes.as_bytes().to_vec())
            .collect();
        let unusable = UnusableKeys::take_from(&mut root, name);
        check_complete(&root, &unusable, name)?;
        let verifier =
            sigstore_verify::Verifier::new(&root).map_err(|error| malformed(error.to_string()))?;
        let logs = root
            .rekor_keys()
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(TrustMaterial {
                verifier,
                logs,
                unusable,
                timestamp_certificates,
            }),
            trust: None,
        })
    }

    /// A root without any authority. It is enough for a policy that needs none
    /// ([`Policy::needs_trusted_root`]). By any other policy, every signature is refused with it.
    pub fn empty() -> Result<Self, TrustError> {
        let malformed = |error: &dyn std::error::Error| TrustError::Malformed {
            name: "empty".to_owned(),
            detail: error.to_string(),
        };
        let json = json!({
            "mediaType": format!("{MEDIA_TYPE_PREFIX}+json;version=0.1"),
            "certificateAuthorities": [],
            "tlogs": [],
            "ctlogs": [],
            "timestampAuthorities": [],
        });
        let root = sigstore_trust_root::TrustedRoot::from_json(&json.to_string())
            .map_err(|error| malformed(&error))?;
        let verifier = sigstore_verify::Verifier::new(&root).map_err(|error| malformed(&error))?;
        Ok(Self {
            inner: Arc::new(TrustMaterial {
                verifier,
                logs: Keyring::new(),
                unusable: UnusableKeys::default(),
                timestamp_certificates: BTreeSet::new(),
            }),
            trust: None,
        })
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

    /// This root, if `policy` names no root or this one.
    pub(crate) fn serving(&self, policy: &Policy, now: Timestamp) -> Option<RootInUse<'_>> {
        let serves = policy.trust().is_none() || policy.trust() == self.trust.as_deref();
        serves.then_some(RootInUse {
            root: &self.inner,
            now,
        })
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

    /// As [`Self::load`], at the time `now` (TUF specification, section 5.1: the update's start time). It
    /// decides what has expired and when to ask again.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub async fn load_at(
        source: &TrustSource,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        match source {
            TrustSource::File { name, json } => Self::from_json(name, json),
            TrustSource::Tuf {
                url,
                root,
                cache,
                network,
            } => {
                tuf::Repository::new(url.as_str(), root, cache, connection)
                    .load(now, *network)
                    .await
            }
            TrustSource::PublicGood { cache, network } => {
                let instance = SigstoreInstance::PublicGood;
                tuf::Repository::new(instance.tuf_url(), instance.tuf_root(), cache, connection)
                    .load(now, *network)
                    .await
            }
        }
    }
}

/// A trusted root that may be used for a policy, and the time. Only [`TrustedRoot::serving`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct RootInUse<'a> {
    root: &'a TrustMaterial,
    now: Timestamp,
}

impl<'a> RootInUse<'a> {
    pub(crate) fn verifier(self) -> &'a sigstore_verify::Verifier {
        &self.root.verifier
    }

    /// Whether this certificate (DER) belongs to a timestamp authority.
    pub(crate) fn has_timestamp_certificate(self, der: &[u8]) -> bool {
        self.root.timestamp_certificates.contains(der)
    }

    /// The kind of key of the transparency log with this ID, if that kind is not supported.
    pub(crate) fn unusable_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root.unusable.logs.get(id).map(String::as_str)
    }

    /// The same for a certificate transparency log.
    pub(crate) fn unusable_certificate_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root
            .unusable
            .certificate_logs
            .get(id)
            .map(String::as_str)
    }

    /// The key of the transparency log with this ID, if it is valid by now.
    pub(crate) fn log_key(self, id: &Sha256Hash) -> Option<&'a VerificationKey> {
        self.root.logs.key_started_by(id, self.now)
    }
}

/// Refuses a trusted root without something that every signature needs.
fn check_complete(
    root: &sigstore_trust_root::TrustedRoot,
    unusable: &UnusableKeys,
    name: &str,
) -> Result<(), TrustError> {
    let of_logs = |unusable: bool, what, supported| if unusable { supported } else { what };
    let needed = [
        (
            root.certificate_authorities.is_empty(),
            "certificate authority",
        ),
        (
            root.ctlogs.is_empty(),
            of_logs(
                !unusable.certificate_logs.is_empty(),
                "certificate transparency log",
                "certificate transparency log with a key of a supported kind",
            ),
        ),
        (
            root.tlogs.is_empty(),
            of_logs(
                !unusable.logs.is_empty(),
                "transparency log",
                "transparency log with a key of a supported kind",
            ),
        ),
    ];
    match needed.into_iter().find(|(empty, _)| *empty) {
        Some((_, missing)) => Err(TrustError::Incomplete {
            name: name.to_owned(),
            missing,
        }),
        None => Ok(()),
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
    /// A trusted root without something that every signature needs.
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

    /// What kind of failure it is. The match names every variant, so a new one does not
    /// compile until it is added here.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Incomplete { .. } => ErrorKind::Usage,
            Self::Tuf { source, .. } => source.kind(),
        }
    }
}
